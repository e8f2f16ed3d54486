# SPDX-License-Identifier: MIT
"""AES-CCM against a published example, and on CPython against `cryptography`."""

import os

try:
    import unittest
except ImportError:
    import unittest_mini as unittest

from binascii import hexlify, unhexlify

from torpor.compat import aes_ecb
from torpor.radio.ccm import MIC_BYTES, seal


def sealed(key, nonce, plain):
    """Return ciphertext + tag, laid out with the tag 3 bytes further on, to see that only it moves."""
    n = len(plain)
    buf = bytearray(b"ab") + bytearray(plain) + bytearray(b"xyz") + bytearray(MIC_BYTES) + bytearray(b"!")
    seal(aes_ecb(key), nonce, buf, 2, 2 + n, 5 + n)
    assert buf[:2] == b"ab" and buf[2 + n : 5 + n] == b"xyz" and buf[9 + n :] == b"!"
    return bytes(buf[2 : 2 + n] + buf[5 + n : 9 + n])


class TestCcm(unittest.TestCase):
    def test_published_example(self):
        # bthome.io/encryption: 25.06 degC and 50.55 %RH from 54:48:E6:8F:80:A5, counter 0x33221100.
        out = sealed(
            unhexlify("231d39c1d7cc1ab1aee224cd096db932"),
            unhexlify("5448e68f80a5d2fc4100112233"),
            unhexlify("02ca0903bf13"),
        )
        self.assertEqual(hexlify(out), b"a47266c95f7378237214")

    def test_against_cryptography(self):
        try:
            from cryptography.hazmat.primitives.ciphers.aead import AESCCM
        except ImportError:
            self.skipTest("needs cryptography")
        for n in list(range(1, 70)) + [255, 256, 257, 4096, 5000]:
            key, nonce, plain = os.urandom(16), os.urandom(13), os.urandom(n)
            self.assertEqual(sealed(key, nonce, plain), AESCCM(key, tag_length=4).encrypt(nonce, plain, None))

    def test_every_input_matters(self):
        key, nonce, plain = bytearray(16), bytearray(13), bytearray(20)
        outs = [sealed(bytes(key), nonce, plain)]
        for what in (key, nonce, plain):
            for i in range(len(what)):
                what[i] ^= 0x10
                outs.append(sealed(bytes(key), nonce, plain)[-MIC_BYTES:])
                what[i] ^= 0x10
        self.assertEqual(len(set(outs)), len(outs))


if __name__ == "__main__":
    unittest.main()
