# SPDX-License-Identifier: MIT
"""What happens once a trigger fired: features, model, score. Imported only then."""

from .energy.ledger import FEATURES as FEATURES_CAUSE
from .energy.ledger import INFER
from .node import FEATURES, MODEL

_KERNELS = (None, "reference", "ulab")  # by number, in tag 5


class Thinker:
    """score = ring.at(0, plus_channel) + ((q - zero_point) * mul_q16 >> 16) + add, in counts of the channel.

    A node without a model (kind "" in tag 5) scores the channel itself. Raises ImageError or OSError for a
    model that is not what the host compiled.
    """

    def __init__(self, node):
        self._node = node
        kind, args = node.records[MODEL][0]
        self._plus, self._mul_q16, self._add, kernels = args
        self._model = None
        if kind:
            from .dsp.features import Features
            from .nn.model import load

            self._features = Features([a for _, a in node.records[FEATURES]], node.utc_offset_s)
            self._model = load(node.folder + kind, _KERNELS[kernels])

    def score(self, now_s):
        """Return the score of the newest row, or None until the ring holds what the features need."""
        node, model = self._node, self._model
        ring, ledger = node.ring, node.ledger
        base = ring.at(0, self._plus) if self._plus >= 0 else 0
        if model is None:
            return base + self._add
        if ring.count < self._features.needs:
            return None
        ledger.spend(FEATURES_CAUSE)
        self._features.fill(ring, now_s, model.input, model.input_zero_point)
        ledger.spend(INFER)
        model.run()
        node.inferences += 1
        return base + ((model.output[0] - model.output_zero_point) * self._mul_q16 >> 16) + self._add
