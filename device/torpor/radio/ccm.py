# SPDX-License-Identifier: MIT
"""AES-CCM with a 4-byte tag, a 13-byte nonce and no associated data: what BTHome v2 encrypts with.

    seal(aes_ecb(key), nonce, buf, start, end, end)

Source: RFC 3610 with M = 4, L = 2. Peers in tests: `cryptography`'s AESCCM, BTHome's published example.
"""

MIC_BYTES = 4


def seal(encrypt, nonce, buf, start, end, mic_at):
    """Encrypt buf[start:end] in place and write the 4-byte tag to buf[mic_at:mic_at + 4].

    encrypt(block16) -> 16 bytes is AES in ECB mode; nonce 13 bytes, never used twice with one key.
    """
    # B_0: flags 8 * ((M - 2) / 2) + (L - 1), nonce, message length. Then CBC-MAC over the padded message.
    block = bytearray(16)
    block[0] = 9
    block[1:14] = nonce
    block[14] = (end - start) >> 8
    block[15] = (end - start) & 255
    mac = bytearray(encrypt(block))
    for at in range(start, end, 16):
        for i in range(min(16, end - at)):
            mac[i] ^= buf[at + i]
        mac = bytearray(encrypt(mac))
    # A_i: flags L - 1, nonce, i. A_0 hides the tag, A_1 and on the message.
    block[0] = 1
    block[14] = block[15] = 0
    stream = encrypt(block)
    for i in range(MIC_BYTES):
        buf[mic_at + i] = mac[i] ^ stream[i]
    for at in range(start, end, 16):
        counter = 1 + (at - start >> 4)
        block[14] = counter >> 8
        block[15] = counter & 255
        stream = encrypt(block)
        for i in range(min(16, end - at)):
            buf[at + i] ^= stream[i]
