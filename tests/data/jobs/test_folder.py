"""A job's folder is of one job, of one process, and of nobody else."""

import errno
import fcntl
from io import StringIO
from pathlib import Path

import pytest
from rich.console import Console

from swerve.data.jobs import existing_parts, job_config, log_names, open_job, part_stem
from swerve.data.jobs import folder as folder_module
from swerve.data.jobs.folder_locks import held
from swerve.data.storage import files
from swerve.scenes import SwerveError
from tests.support.counting_work import LAYOUT
from tests.support.simple_source import SimpleSource


def config(logs=("a", "b"), **options):
    return job_config({"seed": 0, "depth": {"near": 1.0}, **options}, [("simple", log) for log in logs], ("numpy",))


def opened(folder, one=None):
    """Opens and closes a job."""
    with open_job(folder, one or config(), LAYOUT):
        pass


def test_two_jobs_do_not_write_to_one_folder(tmp_path):
    with open(tmp_path / "job.lock", "wb") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        with pytest.raises(SwerveError, match="another job is writing to"):
            opened(tmp_path)
    with open_job(tmp_path, config(), LAYOUT), pytest.raises(SwerveError, match="another job is writing to"):
        opened(tmp_path)


class Killed(BaseException):
    """Ends the job where it is raised, as a signal would."""


def killed_after(monkeypatch, steps, folder):
    """Opens a job's folder, and ends before its file operation number `steps`; whether it came so far."""
    count = iter(range(1000))

    def counted(function):
        def wrapper(*arguments, **named):
            if next(count) == steps:
                raise Killed
            return function(*arguments, **named)

        return wrapper

    with monkeypatch.context() as patch:
        for name in ("make_folder", "write_atomically", "locked", "_remove_all_leftovers"):
            patch.setattr(folder_module, name, counted(getattr(folder_module, name)))
        patch.setattr(files, "commit", counted(files.commit))
        try:
            opened(folder)
        except Killed:
            return True
        return False


def test_a_job_killed_in_its_first_moments_can_be_begun_again(tmp_path, monkeypatch):
    steps = 0
    while killed_after(monkeypatch, steps, tmp_path / str(steps)):
        opened(tmp_path / str(steps))
        assert (tmp_path / str(steps) / "squares").is_dir()
        steps += 1
    assert steps == 10  # The folder, the lock, the clearing, writing job.json, its name, four folders, the run's state.


def test_what_killed_processes_left_in_a_held_folder_is_removed(tmp_path):
    """Each kill at a checkpoint of a training would leave one more, for ever."""
    kept = ("checkpoint.safetensors", "video.part", "film-12.part", "run/events.node-7-12.part")
    (tmp_path / "run").mkdir()
    for name in (*kept, "checkpoint.safetensors.node-7-12.part", "checkpoint.safetensors.other-9.part"):
        (tmp_path / name).write_bytes(b"half")
    with held(tmp_path):
        left = {path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*") if path.is_file()}
    assert left == {*kept, "job.lock"}


def test_a_file_in_the_folders_place_is_one_error(tmp_path):
    (tmp_path / "set").write_bytes(b"mine")
    with pytest.raises(SwerveError, match="cannot be created"):
        opened(tmp_path / "set")
    assert (tmp_path / "set").read_bytes() == b"mine"


def test_what_is_in_the_way_of_the_jobs_files_is_one_error(tmp_path):
    (tmp_path / "job.lock").mkdir()
    with pytest.raises(SwerveError, match=r"cannot be written .*job\.lock"):
        opened(tmp_path)


def test_a_full_disk_is_one_error_and_no_obstacle(tmp_path, monkeypatch):
    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device", "job.json.part")

    with monkeypatch.context() as patch:
        patch.setattr(folder_module, "write_atomically", full)
        with pytest.raises(SwerveError, match=r"cannot be written .*No space left"):
            opened(tmp_path / "set")
    opened(tmp_path / "set")


def test_the_job_file_of_another_program_is_left_alone(tmp_path):
    (tmp_path / "job.json").write_text('{"mine": 1}')
    with pytest.raises(SwerveError, match="not of a job of this program"):
        opened(tmp_path)
    assert (tmp_path / "job.json").read_text() == '{"mine": 1}'


def test_a_folder_with_other_files_is_left_alone(tmp_path):
    (tmp_path / "photo.jpg").write_bytes(b"mine")
    with pytest.raises(SwerveError, match=r"not empty \(it holds photo\.jpg\)"):
        opened(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["photo.jpg"]


@pytest.mark.parametrize(
    "other_file",
    ["video.mkv.part", "squares/c-00000.json", "squares/a-00000.txt", "squares/a-x.json", "other/a-00000.json",
     "squares/deep/a-00000.json", "done.txt"],
)  # fmt: skip
def test_files_of_others_in_a_jobs_folder_are_refused_and_left_alone(tmp_path, other_file):
    opened(tmp_path)
    (tmp_path / other_file).parent.mkdir(exist_ok=True)
    (tmp_path / other_file).write_bytes(b"mine")
    with pytest.raises(SwerveError, match="is not of this job: move it away"):
        opened(tmp_path)
    assert (tmp_path / other_file).read_bytes() == b"mine"


def test_a_job_goes_on_with_what_is_whole(tmp_path):
    opened(tmp_path)
    kept = ("squares/a-00000.json", "notes/b-00012.txt", "failures.json")
    for name in (*kept, "squares/a-00001.json.part", "failures.json.part", "done.json"):
        (tmp_path / name).write_bytes(b"1")
    opened(tmp_path)
    found = sorted(path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*") if path.is_file())
    assert found == sorted([*kept, "job.json", "job.lock", "runs/whole.state.json"])


@pytest.mark.parametrize(
    ("was", "now", "told"),
    [
        ({"masks": "0123456789abcdef"}, {"masks": "fedcba9876543210"}, "the contents of options.masks have changed"),
        ({"masks": None}, {"masks": "fedcba9876543210"}, "options.masks was not given, is given"),
        ({"far": "cafe"}, {"far": "beef"}, "options.far was cafe, is beef"),
    ],
)
def test_digests_are_not_shown(tmp_path, was, now, told):
    opened(tmp_path, config(**was))
    (tmp_path / "squares" / "a-00000.json").write_bytes(b"1")
    with pytest.raises(SwerveError, match=f"holds another job: {told}"):
        opened(tmp_path, config(**now))


def test_another_job_is_refused_with_every_difference(tmp_path):
    opened(tmp_path)
    (tmp_path / "squares" / "a-00000.json").write_bytes(b"1")
    other = config(("a", "c"), depth={"near": 2.0}, far=3)
    wanted = (
        "holds another job: options.depth.near was 1.0, is 2.0; options.far was None, is 3; 1 logs are missing now "
        r"\(simple b\); 1 logs are new \(simple c\)\. Give the same options, or another folder"
    )
    with pytest.raises(SwerveError, match=wanted):
        opened(tmp_path, other)
    opened(tmp_path)


def test_a_job_of_another_version_of_the_code_is_refused_without_asking_for_options(tmp_path):
    opened(tmp_path)
    (tmp_path / "squares" / "a-00000.json").write_bytes(b"1")
    now = config()
    other = {**now, "versions": {**now["versions"], "code": "0123456789abcdef"}}
    wanted = "was begun by other versions: the code of swerve has changed. Use those, or another folder"
    with pytest.raises(SwerveError, match=wanted):
        opened(tmp_path, other)


def test_a_job_that_made_nothing_gives_way(tmp_path):
    opened(tmp_path)
    (tmp_path / "notes" / "a-00000.txt").write_bytes(b"nothing came of it")
    console = Console(file=StringIO(), width=300)
    with open_job(tmp_path, config(("c",)), LAYOUT, console=console):
        assert "of other options, which had made nothing, is replaced: 2 logs are missing" in console.file.getvalue()
        assert console.file.getvalue().count("\n") == 1
    with open_job(tmp_path, config(("c",)), LAYOUT, console=console):
        assert console.file.getvalue().count("\n") == 1, "the same job is resumed"
    assert not list((tmp_path / "notes").iterdir())
    (tmp_path / "squares" / "c-00000.json").write_bytes(b"0")
    with pytest.raises(SwerveError, match="holds another job"):
        opened(tmp_path)


def test_parts_are_found_by_their_log(tmp_path):
    for name in ("a", "a-1", "b.c"):
        for chunk in (0, 7, 123456):
            (tmp_path / f"{part_stem(name, chunk)}.json").touch()
    (tmp_path / "a-00003.json.part").touch()
    (tmp_path / "a-00004.txt").touch()
    assert existing_parts(tmp_path, ".json") == {name: {0, 7, 123456} for name in ("a", "a-1", "b_c")}


def test_logs_of_several_sources_keep_their_owner():
    assert log_names([SimpleSource(("a", "b")), SimpleSource(("c",))]) == {"a": 0, "b": 0, "c": 1}
    with pytest.raises(SwerveError, match=r"log 'b_1' of source 2 \(simple\) has the same name as log 'b\.1'"):
        log_names([SimpleSource(("a", "b.1")), SimpleSource(("b_1",))])


def test_an_incomplete_file_that_vanishes_meanwhile_is_no_error(tmp_path, monkeypatch):
    """Workers of a Ray cluster that has lost its head and its driver complete their parts, a minute at most."""
    opened(tmp_path)
    found = Path.rglob
    gone = tmp_path / "squares" / "a-00000.json.part"
    monkeypatch.setattr(Path, "rglob", lambda path, pattern: [gone] if "part" in pattern else found(path, pattern))
    opened(tmp_path)
