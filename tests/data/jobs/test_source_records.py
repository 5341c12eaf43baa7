"""A resumed job does not mix two versions of a source."""

import os
import shutil
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest

from swerve.data.dataset import AugmentOptions, augment
from swerve.data.jobs.log_digest import log_digest
from swerve.data.jobs.source_records import (
    check_same_source,
    check_sources,
    file_state,
    load_log,
    read_source_record,
    source_record_path,
)
from swerve.scenes import Log, Photo, SwerveError
from tests.support.simple_source import SimpleSource, small_log

NAMES = ("train-0", "train-1")
OWNERS = dict.fromkeys(NAMES, 0)
FINISHED = {"train-0": ({0, 1}, 2), "train-1": ({1}, 2)}


@dataclass(frozen=True)
class FileSource:
    """Logs whose traffic moves by what their files say, metres."""

    path: Path
    kind: str = "simple"

    def names(self):
        return NAMES

    def load(self, name) -> Log:
        log = small_log(name)
        shift = float((self.path / name).read_text())
        return replace(log, split="train", tracks=replace(log.tracks, positions=log.tracks.positions + shift))

    def files_of(self, name):
        return (self.path / name,)


@pytest.fixture
def source(tmp_path):
    (tmp_path / "logs").mkdir()
    for name in NAMES:
        (tmp_path / "logs" / name).write_text("0.0")
    source = FileSource(tmp_path / "logs")
    for name in NAMES:
        load_log(tmp_path / "set", source, name)
    return source


def test_a_source_that_changed_after_the_kill_is_refused(source, tmp_path):
    for name in NAMES:
        (source.path / name).write_text("5.0")
        with pytest.raises(SwerveError, match=rf"1 logs have changed in their source .*\({name}\). Put them back"):
            check_sources(tmp_path / "set", [source], OWNERS, FINISHED)
        with pytest.raises(SwerveError, match=name):
            load_log(tmp_path / "set", source, name)
        (source.path / name).write_text("0.0")
    check_sources(tmp_path / "set", [source], OWNERS, FINISHED)
    assert load_log(tmp_path / "set", source, "train-1").name == "train-1"


def test_a_copy_of_the_source_is_the_same_source(source, tmp_path):
    shutil.copytree(source.path, tmp_path / "copy", copy_function=shutil.copyfile)
    copied, before = replace(source, path=tmp_path / "copy"), read_source_record(tmp_path / "set", "train-0")
    assert file_state(copied, "train-0") != file_state(source, "train-0")
    check_sources(tmp_path / "set", [copied], OWNERS, FINISHED)
    after = read_source_record(tmp_path / "set", "train-0")
    assert after.digest == before.digest
    assert after.files == file_state(copied, "train-0"), "the next run compares no contents"
    shutil.copytree(source.path, tmp_path / "moved")  # with times
    assert file_state(replace(source, path=tmp_path / "moved"), "train-0") == file_state(source, "train-0")


def test_a_log_without_parts_may_change(source, tmp_path):
    (source.path / "train-1").write_text("5.0")
    check_sources(tmp_path / "set", [source], OWNERS, {"train-0": ({0}, 2), "train-1": (set(), 2)})
    load_log(tmp_path / "set", source, "train-1")
    assert read_source_record(tmp_path / "set", "train-1").digest == log_digest(source.load("train-1"))


@pytest.mark.parametrize("content", [b"", b'{"log": "train-1", "dig', b'{"log": "train-0", "digest": "", "files": ""}'])
def test_a_damaged_record_of_a_source_is_made_again(source, tmp_path, content):
    source_record_path(tmp_path / "set", "train-1").write_bytes(content)
    check_sources(tmp_path / "set", [source], OWNERS, FINISHED)
    load_log(tmp_path / "set", source, "train-1")
    assert read_source_record(tmp_path / "set", "train-1").digest == log_digest(source.load("train-1"))


def test_the_digest_is_of_contents():
    log = small_log()
    assert log_digest(log) == log_digest(small_log())
    positions = log.tracks.positions.copy()
    positions[0, 0, 0] = np.nextafter(positions[0, 0, 0], np.inf)
    changes = [
        {"tracks": replace(log.tracks, positions=positions)},
        {"origin": (0.0, 0.0, 1.0)},
        {"cameras": log.cameras[1:]},
        {"name": "other"},
        {"route": ("a", "b")},
        {"route": ("ab",)},
        {"road_map": None},
        {"times_us": log.times_us + 1},
    ]
    assert log_digest(replace(log, split="val")) == log_digest(log), "a log may lie in another folder"
    digests = {log_digest(replace(log, **change)) for change in changes}
    assert len({log_digest(log), *digests}) == 1 + len(changes)


def test_a_photo_of_another_size_is_noticed_in_a_resumed_job_and_not_needed_by_another(tmp_path):
    @dataclass(frozen=True)
    class WithPhoto(FileSource):
        def load(self, name):
            return replace(small_log(name), photos=(Photo("front", 0, np.eye(4), self.path / f"{name}.jpg"),))

        def files_of(self, name):
            return (self.path / f"{name}.jpg",)

    source, photo = WithPhoto(tmp_path), tmp_path / "train-0.jpg"
    photo.write_bytes(b"four")
    for job in ("set", "other"):
        load_log(tmp_path / job, source, "train-0")
    os.utime(photo, (1, 1))
    check_sources(tmp_path / "set", [source], {"train-0": 0}, FINISHED)
    photo.write_bytes(b"longer")
    for again in (
        lambda: check_sources(tmp_path / "set", [source], {"train-0": 0}, FINISHED),
        lambda: load_log(tmp_path / "set", source, "train-0"),
    ):
        with pytest.raises(SwerveError, match=r"have changed .*train-0"):
            again()
    load_log(tmp_path / "new", source, "train-0")
    check_same_source(tmp_path / "new", tmp_path / "other", "train-0")


def test_another_jobs_record_is_compared(source, tmp_path):
    (source.path / "train-1").write_text("7.0")
    for name in NAMES:
        load_log(tmp_path / "other", source, name)
    check_same_source(tmp_path / "set", tmp_path / "other", "train-0")
    with pytest.raises(SwerveError, match=r"other: 1 logs .*train-1"):
        check_same_source(tmp_path / "set", tmp_path / "other", "train-1")


def test_sources_without_files_are_compared_where_they_are_read(tmp_path):
    source, record = SimpleSource(NAMES), source_record_path(tmp_path, "train-1")
    load_log(tmp_path, source, "train-1")
    record.write_text(record.read_text().replace(read_source_record(tmp_path, "train-1").digest, "0" * 32))
    check_sources(tmp_path, [source], OWNERS, FINISHED)
    with pytest.raises(SwerveError, match="changed"):
        load_log(tmp_path, source, "train-1")


def test_augmenting_refuses_a_changed_source(source, tmp_path):
    options, folder = AugmentOptions(scene_interval=5.0, shard_scenes=1, viewpoints=("logged",)), tmp_path / "made"
    augment([source], folder, options, 1)
    (source.path / "train-0").write_text("5.0")
    with pytest.raises(SwerveError, match=r"\(train-0\)"):
        augment([source], folder, options, 1)
    assert (folder / "manifest.parquet").is_file() is False, "a refused set is not taken for a finished one"
