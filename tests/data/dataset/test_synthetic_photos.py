"""Stand-ins for photographs: beside every view of a town, marked as what they are, and made of nothing else."""

import json
from dataclasses import replace
from types import MappingProxyType

import numpy as np
import pytest

from swerve.data.dataset.augment_options import AugmentOptions
from swerve.data.dataset.capture import image_requests
from swerve.data.dataset.image_encoding import decode_image
from swerve.data.dataset.sample import SampleRenderer, draw_sample, encode_numbers, encode_view
from swerve.data.dataset.synthetic_photos import SyntheticPhotos
from swerve.data.jobs.stopwatch import Stopwatch
from swerve.data.sources.town import TownOptions, generate_town
from swerve.scenes import SwerveError, extract_scenes
from swerve.scenes.primitives import build_static
from swerve.scenes.viewpoints import ViewpointKind, ViewpointOptions, build_log_geometry, build_viewpoints

OPTIONS = AugmentOptions(photos=True, size=(160, 96), cameras=("front",))


@pytest.fixture(scope="module")
def log():
    return generate_town("town-000006", options=TownOptions(seconds=8.0))


@pytest.mark.slow
def test_every_kind_of_seat_gets_one_of_its_own(log):
    synthetic_photos, watch = SyntheticPhotos(log, OPTIONS), Stopwatch()
    drawer = SampleRenderer(build_static(log.road_map), OPTIONS, watch, synthetic_photos)
    made, _ = build_viewpoints(
        extract_scenes(log)[0], list(ViewpointKind)[:3], ViewpointOptions(), 0, build_log_geometry(log)
    )
    first = {viewpoint.kind: viewpoint for viewpoint in made[::-1]}
    assert set(first) == {ViewpointKind.LOGGED, ViewpointKind.RECOVERY, ViewpointKind.CROSS_AGENT}
    images = MappingProxyType({kind: checked(viewpoint, drawer) for kind, viewpoint in first.items()})
    logged = images[ViewpointKind.LOGGED].astype(int)
    for kind in (ViewpointKind.RECOVERY, ViewpointKind.CROSS_AGENT):
        assert np.abs(images[kind] - logged).mean() > 4
    assert watch.seconds["photographs"] > 0


def checked(viewpoint, drawer):
    """The stand-in of a viewpoint's front camera, after a look at what is written of it."""
    drawn = draw_sample(viewpoint, drawer, OPTIONS)
    entry = json.loads(encode_numbers(drawn, OPTIONS).members["json"])["cameras"][0]
    assert entry["photo"]
    assert entry["synthetic"]
    assert entry["now_from_capture"] == np.eye(4).tolist()
    members = encode_view(drawn.captures[0], drawn.views[0], OPTIONS)
    assert set(members) == {"front.png", "front.photo.jpg"}
    again = drawer.add_synthetic_photos(viewpoint, image_requests(viewpoint, OPTIONS.cameras, OPTIONS.resize))
    assert again[0].photo.read() == members["front.photo.jpg"]
    image = decode_image(members["front.photo.jpg"])
    assert image.shape == decode_image(members["front.png"]).shape == (96, 160, 3)
    return image


def test_photos_of_past_frames_are_those_of_that_time(log):
    """Scenes are half a second apart."""
    synthetic_photos = SyntheticPhotos(log, OPTIONS)
    earlier, later = (
        build_viewpoints(scene, [ViewpointKind.LOGGED], ViewpointOptions(), 0, build_log_geometry(log))[0][0]
        for scene in extract_scenes(log)[:2]
    )
    (known,) = synthetic_photos.render(earlier, image_requests(earlier, OPTIONS.cameras, OPTIONS.resize))
    now, past = synthetic_photos.render(later, image_requests(later, OPTIONS.cameras, OPTIONS.resize, (0.5,)))
    assert (now.camera.name, past.camera.name) == ("front", "front@0.5")
    assert past.time_us == known.time_us
    assert past.photo.read() == known.photo.read() != now.photo.read()


def test_without_the_option_there_is_none(log):
    options = replace(OPTIONS, photos=False)
    made, _ = build_viewpoints(
        extract_scenes(log)[0], [ViewpointKind.LOGGED], ViewpointOptions(), 0, build_log_geometry(log)
    )
    drawn = draw_sample(made[0], SampleRenderer(build_static(log.road_map), options, Stopwatch()), options)
    entry = json.loads(encode_numbers(drawn, options).members["json"])["cameras"][0]
    assert not entry["photo"]
    assert not entry["synthetic"]


def test_real_places_are_not_made_up(log):
    with pytest.raises(SwerveError, match="av2"):
        SyntheticPhotos(replace(log, source="av2"), OPTIONS)
