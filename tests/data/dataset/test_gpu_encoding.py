"""JPEGs that are made on the GPU, with stand-ins for the GPU and for the library: what goes where, what is noted."""

import sys
from types import ModuleType

import numpy as np
import pytest

from swerve.data.dataset import gpu_encoding, sample
from swerve.data.dataset.augment_job import AugmentOptions
from swerve.data.dataset.gpu_encoding import EncodedView, GpuJpegs, jpeg_packages
from swerve.data.dataset.image_encoding import decode_depth, decode_image, encode_image
from swerve.data.dataset.sample import SampleRenderer, draw_sample
from swerve.data.dataset.sample_encoder import SampleEncoder
from swerve.data.jobs.stopwatch import Stopwatch
from swerve.rasterizer import StaticLayer
from swerve.scenes import Scene, SwerveError
from swerve.scenes.primitives import build_static
from swerve.scenes.viewpoints import ViewpointKind, ViewpointOptions, build_log_geometry, build_viewpoints
from tests.support import standin_nvimgcodec
from tests.support.simple_source import small_log
from tests.support.standin_nvimgcodec import OnDevice

PACKAGES = ("nvidia-nvimgcodec-cu12", "nvidia-nvjpeg-cu12")


@pytest.fixture
def library(monkeypatch):
    """The library is installed."""
    parent = ModuleType("nvidia")
    parent.nvimgcodec = standin_nvimgcodec
    monkeypatch.setitem(sys.modules, "nvidia", parent)
    monkeypatch.setitem(sys.modules, "nvidia.nvimgcodec", standin_nvimgcodec)
    monkeypatch.setattr(gpu_encoding, "distributions", lambda name: [name])


class DrawnImages:
    """`DeviceImages` of views that the CPU drew."""

    def __init__(self, views, outputs):
        self._views, self._outputs, self.shapes = views, outputs, [view.rgb.shape[:2] for view in views]

    def image(self, output, view):
        return OnDevice(getattr(self._views[view], output))

    def to_host(self, outputs):
        assert set(outputs) < set(self._outputs), "colours stay where they are"
        return [{name: getattr(view, name) for name in outputs} for view in self._views]


class GpuBackdrop:
    """A backdrop of the cuda back end that draws one image in a pass, on the CPU."""

    def __init__(self, still, backend):
        assert backend == "cuda"
        self._backdrop = StaticLayer(still)

    def passes_on_gpu(self, moving, cameras, world_from_ego, style, outputs):
        for camera in cameras:
            yield DrawnImages(self._backdrop.render(moving, [camera], world_from_ego, style, outputs)[0], outputs)


def seat():
    scene = Scene(small_log(), 30, 20, 50)
    return build_viewpoints(scene, [ViewpointKind.LOGGED], ViewpointOptions(), 0, build_log_geometry(scene.log))[0][0]


def encoded(options):
    viewpoint, watch = seat(), Stopwatch()
    drawer = SampleRenderer(build_static(viewpoint.scene.log.road_map), options, watch)
    drawn = draw_sample(viewpoint, drawer, options)
    with SampleEncoder(options, 1, watch) as encoder:
        return drawn, encoder.start(drawn)(), watch.take()


def test_colours_become_jpegs_on_the_gpu_and_the_rest_is_as_ever(library, monkeypatch):
    common = {"image_format": "jpeg", "jpeg_quality": 83, "extra_outputs": ("depth", "instance")}
    _, expected, _ = encoded(AugmentOptions(**common))
    monkeypatch.setattr(sample, "StaticLayer", GpuBackdrop)
    drawn, got, seconds = encoded(AugmentOptions(**common, backend="cuda"))
    assert all(isinstance(view, EncodedView) and view.rgb is None for view in drawn.views)
    assert len(drawn.views) == 2
    # The stand-in has the encoder of the CPU: the same bytes prove quality, chroma, and which camera has which file.
    assert got.members == expected.members
    assert np.isfinite(decode_depth(got.members["front.depth.png"])).any()
    assert set(seconds) == {"drawing", "encoding"}


def test_images_keep_quality_and_sharp_colours(library):
    image = np.zeros((64, 64, 3), np.uint8)
    image[:, 31] = [255, 0, 0]
    for quality in (60, 95):
        assert GpuJpegs(quality).encode([OnDevice(image)]) == [encode_image(image, "jpeg", quality)]
    assert decode_image(GpuJpegs(90).encode([OnDevice(image)])[0])[:, 31, 0].min() > 220


def test_what_cannot_be_encoded_is_an_error(library):
    good, bad = OnDevice(np.zeros((8, 8, 3), np.uint8)), OnDevice(np.zeros((8, 8, 5), np.uint8))
    with pytest.raises(SwerveError, match="could not encode a JPEG on this GPU"):
        GpuJpegs(90).encode([good, bad])


def test_a_library_that_finds_no_encoder_is_an_error(library, monkeypatch):
    def fail(*, backends):
        raise RuntimeError("Could not create encoder")

    monkeypatch.setattr(standin_nvimgcodec, "Encoder", fail)
    with pytest.raises(
        SwerveError, match=r"cannot encode JPEGs on this GPU: Could not create encoder. Use --image-format png"
    ):
        GpuJpegs(90)


@pytest.mark.parametrize(
    ("options", "wanted"),
    [
        ({"backend": "cuda", "image_format": "jpeg"}, True),
        ({"backend": "cuda", "image_format": "png"}, False),
        ({"backend": "numba", "image_format": "jpeg"}, False),
        ({"backend": "nvdiffrast", "image_format": "jpeg"}, False),
    ],
)
def test_the_job_notes_who_makes_its_jpegs(monkeypatch, options, wanted):
    monkeypatch.setattr(gpu_encoding, "distributions", lambda name: [name])
    assert jpeg_packages(AugmentOptions(**options)) == (PACKAGES if wanted else ())


@pytest.mark.parametrize("missing", PACKAGES)
def test_without_either_package_the_cpu_makes_them(monkeypatch, missing):
    monkeypatch.setattr(gpu_encoding, "distributions", lambda name: [] if name == missing else [name])
    assert jpeg_packages(AugmentOptions(backend="cuda", image_format="jpeg")) == ()
