# SPDX-License-Identifier: MIT
"""node.bin: what the reader gives back, and that nothing but a whole, unaltered file is read."""

try:
    import unittest
except ImportError:
    import unittest_mini as unittest

import os
import struct
from binascii import crc32

from torpor import config
from torpor.errors import ConfigError

PATH = "test_config_node.bin"
RECORDS = (
    (1, "simulated", (3600, -18000, 8, 1, 24)),
    (2, "replay", (2,)),
    (3, "level", (0, -1, 400, 100)),
    (3, "change", (0, -1, 300)),
    (4, "", (0, 0, 0, 310, 5201)),
    (9, "", ()),
)


def pack(records, count=None, version=1, magic=b"TPCF"):
    body = b""
    for tag, kind, args in records:
        body += struct.pack("<BBB", tag, len(kind), len(args)) + kind.encode()
        for a in args:
            body += struct.pack("<i", a)
    count = len(records) if count is None else count
    return struct.pack("<4sHHII", magic, version, count, 16 + len(body), crc32(body)) + body


def refit(data, count=None):
    """Give altered bytes a header that fits them again, so that only the records are wrong."""
    body = data[16:]
    count = struct.unpack_from("<H", data, 6)[0] if count is None else count
    return struct.pack("<4sHHII", b"TPCF", 1, count, 16 + len(body), crc32(body)) + body


class ConfigTest(unittest.TestCase):
    def tearDown(self):
        try:
            os.remove(PATH)
        except OSError:
            pass

    def write(self, data):
        with open(PATH, "wb") as f:
            f.write(data)

    def refused(self, data):
        self.write(data)
        with self.assertRaises(ConfigError) as caught:
            config.read(PATH)
        return caught.exception.args[0]

    def test_records_in_order(self):
        self.write(pack(RECORDS))
        records = config.read(PATH)
        self.assertEqual(sorted(records), [1, 2, 3, 4, 9])
        self.assertEqual(records[1], [("simulated", (3600, -18000, 8, 1, 24))])
        self.assertEqual(records[3], [("level", (0, -1, 400, 100)), ("change", (0, -1, 300))])
        self.assertEqual(records[9], [("", ())])

    def test_int32_range(self):
        self.write(pack(((1, "x", (-2147483648, 2147483647)),)))
        self.assertEqual(config.read(PATH)[1][0][1], (-2147483648, 2147483647))

    def test_layout_follows_the_content(self):
        self.write(pack(RECORDS))
        first = config.load(PATH)[1]
        self.assertEqual(first, config.load(PATH)[1])
        self.assertTrue(0 <= first <= 0xFFFF)
        self.write(pack(((1, "simulated", (3601, -18000, 8, 1, 24)),) + RECORDS[1:]))
        self.assertNotEqual(first, config.load(PATH)[1])

    def test_missing_file(self):
        with self.assertRaises(ConfigError) as caught:
            config.read("no_such_node.bin")
        self.assertEqual(caught.exception.args[0], "file")

    def test_magic_version_and_crc_are_named(self):
        good = pack(RECORDS)
        self.assertEqual(self.refused(pack(RECORDS, magic=b"TPCG")), "magic")
        self.assertEqual(self.refused(pack(RECORDS, version=2)), "version")
        self.assertEqual(self.refused(good[:20] + bytes([good[20] ^ 1]) + good[21:]), "crc")
        self.assertEqual(self.refused(good + b"\x00"), "length")

    def test_every_truncation_is_refused(self):
        good = pack(RECORDS)
        for n in range(len(good)):
            self.assertEqual(self.refused(good[:n]), "length")

    def test_every_single_bit_flip_is_refused(self):
        good = pack(RECORDS)
        for i in range(len(good)):
            for bit in range(8):
                self.refused(good[:i] + bytes([good[i] ^ 1 << bit]) + good[i + 1 :])

    def test_records_that_do_not_fill_the_file(self):
        good = pack(RECORDS)
        self.assertEqual(self.refused(refit(good, len(RECORDS) - 1)), "record")
        self.assertEqual(self.refused(refit(good, len(RECORDS) + 1)), "record")
        self.assertEqual(self.refused(refit(good[:-1])), "record")
        self.assertEqual(self.refused(refit(good + b"\x01\x00")), "record")
        # a record that claims more arguments than there are bytes left
        self.assertEqual(self.refused(refit(good[:-1] + b"\xff")), "record")

    def test_kind_that_is_no_text(self):
        good = bytearray(pack(RECORDS))
        good[19] = 0xFF
        self.assertEqual(self.refused(refit(bytes(good))), "record")

    def test_empty_configuration(self):
        self.write(pack(()))
        self.assertEqual(config.read(PATH), {})


if __name__ == "__main__":
    unittest.main()
