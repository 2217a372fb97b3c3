"""CRC-32 sums of parts put together: each rank reads its part of an array, and all of them find out whether it is whole.

A CRC is linear over bits: a sum goes on over n bytes as it would over n zeros, but for what depends on the bytes alone.
"""

import functools
import zlib


def combined(first, second, n_bytes):
    """The CRC-32 of two pieces of data one after the other, of the CRC-32 of each; `n_bytes` : of the second one."""
    return _after_zeros(first, n_bytes) ^ second


def _after_zeros(crc, n_bytes):
    power = 0
    while n_bytes:
        if n_bytes & 1:
            crc = _applied(_zeros(power), crc)
        n_bytes, power = n_bytes >> 1, power + 1
    return crc


@functools.cache
def _zeros(power):
    """What 2**power bytes of zero make of each bit of a CRC-32."""
    if power:
        half = _zeros(power - 1)
        return [_applied(half, image) for image in half]
    return [zlib.crc32(b"\0", 1 << bit) ^ zlib.crc32(b"\0") for bit in range(32)]


def _applied(images, crc):
    out = 0
    for bit, image in enumerate(images):
        if crc >> bit & 1:
            out ^= image
    return out
