# SPDX-License-Identifier: MIT
"""Model images on every interpreter: golden bytes, no allocation, nothing but ImageError for bad ones."""

import gc
import io
import struct
import sys
from array import array

try:
    import unittest
except ImportError:
    import unittest_mini as unittest

from torpor.compat import CPYTHON, crc32
from torpor.errors import ImageError
from torpor.nn.fixed import scale
from torpor.nn.model import Model, load

GOLDEN = __file__.replace("\\", "/").rsplit("/", 2)[0] + "/golden/nn/"
RUNS = 4
MUTATIONS = 400  # of each image; `make soak` makes many more, of every operator


def read(name):
    with open(GOLDEN + name, "rb") as f:
        return f.read()


def sealed(data):
    """`data` with the CRC-32 of its content, so that only the content can be refused."""
    struct.pack_into("<I", data, 12, crc32(memoryview(data)[16:]))
    return data


def has_viper():
    try:
        import torpor.nn.viper_kernels  # noqa: F401
    except (ImportError, AttributeError):
        return False
    return True


def raw(view):
    return getattr(view, "raw", view)


def what(data):
    """Return what ImageError complains of, or None."""
    try:
        Model(bytes(data), "reference")
    except ImageError as e:
        return e.args[0]
    return None


class TestGolden(unittest.TestCase):
    def check(self, name, kernels="reference"):
        model = load(GOLDEN + name + ".image", kernels)
        self.assertEqual(model.kernels, kernels)
        x, y = raw(model.input), raw(model.output)
        stream = io.BytesIO(read(name + ".io"))
        want = array("b", bytes(len(y)))
        for _ in range(RUNS):
            self.assertEqual(stream.readinto(x), len(x))
            stream.readinto(want)
            model.run()
            self.assertEqual(list(y), list(want))
        return model

    def test_int8(self):
        model = self.check("int8")
        self.assertEqual(model.input_zero_point, 3)
        self.assertEqual(model.output_zero_point, -128)
        self.assertEqual(model.input_shape, (1, 5, 4, 1))
        self.assertAlmostEqual(model.input_scale, 0.05, delta=1e-8)
        self.assertAlmostEqual(model.output_scale, 1 / 256, delta=1e-8)

    def test_more(self):
        self.assertEqual(self.check("more").output_shape, (1, 3, 6, 4))

    def test_wide(self):
        self.assertEqual(self.check("wide").output_shape, (1, 3))

    def test_state(self):
        model = self.check("state")
        self.assertTrue(len(model.state) > 30)
        first = Model(read("state.image"), "reference")
        model.reset()
        self.assertEqual(bytes(model.state), bytes(first.state))
        stream = io.BytesIO(read("state.io"))
        for run in range(RUNS):
            if run == 2:  # as after deep sleep
                saved = bytes(model.state)
                model = Model(read("state.image"), "reference")
                model.state[:] = saved
            x, y = raw(model.input), raw(model.output)
            want = array("b", bytes(len(y)))
            stream.readinto(x)
            stream.readinto(want)
            model.run()
            self.assertEqual(list(y), list(want))
        self.assertEqual(len(Model(read("int8.image"), "reference").state), 0)

    def test_signal(self):
        self.assertEqual(len(self.check("signal").state), 12)

    def test_float(self):
        model = self.check("float")
        self.assertEqual(len(model.input), 3)
        model.input[1] = 1.5
        self.assertEqual(model.input[1], 1.5)
        self.assertRaises(IndexError, model.input.__getitem__, 3)

    def test_viper(self):
        if not has_viper():
            self.skipTest("no viper here, or not in this bundle")
        for name in ("int8", "more", "float"):
            self.check(name, "viper")

    def test_kernels_of_their_own_choice(self):
        try:
            import ulab  # noqa: F401

            expected = "ulab"
        except ImportError:
            expected = "viper" if has_viper() else "reference"
        self.assertEqual(Model(read("int8.image")).kernels, expected)
        self.assertRaises(ValueError, Model, read("int8.image"), "magic")

    def test_run_allocates_nothing(self):
        if CPYTHON:
            self.skipTest("the heap can be locked on MicroPython")
        import micropython

        names = ("int8", "more", "state", "signal", "wide")
        for name, kernels in [(n, k) for n in names for k in ("reference", "viper")]:
            if kernels == "viper" and not has_viper():
                continue
            model = load(GOLDEN + name + ".image", kernels)
            gc.collect()
            micropython.heap_lock()
            try:
                for _ in range(3):
                    model.run()
                    model.reset()
            finally:
                micropython.heap_unlock()

    def test_a_dense_network_loads_only_dense(self):
        if CPYTHON:
            self.skipTest("other tests of this process have loaded the rest")
        from torpor.nn import reference

        loaded = [m for m in sys.modules if m.startswith("torpor.nn.")]
        for m in loaded:
            if m not in ("torpor.nn.model", "torpor.nn.image", "torpor.nn.fixed", "torpor.nn.reference"):
                del sys.modules[m]
        image = Model(read("float.image"), "reference")  # QUANTIZE, FULLY_CONNECTED, DEQUANTIZE
        self.assertTrue(image.macs > 0 and reference)
        families = sorted(
            m for m in sys.modules if m in ("torpor.nn.conv", "torpor.nn.dense", "torpor.nn.pool")
        )
        self.assertEqual(families, ["torpor.nn.dense"])


class TestFixed(unittest.TestCase):
    def test_scale_rounds_twice_and_away_from_zero(self):
        half = 1 << 30
        self.assertEqual(scale(3, half, 0), 2)  # 1.5
        self.assertEqual(scale(-3, half, 0), -1)  # high_mul rounds -1.5 up
        self.assertEqual(scale(10, half, -1), 3)  # 5 / 2
        self.assertEqual(scale(-10, half, -1), -3)
        self.assertEqual(scale(3, half, 2), 6)
        self.assertEqual(scale(1, 0x7FFFFFFF, 30), 1 << 30)


class TestBadImages(unittest.TestCase):
    def test_each_header_field_is_checked(self):
        good = read("int8.image")
        self.assertIsNone(what(good))
        for offset, value, name in (
            (0, 0x55, "magic"),
            (4, 2, "version"),
            (8, 3, "length"),
            (12, 0x11, "crc"),
            (200, 0xFF, "crc"),
        ):
            bad = bytearray(good)
            bad[offset] ^= value
            self.assertEqual(what(bad), name, offset)
        for offset, name in (
            (6, "flags"),
            (19, "arena"),
            (23, "arena"),
            (27, "tensors"),
            (35, "weights"),
            (47, "state"),
        ):
            bad = bytearray(good)
            bad[offset] ^= 0x40
            self.assertEqual(what(sealed(bad)), name, offset)

    def test_truncated_at_every_length(self):
        good = read("int8.image")
        for length in list(range(0, 60)) + list(range(60, len(good), 41)) + [len(good) - 1]:
            self.assertTrue(what(good[:length]) in ("header", "length"), length)
        self.assertEqual(what(good + b"\0"), "length")

    def test_error_tells_where(self):
        bad = bytearray(read("int8.image"))
        tensor = 48
        bad[tensor] = 9  # dtype
        try:
            Model(bytes(sealed(bad)), "reference")
        except ImageError as e:
            self.assertEqual(e.args, ("tensor", tensor))
        else:
            self.fail("accepted")

    def test_mutated_images_are_refused_or_run(self):
        """Flipped and overwritten bytes under a right CRC: ImageError or a run to the end."""
        ran = refused = 0
        state = 20261123
        for name in ("int8.image", "float.image", "more.image", "state.image", "signal.image"):
            good = read(name)
            for _ in range(MUTATIONS):
                bad = bytearray(good)
                for _ in range(1 + (state >> 9) % 3):
                    state = (state * 1103515245 + 12345) & 0x7FFFFFFF
                    # the structure is a fifth of the file; most hits should be there
                    at = 16 + (state >> 8) % (min(700, len(good) - 16) if state & 0x70 else len(good) - 16)
                    state = (state * 1103515245 + 12345) & 0x7FFFFFFF
                    bad[at] = (state >> 16) & 255 if state & 0x100 else bad[at] ^ (1 << ((state >> 16) & 7))
                try:
                    model = Model(bytes(sealed(bad)), "reference")
                except ImageError:
                    refused += 1
                    continue
                model.run()
                ran += 1
            gc.collect()
        self.assertEqual(ran + refused, 5 * MUTATIONS)
        self.assertTrue(ran > MUTATIONS // 10 and refused > MUTATIONS // 10, (ran, refused))


if __name__ == "__main__":
    unittest.main()
