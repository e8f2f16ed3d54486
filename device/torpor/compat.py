# SPDX-License-Identifier: MIT
"""The only file that asks which interpreter this is: MicroPython, CircuitPython or CPython.

Capabilities are probed by importing, each with its fallback beside it.
"""

import sys

IMPLEMENTATION = sys.implementation.name
CPYTHON = IMPLEMENTATION == "cpython"

if CPYTHON:

    def const(value):
        """On boards the compiler folds `const(...)`; here it is the identity."""
        return value

else:
    from micropython import const  # noqa: F401

from binascii import crc32  # noqa: E402,F401  (value: 0..2**32-1 on all three)


def aes_ecb(key: bytes):
    """Return encrypt(block16: bytes) -> bytes for AES-128 in ECB mode, the primitive that CCM needs.

    Imported late: only encrypted frames need it. Raises ImportError where the firmware has no AES.
    """
    try:
        from cryptolib import aes  # MicroPython

        return aes(key, 1).encrypt
    except ImportError:
        pass
    try:
        import aesio  # CircuitPython

        cipher = aesio.AES(key, aesio.MODE_ECB)

        def encrypt(block):
            out = bytearray(16)
            cipher.encrypt_into(block, out)
            return out

        return encrypt
    except ImportError:
        from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

        return Cipher(algorithms.AES(bytes(key)), modes.ECB()).encryptor().update  # noqa: S305 (CCM's block)
