# SPDX-License-Identifier: MIT
"""What happens once a trigger fired: features, model, score. Imported only then."""

from .energy.ledger import FEATURES as FEATURES_CAUSE
from .energy.ledger import INFER
from .errors import NodeError
from .node import FEATURES, MODEL

_KERNELS = (None, "reference", "ulab", "native", "viper")  # by number, in tag 5


class Thinker:
    """score = ring.at(0, plus_channel) + ((q - zero_point) * mul_q16 >> 16) + add, in counts of the channel.

    A node without a model (kind "" in tag 5) scores the channel itself.
    """

    def __init__(self, node):
        self._node = node
        self._file, args = node.records[MODEL][0]
        self._plus, self._mul_q16, self._add, self._kernels = args
        self._features = self._model = None
        self.failed = False  # the last score() met a bad image, too little memory or kernels that do not load

    def base(self):
        """The newest reading of the channel that the model's output is added to, 0 where it is none."""
        return self._node.ring.at(0, self._plus) if self._plus >= 0 else 0

    def score(self, now_s):
        """Return the score of the newest row; None until the ring holds what the features need, and for a
        model that is not what the host compiled: that is the node's fault to count, and no reason to stop."""
        if not self._file:
            return self.base() + self._add
        self.failed = False
        try:
            if self._model is None:
                self._load()
            if self._node.ring.count < self._features.needs:
                return None
            return self._infer(now_s)
        except (NodeError, OSError, MemoryError, ImportError):
            self.failed = True
            self._node.fault()
            return None

    def _load(self):
        from .dsp.features import Features
        from .nn.model import load

        node = self._node
        self._features = Features([a for _, a in node.records[FEATURES]], node.utc_offset_s)
        self._model = load(node.folder + self._file, _KERNELS[self._kernels])

    def _infer(self, now_s):
        node, model = self._node, self._model
        node.ledger.spend(FEATURES_CAUSE)
        self._features.fill(node.ring, now_s, model.input, model.input_zero_point)
        node.ledger.spend(INFER)
        model.run()
        node.inferences += 1
        return self.base() + ((model.output[0] - model.output_zero_point) * self._mul_q16 >> 16) + self._add
