"""A stale kernel is never used: every state of the sources has a folder of compiled kernels of its own."""

import os
import re
import subprocess
import sys
import time
from pathlib import Path

import pytest

from swerve.scenes import kernel_cache
from tests.support.rooms import modules

OUTER = "import numba\nfrom inner_kernels import f\n\n@numba.njit(cache=True)\ndef g():\n    return f() + 10\n"


@pytest.fixture
def sources(tmp_path, monkeypatch):
    """A package of two kernels, one of which inlines the other."""
    folder = tmp_path / "package"
    folder.mkdir()
    (folder / "inner_kernels.py").write_text("import numba\n\n@numba.njit(cache=True)\ndef f():\n    return 1\n")
    (folder / "outer_kernels.py").write_text(OUTER)
    (folder / "plain.py").write_text("x = 1\n")
    monkeypatch.setattr(kernel_cache, "source_files", lambda: sorted(folder.glob("*.py")))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.delenv(kernel_cache.VARIABLE, raising=False)
    monkeypatch.delitem(sys.modules, "numba", raising=False)
    return folder


def result(folder):
    call = [sys.executable, "-c", "from outer_kernels import g; print(g())"]
    # These kernels are of no package of Swerve, and are to be found in the folder of these sources.
    environment = {name: value for name, value in os.environ.items() if name != kernel_cache.LOCATORS}
    done = subprocess.run(call, cwd=folder, capture_output=True, text=True, check=True, env=environment)
    return done.stdout.strip()


def chosen():
    kernel_cache.use_kernel_cache()
    return Path(os.environ[kernel_cache.VARIABLE])


def change(path, old, new):
    path.write_text(path.read_text().replace(old, new))
    stat = path.stat()
    os.utime(path, ns=(stat.st_atime_ns, stat.st_mtime_ns + 10**9))


def test_a_kernel_is_compiled_again_when_another_that_it_inlines_changes(sources):
    """Numba itself keeps what it compiled of `outer` though `inner`, in another file, is not what it was."""
    first = chosen()
    assert result(sources) == "11"
    assert list(first.rglob("*.nbc"))
    assert not list(sources.rglob("*.nb[ci]")), "nothing is written beside the sources"
    change(sources / "inner_kernels.py", "return 1", "return 2")
    assert result(sources) == "11", "if this fails, numba has learnt it and all this may go"
    second = chosen()
    assert second != first
    assert result(sources) == "12"
    change(sources / "inner_kernels.py", "return 2", "return 1")
    assert chosen() == first, "kernels of earlier sources are found again"
    assert result(sources) == "11"


def test_other_files_leave_the_kernels(sources):
    first = chosen()
    change(sources / "plain.py", "x = 1", "x = 2")
    assert chosen() == first


def test_sources_are_read_once(sources, monkeypatch):
    first = chosen()
    monkeypatch.setattr(kernel_cache, "contents_digest", lambda files: pytest.fail("was noted"))
    assert chosen() == first


def test_the_user_s_folder_is_used_as_it_is(sources, monkeypatch, tmp_path):
    monkeypatch.setenv(kernel_cache.VARIABLE, str(tmp_path / "own"))
    assert chosen() == tmp_path / "own"
    assert not (tmp_path / "cache").exists()


def test_numba_that_is_there_already_is_told(sources, monkeypatch):
    import numba

    monkeypatch.setitem(sys.modules, "numba", numba)
    monkeypatch.setattr(numba.config, "CACHE_DIR", "")
    folder = chosen()
    assert str(folder) == numba.config.CACHE_DIR


@pytest.mark.parametrize("home", ["file", "no home"])
def test_where_nothing_can_be_written_a_temporary_folder_serves(sources, monkeypatch, tmp_path, home):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file") if home == "file" else "")
    if home != "file":
        monkeypatch.setattr(os.path, "expanduser", lambda path: path)
    folder = chosen()
    assert folder.is_dir()
    assert folder.name.startswith("swerve-kernels-")
    assert chosen() == folder, "children share it"


def test_folders_that_nobody_uses_are_removed(sources):
    first = chosen()
    old = time.time() - 40 * 86400
    os.utime(first, (old, old))
    change(sources / "inner_kernels.py", "return 1", "return 3")
    second = chosen()
    assert not first.exists()
    assert second.is_dir()
    os.utime(second, (old, old))
    chosen()
    assert time.time() - second.stat().st_mtime < 60, "a folder that is used counts as such"


def test_every_module_that_kernels_import_counts():
    """Constants are compiled in."""
    known = modules()
    for path in known.values():
        if path.stem.endswith("kernels"):
            for name in re.findall(r"^from (swerve[\w.]+) import", path.read_text(), re.MULTILINE):
                if known[name].stem != "__init__":
                    assert any(word in known[name].read_bytes() for word in kernel_cache.COMPILED), (path, name)


def test_importing_a_package_is_enough(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.delenv(kernel_cache.VARIABLE, raising=False)
    code = "import swerve.scenes.lens_kernels, numba; print(numba.config.CACHE_DIR)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert Path(done.stdout.strip()).parent == tmp_path / "swerve" / "kernels"
