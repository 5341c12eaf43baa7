"""The folder of a benchmark (docs/benchmark.md): where things lie in it, and how they are read."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import Any, Final, cast

import pyarrow as pa
import pyarrow.parquet as pq

from swerve.data.archive import load_archive, save_archive
from swerve.eval.policies import Policy
from swerve.eval.pseudo.case import Case, Views
from swerve.eval.pseudo.frames import CaseRecord, frames_of_case
from swerve.eval.pseudo.views import DrawnViews, RasterRenderer, StoredViews, ViewRenderer
from swerve.scenes import Log, SwerveError

FORMAT: Final = "swerve-benchmark"
# To be raised whenever files of a benchmark or their meaning change: old benchmarks are then refused, not misread.
VERSION: Final = 1
BENCHMARK, SCENES, REJECTIONS = "benchmark.json", "scenes.parquet", "rejections.parquet"
_LOG, _CASE = "benchmark log", "case"


@dataclass(frozen=True)
class Benchmark:
    """A finished benchmark. It holds no more than benchmark.json and may be sent to another process.

    Attributes:
        folder: where it lies.
        info: benchmark.json.
        renderer: draws views where none are stored.
    """

    folder: Path
    info: Mapping[str, Any]
    renderer: ViewRenderer

    @property
    def logs(self) -> tuple[str, ...]:
        """Names of the logs that have a case."""
        return tuple(self.info["cases"])

    @property
    def traffic(self) -> Policy:
        """The policy by which the traffic got to the follow-up scenes."""
        return cast(Policy, self.info["options"]["policy"])

    def cases(self, log: str) -> tuple[str, ...]:
        """Names of a log's cases, in the order of their moments.

        Raises:
            SwerveError: there is no such log.
        """
        if log not in self.info["cases"]:
            raise SwerveError(f"{self.folder}: has no log {log!r}")
        return tuple(self.info["cases"][log])

    def log(self, name: str) -> Log:
        """A log, without photographs.

        Raises:
            SwerveError: there is no such log, or its file is damaged.
        """
        first = self.cases(name)[0]
        return _cached_log(log_path(self.folder, first.rpartition("-")[0]))

    def case(self, name: str) -> Case:
        """A case.

        Raises:
            SwerveError: there is no such case, or its file is damaged.
        """
        owner = next((log for log, names in self.info["cases"].items() if name in names), None)
        if owner is None:
            raise SwerveError(f"{self.folder}: has no case {name!r}")
        log, record = self.log(owner), load_case(case_path(self.folder, name))
        if record.log != log.name or record.moment >= len(log.times_us):
            raise SwerveError(f"{case_path(self.folder, name)}: is not a case of log {log.name}. Build it again")
        group, frames = frames_of_case(log, record)
        return Case(log.name, group, frames, self._views(name, log))

    def scenes(self) -> pa.Table:
        """A row per frame, see docs/benchmark.md.

        Raises:
            SwerveError: the file is missing or damaged.
        """
        return _table(self.folder / SCENES)

    def rejections(self) -> pa.Table:
        """A row per start point that was tried and not used.

        Raises:
            SwerveError: the file is missing or damaged.
        """
        return _table(self.folder / REJECTIONS)

    def _views(self, case: str, log: Log) -> Views | None:
        options = self.info["options"]
        size = tuple(options["size"]) if options["size"] else None
        if options["views"] != "none":
            return StoredViews(views_path(self.folder, case), size)
        return DrawnViews(self.renderer, log, size) if log.cameras else None


def open_benchmark(folder: str | Path, renderer: ViewRenderer | None = None) -> Benchmark:
    """A benchmark that `swerve build` finished.

    Args:
        folder: of it.
        renderer: of views, where the benchmark stores none; rasters in its own style if None.

    Raises:
        SwerveError: it is no benchmark, not finished, without a single case, or of another version.
    """
    folder = Path(folder)
    path = folder / BENCHMARK
    if not path.is_file():
        hint = "Run `swerve build` to its end" if (folder / "job.json").is_file() else "Make one with `swerve build`"
        raise SwerveError(f"{folder}: no {BENCHMARK}: not a finished benchmark. {hint}")
    try:
        info = json.loads(path.read_bytes())
    except ValueError as error:
        raise SwerveError(f"{path}: damaged ({error}). Build the benchmark again") from error
    if not isinstance(info, dict) or info.get("format") != FORMAT:
        raise SwerveError(f"{path}: not of a benchmark of Swerve")
    if info.get("version") != VERSION:
        raise SwerveError(
            f"{path}: benchmark of version {info.get('version')}, this is version {VERSION}. Build it again"
        )
    if not info["cases"]:
        raise SwerveError(f"{folder}: no case is left in it; {REJECTIONS} says why. Build it with other options")
    return Benchmark(folder, info, renderer or RasterRenderer(info["options"]["style"]))


def log_path(folder: Path, log: str) -> Path:
    """File of a log, by its safe name."""
    return folder / "logs" / f"{log}-00000.npz"


def case_path(folder: Path, case: str) -> Path:
    """File of a case, by its name."""
    return folder / "cases" / f"{case}.npz"


def views_path(folder: Path, case: str) -> Path:
    """File of a case's images, by its name."""
    return folder / "views" / f"{case}.tar"


def folder_size(folder: Path) -> int:
    """Bytes of everything that lies in a folder."""
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def save_log(path: Path, log: Log) -> None:
    """Writes a log; its photographs, which are the source's files, are left out."""
    save_archive(path, replace(log, photos=()), _LOG, VERSION)


def load_log(path: Path) -> Log:
    """Reads a log.

    Raises:
        SwerveError: see `load_archive`.
    """
    return load_archive(path, Log, _LOG, VERSION)


def save_case(path: Path, record: CaseRecord) -> None:
    """Writes a case."""
    save_archive(path, record, _CASE, VERSION)


def load_case(path: Path) -> CaseRecord:
    """Reads a case.

    Raises:
        SwerveError: see `load_archive`.
    """
    return load_archive(path, CaseRecord, _CASE, VERSION)


# A log is asked for once per case, and cases of one log come one after the other.
_cached_log = lru_cache(maxsize=2)(load_log)


def _table(path: Path) -> pa.Table:
    try:
        return pq.read_table(path)
    except (OSError, pa.ArrowInvalid) as error:
        raise SwerveError(f"{path}: cannot be read ({error}). Build the benchmark again") from error
