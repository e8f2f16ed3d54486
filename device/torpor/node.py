# SPDX-License-Identifier: MIT
"""One wake of a node: sense -> trigger -> (think -> decide) -> (report) -> commit -> sleep.

    from torpor.node import main
    main()                       # reads node.bin in the working folder; on a chip it never returns

`Node.step()` is one wake and is restartable: all that must outlive deep sleep is one payload, committed each
time. What matters only once a trigger fires or a frame is due (dsp, nn, decision, radio) is imported then:
most wakes end before.
"""

import gc
import struct

from . import config
from .energy.ledger import BOOT, FLASH, SENSE, TRIGGER, Ledger
from .errors import ConfigError, SensorError, StoreError
from .hal import PIN, TIMER, load
from .schedule import Schedule
from .sense.ring import Ring
from .store.slots import Slots

NODE, SOURCE, TRIGGERS, FEATURES, MODEL, DECISION, REPORT, FIELDS, ENERGY = range(1, 10)  # tags of node.bin

# layout of the configuration, wakes, inferences, sensor failures, faults, wakes since checkpoint, quiet wakes
_HEAD = "<HIIHBHB"
_HEAD_BYTES = 16
_MOST = 0xFFFF


class _NoReading:
    """Stands for the ring when this wake's sensor failed: an old reading is not sent as a new one."""

    count = 0


def part(kind):
    """Import torpor.sense.<kind>. Raises ConfigError where the bundle has no such module."""
    try:
        return __import__("torpor.sense." + kind, None, None, ("create",))
    except ImportError:
        raise ConfigError(kind)


class Node:
    """records, layout: what config.load returned; hal: the chip; folder: where the model image lies."""

    def __init__(self, records, layout, hal, folder=""):
        self.records = records
        self.hal = hal
        self.folder = folder
        args = records[NODE][0][1]
        self.wake_every_s, self.utc_offset_s, rows, hal.deep, self._checkpoint_every, channels = args[:6]
        hal.battery = args[6:]  # pin, numerator, denominator of the divider, where one is wired
        self.source = None  # made in sense(): a sensor that does not answer is a failure of this wake only
        self.ring = Ring(rows, channels)
        self._row = self.ring.row()
        self._triggers = tuple([part(kind).create(args) for kind, args in records.get(TRIGGERS, ())])
        self.schedule = Schedule(records[REPORT][0][1][0] if REPORT in records else 0)
        self.ledger = Ledger(records[ENERGY][0][1])
        self.wakes = self.inferences = self.sensor_failures = self.faults = 0
        self.score = None  # of this wake, None when nothing was scored
        self.decision = self._thinker = self._reporter = self._flash = None
        self._since_checkpoint = self._quiet = 0
        self._layout = layout
        self._parts = (self.ring,) + self._triggers + (self.schedule, self.ledger)
        size = _HEAD_BYTES
        for p in self._parts:
            size += p.STATE_BYTES
        self._decision_at = size
        if DECISION in records:
            size += 7 + 2 * records[DECISION][0][1][3]  # Decision.STATE_BYTES, without importing it
        self.payload = bytearray(size)
        self._retained = None
        self.restored = self._restore()

    def _restore(self):
        """Take up the newest state of this configuration, from retained memory, else flash. False: none."""
        if self.hal.retained:
            try:
                self._retained = Slots(self.hal.retained, len(self.payload))
            except StoreError:
                pass  # too small a chip: every commit goes to flash
        if self._retained and self._retained.load_into(self.payload) and self._ours():
            self.schedule.warm = self.hal.wake_reason() in (TIMER, PIN)
        elif not (self._files().load_into(self.payload) and self._ours()):
            for i in range(len(self.payload)):
                self.payload[i] = 0
            return False
        values = struct.unpack_from(_HEAD, self.payload, 0)
        (
            _,
            self.wakes,
            self.inferences,
            self.sensor_failures,
            self.faults,
            self._since_checkpoint,
            self._quiet,
        ) = values
        at = _HEAD_BYTES
        for p in self._parts:
            at = p.load_from(self.payload, at)
        return True

    def _ours(self):
        return self.payload[0] | self.payload[1] << 8 == self._layout

    def _files(self):
        if self._flash is None:
            from .store.files import FileSlots

            self._flash = FileSlots(self.hal.flash_dir + "/state", len(self.payload))
        return self._flash

    def step(self):
        """One wake. Returns the seconds to sleep, to the next multiple of wake_every_s of the clock."""
        now_s = self.hal.now_s()
        self.wakes += 1
        self.ledger.spend(BOOT)
        event = 0
        self.score = None
        fired = self.sense()
        if fired is not None and DECISION in self.records:
            event = self._decide(fired, now_s)
        if self.schedule.due(now_s, event):
            self._report(now_s, self.ring if fired is not None else _NoReading)
        seconds = self.wake_every_s - now_s % self.wake_every_s
        self.ledger.sleep(seconds)
        self._commit()
        return seconds

    def sense(self):
        """Sample and ask the triggers. Returns whether one fired (always, where a node has none), None when
        the sensor failed."""
        self.ledger.spend(SENSE)
        try:
            if self.source is None:
                kind, args = self.records[SOURCE][0]
                self.source = part(kind).create(args, self.hal)
            self.source.read_into(self._row)
        except SensorError:
            self.sensor_failures = min(self.sensor_failures + 1, _MOST)
            return None
        self.ring.push(self._row)
        self.ledger.spend(TRIGGER)
        fired = not self._triggers
        for t in self._triggers:
            if t.fired(self.ring):  # each is asked: a trigger may have state to keep
                fired = True
        return fired

    def _decide(self, fired, now_s):
        """Score and decide. Quiet wakes without an alarm are only counted, and caught up with at the next
        score, so that they need not import the decision."""
        if not fired:
            if self.alarm():
                return self._decision().quiet(now_s)
            self._quiet = min(self._quiet + 1, 255)
            return 0
        self.score = self.thinker().score(now_s)
        if self.score is None:
            return 0
        decision = self._decision()
        while self._quiet:
            self._quiet -= 1
            decision.quiet(now_s)
        return decision.update(self.score, now_s)

    def thinker(self):
        """What scores, imported at the first call."""
        if self._thinker is None:
            gc.collect()  # imports leave holes; what comes now fills them, and large weights find room
            from .think import Thinker

            self._thinker = Thinker(self)
        return self._thinker

    def _decision(self):
        if self.decision is None:
            from .decision import Decision

            self.decision = Decision(self.records[DECISION][0][1])
            self.decision.load_from(self.payload, self._decision_at)
        return self.decision

    def alarm(self):
        """1 while the alarm is on, else 0, None for a node that decides nothing."""
        if DECISION not in self.records:
            return None
        return self.decision.active + 0 if self.decision else self.payload[self._decision_at]

    def _report(self, now_s, ring):
        if self._reporter is None:
            gc.collect()
            from .report import Report

            self._reporter = Report(self)
        if self._reporter.send(now_s, ring):
            for t in self._triggers:
                t.reported(self.ring)

    def fault(self):
        self.faults = min(self.faults + 1, 255)

    def _save(self):
        struct.pack_into(
            _HEAD, self.payload, 0, self._layout, self.wakes, self.inferences, self.sensor_failures,
            self.faults, self._since_checkpoint, self._quiet,
        )  # fmt: skip
        at = _HEAD_BYTES
        for p in self._parts:
            at = p.save_into(self.payload, at)
        if self.decision:
            self.decision.save_into(self.payload, at)

    def retain(self):
        self._save()
        if self._retained:
            self._retained.commit(self.payload)

    def _commit(self):
        """To retained memory at each wake, to flash at checkpoints, or at each wake where that is all."""
        self._since_checkpoint += 1
        checkpoint = not self._retained or self._since_checkpoint >= self._checkpoint_every
        if checkpoint:
            self._since_checkpoint = 0
            self.ledger.spend(FLASH)
        self.retain()
        if checkpoint:
            try:
                self._files().commit(self.payload)
            except (OSError, StoreError):
                self.fault()  # a full or write-protected flash; retained memory still has it

    def run(self):
        """Step and sleep for ever; hal.sleep returns only where the chip keeps its RAM."""
        while True:
            self.hal.sleep(self.step())


def boot(folder=""):
    """Build the node that node.bin in `folder` describes. Raises ConfigError."""
    at = folder + "/" if folder else ""
    records, layout = config.load(at + "node.bin")
    return Node(records, layout, load(records[NODE][0][0]), at)


def main():
    boot().run()
