"""Stores behave alike, whatever is behind them, and answers that go wrong are asked for again."""

import errno
import os
import pickle
import sys
from importlib import import_module
from itertools import count

import pytest

from swerve.data.storage.fsspec_store import _FAULTS, _FINAL, _FINAL_NUMBERS, open_store
from swerve.data.storage.store import StoreError, local_of, url_of
from swerve.scenes import MissingExtraError, SwerveError
from tests.support.s3_server import KINDS, Faults, s3_server
from tests.support.stored_jobs import patience

NUMBERS = count()
# More stores, as URLs of a bucket with a folder: how gs:// and az:// are tested by hand, see docs/clusters.md.
MORE = tuple(os.environ.get("SWERVE_TEST_STORES", "").split())


@pytest.fixture(scope="module")
def faults():
    return Faults(delay=0.02)


@pytest.fixture(scope="module")
def s3(faults):
    with s3_server(faults) as url:
        yield url


@pytest.fixture(params=["memory", "s3", *MORE])
def store(request, s3, faults):
    faults.share = 0.0
    url = {"s3": s3, "memory": "memory://swerve-test"}.get(request.param, request.param)
    yield open_store(f"{url}/{next(NUMBERS)}/set")
    faults.share = 0.0


def test_objects_are_written_read_listed_and_deleted(store, tmp_path):
    (tmp_path / "file").write_bytes(b"0123456789")
    store.put("train/a.tar", tmp_path / "file")
    store.write("summary.json", b"{}")
    store.write("summary.json", b"[]")
    assert store.read("train/a.tar") == b"0123456789"
    assert store.read("train/a.tar", 3, 6) == b"345"
    assert store.read("train/a.tar", 8) == b"89"
    assert [(one.name, one.size) for one in store.list()] == [("summary.json", 2), ("train/a.tar", 10)]
    assert [one.name for one in store.list(deep=False)] == ["summary.json"]
    assert [one.name for one in store.list("train")] == ["train/a.tar"]
    store.get("train/a.tar", tmp_path / "deep" / "copy")
    assert (tmp_path / "deep" / "copy").read_bytes() == b"0123456789"
    store.delete("train/a.tar")
    store.delete("train/a.tar")
    assert store.info("train/a.tar") is None
    with pytest.raises(FileNotFoundError):
        store.read("train/a.tar")


def test_a_version_changes_with_the_content(store):
    store.write("x", b"first")
    before = store.info("x")
    store.write("x", b"other")
    assert store.info("x").version != before.version
    assert store.info("x").seconds >= before.seconds > 0


def test_only_one_of_two_creates_a_name(store):
    assert store.create("job.json", b"mine")
    assert store.create("job.json", b"mine")
    assert not store.create("job.json", b"yours")
    assert store.read("job.json") == b"mine"


def test_a_list_has_what_was_put_a_moment_ago(store):
    """A lease is put, and then those of others are listed."""
    assert list(store.list("runs")) == []
    store.write("runs/a.lease", b"1")
    assert [one.name for one in store.list("runs")] == ["runs/a.lease"]
    open_store(store.url).write("runs/b.lease", b"1")
    assert [one.name for one in store.list("runs")] == ["runs/a.lease", "runs/b.lease"]
    store.delete("runs/a.lease")
    assert [one.name for one in store.list("runs")] == ["runs/b.lease"]


@pytest.mark.parametrize(
    ("url", "package", "told"),
    [
        ("gs://bucket/set", "gcsfs", "gcsfs is not installed. Install it with: pip install gcsfs"),
        ("az://box/set", "adlfs", "adlfs is not installed. Install it with: pip install adlfs"),
        ("s3://bucket/set", "s3fs", r"s3fs is not installed. Install it with: pip install 'PATH\[cloud\]'"),
    ],
)
def test_a_missing_package_is_named(monkeypatch, url, package, told):
    known = import_module("fsspec.registry")._registry
    monkeypatch.delitem(known, url.partition(":")[0], raising=False)
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(MissingExtraError, match=told):
        open_store(url)


def test_a_store_can_be_sent_to_another_process(store):
    store.write("x", b"1")
    assert pickle.loads(pickle.dumps(store)).read("x") == b"1"


@pytest.mark.parametrize(
    ("share", "kinds"), [(0.1, KINDS), (0.5, KINDS), (0.5, ("reset",)), (0.5, ("partial",)), (0.5, ("500", "503"))]
)
def test_answers_that_go_wrong_are_asked_for_again(s3, faults, tmp_path, share, kinds):
    store = open_store(f"{s3}/{next(NUMBERS)}")
    faults.share, faults.kinds = share, kinds
    before = faults.counts.total()
    for number in range(4):
        store.write(f"x/{number}", bytes([number]) * 3000)
        assert store.read(f"x/{number}", 10, 2000) == bytes([number]) * 1990
        assert store.create(f"y/{number}", b"1")
        store.get(f"x/{number}", tmp_path / "x")
        assert (tmp_path / "x").read_bytes() == bytes([number]) * 3000
    assert len(list(store.list("x"))) == 4
    assert faults.counts.total() - before > 21  # requests and faults
    faults.share, faults.kinds = 0.0, KINDS


def test_a_store_that_never_answers_is_one_clear_error(s3, faults):
    store = open_store(f"{s3}/{next(NUMBERS)}")
    faults.share, faults.kinds = 1.0, ("500", "503")
    with patience(0.5), pytest.raises(StoreError, match=rf"{store.url}/x: .*injected"):
        store.write("x", b"1")
    faults.share, faults.kinds = 0.0, KINDS


class Named(Exception):
    """What the libraries of stores raise where requests cannot be signed."""


Named.__name__ = "NoCredentialsError"


@pytest.mark.parametrize("kind", [*_FAULTS, UnboundLocalError, ModuleNotFoundError, FileNotFoundError, FileExistsError])
def test_faults_of_a_program_are_raised_as_they_are_at_once(kind):
    asked = []

    def ask():
        asked.append(1)
        raise kind("a fault")

    with patience(30.0), pytest.raises(kind, match="a fault") as caught:
        open_store("memory://faults")._tried("x", ask)
    assert type(caught.value) is kind
    assert len(asked) == 1


@pytest.mark.parametrize(
    "error",
    [
        *(kind("no") for kind in _FINAL if kind not in (FileNotFoundError, FileExistsError)),
        *(OSError(number, "no") for number in _FINAL_NUMBERS),
        Named("no"),
    ],
)
def test_what_trying_again_does_not_help_is_told_at_once(error):
    asked = []

    def ask():
        asked.append(1)
        raise error

    with patience(30.0), pytest.raises(StoreError, match=r"memory://faults/x: .*no"):
        open_store("memory://faults")._tried("x", ask)
    assert len(asked) == 1


@pytest.mark.parametrize(
    "error",
    [
        AttributeError("a lost connection"),
        ConnectionResetError("reset"),
        TimeoutError("late"),
        OSError(errno.EIO, "input"),
        RuntimeError("session is closed"),
        ValueError("half an answer"),
    ],
)
def test_what_may_pass_is_asked_again_until_it_does(error):
    answers = [error, error]

    def ask():
        if answers:
            raise answers.pop()
        return "done"

    with patience(30.0):
        assert open_store("memory://faults")._tried("x", ask) == "done"
    assert not answers


def test_a_missing_bucket_is_told_at_once(s3, faults):
    with pytest.raises((StoreError, FileNotFoundError)):
        open_store("s3://no-such-bucket/x").write("x", b"1")


@pytest.mark.parametrize(
    ("text", "url"),
    [
        ("s3://bucket/a/b/", "s3://bucket/a/b"),
        ("s3:/bucket/a", "s3://bucket/a"),  # of a Path
        ("memory://x", "memory://x"),
        ("file:///tmp/x", None),
        ("/tmp/s3:/x", None),
        ("av2:/data/logs", None),
        ("out", None),
    ],
)
def test_urls_are_told_from_paths(text, url):
    assert url_of(text) == url


def test_what_is_no_store_is_refused():
    with pytest.raises(SwerveError, match="URLs of s3, gs"):
        url_of("ftp://host/x")
    with pytest.raises(SwerveError, match="give a bucket"):
        open_store("s3://")
    assert str(local_of("file:///tmp/x")) == "/tmp/x"
