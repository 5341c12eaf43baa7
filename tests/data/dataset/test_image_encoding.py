"""Images survive their encoding; Pillow, which did not write the PNGs, is the oracle that they are PNGs."""

import io

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays
from PIL import Image

from swerve.data.dataset.image_encoding import (
    decode_depth,
    decode_image,
    decode_instance,
    encode_depth,
    encode_image,
    encode_instance,
    encode_png,
)

sizes = array_shapes(min_dims=2, max_dims=2, max_side=20)


def picture(height=120, width=160):
    rows, columns = np.mgrid[:height, :width]
    red = rows * 255 // (height - 1)
    return np.stack([red, columns * 255 // (width - 1), (red + 40) % 200], axis=-1).astype(np.uint8)


@given(sizes.flatmap(lambda size: arrays(np.uint8, (*size, 3))))
def test_png_of_colours_is_lossless(image):
    with Image.open(io.BytesIO(encode_image(image, "png"))) as opened:
        assert (opened.format, opened.mode) == ("PNG", "RGB")
        np.testing.assert_array_equal(np.asarray(opened), image)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_png_of_one_channel_is_lossless(dtype):
    image = np.random.default_rng(0).integers(0, np.iinfo(dtype).max, (31, 17), dtype, endpoint=True)
    decoded = decode_image(encode_png(image))
    assert decoded.dtype == dtype
    np.testing.assert_array_equal(decoded, image)


def test_png_of_a_sheared_view_of_memory():
    image = picture()[:, ::-1][::2, 3:50]
    np.testing.assert_array_equal(decode_image(encode_image(image, "png")), image)


@pytest.mark.parametrize(("quality", "largest_mean_error"), [(95, 1.0), (60, 4.0)])
def test_jpeg_is_close_and_repeatable(quality, largest_mean_error):
    image = picture()
    encoded = encode_image(image, "jpeg", quality)
    assert encoded == encode_image(image, "jpeg", quality)
    with Image.open(io.BytesIO(encoded)) as opened:
        assert opened.format == "JPEG"
        assert np.abs(np.asarray(opened).astype(int) - image).mean() < largest_mean_error


def test_jpeg_keeps_a_thin_coloured_line_in_its_colour():
    """With subsampled chroma a one-pixel red line on black comes back less than half as red."""
    image = np.zeros((64, 64, 3), np.uint8)
    image[:, 31] = [255, 0, 0]
    line = decode_image(encode_image(image, "jpeg", 90))[:, 31].mean(axis=0)
    assert line[0] > 220
    assert line[1:].max() < 40


@given(sizes.flatmap(lambda size: arrays(np.float32, size, elements=st.floats(0.0078125, 255.875, width=32))))
def test_depth_is_off_by_two_millimetres_at_most(depth):
    assert np.abs(decode_depth(encode_depth(depth)) - depth).max() <= 0.5 / 256 + 1e-5


def test_depth_of_nothing_and_of_too_far():
    depth = np.array([[np.inf, 0.0, 300.0, 255.996]], np.float32)
    np.testing.assert_allclose(decode_depth(encode_depth(depth)), [[np.inf, np.inf, 65535 / 256, 65535 / 256]])


@given(sizes.flatmap(lambda size: arrays(np.int32, size, elements=st.integers(0, 2**24 - 1))))
def test_instance_numbers_are_lossless(instance):
    np.testing.assert_array_equal(decode_instance(encode_instance(instance)), instance)


def test_instance_png_by_hand():
    """200001 = 3 * 65536 + 13 * 256 + 65."""
    encoded = encode_instance(np.array([[200_001]], np.int32))
    assert Image.open(io.BytesIO(encoded)).getpixel((0, 0)) == (65, 13, 3)


@pytest.mark.parametrize("number", [-1, 2**24])
def test_instance_numbers_that_do_not_fit_are_refused(number):
    with pytest.raises(ValueError, match="24 bits"):
        encode_instance(np.array([[number]], np.int32))
