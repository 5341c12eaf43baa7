"""CRC-32C (Castagnoli) of TFRecord files, eight bytes a step (Intel's slicing-by-8)."""

import numba
import numpy as np

_POLYNOMIAL = 0x82F63B78


def _tables():
    tables = np.zeros((8, 256), np.uint32)
    for byte in range(256):
        crc = byte
        for _ in range(8):
            crc = (crc >> 1) ^ (_POLYNOMIAL if crc & 1 else 0)
        tables[0, byte] = crc
    for row in range(1, 8):
        tables[row] = (tables[row - 1] >> 8) ^ tables[0][tables[row - 1] & 0xFF]
    return tables


_TABLES = _tables()


@numba.njit(cache=True)
def crc32c(data):
    """Compute the CRC-32C of an array of bytes."""
    crc = np.uint32(0xFFFFFFFF)
    whole = len(data) - len(data) % 8
    for at in range(0, whole, 8):
        low = crc ^ (
            np.uint32(data[at])
            | np.uint32(data[at + 1]) << np.uint32(8)
            | np.uint32(data[at + 2]) << np.uint32(16)
            | np.uint32(data[at + 3]) << np.uint32(24)
        )
        crc = np.uint32(
            _TABLES[7, low & 0xFF]
            ^ _TABLES[6, (low >> 8) & 0xFF]
            ^ _TABLES[5, (low >> 16) & 0xFF]
            ^ _TABLES[4, (low >> 24) & 0xFF]
            ^ _TABLES[3, data[at + 4]]
            ^ _TABLES[2, data[at + 5]]
            ^ _TABLES[1, data[at + 6]]
            ^ _TABLES[0, data[at + 7]]
        )
    for at in range(whole, len(data)):
        crc = np.uint32((crc >> np.uint32(8)) ^ _TABLES[0, (crc ^ data[at]) & 0xFF])
    return np.uint32(crc ^ np.uint32(0xFFFFFFFF))
