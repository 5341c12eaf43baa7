"""Past frames of samples: what the camera saw then, placed where it stood."""

from dataclasses import replace

import numpy as np
import pytest

from swerve.data.dataset import AugmentOptions, augment, read_samples
from swerve.data.dataset.capture import image_requests
from swerve.data.stream import ImageFit, Part, SampleStream, StreamOptions
from swerve.scenes import SwerveError
from swerve.scenes.past_frames import past_name, past_step, split_past_name
from tests.support.drives import viewpoint
from tests.support.simple_source import SimpleSource

SOURCE = SimpleSource(("train-0",))
OPTIONS = {"viewpoints": ("logged", "recovery"), "scene_interval": 1.0, "size": (64, 36), "cameras": ("front",)}


@pytest.fixture(scope="module")
def sets(tmp_path_factory):
    """The same samples with stored and with rendered rasters."""
    folder = tmp_path_factory.mktemp("past")
    for rasters in ("images", "primitives"):
        options = AugmentOptions(past_frames=2, past_interval=1.0, rasters=rasters, **OPTIONS)
        augment([SOURCE], folder / rasters, options, workers=1)
    return folder


def test_a_past_frame_of_the_log_is_the_image_of_that_time(sets):
    """Scenes are a second apart: the frame a second ago is the image of the scene before."""
    samples = {int(one["json"]["token"]): one for one in read_samples(sets / "images", "train", kinds=["logged"])}
    compared = 0
    for token, sample in samples.items():
        for seconds in (1, 2):
            before = samples.get(token - seconds * 1_000_000)
            if before is not None:
                assert np.array_equal(sample[f"front_{seconds}.png"], before["front.png"])
                compared += 1
    assert compared >= 4


def test_past_cameras_stand_where_the_history_was(sets):
    for sample in read_samples(sets / "images", "train"):
        names = [entry["name"] for entry in sample["json"]["cameras"]]
        assert names == ["front", "front@1", "front@2"]
        numbers, time_us = sample["npz"], sample["json"]["time_us"]
        for entry, seconds in zip(sample["json"]["cameras"], (0.0, 1.0, 2.0), strict=True):
            assert entry["time_us"] == time_us - round(seconds * 1e6)
            row = np.abs(numbers["history_time"] + seconds).argmin()
            placed = np.array(entry["now_from_capture"])
            np.testing.assert_allclose(placed[:2, 3], numbers["history_pose"][row, :2], atol=2e-3)
            assert np.array_equal(placed, np.eye(4)) == (seconds == 0.0)


def test_streams_read_past_frames_as_cameras_stored_or_rendered(sets):
    batches = []
    for rasters in ("images", "primitives"):
        options = StreamOptions(
            (Part("raster_only"), Part("recovery")), ImageFit((64, 36)), ("front@1", "front"), batch_size=6
        )
        batches.append(SampleStream(sets / rasters, options).batch(0))
    stored, rendered = batches
    assert [one.key for one in stored.provenance] == [one.key for one in rendered.provenance]
    assert np.array_equal(stored.raster, rendered.raster)
    assert stored.has_raster.all()
    here, back = stored.cameras.ego_from_camera[:, 1, 0, 3], stored.cameras.ego_from_camera[:, 0, 0, 3]
    assert (here - back > 3.0).all()  # some metres in a second


def test_options_and_names_are_checked():
    assert past_name("front", 0.5) == "front@0.5"
    assert split_past_name("a@b@1.5") == ("a@b", 1.5)
    assert split_past_name("front") == ("front", 0.0)
    for wrong in ("front@", "front@-1", "front@nan", "@1", "front@1e9"):
        with pytest.raises(SwerveError, match="a past frame is CAMERA@SECONDS"):
            split_past_name(wrong)
    with pytest.raises(SwerveError, match=r"the last is 2\.5 s ago, the history is of 2 s"):
        AugmentOptions(past_frames=5)
    assert AugmentOptions(past_frames=3).past_seconds == (0.5, 1.0, 1.5)


def test_a_past_frame_whose_file_would_be_another_cameras_is_refused():
    start = viewpoint()
    front = start.cameras[0]
    rig = tuple(replace(front, name=name) for name in ("front", "front_1"))
    beside = replace(start, cameras=rig)
    assert len(image_requests(beside, past=(0.5,))) == 4
    with pytest.raises(SwerveError, match=r"cameras front_1 and front@1 would have the same files \(front_1\)"):
        image_requests(beside, past=(1.0,))


def test_a_time_before_the_window_is_refused():
    start = viewpoint()
    assert past_step(start, 0.0) == start.scene.history
    assert past_step(start, 0.52) == start.scene.history - 5
    with pytest.raises(SwerveError, match="has no frame 30 s ago"):
        past_step(start, 30.0)
