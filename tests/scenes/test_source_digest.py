import shutil
import subprocess
import sys

from swerve.scenes import source_digest


def test_the_digest_is_that_of_every_line(tmp_path, monkeypatch):
    one, two = tmp_path / "a.py", tmp_path / "b.py"
    one.write_text("x = 1\n")
    two.write_text("")
    assert source_digest._digest([one, two]) == source_digest._digest([one, two])
    before = source_digest._digest([one, two])
    one.write_text("x = 2\n")
    assert source_digest._digest([one, two]) != before
    assert len(source_digest.code_digest()) == 8


def test_compiled_kernels_go_when_another_kernel_changes(tmp_path, monkeypatch):
    """Numba itself keeps what it compiled of `outer` though `inner`, in another file, is not what it was."""
    (tmp_path / "inner_kernels.py").write_text("import numba\n\n@numba.njit(cache=True)\ndef f():\n    return 1\n")
    outer = "import numba\nfrom inner_kernels import f\n\n@numba.njit(cache=True)\ndef g():\n    return f() + 10\n"
    (tmp_path / "outer_kernels.py").write_text(outer)
    monkeypatch.setattr(source_digest, "_ROOMS", ("here",))
    monkeypatch.setattr(source_digest, "_folder", lambda room: tmp_path)
    call = [sys.executable, "-c", "from outer_kernels import g; print(g())"]

    def result():
        return subprocess.run(call, cwd=tmp_path, capture_output=True, text=True, check=True).stdout.strip()

    source_digest.forget_stale_kernels()
    assert result() == "11"
    source_digest.forget_stale_kernels()
    assert list(tmp_path.rglob("*.nbc")), "an unchanged package keeps what was compiled"
    inner = (tmp_path / "inner_kernels.py").read_text().replace("return 1", "return 2")
    (tmp_path / "inner_kernels.py").write_text(inner)
    assert result() == "11", "if this fails, numba has learnt it and all this may go"
    source_digest.forget_stale_kernels()
    assert not list(tmp_path.rglob("*.nb[ci]"))
    assert result() == "12"
    shutil.rmtree(tmp_path / "__pycache__")
    source_digest.forget_stale_kernels()
