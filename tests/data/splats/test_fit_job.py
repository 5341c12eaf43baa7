"""The job: what it writes, going on after being killed, and what it refuses."""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from swerve.data.jobs import ArrayPart, ArrayPartDone, Execution, Failure
from swerve.data.jobs import folder as job_folder
from swerve.data.sources.registry import open_source
from swerve.data.splats.fit_job_options import SceneOptions
from swerve.data.splats.splat_files import read_splats
from tests.support.command import invoke
from tests.support.simple_source import SimpleSource
from tests.support.splat_fits import scene_of

pytest.importorskip("torch", reason="fits need torch")

from swerve.data.splats import fit_job, fit_log
from swerve.data.splats.fit_job import FitReport, fit_logs
from swerve.data.splats.held_out_quality import evaluate_quality
from swerve.data.splats.log_images import images_of_log
from swerve.data.splats.optimization.fit_options import DensificationOptions, FitOptions, LearningRate, LearningRates
from swerve.data.splats.optimization.training_images import TrainingImage
from swerve.data.splats.photo_poses import read_training_poses
from swerve.data.splats.pose_corrections import corrected
from swerve.scenes import SwerveError
from swerve.scenes.transforms import rigid_transform, rotation_about_z

STEPS = 24


def options(**changes):
    growth = DensificationOptions(start_step=6, stop_step=16, interval=5, grad2d_threshold=1e-5, max_gaussians=2000)
    fit = replace(FitOptions(steps=STEPS, densification=growth), **changes)
    return SceneOptions(cameras=("left",), test_cameras=("right",), holdout_interval=4, image_scale=0.5, fit=fit)


def run(street, folder, **changes):
    return fit_logs([open_source(f"kitti:{street}")], Path(folder), options(**changes))


@pytest.fixture(scope="module")
def fitted(street, tmp_path_factory):
    """The folder of a job that nobody disturbed, and its report."""
    folder = tmp_path_factory.mktemp("fit") / "splats"
    return folder, run(street, folder)


def scene_files(folder):
    return {p.name: p.read_bytes() for p in folder.iterdir() if p.suffix == ".ply" or p.name == "graph.json"}


def test_a_job_writes_the_scene_and_what_it_is_worth(fitted):
    folder, report = fitted
    own = folder / "street"
    names = {"background.ply", "fit.json", "graph.json", "photos.npz", "preview.jpg", "progress.json"}
    assert {path.name for path in own.iterdir()} == names
    assert json.loads((own / "fit.json").read_bytes()) == report.fits["street"]
    found = report.fits["street"]
    assert found["gaussians"] == len(read_splats(own).background)
    assert found["started_with"] <= 1000 < found["gaussians"] <= 2000
    assert len(read_training_poses(own)) == 7
    # Nothing of the street changes its brightness.
    assert found["held_out_exposed"]["psnr"] == pytest.approx(found["held_out"]["psnr"], abs=1.0)
    assert (found["train_images"], found["held_out"]["images"], found["test_cameras"]["right"]["images"]) == (7, 3, 10)
    # Fitted photos are compared with their own exposures.
    assert found["fitted"]["images"] == 7
    assert found["fitted"]["psnr"] > found["held_out"]["psnr"] - 0.5
    history = json.loads((own / "progress.json").read_bytes())
    assert [entry["step"] for entry in history] == list(range(2, STEPS + 1, 2))
    # One grey gives 17 dB.
    assert history[-1]["psnr"] > 20
    assert found["held_out"]["psnr"] == pytest.approx(history[-1]["psnr"])
    with Image.open(own / "preview.jpg") as image:
        assert image.size == (3 * 48, 2 * 32)
    assert json.loads((folder / "summary.json").read_bytes()) == {"failures": 0, "logs": ["street"]}


def test_poses_of_photos_are_added_to_a_fit_without_them(street, fitted, tmp_path):
    folder = tmp_path / "fits"
    shutil.copytree(fitted[0], folder)
    path = folder / "street" / "photos.npz"
    expected = path.read_bytes()
    path.unlink()
    with pytest.raises(SwerveError, match=r"photos\.npz: is missing.*Run the same swerve fit again"):
        read_training_poses(folder / "street")
    run(street, folder)
    assert path.read_bytes() == expected


def start(street, folder):
    """The job in a process of its own, slow enough to be killed, which keeps its state after every step."""
    code = f"import sys, time; sys.path.insert(0, {str(Path(__file__).parent)!r})\n"
    code += "import test_fit_job as t\n"
    code += "t.job_folder.code_digest = lambda: 'same'\n"
    code += "from tests.support.in_process import run_jobs_in_process\n"
    code += "run_jobs_in_process(t.pytest.MonkeyPatch())\n"
    code += "note = t.fit_log._Watch.note\n"
    code += "t.fit_log._Watch.note = lambda *a: (time.sleep(0.1), note(*a))\n"
    code += f"t.fit_logs([t.open_source({f'kitti:{street}'!r})], {str(folder)!r}, t.options(), checkpoint_seconds=0.0)"
    paths = os.pathsep.join([str(Path(__file__).parents[3]), *sys.path])
    return subprocess.Popen([sys.executable, "-c", code], env={**os.environ, "PYTHONPATH": paths})


def kill_after_a_state(process, own):
    end = time.monotonic() + 120
    while not (own / "state.safetensors").is_file():
        assert process.poll() is None, "the job ended before it could be killed"
        assert time.monotonic() < end, "the job makes no progress"
        time.sleep(0.02)
    time.sleep(0.5)
    process.send_signal(signal.SIGKILL)
    process.wait()


def test_after_a_kill_the_scene_is_the_undisturbed_one(street, fitted, tmp_path, monkeypatch):
    # Somebody may be at work on the code while this test runs.
    monkeypatch.setattr(job_folder, "code_digest", lambda: "same")
    own = tmp_path / "splats" / "street"
    kill_after_a_state(start(street, tmp_path / "splats"), own)
    assert not (own / "fit.json").exists(), "killed too late to show anything"
    before = fit_log._left_state(own).step
    assert 0 < before < STEPS
    run(street, tmp_path / "splats")
    assert scene_files(own) == scene_files(fitted[0] / "street")
    assert not (own / "state.safetensors").exists()
    assert not list(tmp_path.rglob("*.part"))


def test_runs_of_an_array_fit_the_logs_together(street, fitted, tmp_path):
    """In worker processes: the scene is that of one process, and the run that has no log makes nothing."""
    sources, out = [open_source(f"kitti:{street}")], tmp_path / "splats"
    with pytest.raises(SwerveError, match=r"1 logs are missing.*Start the job, or its runs"):
        fit_logs(sources, out, options(), execution=Execution(finish=True))
    for number in (1, 2):
        with pytest.raises(ArrayPartDone, match=f"Run {number}/2 made {2 - number} fits"):
            fit_logs(sources, out, options(), execution=Execution(1, ArrayPart(number, 2)))
    report = fit_logs(sources, out, options(), execution=Execution(finish=True))
    assert list(report.fits) == ["street"]
    assert scene_files(out / "street") == scene_files(fitted[0] / "street")


def test_refined_poses_are_kept_and_what_measures_goes_with_them(street, street_log, tmp_path):
    changes = {"refine_egos": True, "steps": 60, "rates": LearningRates(ego_translations=LearningRate(5e-3, 5e-3))}
    report = run(street, tmp_path / "splats", **changes)
    scene = read_splats(tmp_path / "splats" / "street")
    pictures = images_of_log(street_log, options())
    assert scene.corrections is not None
    np.testing.assert_array_equal(scene.corrections.times_us, [picture.time_us for picture in pictures.train])
    moved = np.linalg.norm(scene.corrections.scene_from_log[:, :3, 3], axis=1)
    assert moved[0] == 0.0
    assert 0.01 < moved[1:].max() < 0.5
    # What is measured is what is drawn from corrected poses.
    held_out = pictures.held_out
    by_hand = [
        replace(picture, world_from_ego=scene.scene_from_log(picture.time_us) @ picture.world_from_ego)
        for picture in held_out
    ]
    plain = replace(scene, corrections=None)
    told = report.fits["street"]["held_out"]["psnr"]
    assert told == pytest.approx(evaluate_quality(plain, by_hand).psnr, abs=1e-3)
    assert told != pytest.approx(evaluate_quality(plain, held_out).psnr, abs=1e-2)


def test_corrections_take_logged_poses_to_refined_ones(street_log):
    pictures = images_of_log(street_log, replace(options(), cameras=("left", "right"), test_cameras=()))
    shots = [TrainingImage(p.name, p.camera, p.world_from_ego, p.time_us, p.rgb) for p in pictures.train]
    logged = np.array([shot.world_from_ego for shot in shots])
    plain = scene_of(street_log)
    assert corrected(plain, shots, logged) is plain
    turn = rigid_transform(rotation_about_z(0.02), np.array([0.1, -0.2, 0.05]))
    made = corrected(plain, shots, logged @ turn)
    for shot in shots:
        np.testing.assert_allclose(
            made.scene_from_log(shot.time_us) @ shot.world_from_ego, shot.world_from_ego @ turn, atol=1e-9
        )


def test_a_finished_job_does_nothing_and_another_one_is_refused(street, fitted, monkeypatch):
    folder, report = fitted
    before = scene_files(folder / "street")
    monkeypatch.setattr(fit_log, "fit_scene", None)
    assert run(street, folder, threads=2).fits == report.fits
    with pytest.raises(SwerveError, match=r"holds another job: options.fit.seed was 0, is 3"):
        run(street, folder, seed=3)
    with pytest.raises(SwerveError, match=r"2 logs are new|1 logs are missing now"):
        fit_logs([SimpleSource(("train-0", "val-0"))], folder, options())
    assert scene_files(folder / "street") == before
    (folder / "notes.txt").write_text("mine")
    with pytest.raises(SwerveError, match=re.escape("notes.txt is not of this job: move it away")):
        run(street, folder)
    (folder / "notes.txt").unlink()


def write_nothing(log, own, *_):
    """In the place of a fit."""
    own.mkdir()
    for name in ("fit.json", "photos.npz"):
        (own / name).write_text("{}")


def test_other_masks_are_another_job_wherever_they_lie(street, tmp_path, monkeypatch):
    monkeypatch.setattr(fit_job, "fit_log", write_nothing)
    masks = Image.fromarray(np.uint8([[0, 255]]))
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        masks.save(tmp_path / name / "left.png")
    source, out = open_source(f"kitti:{street}"), tmp_path / "splats"
    for name in ("one", "two"):
        assert fit_logs([source], out, replace(options(), masks=str(tmp_path / name))).fits == {"street": {}}
    masks.save(tmp_path / "two" / "right.png")
    with pytest.raises(SwerveError, match=r"holds another job: the contents of options.masks have changed"):
        fit_logs([source], out, replace(options(), masks=str(tmp_path / "two")))
    with pytest.raises(SwerveError, match=r"holds another job: options.masks was given, is not given"):
        fit_logs([source], out, options())


def test_a_log_that_fails_is_listed_and_the_others_go_on(street, tmp_path, monkeypatch):
    monkeypatch.setattr(fit_job, "fit_log", write_nothing)
    report = fit_logs([SimpleSource(("broken-0",)), open_source(f"kitti:{street}")], tmp_path / "s", options())
    assert report.fits == {"street": {}}
    (failure,) = report.failures
    assert (failure.log, "is not a number" in failure.reason) == ("broken-0", True)
    assert json.loads((tmp_path / "s" / "summary.json").read_bytes()) == {"failures": 1, "logs": ["street"]}


def test_a_spoiled_state_is_told_of(street, tmp_path, monkeypatch):
    own = tmp_path / "splats" / "street"

    def killed(*_):
        own.mkdir(exist_ok=True)
        (own / "state.safetensors").write_bytes(b"no state")
        raise KeyboardInterrupt

    monkeypatch.setattr(fit_job, "fit_log", killed)
    with pytest.raises(KeyboardInterrupt):
        run(street, tmp_path / "splats")
    monkeypatch.setattr(fit_job, "fit_log", fit_log.fit_log)
    (failure,) = run(street, tmp_path / "splats").failures
    assert "not a checkpoint of a fit" in failure.reason


def found(psnr):
    quality = {"images": 5, "psnr": psnr, "ssim": 0.8}
    return {
        "gaussians": 1000,
        "seconds": 90.0,
        "held_out": quality,
        "held_out_exposed": quality,
        "test_cameras": {"right": quality},
    }


def test_the_command_hands_on_what_it_is_told(street, tmp_path, monkeypatch):
    calls = []

    def fit_logs(sources, folder, options, *_):
        calls.append((sources, folder, options))
        failures = (Failure("bad", "", "", "is broken"),) if options.fit.seed else ()
        return FitReport({"street": found(21.5)}, failures)

    monkeypatch.setattr(fit_job, "fit_logs", fit_logs)
    words = ["fit", f"kitti:{street}", str(tmp_path), "--cameras", "left", "--test-cameras", "right", "--steps", "400"]
    words += ["--masks", str(tmp_path / "there" / ".." / "masks")]
    words += [
        "--image-scale",
        "0.25",
        "--densification.max-gaussians",
        "5000",
        "--ground-weight",
        "0",
        "--raster-weight",
        "0",
        "--lidar-weight",
        "0",
    ]
    words += ["--refine-egos"]
    result = invoke(*words)
    assert result.exit_code == 0, result.output
    assert "21.50" in result.output
    ((source,), folder, made) = calls[0]
    assert (source.kind, folder) == ("kitti", tmp_path)
    assert (made.cameras, made.test_cameras, made.image_scale) == (("left",), ("right",), 0.25)
    assert (made.fit.steps, made.fit.ground_weight, made.fit.raster_weight, made.fit.lidar_weight) == (
        400,
        0.0,
        0.0,
        0.0,
    )
    assert made.fit.refine_egos
    assert made.masks == str(tmp_path / "masks")
    assert made.fit.densification == DensificationOptions(start_step=40, stop_step=200, max_gaussians=5000)
    result = invoke("fit", f"kitti:{street}", tmp_path, "--seed", 1)
    assert result.exit_code == 1
    assert "bad: is broken" in result.output


def test_growth_ends_as_usual_in_a_long_fit():
    growth = DensificationOptions(max_gaussians=9000, strategy="mcmc")
    assert growth.within(100_000) == growth


def test_more_memory_is_told_of_for_more():
    from swerve.data.splats.log_images import LogImages, PosedImage
    from swerve.data.splats.memory_bound import memory_bound
    from swerve.scenes import Camera

    camera = Camera("front", 100, 50, 50.0, 50.0, 50.0, 25.0, np.eye(4))
    picture = PosedImage(camera, 0, np.eye(4), np.zeros((50, 100, 3), np.uint8))
    few, many = LogImages((picture,), (), ()), LogImages((picture,) * 11, (picture,), ())
    assert memory_bound(many, options()) - memory_bound(few, options()) == 5000 * (10 * 16 + 4)
    more = replace(options(), fit=replace(options().fit, densification=DensificationOptions(max_gaussians=3000)))
    assert memory_bound(few, more) - memory_bound(few, options()) == 3_000_000
