"""Whole jobs on simple logs: what is in the set, what is refused, and what fails loudly."""

import json
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from swerve import job_report
from swerve.data.dataset.augment_job import augment
from swerve.data.dataset.augment_options import KINDS, AugmentOptions, _check_names
from swerve.data.dataset.shards import dataset_digest, read_samples
from swerve.data.jobs import read_failures
from swerve.data.storage.files import file_digest
from swerve.scenes import SwerveError
from swerve.scenes.viewpoints import RecoveryOptions
from tests.support.command import invoke
from tests.support.simple_source import SimpleSource

OPTIONS = AugmentOptions(scene_interval=1.0, shard_scenes=2)
LOGS = ("train-0", "val-0", "none-2")
SCENES, PARTS = 6, 3  # A log of 12 s has scenes at 2, 3, ... 7 s.


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    folder = tmp_path_factory.mktemp("job") / "set"
    report = augment([SimpleSource(LOGS)], folder, OPTIONS, workers=2)
    return folder, report


def rows_of(folder):
    return pq.read_table(folder / "manifest.parquet").to_pylist()


def test_the_manifest_lists_what_the_shards_hold(finished):
    folder, report = finished
    rows = rows_of(folder)
    found = [(one["key"], split) for split in ("train", "val", "test") for one in read_samples(folder, split)]
    assert sorted(found) == sorted((row["key"], row["split"]) for row in rows)
    assert len(set(found)) == len(found) == report.summary["samples"]
    assert report.summary == json.loads((folder / "summary.json").read_text())
    assert report.summary["samples_by_kind"]["logged"] == SCENES * len(LOGS)
    assert report.summary["samples_by_kind"]["recovery"] > SCENES
    assert report.summary["samples_by_kind"]["cross_agent"] > 0
    assert report.summary["rejections"]["cross_agent"]["trivial_motion"] > 0
    assert report.summary["failures"] == 0
    for row in rows:
        assert (folder / row["shard"]).is_file()
        assert row["shard"].startswith(row["split"] + "/")


def test_recovery_tried_is_recovery_made_or_rejected(finished):
    _, report = finished
    tried = SCENES * len(LOGS) * OPTIONS.recovery.samples_per_scene
    rejected = sum(report.summary["rejections"].get("recovery", {}).values())
    assert report.summary["samples_by_kind"]["recovery"] + rejected == tried


def test_records_hold_the_shards_hashes(finished):
    folder, _ = finished
    records = [json.loads(path.read_text()) for path in (folder / "records").iterdir()]
    assert len(records) == PARTS * len(LOGS)
    for record in records:
        assert file_digest(folder / record["shard"]) == record["sha256"]


def test_time_of_every_stage_is_told(finished):
    folder, report = finished
    assert json.loads((folder / "timing.json").read_text()) == report.timing
    assert all(seconds > 0 for seconds in report.timing["worker_seconds"].values())


@pytest.mark.usefixtures("worker_processes")
def test_neither_workers_nor_order_show_in_the_set(finished, tmp_path):
    augment([SimpleSource(LOGS[2:]), SimpleSource(LOGS[:2])], tmp_path / "other", OPTIONS, workers=2)
    assert dataset_digest(tmp_path / "other") == dataset_digest(finished[0])


def test_another_seed_makes_other_recoveries_alone(finished, tmp_path):
    """Draws depend on the seed; the logged seat does not."""
    augment(
        [SimpleSource(("train-0",))], tmp_path / "other", AugmentOptions(scene_interval=1.0, shard_scenes=2, seed=1)
    )
    first, other = (
        {row["key"]: row["parameters"] for row in rows_of(folder)} for folder in (finished[0], tmp_path / "other")
    )
    shared = sorted(set(first) & set(other))
    assert any("recovery" in key for key in shared)
    assert all((first[key] == other[key]) == ("recovery" not in key) for key in shared)


def test_x5_no_sample_of_a_validation_log_is_in_a_training_shard(finished):
    """The original made cross-agent samples of validation logs and trained on them: nothing filtered the cache."""
    folder, _ = finished
    splits = {"train": {"train-0", "none-2"}, "val": {"val-0"}, "test": set()}
    for split, logs in splits.items():
        for kind in ("logged", "recovery", "cross_agent"):
            samples = list(read_samples(folder, split, (kind,)))
            assert {one["json"]["log"] for one in samples} == logs
            assert {one["json"]["split"] for one in samples} <= {split}


def test_j4_every_kind_is_found_by_its_split(finished):
    """The original's loader looked for the plain token, so that its perturbed and cross-agent caches came out empty."""
    folder, report = finished
    for kind, count in report.summary["samples_by_kind"].items():
        found = [one for split in ("train", "val") for one in read_samples(folder, split, (kind,))]
        assert len(found) == count > 0
        assert all(f"-{kind}-" in one["key"] for one in found)


def test_p9_rows_of_one_seat_follow_each_other_in_time(finished):
    """The original linked samples by an index that stayed -1: previous and next were wrong everywhere."""
    rows = [row for row in rows_of(finished[0]) if row["kind"] == "logged"]
    for log in LOGS:
        times = [row["time_us"] for row in rows if row["log"] == log]
        assert times == [1_002_000_000 + 1_000_000 * second for second in range(SCENES)]


def test_j2_a_finished_part_of_one_job_is_not_taken_for_another_jobs(finished):
    """The original's three scripts shared one checkpoint file: the later ones skipped what the first had done."""
    folder, _ = finished
    before = dataset_digest(folder)
    with pytest.raises(
        SwerveError, match=r"options.viewpoints was \['logged', 'recovery', 'cross_agent'\], is \['recovery'\]"
    ):
        augment(
            [SimpleSource(LOGS)], folder, AugmentOptions(scene_interval=1.0, shard_scenes=2, viewpoints=("recovery",))
        )
    with pytest.raises(SwerveError, match=r"1 logs are missing now \(simple none-2\)"):
        augment([SimpleSource(LOGS[:2])], folder, OPTIONS)
    assert dataset_digest(folder) == before


def test_a_finished_job_has_nothing_left_to_do(finished):
    folder, report = finished
    before = dataset_digest(folder)
    again = augment([SimpleSource(LOGS)], folder, OPTIONS)
    assert again.summary == report.summary
    assert again.timing["samples"] == 0
    assert dataset_digest(folder) == before


def test_j5_what_is_not_whole_is_made_again(tmp_path):
    """The original took a truncated pickle for a finished one, or broke on it."""
    folder, options = tmp_path / "set", AugmentOptions(scene_interval=1.0, shard_scenes=1)
    augment([SimpleSource(("train-0",))], folder, options, workers=1)
    before, shards = dataset_digest(folder), folder / "train"
    (shards / "train-0-00001.tar").unlink()
    (shards / "train-0-00002.tar").write_bytes((shards / "train-0-00002.tar").read_bytes()[:1000])
    (folder / "records" / "train-0-00003.json").unlink()
    (shards / "train-0-00004.tar.elsewhere-12.part").write_bytes(b"half")
    report = augment([SimpleSource(("train-0",))], folder, options, workers=1)
    assert dataset_digest(folder) == before
    made_again = [row for row in rows_of(folder) if row["shard"][-9:] in ("00001.tar", "00002.tar", "00003.tar")]
    assert report.timing["samples"] == len(made_again) > 0
    assert not list(folder.rglob("*.part"))


@pytest.mark.usefixtures("worker_processes")
def test_failures_are_listed_with_reasons_and_the_rest_goes_on(tmp_path):
    """J11, J9: the original began at index 0 and showed black images where anything went wrong."""
    logs = ("broken-1", "bug-1", "killed-1", "blind-1", "train-0")
    report = augment([SimpleSource(logs)], tmp_path / "set", OPTIONS, workers=2)
    reasons = {failure.log: failure for failure in read_failures(tmp_path / "set")}
    assert set(reasons) == set(logs[:-1])
    assert report.summary["failures"] == 4
    assert reasons["broken-1"].reason == "broken-1.feather: x: is not a number"
    assert reasons["bug-1"].reason == "ZeroDivisionError: a fault of the program"
    assert "simple_source.py" in reasons["bug-1"].traceback
    assert "out of memory" in reasons["killed-1"].reason
    assert "no cameras" in reasons["blind-1"].reason
    assert report.summary["samples_by_kind"]["logged"] == SCENES


def test_a_log_without_cameras_can_be_drawn_with_the_default_rig(tmp_path):
    options = AugmentOptions(scene_interval=5.0, viewpoints=("logged",), rig="default", size=(48, 28))
    augment([SimpleSource(("blind-1",))], tmp_path / "set", options, workers=1)
    first = next(read_samples(tmp_path / "set", "train"))
    assert len(first["json"]["cameras"]) == 8
    assert first["front.png"].shape == (28, 48, 3)


def test_a_log_too_short_for_a_scene_is_a_failure(tmp_path):
    report = augment([SimpleSource(("train-0",))], tmp_path / "set", AugmentOptions(future=30.0))
    assert report.summary["failures"] == 1
    assert "lasts 12.0 s: too short for a scene of 32 s" in read_failures(tmp_path / "set")[0].reason


def test_no_scene_bridges_a_gap_and_those_left_out_are_counted(tmp_path):
    """12 s without the steps between 9 and 10: of the scenes at 2, 3, 4, 5, 6 s, the last two would reach over."""
    report = augment([SimpleSource(("gap-0",))], tmp_path / "set", OPTIONS, workers=1)
    assert [row["time_us"] for row in rows_of(tmp_path / "set") if row["kind"] == "logged"] == [
        1_002_000_000,
        1_003_000_000,
        1_004_000_000,
    ]
    assert report.summary["rejections"]["scene"] == {"time_gap": 2}
    assert report.summary["failures"] == 0


def test_a_log_of_gaps_is_a_failure(tmp_path):
    report = augment([SimpleSource(("gap-0",))], tmp_path / "set", AugmentOptions(history=5.0, future=5.0), workers=1)
    assert report.summary["failures"] == 1
    assert "has gaps in time: none of its 3 scenes of 10 s" in read_failures(tmp_path / "set")[0].reason


@pytest.mark.parametrize(
    ("sources", "problem"),
    [
        ((("train-0",), ("train-0",)), "same name"),
        ((("val/0",), ("val.0",)), "same name"),
        (((),), "no log"),
    ],
)
def test_logs_must_have_names_of_their_own(tmp_path, sources, problem):
    """X5: one log under two splits would leak; under one it would be doubled."""
    with pytest.raises(SwerveError, match=problem):
        augment([SimpleSource(names) for names in sources], tmp_path / "set", OPTIONS)
    assert not (tmp_path / "set").exists()


def test_j1_a_folder_with_other_files_is_left_alone(tmp_path):
    """The original wrote into the folder of the camera's own images, over them."""
    (tmp_path / "CAM_F0").mkdir()
    (tmp_path / "CAM_F0" / "1.jpg").write_bytes(b"a photograph")
    with pytest.raises(SwerveError, match="not empty"):
        augment([SimpleSource(LOGS)], tmp_path, OPTIONS)
    assert [path.name for path in tmp_path.rglob("*")] == ["CAM_F0", "1.jpg"]


def test_a_strange_shard_in_the_set_is_refused(tmp_path):
    """Readers take every shard of a split: one that no record knows would double samples, or leak."""
    folder = tmp_path / "set"
    augment([SimpleSource(("train-0",))], folder, OPTIONS)
    (folder / "train" / "val-0-00000.tar").write_bytes(b"")
    with pytest.raises(SwerveError, match=r"val-0-00000\.tar is not of this job"):
        augment([SimpleSource(("train-0",))], folder, OPTIONS)


def test_unknown_names_are_named():
    """The types of the options say so too, where they are checked: in these tests, but not for users."""
    with pytest.raises(SwerveError, match="viewpoints: 'sideways' is not known"):
        _check_names("viewpoints", ("logged", "sideways"), KINDS)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"viewpoints": ()}, "none given"),
        ({"extra_outputs": ("depth", "depth")}, "twice"),
        ({"jpeg_quality": 0}, "jpeg_quality"),
        ({"size": (0, 10)}, "size"),
        ({"shard_scenes": 0}, "shard_scenes"),
        ({"scene_interval": float("nan")}, "scene_interval"),
    ],
)
def test_options_out_of_range_are_named(wrong, message):
    with pytest.raises(SwerveError, match=message):
        AugmentOptions(**wrong)


@pytest.mark.parametrize(
    "wrong",
    [{"lateral": 20.1}, {"lateral": float("nan")}, {"longitudinal": 25.1}, {"heading": float("nan")}, {"speed": -0.1}],
)
def test_ranges_of_recoveries_are_checked_wherever_they_are_used(wrong):
    with pytest.raises(SwerveError, match=rf"recovery\.{next(iter(wrong))}.* must lie between"):
        RecoveryOptions(**wrong)


def run_command(monkeypatch, logs, *arguments):
    """`swerve augment` with a source of simple logs."""
    monkeypatch.setattr(job_report, "open_source", lambda text: SimpleSource(tuple(text.split(","))))
    return invoke("augment", ",".join(logs), *arguments, "--scene-interval", 1, "--viewpoints", "logged")


def test_the_command_tells_what_it_made(monkeypatch, tmp_path):
    result = run_command(monkeypatch, ("train-0",), tmp_path / "set", "--image-format", "jpeg", "--size", "32x20")
    assert result.exit_code == 0, result.output
    assert f"{SCENES} samples ({SCENES} logged) of 1 log " in result.output
    assert "encoding" in result.output
    assert next(read_samples(Path(tmp_path / "set"), "train"))["front.jpg"].shape == (20, 32, 3)


def test_the_command_fails_when_a_log_fails(monkeypatch, tmp_path):
    result = run_command(monkeypatch, ("broken-1", "train-0"), tmp_path / "set")
    assert result.exit_code == 1
    assert "1 failure:" in result.output
    assert "broken-1: broken-1.feather: x: is not a number" in result.output


def test_a_format_that_is_not_known_is_refused(monkeypatch, tmp_path):
    result = run_command(monkeypatch, ("train-0",), tmp_path / "set", "--image-format", "gif")
    assert result.exit_code == 2
    assert "gif" in str(result.exception)


def test_a_wrong_size_is_named(monkeypatch, tmp_path):
    result = run_command(monkeypatch, ("train-0",), tmp_path / "set", "--size", "large")
    assert result.exit_code == 2
    assert "WIDTHxHEIGHT" in str(result.exception)
