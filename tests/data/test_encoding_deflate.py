"""The compressor against zlib, which did not write the streams and must read them."""

import zlib

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from swerve.data.deflate_kernels import compress


def deflated(data: bytes, pixel: int) -> bytes:
    array = np.frombuffer(data, np.uint8).copy()
    return compress(array, array[: len(array) // 8 * 8].view(np.uint64), pixel).tobytes()


runs = st.lists(st.tuples(st.binary(min_size=1, max_size=4), st.integers(1, 700)), min_size=1, max_size=12)


@given(runs, st.sampled_from([1, 2, 3]))
def test_zlib_reads_runs_of_any_length(parts, pixel):
    data = b"".join(unit * count for unit, count in parts)
    assert zlib.decompress(deflated(data, pixel)) == data


@given(st.binary(min_size=1, max_size=2000), st.sampled_from([1, 2, 3]))
def test_zlib_reads_any_bytes(data, pixel):
    assert zlib.decompress(deflated(data, pixel)) == data


@pytest.mark.parametrize("length", [*range(1, 30), *range(255, 265), *range(510, 525), 5761])
def test_zlib_reads_zeros_of_every_length(length):
    for lead in (b"", b"\x07", b"\x07\x00\x01"):
        data = lead + bytes(length) + b"\x09"
        assert zlib.decompress(deflated(data, 3)) == data


def test_codes_longer_than_fifteen_bits_are_avoided():
    """Byte counts that grow like Fibonacci's numbers make Huffman's code as deep as it has symbols."""
    counts = [1, 1]
    while len(counts) < 26:
        counts.append(counts[-1] + counts[-2])
    data = np.random.default_rng(0).permutation(np.repeat(np.arange(26, dtype=np.uint8) * 9 + 1, counts)).tobytes()
    encoded = deflated(data, 1)
    assert zlib.decompress(encoded) == data
    shares = np.array(counts) / sum(counts)
    entropy = -(shares * np.log2(shares)).sum() * len(data) / 8
    assert entropy < len(encoded) < 1.1 * entropy


def test_noise_hardly_grows():
    data = np.random.default_rng(0).integers(0, 256, 300_000, np.uint8).tobytes()
    encoded = deflated(data, 3)
    assert zlib.decompress(encoded) == data
    assert len(encoded) < len(data) * 1.01


def test_flat_images_shrink_as_far_as_zlib_brings_them():
    """Boxes of one colour on black, after the row filter."""
    image = np.zeros((300, 400, 3), np.uint8)
    for number in range(40):
        left, top = (number * 97) % 350, (number * 61) % 250
        image[top : top + 40, left : left + 30] = (number * 5, 255 - number, 80)
    data = np.diff(image.astype(np.uint8), axis=0, prepend=np.zeros((1, 400, 3), np.uint8)).tobytes()
    assert len(deflated(data, 3)) < 1.2 * len(zlib.compress(data, 1))
