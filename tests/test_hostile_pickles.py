"""A pickle that runs a program when it is opened, at every door through which an untrusted file comes in."""

import io
import os
import pickle
import zipfile
from pathlib import Path

import numpy as np
import pytest

from swerve.scenes import SwerveError
from tests.support.av2_log import write_av2_log


class Program:
    """Makes a file when its pickle is loaded."""

    def __init__(self, marker: Path) -> None:
        self.marker = marker

    def __reduce__(self):
        return os.system, (f"touch {self.marker}",)


def pickled(marker: Path) -> bytes:
    return pickle.dumps(Program(marker))


def object_array(marker: Path) -> bytes:
    """An .npy file of Python objects, which numpy unpickles if it may."""
    stream = io.BytesIO()
    np.save(stream, np.array([Program(marker)], object), allow_pickle=True)
    return stream.getvalue()


def zipped(marker: Path, *names: str) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        for name in names or ("tree", "block"):
            archive.writestr(f"{name}.npy", object_array(marker))
    return stream.getvalue()


def torch_file(marker: Path) -> bytes:
    torch = pytest.importorskip("torch", reason="torch is an extra")
    stream = io.BytesIO()
    torch.save({"weight": Program(marker)}, stream)
    return stream.getvalue()


def open_context(path):
    from swerve.eval import load_context

    load_context(path)


def open_archive(path):
    from swerve.eval.benchmark.benchmark_store import load_log

    load_log(path)


def open_study_record(path):
    from swerve.eval.study.study_records import StudyRecord

    StudyRecord.from_bytes(path.read_bytes())


def open_arrays(path):
    from swerve.data.storage.checked_npz import read_npz

    read_npz(path.read_bytes(), path)


def open_navsim_log(path):
    from swerve.data.sources.navsim.read_frames import read_log_frames

    read_log_frames(path)


def open_synthetic_scene(path):
    from swerve.data.sources.navsim.synthetic_scenes import read_synthetic_scene

    read_synthetic_scene(path)


def open_submission(path):
    from swerve.eval.submission.check_submission import check_submission

    check = check_submission(path, {})
    assert not check.counts
    raise SwerveError(" ".join(check.errors))


def open_planner(path):
    from swerve.planners.load_planner import load_planner

    load_planner(str(path))


def open_weights(path):
    pytest.importorskip("torch", reason="torch is an extra")
    from swerve.planners.learning.backbone import build_backbone
    from swerve.planners.rap import RapConfig

    build_backbone(RapConfig.tiny(backbone_weights=str(path)))


def open_checkpoint(path):
    pytest.importorskip("torch", reason="torch is an extra")
    from swerve.planners.learning.checkpoint import load_checkpoint
    from swerve.planners.learning.training_step import Training

    load_checkpoint(path, object.__new__(Training))


def open_timm_weights(path):
    pytest.importorskip("torch", reason="torch is an extra")
    from swerve.planners.learning.backbone import _check_file, _held
    from swerve.planners.rap import RapConfig

    _check_file(RapConfig.tiny(backbone="vit_small_patch16_dinov3"), str(path))
    try:
        _held(str(path))
    except Exception as error:
        raise SwerveError(str(error)) from error


def open_ground_height(path):
    from swerve.data.sources.av2.av2_source import read_log

    folder = write_av2_log(path.parent / "log")
    next((folder / "map").glob("*.npy")).write_bytes(path.read_bytes())
    read_log(folder)


def open_nuplan_calibration(path):
    from swerve.data.sources.nuplan.restricted_pickle import read_numbers

    try:
        read_numbers(path.read_bytes(), (3,))
    except ValueError as error:
        raise SwerveError(str(error)) from error


DOORS = {
    "context": (open_context, "context.npz", (pickled, zipped)),
    "benchmark log": (open_archive, "log.npz", (pickled, zipped)),
    "study record": (open_study_record, "record.npz", (pickled, lambda marker: zipped(marker, "token", "log"))),
    "arrays of a sample": (open_arrays, "sample.npz", (pickled, zipped)),
    "navsim log": (open_navsim_log, "log.pkl", (pickled,)),
    "synthetic scene": (open_synthetic_scene, f"{'a' * 17}.pkl", (pickled,)),
    "submission": (open_submission, "submission.pkl", (pickled,)),
    "trained planner": (open_planner, "planner.safetensors", (pickled, torch_file)),
    "tiny weights": (open_weights, "weights.safetensors", (pickled, torch_file)),
    "weights as .pth": (open_timm_weights, "weights.pth", (pickled, torch_file)),
    "weights of timm": (open_timm_weights, "weights.safetensors", (pickled, torch_file)),
    "checkpoint": (open_checkpoint, "checkpoint.safetensors", (pickled, torch_file)),
    "ground height": (open_ground_height, "height.npy", (pickled, object_array, zipped)),
    "nuplan calibration": (open_nuplan_calibration, "blob", (pickled,)),
}


@pytest.mark.parametrize(
    ("door", "content"), [(door, row) for door, (_, _, contents) in DOORS.items() for row in range(len(contents))]
)
def test_nothing_runs(tmp_path, door, content):
    read, name, contents = DOORS[door]
    marker, path = tmp_path / "marker", tmp_path / name
    path.write_bytes(contents[content](marker))
    with pytest.raises(SwerveError):
        read(path)
    assert not marker.exists()


def test_the_pickle_would_run(tmp_path):
    marker = tmp_path / "marker"
    pickle.loads(pickled(marker))
    assert marker.exists()
