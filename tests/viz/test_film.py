"""Films are decoded again: as many frames as steps, of the right size, and showing what was drawn."""

from dataclasses import replace

import numpy as np
import pytest

from swerve.viz.film import film_frames, film_of, forward_cameras, frame_rate, write_film
from swerve.viz.scene_view import CameraView3D
from tests.support.small_view import STEPS, small_view


def decoded(path):
    av = pytest.importorskip("av", reason="av is an extra")
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        return stream, [frame.to_ndarray(format="rgb24") for frame in container.decode(stream)]


def test_a_film_has_the_frames_that_were_given(tmp_path):
    pytest.importorskip("av", reason="av is an extra")
    shades = (0, 60, 120, 180, 240)
    frames = [np.full((45, 63, 3), shade, np.uint8) for shade in shades]
    assert write_film(tmp_path / "film.mp4", frames, 10.0) == 5
    stream, read = decoded(tmp_path / "film.mp4")
    assert (stream.codec_context.name, stream.pix_fmt, float(stream.average_rate)) == ("h264", "yuv420p", 10.0)
    assert [frame.shape for frame in read] == [(44, 62, 3)] * 5
    for frame, shade in zip(read, shades, strict=True):
        assert abs(frame.astype(int) - shade).max() <= 4


def test_a_view_s_film_has_a_frame_for_each_step(tmp_path):
    pytest.importorskip("av", reason="av is an extra")
    (tmp_path / "view.mp4").write_bytes(film_of(small_view(), 320))
    stream, read = decoded(tmp_path / "view.mp4")
    assert len(read) == STEPS
    assert float(stream.average_rate) == 10.0
    frames = list(film_frames(small_view(), 320))
    for frame, whole in zip(read, frames, strict=True):
        height, width = frame.shape[:2]
        assert np.abs(frame.astype(float) - whole[:height, :width]).mean() < 6.0
    assert (frames[0] != frames[4]).any()


def test_cameras_keep_their_places_where_one_has_no_image():
    camera = small_view().cameras[0].camera
    white, black = (np.full((400, 640, 3), shade, np.uint8) for shade in (255, 0))
    some = CameraView3D(replace(camera, name="some"), lambda step: black if step else None)
    view = small_view(cameras=(some, CameraView3D(camera, lambda step: white)))
    first, second = (frame.min(axis=2) == 255 for frame in list(film_frames(view, 640))[:2])
    side = 640 - 640 * 9 // 20
    rows = [np.flatnonzero(frame[:, :side].mean(axis=1) > 0.3) for frame in (first, second)]
    np.testing.assert_array_equal(*rows)
    assert len(rows[0])


def test_rates_and_cameras():
    assert frame_rate(small_view()) == pytest.approx(10.0)
    assert [one.camera.name for one in forward_cameras(small_view())] == ["front"]
