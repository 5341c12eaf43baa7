"""Opening sources by text, and splits from paths."""

import pickle
from pathlib import Path

import pytest

from swerve.data.sources.registry import open_source
from swerve.data.sources.source import Source, split_of
from swerve.scenes import SwerveError
from tests.support.av2_log import write_av2_log


def test_a_log_folder_and_its_parents_are_recognised(tmp_path):
    log = write_av2_log(tmp_path / "train" / "one")
    for text in (str(log), str(tmp_path / "train"), str(tmp_path), f"av2:{tmp_path}"):
        source = open_source(text)
        assert (source.kind, source.names()) == ("av2", ("one",))


def test_record_files_and_their_folders_are_recognised(tmp_path):
    (tmp_path / "sub").mkdir()
    file = tmp_path / "sub" / "x.tfrecord-00000-of-00002"
    file.touch()
    for text in (str(file), str(tmp_path), f"waymo:{file}"):
        assert open_source(text).kind == "waymo"


def test_a_source_can_be_sent_to_another_process(tmp_path):
    write_av2_log(tmp_path / "one")
    source = open_source(str(tmp_path))
    assert isinstance(source, Source)
    assert len(pickle.dumps(source)) < 1000
    assert pickle.loads(pickle.dumps(source)) == source


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("nowhere", "no such file or folder, and not one of av2:PATH"),
        ("av2:nowhere", "nowhere: no such file"),
        ("waymo:nowhere", "nowhere: no such file"),
        ("town:many", "give the number of logs"),
        ("town:0", "give the number of logs"),
        (".", "Looked for an Argoverse 2 log folder"),
    ],
)
def test_what_cannot_be_opened_gives_one_error(tmp_path, monkeypatch, text, message):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SwerveError, match=message):
        open_source(text)


def test_an_empty_folder_of_a_stated_kind_gives_one_error(tmp_path):
    for kind, message in (("av2", "no Argoverse 2 log"), ("waymo", "no .tfrecord file")):
        with pytest.raises(SwerveError, match=message):
            open_source(f"{kind}:{tmp_path}").names()


@pytest.mark.parametrize(
    ("given", "log", "split"),
    [
        ("/data/av2", "train/abc", "train"),
        ("/data", "validation/abc", "val"),
        ("/data/av2/val", "abc", "val"),
        ("/data/av2/../val", "abc", "val"),
        ("/data", "Testing/x.tfrecord", "test"),
        ("/train", "val/abc", "val"),
        ("/test", "train/abc", "train"),
        ("/data", "training_20s.tfrecord-00000-of-01000", "train"),
        ("/data/validation.tfrecord-00000-of-00150", "", "val"),
        ("/home/test/av2", "abc", None),
        ("/home/test/av2/abc", "", None),
        ("/data/trainer", "abc", None),
        ("/data", "abc", None),
    ],
)
def test_the_split_is_read_from_the_path_within_the_source(given, log, split):
    assert split_of(Path(given) / log, Path(given)) == split


def test_the_split_of_a_relative_path_is_that_of_its_place(tmp_path, monkeypatch):
    (tmp_path / "val").mkdir()
    monkeypatch.chdir(tmp_path / "val")
    assert split_of(Path.cwd() / "abc", Path(".")) == "val"
    assert split_of(tmp_path / "abc", Path("..")) is None
