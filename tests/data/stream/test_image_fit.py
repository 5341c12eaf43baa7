"""Decoding against Pillow; fitted images against the camera model."""

import io

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from swerve.data.dataset.image_encoding import encode_image
from swerve.data.stream import ImageFit
from swerve.data.stream.image_decoding import decode_rgb
from swerve.scenes import Camera, Lens, LensModel, SwerveError
from swerve.scenes.resize import Resize

WHOLE = (1e6, 1e6)
LENSES = (Lens(), Lens(LensModel.BROWN, (-0.2, 0.05, 0.001, -0.002)), Lens(LensModel.FISHEYE, (0.01, 0.0, 0.0, 0.0)))


def noise(height=20, width=30, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)


def saved(pixels, image_format, **options):
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, image_format, **options)
    return buffer.getvalue()


def test_our_own_pngs_come_back():
    for height, width in ((1, 1), (7, 3), (20, 30)):
        image = noise(height, width)
        np.testing.assert_array_equal(decode_rgb(encode_image(image, "png"), WHOLE), image)


@pytest.mark.parametrize("mode", ["RGB", "L", "RGBA", "P", "I;16"])
def test_pngs_of_others_are_read_as_pillow_reads_them(mode):
    image = noise()
    pixels = image[..., 0].astype(np.uint16) if mode == "I;16" else np.asarray(Image.fromarray(image).convert(mode))
    encoded = saved(pixels, "PNG")
    expected = np.asarray(Image.open(io.BytesIO(encoded)).convert("RGB"))
    np.testing.assert_array_equal(decode_rgb(encoded, WHOLE), expected)


def test_jpegs_are_read_as_pillow_reads_them():
    encoded = encode_image(noise(24, 40), "jpeg")
    np.testing.assert_allclose(decode_rgb(encoded, WHOLE), np.asarray(Image.open(io.BytesIO(encoded))), atol=1)


def test_what_is_no_whole_image_is_refused():
    png, jpeg = encode_image(noise(), "png"), encode_image(noise(), "jpeg")
    wrong_body = bytearray(png)
    wrong_body[60] ^= 255
    for encoded in (b"", b"GIF89a", png[:20], png[:200], bytes(wrong_body), jpeg[:100], saved(noise(), "PNG")[:100]):
        with pytest.raises(ValueError, match=r"PNG|JPEG|size|decode|header|image"):
            decode_rgb(encoded, WHOLE)


def ramps(width, height, slope):
    """An image that says where each pixel is: red grows with u, green with v."""
    u, v = np.meshgrid(np.arange(width) + 0.5, np.arange(height) + 0.5)
    return np.stack([slope * u, slope * v, np.zeros_like(u)], axis=-1).round().astype(np.uint8)


def looked_up(image, pixels):
    """Bilinear values at pixel coordinates whose centres lie at +0.5."""
    at = pixels - 0.5
    low = np.floor(at).astype(int)
    share = at - low
    corners = [
        image[low[:, 1] + dv, low[:, 0] + du].astype(float)
        * (np.where(du, share[:, 0], 1 - share[:, 0]) * np.where(dv, share[:, 1], 1 - share[:, 1]))[:, None]
        for du in (0, 1)
        for dv in (0, 1)
    ]
    return sum(corners)


sides = st.floats(0.0, 0.4)


@given(
    st.sampled_from(LENSES),
    st.integers(20, 150),
    st.integers(20, 150),
    st.tuples(sides, sides, sides, sides),
    st.sampled_from([1, 2]),
)
def test_a_point_is_seen_at_the_same_place_of_the_scene(lens, width, height, trim, scale):
    """Oracle: project points by camera and fitted camera; both images must say the same there.

    At `scale` 2 the image is a photograph of twice the camera's size.
    """
    camera = Camera("c", 128, 96, 110.0, 90.0, 60.0, 50.0, np.eye(4), lens)
    fit = ImageFit((width, height), trim)
    image = ramps(128 * scale, 96 * scale, 1.9 / scale)
    fitted, smaller = fit.pixels(image, camera), fit.camera(camera)
    assert fitted.shape == (height, width, 3)
    assert (smaller.width, smaller.height) == (width, height)
    points = np.random.default_rng(0).uniform((-0.6, -0.6, 1.0), (0.6, 0.6, 1.0), (400, 3))
    there, _, seen = camera.project(points)
    here, _, seen_here = smaller.project(points)
    # Away from the rim, where the filter reaches beyond the image.
    rim = 2.5 * np.maximum(1, np.array([width / 128, height / 96]))
    kept = seen & seen_here & ((here > rim) & (here < [width, height] - rim)).all(axis=1)
    error = looked_up(fitted, here[kept])[:, :2] - 1.9 * there[kept]
    assert np.abs(error).max(initial=0.0) < 1.6
    # Rounding moves a rising and a falling ramp alike, a shift of the image moves them apart.
    falling = looked_up(fit.pixels(255 - image, camera), here[kept])[:, :2] - (255 - 1.9 * there[kept])
    shift = (error - falling).mean(axis=0) / 2 / 1.9
    assert len(error) < 50 or np.abs(shift).max() < 0.1
    assert (seen_here & ~seen).sum() == 0


@given(
    st.sampled_from(LENSES),
    st.tuples(st.integers(40, 150), st.integers(40, 150)),
    st.sampled_from(["crop", "pad", "stretch"]),
    st.integers(20, 150),
)
def test_a_photo_shows_what_the_resized_camera_sees(lens, size, way, width):
    """A photo of the whole camera beside the raster of the resized one, both fitted: the same place of the scene."""
    camera = Camera("c", 96, 128, 110.0, 110.0, 50.0, 60.0, np.eye(4), lens)
    resize = Resize(size, way)
    fit, drawn = ImageFit((width, 50)), resize.camera(camera)
    photo = fit.pixels(ramps(192, 256, 0.95), drawn, resize.window(camera))
    points = np.random.default_rng(0).uniform((-0.6, -0.6, 1.0), (0.6, 0.6, 1.0), (400, 3))
    there, _, seen = camera.project(points)
    here, _, seen_here = fit.camera(drawn).project(points)
    away = (there > 6) & (there < [90, 122]) & (here > 3) & (here < [width - 3, 47])
    # A pixel that averages over ten shows their mean, and the filter's rim is as wide.
    kept = seen & seen_here & away.all(axis=1) & (fit.camera(drawn).fx > 22)
    assert np.abs(looked_up(photo, here[kept])[:, :2] - 1.9 * there[kept]).max(initial=0.0) < 3.0


def test_a_padded_photo_is_black_beside_itself():
    """96x128 on a square: a photo of 48x64 is 24 of the 32 columns, with four black ones on either side."""
    camera, resize = Camera("c", 96, 128, 110.0, 110.0, 48.0, 64.0, np.eye(4)), Resize((32, 32), "pad")
    white = np.full((64, 48, 3), 255, np.uint8)
    padded = ImageFit((32, 32)).pixels(white, resize.camera(camera), resize.window(camera))
    assert (padded[:, 4:28] == 255).all()
    assert not padded[:, :4].any()
    assert not padded[:, 28:].any()


def test_nothing_is_done_to_an_image_that_fits():
    camera = Camera("c", 30, 20, 50.0, 50.0, 15.0, 10.0, np.eye(4))
    image = noise()
    assert ImageFit((30, 20)).pixels(image, camera) is image
    assert ImageFit((30, 20)).camera(camera) == camera


def test_cuts_by_hand():
    """128x96 to a square: 16 columns go on either side; without the upper quarter, 28 and 28 and 24 rows."""
    camera = Camera("c", 128, 96, 100.0, 100.0, 64.0, 48.0, np.eye(4))
    whole = ImageFit((48, 48)).camera(camera)
    assert (whole.fx, whole.fy, whole.cx, whole.cy) == (50.0, 50.0, 24.0, 24.0)
    lower = ImageFit((36, 36), (0.0, 0.25, 0.0, 0.0)).camera(camera)
    assert (lower.fx, lower.fy, lower.cx, lower.cy) == (50.0, 50.0, 18.0, 12.0)


def test_a_jpeg_decoded_small_is_the_same_image():
    camera = Camera("c", 320, 160, 100.0, 100.0, 160.0, 80.0, np.eye(4))
    image = np.asarray(Image.fromarray(noise(10, 20)).resize((320, 160), Image.Resampling.BICUBIC))
    encoded = encode_image(image, "jpeg", 95)
    assert decode_rgb(encoded, (60.0, 30.0)).shape == (40, 80, 3)
    for size in ((160, 80), (70, 35), (35, 30)):
        fit = ImageFit(size)
        error = fit.decode(encoded, camera).astype(float) - fit.pixels(image, camera)
        assert np.abs(error).mean() < 1.5


@pytest.mark.parametrize("arguments", [((0, 5),), ((5, 5), (0.5, 0.0, 0.5, 0.0)), ((5, 5), (-0.1, 0.0, 0.0, 0.0))])
def test_a_fit_leaves_something(arguments):
    with pytest.raises(SwerveError, match="must"):
        ImageFit(*arguments)
