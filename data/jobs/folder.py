"""Job folders: expected files and resumption."""

import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any, Final

from rich.console import Console

from swerve.data.jobs.array_runs import RECORDS, RUNS
from swerve.data.jobs.execution import ArrayPartDone, Execution, PartsMissingError, Workers
from swerve.data.jobs.folder_locks import LOCK, lock_part, locked
from swerve.data.jobs.lease import leased
from swerve.data.jobs.main_guard import refuse_import
from swerve.data.jobs.run_state import Phase, StateFile
from swerve.data.jobs.source_records import SOURCES
from swerve.data.sources.source import Source, require_scenes
from swerve.data.storage.checked_json import anything, fields, list_of, mapping_of, plain_name, read_json, row_of, text
from swerve.data.storage.files import (
    PART,
    file_digest,
    final_name,
    make_folder,
    os_errors_as_swerve_errors,
    remove_file,
    safe_name,
    to_json,
    write_atomically,
)
from swerve.data.storage.mirror import refresh, shown
from swerve.scenes import LogError, SwerveError
from swerve.scenes.errors import WriteError
from swerve.scenes.printable import name_problem, printable
from swerve.scenes.source_digest import code_digest

# The command line leaves its options there.
JOB, _CONFIG = "job.json", "config.yaml"
# File with the digests of the tables, in the folder of runs.
TABLES = "tables.json"


# Packages whose versions may change numbers.
CORE_PACKAGES = ("swerve", "numpy", "numba", "llvmlite", "scipy", "shapely")
# A digest of files' contents, which says nothing to a reader.
_DIGEST: Final = re.compile(r"[0-9a-f]{16,}")
_RUN_FILE: Final = re.compile(r"(whole|finish|setup|tables|bank|[0-9]+-of-[0-9]+)\.")

_CONFIG_SHAPE: Final = fields(
    {
        "options": mapping_of(anything),
        "logs": list_of(row_of(plain_name, plain_name)),
        "versions": mapping_of(anything),
    },
    {"kind": text, "completion": text},
)


@dataclass(frozen=True)
class FolderLayout:
    """Files of a kind of job, besides job.json and job.lock.

    Attributes:
        completion_file: name of the file that marks completion. It is written last, and removed when a run begins.
        files: names of its other files.
        parts: file extension by subfolder. Files are named by `part_stem`, one for each part of a log.
        disposable_folders: subfolders that are disposable where the other subfolders are empty: a job without other
            output may be replaced by another job.
        log_folders: whether each log has a subfolder too, named by `safe_name`, whose files all belong to the job.
        kind: name of the job's command.
    """

    completion_file: str
    files: tuple[str, ...]
    parts: Mapping[str, str]
    disposable_folders: tuple[str, ...] = ()
    log_folders: bool = False
    kind: str = ""


def log_names(sources: Sequence[Source]) -> dict[str, int]:
    """Return every log's name and the index of its source, in order.

    Raises:
        SwerveError: no log at all, a name that is no printable text, or two logs whose parts would have the same
            names: they would be duplicated, and a log that is both in training and in validation would leak.
    """
    owners, taken = dict[str, int](), dict[str, str]()
    for number, source in enumerate(sources):
        require_scenes(source)
        for name in source.names():
            if problem := name_problem(name):
                raise SwerveError(f"log {printable(name)[:80]!r} of source {number + 1} ({source.kind}): {problem}")
            if safe_name(name) in taken:
                raise SwerveError(
                    f"log {name!r} of source {number + 1} ({source.kind}) has the same name as log "
                    f"{taken[safe_name(name)]!r}: name every log once"
                )
            owners[name], taken[safe_name(name)] = number, name
    if not owners:
        raise SwerveError("the sources hold no log")
    return owners


def job_config(options: Mapping[str, Any], logs: Iterable[tuple[str, str]], packages: Iterable[str]) -> dict[str, Any]:
    """Return everything that determines the output, except the logs' contents: no paths, no times.

    Args:
        options: nested dicts of JSON values; `dataclasses.asdict` of the options.
        logs: kind of source and name of each log.
        packages: packages whose version may change the output; Swerve's own code enters by its digest.
    """
    return {
        "options": dict(options),
        "logs": sorted([kind, name] for kind, name in logs),
        "versions": {"code": code_digest(), **package_versions(packages)},
    }


def package_versions(packages: Iterable[str]) -> dict[str, str]:
    """Return the versions of installed packages, by name."""
    return {package: version(package) for package in packages}


def record_path(folder: str | Path, log: str, chunk: int, ending: str) -> Path:
    """Return the path of a part's record; `ending` is that of the file name, such as ".json"."""
    return Path(folder) / RECORDS / f"{part_stem(log, chunk)}{ending}"


def part_stem(log: str, chunk: int) -> str:
    """Return the file stem of a part of a log."""
    return f"{safe_name(log)}-{chunk:05d}"


def existing_parts(folder: str | Path, ending: str) -> dict[str, set[int]]:
    """Return the parts that have a file in a subfolder: indices by `safe_name` of the log."""
    folder = Path(folder)
    there = dict[str, set[int]]()
    for path in folder.glob(f"*{ending}"):
        log, _, chunk = path.name.removesuffix(ending).rpartition("-")
        there.setdefault(log, set()).add(int(chunk))
    return there


@contextmanager
def open_job(
    folder: str | Path,
    config: dict[str, Any],
    layout: FolderLayout,
    workers: Workers = None,
    console: Console | None = None,
) -> Iterator[None]:
    """Lock the folder for this job: start it, or resume it after removing incomplete files.

    The runs of an array hold the lock together, each with a lock of its own; `run_work` removes their incomplete files.

    Args:
        folder: job folder; new, empty, or of the same job.
        config: result of `job_config`; written to job.json.
        layout: allowed files of the folder.
        workers: how the job is executed.
        console: where it is said that a job without output is replaced; nowhere if None.

    Raises:
        SwerveError: the folder is another job's, holds foreign files, is in use, or cannot be written.
        SystemExit: this process is a worker that is just importing the user's script.
    """
    refuse_import()
    folder = Path(folder)
    make_folder(folder)
    execution, config = Execution.of(workers), {**config, "kind": layout.kind, "completion": layout.completion_file}
    part = execution.part
    with ExitStack() as locks:
        with os_errors_as_swerve_errors(folder):
            locks.enter_context(leased(folder, part))
            refresh(folder)
            if not (folder / JOB).is_file() and (others := [p for p in folder.iterdir() if not _is_start(p)]):
                raise SwerveError(f"{folder} is not empty (it holds {others[0].name}): choose another folder")
            locks.enter_context(locked(folder / LOCK, shared=part is not None))
            if part is not None:
                locks.enter_context(lock_part(folder, part))
                with locked(folder / RUNS / "setup.lock", waits=True):
                    replaced = _set_up(folder, config, layout, alone=False)
            else:
                replaced = _set_up(folder, config, layout, alone=True)
        if replaced and console is not None:
            console.print(replaced, style="yellow", markup=False, highlight=False, soft_wrap=True)
        make_folder(folder / RUNS)
        with _stated(StateFile.of(folder / RUNS, part, execution.finish)):
            yield
        if (folder / layout.completion_file).is_file():
            with os_errors_as_swerve_errors(folder):
                _write_digests(folder, layout)


@contextmanager
def _stated(state: StateFile) -> Iterator[None]:
    """Write that a run begins, and in the end how it has ended."""
    state.begin()
    phase: Phase = "stopped"
    try:
        yield
        phase = "ended"
    except ArrayPartDone as done:
        phase = "stopped" if done.again else "ended"
        raise
    except (WriteError, PartsMissingError):  # the same command goes on
        raise
    except SwerveError:  # such as that some parts failed, and that there are no results; nothing is made at the start
        state.settle("ended", ("completing",))
        raise
    finally:
        state.settle(phase)


def _write_digests(folder: Path, layout: FolderLayout) -> None:
    """Write the digests of the files of a complete job that no record names."""
    names = [name for name in (*layout.files, layout.completion_file) if (folder / name).is_file()]
    make_folder(folder / RUNS)
    digests = {name: file_digest(folder / name) for name in names}
    write_atomically(folder / RUNS / TABLES, to_json({"sha256": digests}))


def _set_up(folder: Path, config: dict[str, Any], layout: FolderLayout, alone: bool) -> str:
    """Prepare the folder for writing parts; return what it says of a job that is replaced. Safe to repeat."""
    path = folder / JOB
    there = _read_config(path) if path.is_file() else config
    _refuse_other_files(folder, layout, {safe_name(name) for _, name in there["logs"]})
    replaced = _compare(folder, layout, there, config)
    # The completion marker must not exist before this run has finished.
    for name in (layout.completion_file, f"{RUNS}/{TABLES}"):
        remove_file(folder / name)
    if alone:
        _remove_all_leftovers(folder)
    if there != config or not path.is_file():
        write_atomically(path, to_json(config))
    for name in layout.parts:
        make_folder(folder / name)
    return replaced


def _is_start(path: Path) -> bool:
    """Test whether a job killed during start-up may have left this file."""
    return final_name(path.name) in (LOCK, RUNS, JOB)


def _read_config(path: Path) -> dict[str, Any]:
    """Read the `job_config` of a folder."""
    try:
        there: dict[str, Any] = read_json(path, _CONFIG_SHAPE)
    except LogError as error:
        raise SwerveError(f"{path} is not of a job of this program ({error}): choose another folder") from error
    return there


def _compare(folder: Path, layout: FolderLayout, there: dict[str, Any], config: dict[str, Any]) -> str:
    """Compare the folder's job with this one; return a line that says so if a job without output is replaced."""
    here = json.loads(to_json(config))
    if json.loads(to_json(there)) == here:
        return ""
    differences = "; ".join(_differences(there, here))
    made = [name for name in layout.parts if name not in layout.disposable_folders]
    if any(_part_files(folder, layout, made)) or any(_log_files(folder, layout, there)):
        was, now = (config["options"].get("version") for config in (there, here))
        if was != now:  # other differences follow from it
            raise SwerveError(f"{folder} has format version {was}, and this is version {now}: choose another folder")
        if here == json.loads(to_json({**there, "versions": config["versions"]})):
            raise SwerveError(f"{folder} was begun by other versions: {differences}. Use those, or another folder")
        raise SwerveError(f"{folder} holds another job: {differences}. Give the same options, or another folder")
    own = _part_files(folder, layout, layout.disposable_folders)
    # Results of runs also: their failures would count as those of the new job.
    for path in (*own, *(folder / SOURCES).glob("*.json"), *(folder / RUNS).glob("*.json")):
        remove_file(path)
    return f"{shown(folder)}: a job of other options, which had made nothing, is replaced: {differences}"


def _part_files(folder: Path, layout: FolderLayout, names: Iterable[str]) -> Iterator[Path]:
    """Iterate over the complete files of subfolders."""
    return (path for name in names for path in (folder / name).glob(f"*{layout.parts[name]}"))


def _log_files(folder: Path, layout: FolderLayout, config: dict[str, Any]) -> Iterator[Path]:
    """Iterate over the complete files of the logs' own subfolders."""
    names = {safe_name(name) for _, name in config["logs"]} if layout.log_folders else set()
    return (path for name in names for path in (folder / name).glob("*") if path.suffix != PART)


def _remove_all_leftovers(folder: Path) -> None:
    """Remove incomplete files; a worker of a lost cluster may just have completed one."""
    for path in folder.rglob("*" + PART):
        path.unlink(missing_ok=True)


def _differences(there: dict[str, Any], here: dict[str, Any]) -> Iterator[str]:
    """Yield the differences, one phrase each."""
    old, new = (
        dict(_leaves({part: config.get(part) for part in ("kind", "options", "versions")})) for config in (there, here)
    )
    for name in sorted({*old, *new}):
        if old.get(name) != new.get(name):
            yield _difference(name, old.get(name), new.get(name))
    old_logs, new_logs = ({tuple(log) for log in config.get("logs", [])} for config in (there, here))
    lost, added = sorted(old_logs - new_logs), sorted(new_logs - old_logs)
    for word, logs in (("missing now", lost), ("new", added)):
        if logs:
            yield f"{len(logs)} logs are {word} ({logs[0][0]} {logs[0][1]}{', ...' if len(logs) > 1 else ''})"


def _difference(name: str, was: Any, now: Any) -> str:  # noqa: ANN401 any option
    if name == "versions.code":
        return "the code of swerve has changed"
    digests = [bool(_DIGEST.fullmatch(str(one))) for one in (was, now)]
    if all(digests):
        return f"the contents of {name} have changed"
    if any(digests):
        return f"{name} was {'given' if digests[0] else 'not given'}, is {'given' if digests[1] else 'not given'}"
    return f"{name} was {was}, is {now}"


def _leaves(tree: dict[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Yield the values of nested dicts by their dotted names, such as "viewpoints.recovery.per_scene"."""
    for name, value in tree.items():
        if isinstance(value, dict):
            yield from _leaves(value, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", value


def _refuse_other_files(folder: Path, layout: FolderLayout, names: set[str]) -> None:
    """Check that every file belongs to the job: readers use every part they find, and incomplete files are removed."""
    for path in sorted(path for path in folder.rglob("*") if path.is_file()):
        if not _is_own(path.relative_to(folder), layout, names):
            raise SwerveError(f"{path} is not of this job: move it away")


def _is_own(path: Path, layout: FolderLayout, names: set[str]) -> bool:
    """Test whether a path is one that a job of these logs writes, complete or incomplete."""
    name = final_name(path.name)
    if len(path.parts) == 1:
        return name in (JOB, LOCK, _CONFIG, layout.completion_file, *layout.files)
    if path.parts[0] == RUNS:
        return len(path.parts) == 2 and _RUN_FILE.match(name) is not None
    if layout.log_folders and len(path.parts) == 2 and path.parts[0] in names:
        return True
    ending = {SOURCES: ".json", **layout.parts}.get(path.parts[0])
    if len(path.parts) != 2 or ending is None or not name.endswith(ending):
        return False
    log, _, chunk = name.removesuffix(ending).rpartition("-")
    return log in names and chunk.isdigit()
