"""JPEGs that are made on the GPU: what only a GPU with nvImageCodec can confirm."""

import json
import os

import numpy as np
import pytest
from numba import cuda

from swerve.data import open_source
from swerve.data.dataset import augment
from swerve.data.dataset.augment_options import AugmentOptions
from swerve.data.dataset.gpu_encoding import GpuJpegs, jpeg_packages
from swerve.data.dataset.image_encoding import decode_image, encode_image
from swerve.data.dataset.shards import dataset_digest, read_samples
from swerve.rasterizer import StaticLayer, Style
from swerve.rasterizer.backends import unavailable_reason
from swerve.scenes.transforms import pose_from_yaw
from tests.support.drawn_scenes import looking, random_scene

OPTIONS = AugmentOptions(
    scene_interval=5.0, size=(960, 560), image_format="jpeg", extra_outputs=("instance",), backend="cuda"
)

if os.environ.get("NUMBA_ENABLE_CUDASIM") == "1" or unavailable_reason("cuda"):
    pytest.skip(f"cuda: {unavailable_reason('cuda') or 'the simulator has no device memory'}", allow_module_level=True)
if not jpeg_packages(OPTIONS):
    pytest.skip("nvImageCodec with nvJPEG is not installed", allow_module_level=True)


def drawn():
    """Views of two cameras, on the device and on the host."""
    still, moving = random_scene(0), random_scene(1)
    cameras = [looking(width=1920, height=1120, focal=1500.0), looking(width=961, height=543, focal=700.0)]
    passes = list(
        StaticLayer(still, "cuda").passes_on_gpu(moving, cameras, pose_from_yaw(np.zeros((1, 3)), 0.1), Style.rap())
    )
    on_device = [one.image("rgb", row) for one in passes for row in range(len(one.shapes))]
    return on_device, [image["rgb"] for one in passes for image in one.to_host()]


@pytest.mark.parametrize("quality", [60, 90])
def test_they_look_as_those_of_the_cpu_and_are_the_same_each_time(quality):
    on_device, on_host = drawn()
    files = GpuJpegs(quality).encode(on_device)
    assert files == GpuJpegs(quality).encode(on_device)
    for file, image in zip(files, on_host, strict=True):
        by_cpu = encode_image(image, "jpeg", quality)
        ours, theirs = (np.abs(decode_image(one).astype(int) - image).mean() for one in (file, by_cpu))
        assert ours < 1.2 * theirs + 0.05
        assert len(file) < 1.2 * len(by_cpu)


def test_a_thin_line_keeps_its_colour():
    image = np.zeros((64, 64, 3), np.uint8)
    image[:, 31] = [255, 0, 0]
    (file,) = GpuJpegs(90).encode([cuda.to_device(image)])
    line = decode_image(file)[:, 31].mean(axis=0)
    assert line[0] > 220
    assert line[1:].max() < 40


def test_the_whole_job_is_the_same_again_and_notes_its_encoder(tmp_path):
    for name, workers in (("one", 1), ("two", 2)):
        assert augment([open_source("town:1")], tmp_path / name, OPTIONS, workers).summary["failures"] == 0
    assert dataset_digest(tmp_path / "one") == dataset_digest(tmp_path / "two")
    assert set(jpeg_packages(OPTIONS)) <= set(json.loads((tmp_path / "one" / "job.json").read_text())["versions"])
    first = next(read_samples(tmp_path / "one", "train"))
    assert first["front.jpg"].shape == (560, 960, 3)
    assert first["front.jpg"].max() > 100
