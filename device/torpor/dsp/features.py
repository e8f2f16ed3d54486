# SPDX-License-Identifier: MIT
"""From the ring to the int8 inputs of a model. The host's training code imports this very file.

    features = Features(((0, 0, 0, 1500, 1311), (5, 0, 0, 0, 4096)), utc_offset_s=-32400)
    features.needs                                          # rows the ring must hold first
    features.fill(ring, now_s, model.input, model.input_zero_point)

Each spec is (kind, channel, age, mean, mul_q16), and becomes one input:

    q = clamp(((x - mean) * mul_q16 + 32768 >> 16) + zero_point, -128, 127)

| kind | x, in counts | channel, age |
|---|---|---|
| 0 VALUE | value `age` rows ago | |
| 1 CHANGE | newest minus value `age` rows ago | |
| 2 MINIMUM, 3 MAXIMUM | over the newest `age` rows | |
| 4 DEW_POINT_DEPRESSION | newest, 0.01 K | temperature's channel; age is humidity's channel |
| 5 HOUR_SINE, 6 HOUR_COSINE | 1000 * sin, cos of the local hour | unused |
"""

from array import array

from ..compat import const

_VALUE = const(0)
_CHANGE = const(1)
_MINIMUM = const(2)
_MAXIMUM = const(3)
_DEW_POINT_DEPRESSION = const(4)
_HOUR_SINE = const(5)
_HOUR_COSINE = const(6)


class Features:
    """specs: a sequence of tuples as above; utc_offset_s makes `now_s` local time.

    Raises ValueError on an unknown kind. What one kind alone needs (dew point, hours) is imported only where
    it occurs.
    """

    def __init__(self, specs, utc_offset_s=0):
        self.needs = 0
        self._specs = specs
        self._utc_offset_s = utc_offset_s
        self._depression = None
        self._hours = None
        # |x - mean| beyond which the result is at its bound whatever the zero point: 256 steps. Held to it,
        # the product stays near 2^24 and is no heap object on a 32-bit board.
        self._reach = array("i", [(256 << 16) // max(1, abs(s[4])) + 1 for s in specs])
        for kind, _, age, _, _ in specs:
            if kind <= _CHANGE:
                rows = age + 1
            elif kind <= _MAXIMUM:
                rows = age
            elif kind == _DEW_POINT_DEPRESSION:
                rows = 1
                from .dewpoint import depression

                self._depression = depression
            elif kind <= _HOUR_COSINE:
                rows = 0
                from . import hours

                self._hours = hours
            else:
                raise ValueError(kind)
            self.needs = max(self.needs, rows)

    def fill(self, ring, now_s, out, zero_point):
        """Write one int8 per spec into out[0..]. Raises IndexError while ring.count < needs.

        Allocates nothing but, on a 32-bit board and for the hours, what reading `now_s` takes.
        """
        i = 0
        for kind, channel, age, mean, mul_q16 in self._specs:
            x = self._value(ring, now_s, kind, channel, age) - mean
            reach = self._reach[i]
            x = reach if x > reach else -reach if x < -reach else x
            q = (x * mul_q16 + 32768 >> 16) + zero_point
            out[i] = -128 if q < -128 else 127 if q > 127 else q
            i += 1

    def _value(self, ring, now_s, kind, channel, age):
        if kind == _VALUE:
            return ring.at(age, channel)
        if kind == _CHANGE:
            return ring.at(0, channel) - ring.at(age, channel)
        if kind == _DEW_POINT_DEPRESSION:
            return self._depression(ring.at(0, channel), ring.at(0, age))
        if kind >= _HOUR_SINE:
            second = now_s % 86400 + self._utc_offset_s  # the first half of it is small on any board
            return self._hours.sine(second) if kind == _HOUR_SINE else self._hours.cosine(second)
        best = ring.at(0, channel)
        for back in range(1, age):
            v = ring.at(back, channel)
            if (v < best) == (kind == _MINIMUM) and v != best:
                best = v
        return best
