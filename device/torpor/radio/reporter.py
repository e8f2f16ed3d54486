# SPDX-License-Identifier: MIT
"""One report: fields -> frame -> link. Imported only when torpor.schedule says that one is due.

reporter = create(records[7][0], records[8], hal, schedule)
reporter.report(now_s, ring, prediction, alarm, hal.battery_mv(), node.retain)
"""

from ..compat import const
from ..errors import ConfigError, LinkError, StoreError
from .bthome import Frame

CHANNEL = const(0)  # field sources, as in tag 8 of node.bin
PREDICTION = const(1)
ALARM = const(2)
BATTERY = const(3)

_NO_READING = const(-32768)


def create(record, fields, hal, schedule):
    """record, fields: the records of tags 7 and 8 as torpor.config.read returns them.

    An encrypted node reads its 16-byte key from key.bin in hal.flash_dir. Raises OSError without one,
    ConfigError for another length, ImportError when the firmware has no such link or no AES.
    """
    kind, args = record
    link = __import__("torpor.radio." + kind, None, None, ("create",)).create(args[2:], hal)
    key = counter = None
    if args[1]:
        from ..store.counters import Counter
        from ..store.files import FileSlots

        with open(hal.flash_dir + "/key.bin", "rb") as f:
            key = f.read()
        if len(key) != 16:
            raise ConfigError("key.bin")
        counter = Counter(FileSlots(hal.flash_dir + "/count", 4))
    return Reporter([args for _, args in fields], link, Frame(link.mac, key), counter, schedule)


def percent(battery_mv, empty_mv, numerator, denominator):
    """Return (battery_mv - empty_mv) * numerator / denominator, held within 0..100."""
    return min(100, max(0, (battery_mv - empty_mv) * numerator // denominator))


class Reporter:
    """fields: (object id, source, channel, numerator, denominator), ids ascending.

    A field's value is source * numerator / denominator, rounded. The battery's is percent(), where `channel`
    is the voltage in mV of an empty one. counter: store.counters.Counter, or None for plain frames, which
    need no reservation: a packet id only tells repetitions apart.
    """

    def __init__(self, fields, link, frame, counter, schedule):
        self._fields = fields
        self._link = link
        self._frame = frame
        self._counter = counter
        self._schedule = schedule
        if counter:
            counter.load_from(schedule.counter, 0)

    def report(self, now_s, ring, prediction, alarm, battery_mv, persist=None):
        """Send the node's latest state. False: it stays pending in the schedule, to be tried again.

        prediction: in the unit of its field, None when there is none; alarm: 0, 1 or None; battery_mv: 0 when
        unknown. What is unknown or out of its object's range is left out. persist() is called with the
        counter already advanced and nothing sent yet: a crash in between then repeats no counter value.
        """
        frame, schedule = self._frame, self._schedule
        frame.begin()
        for object_id, source, channel, numerator, denominator in self._fields:
            if source == BATTERY:
                value = percent(battery_mv, channel, numerator, denominator) if battery_mv else None
            else:
                if source == CHANNEL:
                    value = ring.at(0, channel) if ring.count else None
                    if value == _NO_READING:
                        value = None
                else:
                    value = prediction if source == PREDICTION else alarm
                if value is not None:
                    value = (value * numerator + denominator // 2) // denominator
            if value is not None:
                frame.add(object_id, value)
        try:
            self._link.send(frame.finish(self._take(persist)))
        except (LinkError, StoreError):
            schedule.failed()
            return False
        schedule.sent()
        return True

    def _take(self, persist):
        """Return the number of the frame to send now. Raises StoreError when none could be reserved."""
        schedule, counter = self._schedule, self._counter
        if counter is None:
            return schedule.uplinks + schedule.failures
        value = counter.next()
        counter.save_into(schedule.counter, 0)
        if persist:
            persist()
        return value
