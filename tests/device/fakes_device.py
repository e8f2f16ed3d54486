# SPDX-License-Identifier: MIT
"""Stand-ins that run on every interpreter: buses, a HAL, a heap that locks, the same random numbers."""

from torpor.compat import CPYTHON


class ScriptedBus:
    """An I2C bus that expects exactly these transfers, in this order.

    script: ("r", address, register, bytes that come back), ("w", address, register, bytes expected) or
    ("fail", address, register, errno). Anything else is an AssertionError; `done()` checks the end.
    """

    def __init__(self, script):
        self.script = list(script)
        self.step = 0

    def _next(self, kind, address, register):
        if self.step >= len(self.script):
            raise AssertionError("transfer past the script: %s 0x%02x 0x%02x" % (kind, address, register))
        want = self.script[self.step]
        self.step += 1
        if want[0] == "fail" and want[1:3] == (address, register):
            raise OSError(want[3])
        if want[:3] != (kind, address, register):
            raise AssertionError(
                "transfer %d: %r, script has %r" % (self.step, (kind, address, register), want)
            )
        return want[3]

    def readfrom_mem_into(self, address, register, buf):
        data = self._next("r", address, register)
        if len(data) != len(buf):
            raise AssertionError(
                "register 0x%02x: %d bytes read, script has %d" % (register, len(buf), len(data))
            )
        buf[:] = data

    def writeto_mem(self, address, register, buf):
        data = self._next("w", address, register)
        if bytes(buf) != data:
            raise AssertionError("register 0x%02x: %r written, script has %r" % (register, bytes(buf), data))

    def done(self):
        if self.step != len(self.script):
            raise AssertionError("transfers left: %r" % (self.script[self.step :],))


class RegisterBus:
    """A chip as 256 registers that simply answer; allocates nothing, so a driver can run under heap_lock."""

    def __init__(self):
        self.registers = bytearray(256)

    def put(self, register, data):
        self.registers[register : register + len(data)] = data

    def readfrom_mem_into(self, address, register, buf):
        for i in range(len(buf)):
            buf[i] = self.registers[register + i]

    def writeto_mem(self, address, register, buf):
        for i in range(len(buf)):
            self.registers[register + i] = buf[i]


class Adc:
    def __init__(self, readings):
        self.readings = readings
        self.step = 0

    def read_mv(self):
        value = self.readings[self.step % len(self.readings)]
        self.step += 1
        return value


class Hal:
    """What sources ask of a HAL: buses, converters, the recorded world."""

    def __init__(self, bus=None, readings=(), world=()):
        self.bus = bus
        self.readings = readings
        self.world = world
        self.asked = []

    def i2c(self, args):
        self.asked.append(("i2c",) + tuple(args))
        return self.bus

    def adc(self, pin):
        self.asked.append(("adc", pin))
        return Adc(self.readings)

    def read_world(self, row):
        for i in range(len(row)):
            row[i] = self.world[i]


class HeapLock:
    """`with HeapLock(test):` any allocation in the block raises MemoryError. Skips the test on CPython."""

    def __init__(self, test):
        if CPYTHON:
            test.skipTest("CPython has no heap to lock")
        import micropython

        self.lock = micropython.heap_lock
        self.unlock = micropython.heap_unlock

    def __enter__(self):
        self.lock()

    def __exit__(self, kind, value, trace):
        self.unlock()


class Random:
    """The same small numbers on every interpreter: Lehmer's generator, 31 bits (Park and Miller, 1988)."""

    def __init__(self, seed):
        self.state = seed

    def below(self, n):
        self.state = self.state * 48271 % 2147483647
        return self.state % n

    def between(self, low, high):
        return low + self.below(high - low + 1)
