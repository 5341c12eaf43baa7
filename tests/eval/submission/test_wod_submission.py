"""Submissions to Waymo's end-to-end challenge: written, read by the official classes, checked."""

import gzip
import io
import json
import sys
import tarfile

import numpy as np
import pytest

from swerve.data.sources.wod_e2e.wod_e2e_source import WodE2eSource
from swerve.eval.submission.check_wod_submission import check_wod_submission, read_frames_to_submit
from swerve.eval.submission.wod_submission import serialized_shard, write_wod_submission
from swerve.eval.submission.wod_submission_info import WodSubmissionInfo
from swerve.scenes import SwerveError
from tests.support.command import invoke
from tests.support.e2e_records import SEQUENCES, write_test_split
from tests.support.simple_planners import FailsAt

submission_pb2 = pytest.importorskip("waymo_open_dataset.protos.end_to_end_driving_submission_pb2")
Message = submission_pb2.E2EDChallengeSubmission

FRAMES = dict.fromkeys(SEQUENCES, 12)
INFO = WodSubmissionInfo(
    account_name="me@example.org",
    method_name="mine",
    authors=("A. Me", "B. You"),
    affiliation="Home",
    num_model_parameters="200K",
    uses_public_model_pretraining=True,
    public_model_names=("a model",),
    description="A made-up method.",
    method_link="https://example.org",
)
OPTIONS = (
    *("--account-name", "me@example.org", "--method-name", "mine", "--authors", "A. Me", "B. You"),
    *("--affiliation", "Home", "--num-model-parameters", "0K", "--uses-public-model-pretraining", "False"),
)


def predictions():
    rng = np.random.default_rng(0)
    return {f"{sequence}-012": rng.normal(0, 20, (20, 2)) for sequence in SEQUENCES}


def packed(path, *shards, compress=True):
    """An archive of messages or bytes."""
    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode="w:gz" if compress else "w") as archive:
        for index, shard in enumerate(shards):
            data = shard if isinstance(shard, bytes) else shard.SerializeToString()
            member = tarfile.TarInfo(f"mine/part{index}")
            member.size = len(data)
            archive.addfile(member, io.BytesIO(data))
    path.write_bytes(made.getvalue())
    return path


def message(**changes):
    """A faultless message with all frames, and changes of fields."""
    made = Message.FromString(serialized_shard(INFO, predictions()))
    for name, value in changes.items():
        made.ClearField(name)
        if isinstance(value, list):
            getattr(made, name).extend(value)
        elif value is not None:
            setattr(made, name, value)
    return made


def errors_of(path):
    return list(check_wod_submission(path, FRAMES).errors)


# --- Writing


@pytest.mark.parametrize("shards", [1, 4, 6])
def test_official_classes_read_what_is_written(tmp_path, shards):
    path, wanted = tmp_path / "submission.tar.gz", predictions()
    write_wod_submission(path, INFO, wanted, shards)
    with tarfile.open(path, "r:gz") as archive:
        parts = [Message.FromString(archive.extractfile(member).read()) for member in archive]
    assert len(parts) == shards
    found = {}
    for part in parts:
        assert part.submission_type == Message.E2ED_SUBMISSION
        assert (part.account_name, part.unique_method_name) == ("me@example.org", "mine")
        assert (list(part.authors), part.affiliation) == (["A. Me", "B. You"], "Home")
        assert (part.uses_public_model_pretraining, list(part.public_model_names)) == (True, ["a model"])
        assert (part.num_model_parameters, part.description) == ("200K", "A made-up method.")
        for one in part.predictions:
            found[one.frame_name] = np.stack([one.trajectory.pos_x, one.trajectory.pos_y], axis=1)
    assert list(found) == list(wanted)
    for name, points in wanted.items():
        np.testing.assert_array_equal(found[name], points.astype(np.float32))
    assert check_wod_submission(path, FRAMES) == check_wod_submission(packed(tmp_path / "b.tar.gz", *parts), FRAMES)
    assert not errors_of(path)
    assert not check_wod_submission(path, FRAMES).warnings


def test_same_content_gives_the_same_bytes(tmp_path):
    for name in ("a.tar.gz", "b.tar.gz"):
        write_wod_submission(tmp_path / name, INFO, predictions(), 2)
    assert (tmp_path / "a.tar.gz").read_bytes() == (tmp_path / "b.tar.gz").read_bytes()
    assert not list(tmp_path.glob("*.part"))


def test_missing_classes_are_named_with_what_to_install(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "waymo_open_dataset.protos.end_to_end_driving_submission_pb2", None)
    with pytest.raises(SwerveError, match="is not installed"):
        write_wod_submission(tmp_path / "a.tar.gz", INFO, predictions())


def test_more_shards_than_predictions_are_refused(tmp_path):
    with pytest.raises(SwerveError, match="shards: 7"):
        write_wod_submission(tmp_path / "a.tar.gz", INFO, predictions(), 7)


# --- Checking


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"submission_type": None}, "submission_type is not E2ED_SUBMISSION"),
        ({"account_name": " "}, "account_name is missing"),
        ({"account_name": "me"}, "account_name 'me' is not the address with which you are registered"),
        ({"unique_method_name": None}, "unique_method_name is missing"),
        ({"affiliation": None}, "affiliation is missing"),
        ({"authors": []}, "authors are missing"),
        ({"num_model_parameters": None}, "num_model_parameters is missing"),
        (
            {"uses_public_model_pretraining": None},
            "uses_public_model_pretraining is not set: true or false is required",
        ),
    ],
)
def test_required_fields(tmp_path, changes, error):
    assert errors_of(packed(tmp_path / "a.tar.gz", message(**changes))) == [error]


@pytest.mark.parametrize(
    ("changes", "warning"),
    [
        ({"description": None}, "description is empty"),
        ({"method_link": None}, "method_link is empty"),
        ({"num_model_parameters": "many"}, "num_model_parameters is 'many': a whole number and K, M, B or T"),
        ({"public_model_names": []}, "public_model_names names no model"),
    ],
)
def test_oddities_are_warnings(tmp_path, changes, warning):
    found = check_wod_submission(packed(tmp_path / "a.tar.gz", message(**changes)), FRAMES)
    assert not found.errors
    assert len(found.warnings) == 1
    assert warning in found.warnings[0]


def test_frames_are_compared_with_those_to_submit(tmp_path):
    made = message()
    del made.predictions[0]
    made.predictions[0].frame_name = f"{SEQUENCES[1]}-011"
    made.predictions[1].frame_name = "f" * 32 + "-012"
    made.predictions[2].frame_name = "whatever"
    made.predictions[4].frame_name = made.predictions[3].frame_name
    errors = errors_of(packed(tmp_path / "a.tar.gz", made))
    assert errors == [
        f"4 of 6 sequences are missing, such as {SEQUENCES[0]}, {SEQUENCES[2]}, {SEQUENCES[3]}",
        f"1 predictions are not for the frame to submit, such as {SEQUENCES[1]}-011 instead of {SEQUENCES[1]}-012",
        f"2 predictions are not of the sequences to submit, such as {'f' * 32}-012, 'whatever'",
        f"1 sequences have several predictions, such as {SEQUENCES[4]}",
    ]


def test_trajectories_have_twenty_finite_points(tmp_path):
    made = message()
    made.predictions[0].trajectory.pos_x.pop()
    made.predictions[1].trajectory.ClearField("pos_y")
    made.predictions[2].trajectory.pos_y[5] = np.nan
    made.predictions[3].ClearField("trajectory")
    made.predictions[4].trajectory.pos_x[19] = 301.0
    made.predictions[5].trajectory.pos_x[0] = made.predictions[5].trajectory.pos_y[0] = 0.0
    found = check_wod_submission(packed(tmp_path / "a.tar.gz", made), FRAMES)
    assert [line.split(" in 1 frames")[0] for line in found.errors] == [
        "19 x and 20 y coordinates instead of 20, 0.25 s to 5 s",
        "20 x and 0 y coordinates instead of 20, 0.25 s to 5 s",
        "positions that are not finite",
        "0 x and 0 y coordinates instead of 20, 0.25 s to 5 s",
    ]
    assert "farther than 300 m" in found.warnings[0]
    assert "a first position at the origin" in found.warnings[1]


def test_shards_must_agree(tmp_path):
    first, second = message(), message(unique_method_name="other")
    del first.predictions[3:], second.predictions[:3]
    errors = errors_of(packed(tmp_path / "a.tar.gz", first, second))
    assert errors == ["unique_method_name differs between files: mine, other"]


def test_strange_files_in_the_archive(tmp_path):
    errors = errors_of(packed(tmp_path / "a.tar.gz", message(), b"\xff" * 50))
    assert errors == ["mine/part1: is not an E2EDChallengeSubmission"]
    extra = message().SerializeToString() + b"\xa2\x06\x01x"  # field 100
    assert errors_of(packed(tmp_path / "a.tar.gz", extra)) == [
        "mine/part0: has fields that E2EDChallengeSubmission does not have: [100]"
    ]
    assert "the archive has no files" in errors_of(packed(tmp_path / "a.tar.gz"))
    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode="w:gz") as archive:
        link = tarfile.TarInfo("mine/part0")
        link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
        archive.addfile(link)
    (tmp_path / "a.tar.gz").write_bytes(made.getvalue())
    assert "mine/part0: is a link or a device, must be a file" in errors_of(tmp_path / "a.tar.gz")


def test_damaged_archives_are_one_error(tmp_path):
    good = packed(tmp_path / "good.tar.gz", message()).read_bytes()
    bad = tmp_path / "bad.tar.gz"
    for content in (good[: len(good) // 2], good[:30], gzip.compress(b"no tar"), b"\x1f\x8b" + bytes(200)):
        bad.write_bytes(content)
        with pytest.raises(SwerveError, match=r"bad.tar.gz: is not a tar.gz archive, or is damaged"):
            check_wod_submission(bad, FRAMES)
    flipped = bytearray(good)
    flipped[len(good) // 2] ^= 255
    bad.write_bytes(flipped)
    with pytest.raises(SwerveError):
        check_wod_submission(bad, FRAMES)


def test_a_large_archive_is_not_read(tmp_path):
    member = tarfile.TarInfo("mine/part0")
    member.size = 1 << 40
    (tmp_path / "a.tar.gz").write_bytes(gzip.compress(member.tobuf() + bytes(2048)))
    with pytest.raises(SwerveError, match="more than 256 MiB"):
        check_wod_submission(tmp_path / "a.tar.gz", FRAMES)


@pytest.mark.parametrize("value", [-1, 1.5, "x", None, True, [3], {"frame": 3}])
def test_frames_to_submit_are_indices(tmp_path, value):
    file = tmp_path / "frames.json"
    file.write_text(json.dumps({"a": 3, "b": value}))
    with pytest.raises(SwerveError, match="b: has frame"):
        read_frames_to_submit(file)
    file.write_text(json.dumps({"a": 3, "b": "004"}))
    assert read_frames_to_submit(file) == {"a": 3, "b": 4}


# --- Commands


def test_submit_wod_and_check(tmp_path):
    data, out = write_test_split(tmp_path / "test"), tmp_path / "out"
    done = invoke("submit", "wod", f"wod_e2e:{data}", out, "--planner", "constant-velocity", "--shards", 2, *OPTIONS)
    assert done.exit_code == 0, done.exception
    assert "predictions: 6 trajectories" in done.output
    with tarfile.open(out / "submission.tar.gz") as archive:
        parts = [Message.FromString(archive.extractfile(member).read()) for member in archive]
    source = WodE2eSource(data)
    for one in [one for part in parts for one in part.predictions]:
        assert one.frame_name.endswith("-002")
        speed = np.hypot(*source.frame(source.index().by_name[one.frame_name]).velocity[-1])
        np.testing.assert_allclose(one.trajectory.pos_x, speed * 0.25 * np.arange(1, 21), rtol=1e-5)
    frames = data / "test_sequence_frames_for_submission.json"
    checked = invoke("submit", "check", out / "submission.tar.gz", "--frames", frames)
    assert checked.exit_code == 0, checked.exception
    assert "six submissions in 30 days" in checked.output
    frames.write_text(json.dumps({**dict.fromkeys(SEQUENCES, 1), "a" * 32: 5}))
    checked = invoke("submit", "check", out / "submission.tar.gz", "--frames", frames)
    assert checked.exit_code == 1
    assert "1 of 7 sequences are missing" in checked.output
    assert "6 predictions are not for the frame to submit" in checked.output


def test_kind_of_file_decides_what_check_needs(tmp_path):
    archive, pickle = packed(tmp_path / "a.tar.gz", message()), tmp_path / "submission.pkl"
    pickle.write_bytes(b"\x80\x04}.")
    for arguments, told in (
        ((archive,), "give --frames"),
        ((archive, "--split", "navtest"), "not --split"),
        ((pickle,), "--split navtest"),
        ((pickle, "--frames", archive), "not --frames"),
        ((tmp_path / "missing.pkl",), "no such file"),
    ):
        done = invoke("submit", "check", *arguments)
        assert isinstance(done.exception, SwerveError)
        assert told in str(done.exception)


def test_plain_tar_is_accepted_with_a_warning(tmp_path):
    frames = tmp_path / "frames.json"
    frames.write_text(json.dumps(FRAMES))
    done = invoke("submit", "check", packed(tmp_path / "a.tar", message(), compress=False), "--frames", frames)
    assert done.exit_code == 0
    assert "ask for a .tar.gz file" in done.output


def failing_in_one():
    """A planner that fails in one frame."""
    return FailsAt(f"{SEQUENCES[2]}-002", lambda: 1 / 0)


def test_nothing_is_written_if_the_planner_fails(tmp_path):
    data, out = write_test_split(tmp_path / "test"), tmp_path / "out"
    asked = ("submit", "wod", data, out, "--planner", f"{__name__}:failing_in_one", *OPTIONS)
    done = invoke(*asked)
    assert done.exit_code == 1
    assert f"failed in {SEQUENCES[2]}-002" in done.output
    assert not (out / "submission.tar.gz").exists()
    done = invoke(*asked, "--incomplete")
    assert done.exit_code == 1
    assert "1 of 6 sequences are missing" in done.output
    assert (out / "submission.tar.gz").exists()


def test_missing_frames_and_files_are_one_error(tmp_path):
    data = write_test_split(tmp_path / "test")
    frames = data / "test_sequence_frames_for_submission.json"
    frames.write_text(json.dumps({**dict.fromkeys(SEQUENCES, 2), "a" * 32: 5}))
    asked = ("submit", "wod", data, tmp_path / "out", "--planner", "stationary", *OPTIONS)
    done = invoke(*asked)
    assert f"1 of 7 frames to submit are not there, such as {'a' * 32}-005" in str(done.exception)
    assert invoke(*asked, "--incomplete").exit_code == 1
    frames.unlink()
    assert "says which frames to submit" in str(invoke(*asked).exception)
    frames.write_text(json.dumps(dict.fromkeys(SEQUENCES, 2)))
    done = invoke(*asked[: -len(OPTIONS) - 1], "human", *OPTIONS)
    assert "needs the future" in str(done.exception)
