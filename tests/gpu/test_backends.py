"""Every back end for GPUs against the CPU's at full size: real moments, and the whole job. Skips what is not here."""

import os

import numpy as np
import pytest

from swerve.data import open_source
from swerve.data.dataset import augment
from swerve.data.dataset.augment_options import AugmentOptions
from swerve.data.dataset.shards import read_samples
from swerve.rasterizer import StaticLayer, Style, render
from swerve.rasterizer.backends import unavailable_reason
from swerve.scenes.primitives import build_dynamic, build_static
from swerve.scenes.transforms import pose_from_yaw
from tests.support.alike import OUTPUTS, assert_alike, images_of
from tests.support.drawn_scenes import LENSES, looking, random_scene


@pytest.fixture(params=["cuda", "nvdiffrast"])
def backend(request):
    """A back end that draws on a GPU."""
    if reason := unavailable_reason(request.param):
        pytest.skip(f"{request.param}: {reason}")
    if os.environ.get("NUMBA_ENABLE_CUDASIM") == "1":
        pytest.skip("too much for the simulator, for which test_cuda.py is")
    return request.param


@pytest.fixture(params=["town", "av2"])
def moment(request):
    """Return static and dynamic primitives, cameras, and poses in the middle of a log."""
    name = "town:1" if request.param == "town" else f"av2:{request.getfixturevalue('test_data') / 'av2'}"
    source = open_source(name)
    log = source.load(source.names()[0])
    step = len(log.times_us) // 2
    moving = build_dynamic(log.tracks, log.lights, step)
    return build_static(log.road_map), moving, log.cameras, log.ego.world_from_ego[[step]]


@pytest.mark.parametrize("lens", LENSES.values(), ids=LENSES.keys())
def test_every_lens(backend, lens):
    camera = looking(lens=lens, width=1920, height=1120, focal=1500.0)
    poses = np.stack([pose_from_yaw(np.array([x, -2.0, 0.1]), 0.1 + x) for x in (1.0, 2.0)])
    expected, got = (render(random_scene(0), [camera], poses, outputs=OUTPUTS, backend=b) for b in ("numba", backend))
    assert_alike(images_of(expected), images_of(got))


def test_a_moment_of_a_log(backend, moment):
    still, moving, cameras, poses = moment
    expected, got = (
        render(still.joined(moving), cameras, poses, outputs=OUTPUTS, backend=b) for b in ("numba", backend)
    )
    assert_alike(images_of(expected), images_of(got))


def test_a_backdrop_again_and_again(backend, moment):
    """Many poses in one call, several calls, several points a pixel."""
    still, moving, cameras, poses = moment
    backdrop, style = StaticLayer(still, backend), Style.surfaces(supersampling=2)
    many = np.stack([poses[0] @ pose_from_yaw(np.array([0.5 * k, 0.2 * k, 0.0]), 0.02 * k) for k in range(4)])
    for at in (many[:2], many[2:]):
        expected = render(still.joined(moving), cameras[:2], at, style, OUTPUTS)
        got = backdrop.render(moving, cameras[:2], at, style, OUTPUTS)
        assert_alike(images_of(expected), images_of(got))


def test_the_whole_job(backend, tmp_path):
    """The same samples with the same numbers, and images as alike as those of single calls."""
    sets = {}
    for name in ("numba", backend):
        options = AugmentOptions(
            scene_interval=5.0, size=(960, 560), extra_outputs=("depth", "semantic", "instance"), backend=name
        )
        report = augment([open_source("town:1")], tmp_path / name, options, workers=2)
        assert report.summary["failures"] == 0
        sets[name] = [one for split in ("train", "val", "test") for one in read_samples(tmp_path / name, split)]
    assert len(sets["numba"]) > 5
    for one, other in zip(sets["numba"], sets[backend], strict=True):
        assert one["json"] == other["json"]
        for name, array in one["npz"].items():
            np.testing.assert_array_equal(array, other["npz"][name])
        names = [name.removesuffix(".depth.png") for name in one if name.endswith(".depth.png")]
        assert names
        images = [[_images(sample, name) for name in names] for sample in (one, other)]
        assert_alike(*images)


def _images(sample, camera):
    """The four images of a camera."""
    members = {"rgb": f"{camera}.png"} | {name: f"{camera}.{name}.png" for name in OUTPUTS[1:]}
    return {name: sample[member] for name, member in members.items()}
