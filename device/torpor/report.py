# SPDX-License-Identifier: MIT
"""What happens when a frame is due: the node's latest state goes out. Imported only then."""

from .energy.ledger import RADIO
from .errors import NodeError
from .node import FIELDS, MODEL, REPORT
from .radio.reporter import PREDICTION, create


class Report:
    def __init__(self, node):
        self._node = node
        self._reporter = None
        fields = node.records.get(FIELDS, ())
        self._predicts = MODEL in node.records and bool([a for _, a in fields if a[1] == PREDICTION])

    def send(self, now_s, ring):
        """Send a frame; ring: node.ring, or one without rows when this wake's sensor failed, since an old
        reading is not sent as a new one. False: it stays pending."""
        node = self._node
        node.ledger.spend(RADIO)
        try:
            if self._reporter is None:
                fields = node.records.get(FIELDS, ())
                self._reporter = create(node.records[REPORT][0], fields, node.hal, node.schedule)
            prediction, battery_mv = self._prediction(now_s, ring), node.hal.battery_mv()
            return self._reporter.report(now_s, ring, prediction, node.alarm(), battery_mv, node.retain)
        except (NodeError, OSError, ImportError, MemoryError):
            node.schedule.failed()
            node.fault()
            return False

    def _prediction(self, now_s, ring):
        """The score, with the model run for it if need be: a receiver that finds the prediction in some
        frames only would take the readings of the others for another sensor's. Until the ring is full it is
        the present reading: the forecast that nothing changes."""
        node = self._node
        if node.score is not None or not ring.count or not self._predicts:
            return node.score
        thinker = node.thinker()
        score = thinker.score(now_s)
        return score if score is not None or thinker.failed else thinker.base()
