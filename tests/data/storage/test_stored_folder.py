"""Objects of a store become files of their own folder, and of no other."""

import os
from itertools import count

import pytest

from swerve.data.storage.fsspec_store import open_store
from swerve.data.storage.mirror import output_folder, snapshot
from swerve.data.storage.object_cache import KEPT
from swerve.data.storage.store import checked_name
from swerve.data.storage.stored_folder import fetch_folder, local_folder, source_files
from swerve.scenes import SwerveError

NUMBERS = count()


@pytest.fixture
def url(tmp_path, monkeypatch):
    """Return the URL of a set with a table and a file below, with a cache and a place for scratch folders."""
    monkeypatch.setenv("SWERVE_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("SWERVE_SCRATCH", str(tmp_path / "scratch"))
    monkeypatch.setenv("SWERVE_STORE_RETRY_SECONDS", "0")
    (tmp_path / "scratch").mkdir()
    found = f"memory://names-{next(NUMBERS)}/set"
    store = open_store(found)
    store.write("summary.json", b"{}")
    store.write("deep/a", b"a")
    return found


def read_all(url):
    """Read a set in all the ways that there are, and write to it."""
    yield lambda: source_files(url)
    yield lambda: fetch_folder(local_folder(url) / "deep")
    yield lambda: output_folder(url).__enter__()
    yield lambda: snapshot(url).__enter__()


@pytest.mark.parametrize("name", ["deep/../../../../../stolen", "deep/..", "deep/a\nb"])
def test_names_that_lead_out_are_refused(url, name, tmp_path):
    open_store(url).write(name, b"not here")
    for read in read_all(url):
        with pytest.raises(SwerveError, match="which can be no file of a folder"):
            read()
    assert b"not here" not in {path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}


@pytest.mark.parametrize("name", ["/etc/x", "..", "", "a/../b", "a\x00"])
def test_names_are_checked_by_their_parts(name):
    assert checked_name("s3://b/x", "a/..b/c..") == "a/..b/c.."
    with pytest.raises(SwerveError, match="s3://b/x: holds an object"):
        checked_name("s3://b/x", name)


def test_an_object_does_not_say_which_store_a_folder_is_of(url):
    open_store(url).write(f"deep/{KEPT}", b'{"url": "memory://other/set"}')
    for read in (lambda: source_files(url), lambda: fetch_folder(local_folder(url) / "deep")):
        with pytest.raises(SwerveError, match="a name of Swerve's cache"):
            read()


def test_a_scratch_folder_of_others_is_not_used(url, tmp_path):
    base = tmp_path / "scratch" / f"swerve-store-{os.getuid()}"
    with output_folder(url):
        assert base.stat().st_mode & 0o777 == 0o700
    base.chmod(0o777)
    with pytest.raises(SwerveError, match="is not this user's own folder"), output_folder(url):
        pass
    base.rename(tmp_path / "elsewhere")
    base.symlink_to(tmp_path / "elsewhere")
    with pytest.raises(SwerveError, match="is not this user's own folder"), output_folder(url):
        pass


def test_settings_that_are_no_seconds_are_named(url, monkeypatch):
    for text in ("soon", "-1", "nan"):
        monkeypatch.setenv("SWERVE_STORE_RETRY_SECONDS", text)
        with pytest.raises(SwerveError, match=f"SWERVE_STORE_RETRY_SECONDS: '{text}' is no number of seconds"):
            open_store(url).info("x")
