"""`swerve quality` on a small scene made by hand."""

import json
import shutil
from dataclasses import asdict, replace

import numpy as np
import pytest

from swerve.data import open_source
from swerve.data.jobs.log_digest import log_digest
from swerve.data.splats.fit_job_options import SceneOptions
from swerve.data.splats.fit_outputs import check_fitted_log, read_fit_options
from swerve.data.splats.optimization.initial_gaussians import gaussians_on_surfaces
from swerve.data.splats.splat_files import write_splats
from swerve.rasterizer import Style
from swerve.rasterizer.splats import Sky, SplatScene
from swerve.scenes import LogError, SwerveError
from swerve.scenes.primitives import Primitives, build_static
from tests.support.command import invoke

NAME = "town-000000"
OPTIONS = SceneOptions(
    cameras=("front",), test_cameras=("left",), holdout_interval=2, photo_interval=9.0, image_scale=0.05
)


@pytest.fixture(scope="module")
def splats(tmp_path_factory):
    """A folder as swerve fit leaves it: the road of a town, as it is in the map."""
    folder = tmp_path_factory.mktemp("splats")
    log = open_source("town:1").load(NAME)
    origin, still = log.ego.positions[90], build_static(log.road_map)
    middles = still.vertices[still.triangles].mean(axis=1)
    rows = np.linalg.norm(middles - origin, axis=1) < 40
    arrays = (getattr(still, name)[rows] for name in ("triangles", "semantics", "faces", "instances"))
    near = Primitives.from_triangles(still.vertices - origin, *arrays)
    road = gaussians_on_surfaces(near, Style.surfaces(), 60_000, np.random.default_rng(0), 0, 0.99)
    write_splats(SplatScene(road, (), origin, Sky.constant((0.5, 0.6, 0.7))), folder / NAME)
    (folder / NAME / "fit.json").write_text(json.dumps({"options": asdict(OPTIONS)}))
    return folder


@pytest.mark.slow
def test_a_table_a_page_and_numbers(splats, tmp_path):
    result = invoke("quality", "town:1", splats, tmp_path, "--scene-interval", 60, "--no-lpips")
    assert result.exit_code == 0, result.output
    assert "2 m left" in result.output
    assert "not measured, as requested" in result.output
    numbers = json.loads((tmp_path / NAME / "quality.json").read_text())
    # Of the camera, the middle one of three photos is held out; nine offsets; three of the test camera.
    assert {row["offset"]: row["views"] for row in numbers["offsets"]} == {
        "on the path": 1,
        **dict.fromkeys(["0.5 m left", "0.5 m right", "1 m left", "1 m right", "2 m left", "2 m right"], 1),
        **dict.fromkeys(["5 m ahead", "+10 degrees", "-10 degrees"], 1),
        "test camera left": 3,
        "all": 13,
    }
    assert all(5 < row["psnr"] < row["psnr_aligned"] < 40 for row in numbers["views"])
    on_path = numbers["offsets"][0]
    assert on_path["depth_within"] > 0.5
    assert on_path["covered"] > 0.5
    page = (tmp_path / NAME / "index.html").read_text()
    assert page.count("<img") == 3 * (11 + 4), "one time, and the worst of all times"
    assert "<h3>2 m right</h3>" in page
    assert '</h1><div class="answer"><b>' in page
    assert "<th>true lines %</th>" in page
    # Without LPIPS and a detector nothing is known of these.
    assert "<th>LPIPS</th>" not in page
    assert "<th>true boxes %</th>" not in page


OWN = """
import numpy as np

class Left:
    def __init__(self, share):
        self.share = float(share)

    def vehicles(self, image):
        # Boxes around every pixel, whatever the image shows: of a size that no box of whole pixels has.
        middles = np.stack(np.meshgrid(*(np.arange(0.0, side) for side in image.shape[1::-1])), axis=-1)
        half = np.array([8.3, 6.3]) * self.share
        return np.concatenate([middles - half, middles + half], axis=-1).reshape(-1, 4)

    def lines(self, image):
        return np.ones(image.shape[:2], bool)

    def features(self, image):
        return image.mean(axis=(0, 1))
"""


@pytest.mark.slow
def test_a_detector_of_ones_own_replaces_labels(splats, tmp_path, monkeypatch):
    (tmp_path / "own_detector.py").write_text(OWN)
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    options = ["--scene-interval", 60, "--no-lpips", "--detector", "own_detector:Left,share=0.5"]
    result = invoke("quality", "town:1", splats, tmp_path / "out", *options)
    assert result.exit_code == 0, result.output
    numbers = json.loads((tmp_path / "out" / NAME / "quality.json").read_text())
    # The lines found are all of the image: view and true image have the same IoU, that of all ground.
    shares = [(row["line_iou"], row["true_line_iou"]) for row in numbers["views"] if row["line_iou"] is not None]
    assert shares
    assert all(0 < view == true < 1 for view, true in shares)
    assert numbers["frechet"]["test camera left"]["views"] == 3
    assert numbers["frechet"]["test camera left"]["distance"] > 0
    # Its boxes are the same in all images: those of views and true images overlap the vehicles alike.
    boxes = [(row["box_iou"], row["true_box_iou"]) for row in numbers["views"] if row["true_box_iou"] is not None]
    assert boxes
    assert all(0 < view == true < 1 for view, true in boxes)


def test_what_cannot_be_measured_is_told(splats, tmp_path):
    for arguments, message in (
        (["town:1", tmp_path], "holds no scene of any log of the source"),
        (["town:2", splats, "--logs", "town-000001"], "holds no scene of log 'town-000001'"),
        (["town:1", splats, "--logs", "nowhere"], "no log 'nowhere'"),
        (["town:1", splats, "--covered", "95"], "covered must lie in 0..1"),
    ):
        result = invoke("quality", *arguments[:2], tmp_path / "out", *arguments[2:], "--no-lpips")
        assert isinstance(result.exception, SwerveError)
        assert message in str(result.exception)


def test_a_fit_of_an_older_version_of_the_log_is_refused(splats, tmp_path):
    folder = tmp_path / "splats" / NAME
    shutil.copytree(splats / NAME, folder)
    log = open_source("town:1").load(NAME)
    (folder / "fit.json").write_text(json.dumps({"options": asdict(OPTIONS), "digest": log_digest(log)}))
    check_fitted_log(folder, log)
    ego = replace(log.ego, velocity=log.ego.velocity + 1e-9)
    with pytest.raises(LogError, match="town-000000 as its source gives it now"):
        check_fitted_log(folder, replace(log, ego=ego))
    (folder / "fit.json").write_text(json.dumps({"options": asdict(OPTIONS), "digest": "of another town"}))
    result = invoke("quality", "town:1", folder.parent, tmp_path / "out", "--no-lpips")
    assert isinstance(result.exception, LogError)
    assert "Fit the log again, with swerve fit" in str(result.exception)


def test_the_record_of_a_fit_is_read_again(splats, tmp_path):
    assert read_fit_options(splats / NAME) == OPTIONS
    with pytest.raises(SwerveError, match="with swerve fit"):
        read_fit_options(tmp_path)
    (tmp_path / "fit.json").write_text(json.dumps({"options": {"cameras": []}}))
    with pytest.raises(LogError, match="test_cameras: is missing"):
        read_fit_options(tmp_path)
    (tmp_path / "fit.json").write_text("no JSON")
    with pytest.raises(LogError, match="file: is not JSON"):
        read_fit_options(tmp_path)
