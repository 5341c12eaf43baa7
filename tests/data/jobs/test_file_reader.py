"""Files read in worker processes: the same results and errors as in this one, with a bar, and nothing left behind."""

import io
import multiprocessing
import os
import pickle
import subprocess
import sys
import time
from pathlib import Path

import pytest
from rich.console import Console

from swerve import evaluation
from swerve.data.jobs import Execution, file_reader, runner
from swerve.data.jobs.file_reader import FileReader
from swerve.options.evaluate import EvaluateOptions
from swerve.scenes import LogError, SwerveError


def text_and_process(path):
    text = path.read_text()
    if text == "bad":
        raise LogError(path, "text", "is bad", "Write another")
    if text == "fatal":
        os._exit(9)
    return text, os.getpid()


@pytest.fixture
def files(tmp_path, monkeypatch):
    monkeypatch.setattr(file_reader, "_BYTES_EACH", 8)
    found = [tmp_path / f"{row:02d}" for row in range(40)]
    for row, file in enumerate(found):
        file.write_text(f"text {row}")
    return found


@pytest.mark.parametrize(("workers", "own"), [(1, True), (2, False)])
def test_results_come_in_order(files, workers, own):
    found = list(FileReader(workers)(text_and_process, files, "texts"))
    assert [text for text, _ in found] == [f"text {row}" for row in range(40)]
    assert ({process for _, process in found} == {os.getpid()}) == own
    assert not multiprocessing.active_children()


def test_small_files_are_read_in_this_process(files, monkeypatch):
    monkeypatch.setattr(file_reader, "_BYTES_EACH", 1000)
    assert {process for _, process in FileReader(8)(text_and_process, files, "texts")} == {os.getpid()}
    missing = [*files, files[0].with_name("missing")]
    with pytest.raises(FileNotFoundError):
        list(FileReader(8)(text_and_process, missing, "texts"))
    assert list(FileReader(8)(text_and_process, [], "texts")) == []


@pytest.mark.parametrize("workers", [1, 2])
def test_the_error_of_a_file_is_raised_as_it_is(files, workers):
    files[20].write_text("bad")
    with pytest.raises(LogError, match=r"20: text: is bad\. Write another") as caught:
        list(FileReader(workers)(text_and_process, files, "texts"))
    assert (caught.value.field, caught.value.problem) == ("text", "is bad")
    assert str(pickle.loads(pickle.dumps(caught.value))) == str(caught.value)
    assert not multiprocessing.active_children()


def test_a_killed_process_is_one_error(files):
    files[3].write_text("fatal")
    with pytest.raises(SwerveError, match=r"a process that read .* was killed: probably out of memory"):
        list(FileReader(2)(text_and_process, files, "texts"))


def test_a_terminal_shows_how_far_it_is(files):
    shown = io.StringIO()
    console = Console(file=shown, force_terminal=True, width=100)
    list(FileReader(1, console)(text_and_process, files, "synthetic scenes"))
    assert "reading synthetic scenes" in shown.getvalue()
    assert "40/40" in shown.getvalue()
    quiet = io.StringIO()
    list(FileReader(1, Console(file=quiet))(text_and_process, files, "texts"))
    assert quiet.getvalue() == ""


def process_of_slow(path):
    path.with_suffix(".process").write_text(str(os.getpid()))
    time.sleep(60)


def test_processes_end_when_the_reading_one_is_killed(files):
    code = f"""if True:
        from pathlib import Path
        from swerve.data.jobs import file_reader
        from tests.data.jobs.test_file_reader import process_of_slow
        file_reader._BYTES_EACH = 8
        if __name__ == "__main__":
            list(file_reader.FileReader(2)(process_of_slow, sorted(Path({str(files[0].parent)!r}).glob("??")), ""))
    """
    script, root = files[0].with_name("script.py"), Path(__file__).parents[3]
    script.write_text(code)
    process = subprocess.Popen([sys.executable, str(script)], env={**os.environ, "PYTHONPATH": str(root)})
    end = time.monotonic() + 120
    while len(found := list(files[0].parent.glob("*.process"))) < 2 or not all(one.read_text() for one in found):
        assert time.monotonic() < end
        assert process.poll() is None
        time.sleep(0.05)
    process.kill()
    process.wait()
    for one in found:
        while Path(f"/proc/{one.read_text()}").exists() and not zombie(one.read_text()):
            assert time.monotonic() < end, "a process was left behind"
            time.sleep(0.05)


def test_a_script_without_a_main_guard_is_told(files):
    """Not that memory is short: the processes import the script, which reads the files once more."""
    script, root = files[0].with_name("script.py"), Path(__file__).parents[3]
    script.write_text(f"""if True:
        from pathlib import Path
        from swerve.data.jobs import file_reader
        from tests.data.jobs.test_file_reader import text_and_process
        file_reader._BYTES_EACH = 8
        files = sorted(Path({str(files[0].parent)!r}).glob("??"))
        print(len(list(file_reader.FileReader(2)(text_and_process, files, ""))))
    """)
    run = [sys.executable, str(script)]
    ended = subprocess.run(
        run, env={**os.environ, "PYTHONPATH": str(root)}, capture_output=True, text=True, timeout=200
    )
    assert ended.returncode == 1
    assert 'put what it does below if __name__ == "__main__":' in ended.stderr.splitlines()[-1]
    assert ended.stderr.count("Traceback") == 1


@pytest.mark.parametrize(("on", "processes"), [("local", 64), ("ray", 3), ("ray://head:10001", 3)])
def test_the_number_of_a_clusters_actors_is_not_that_of_processes_here(monkeypatch, on, processes):
    def opened(folders, split, read_files):
        assert read_files.workers == processes
        raise SwerveError("seen")

    monkeypatch.setattr(runner, "usable_cores", lambda: 3)
    monkeypatch.setattr(evaluation, "read_split", str)
    monkeypatch.setattr(evaluation, "navsim_folders", str)
    monkeypatch.setattr(evaluation, "open_navsim_benchmark", opened)
    options = EvaluateOptions(split="navtest")
    with pytest.raises(SwerveError, match="seen"):
        evaluation.evaluate_navsim("navsim:.", [], Path(), options, Execution(64, on=on))


def zombie(number):
    try:
        return Path(f"/proc/{number}/stat").read_text().rsplit(")", 1)[1].split()[0] == "Z"
    except OSError:
        return True
