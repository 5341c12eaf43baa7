"""Layout of a benchmark's folder (docs/benchmark.md), and its readers and writers."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import lru_cache, partial
from pathlib import Path
from typing import Any, Final, cast

import numpy as np
import pyarrow as pa

from swerve.data.dataset.read_manifest import read_parquet
from swerve.data.sources.checks import check_log, check_motion
from swerve.data.sources.registry import names_source
from swerve.data.storage.archive import load_archive, save_archive
from swerve.data.storage.checked_json import check_shape, describe, read_json
from swerve.data.storage.stored_folder import local_folder
from swerve.eval.benchmark.assemble import STEP_US, GroupRecord, build_scenes
from swerve.eval.benchmark.benchmark_shapes import (
    BENCHMARK_SHAPE,
    REJECTIONS_SCHEMA,
    SCENES_SCHEMA,
    first_follow_up,
    group_problems,
)
from swerve.eval.benchmark.build_options import ViewKind
from swerve.eval.benchmark.renderers import default_renderers
from swerve.eval.benchmark.scene_group import SceneGroup, SceneViews
from swerve.eval.benchmark.splat_renderer import check_fitted_source
from swerve.eval.benchmark.stored_views import RenderedViews, StoredAndPastViews, StoredViews
from swerve.eval.benchmark.view_renderers import LogRenderer, Renderers, ViewRenderer
from swerve.eval.scoring.inactive_scores import inactive_scores
from swerve.eval.traffic.policy import Policy
from swerve.scenes import Log, LogError, SwerveError
from swerve.scenes.resize import Resize

FORMAT: Final = "swerve-benchmark"
# Raise whenever files of a benchmark or their meaning change: older benchmarks are then refused.
VERSION: Final = 6
BENCHMARK, SCENES, REJECTIONS = "benchmark.json", "scenes.parquet", "rejections.parquet"
_AGAIN: Final = "Build the benchmark again"
_LOG, _GROUP = "benchmark log", "scene group"
# Kinds of views that need nothing but the log.
_ON_DEMAND: Final = ("raster", "photo")


@dataclass(frozen=True)
class Benchmark:
    """A finished benchmark; holds benchmark.json only and can be pickled.

    Attributes:
        folder: of the benchmark.
        info: benchmark.json.
        renderers: renderers of views that are not stored, by kind.
        view_kind: kind of the views given to planners.
        extra_view_kinds: other kinds of views of its scene groups, stored or not.
    """

    folder: Path
    info: Mapping[str, Any]
    renderers: Renderers
    view_kind: ViewKind = "raster"
    extra_view_kinds: tuple[ViewKind, ...] = ()

    @property
    def logs(self) -> tuple[str, ...]:
        """Return the names of the logs with a scene group."""
        return tuple(self.info["scene_groups"])

    @property
    def traffic(self) -> Policy:
        """Return the traffic policy that advanced the agents to the follow-up scenes."""
        return cast(Policy, self.info["options"]["traffic"])

    @property
    def stored_kinds(self) -> tuple[ViewKind, ...]:
        """Return the kinds of the stored views."""
        return tuple(self.info["options"]["views"])

    def scene_groups(self, log: str) -> tuple[str, ...]:
        """Return the names of a log's scene groups in temporal order.

        Raises:
            SwerveError: there is no such log.
        """
        if log not in self.info["scene_groups"]:
            raise SwerveError(f"{self.folder}: has no log {log!r}")
        return tuple(self.info["scene_groups"][log])

    def source_of(self, log: str) -> str:
        """Return the kind of source that a log is from.

        Raises:
            SwerveError: there is no such log.
        """
        found = next((str(kind) for kind, name in self.info["logs"] if name == log), None)
        if found is None:
            raise SwerveError(f"{self.folder}: has no log {log!r}")
        return found

    def log(self, name: str) -> Log:
        """Load a log, without photos and lidar sweeps.

        Raises:
            SwerveError: there is no such log, or its file is damaged.
        """
        return _cached_log(self._log_path(name))

    def scene_group(self, name: str) -> SceneGroup:
        """Load a scene group.

        Raises:
            SwerveError: there is no such scene group, or its file is damaged.
        """
        owner = next((log for log, names in self.info["scene_groups"].items() if name in names), None)
        if owner is None:
            raise SwerveError(f"{self.folder}: has no scene group {name!r}")
        log, record = self.log(owner), self._checked_group(name, self.log(owner))
        group, scenes = build_scenes(log, record, self.info["options"]["seed"])
        known = {
            kind: self._views(kind, name, log) for kind in (self.view_kind, *self.extra_view_kinds, *self.stored_kinds)
        }
        extra_views: dict[str, SceneViews] = {
            kind: views for kind, views in known.items() if views is not None and kind != self.view_kind
        }
        return SceneGroup(log.name, group, scenes, known[self.view_kind], self.view_kind, extra_views)

    def _checked_group(self, name: str, log: Log) -> GroupRecord:
        path = group_path(self.folder, name)
        record = load_group(path)
        for field, problem in group_problems(record, log):
            raise LogError(path, field, problem, _AGAIN)
        for start in record.starts:
            check_motion(STEP_US * np.arange(len(start.ego)), start.ego.world_from_ego, path)
        if own := first_follow_up(record, log):
            check_log(own, path)
        return record

    def with_views(self, kind: ViewKind, *extra_kinds: ViewKind) -> "Benchmark":
        """Return the benchmark with views of another kind for planners, and with additional kinds.

        Raises:
            SwerveError: a kind is not stored and cannot be rendered for some log, or would show another version of one.
        """
        for missing in {kind, *extra_kinds} - set(self.stored_kinds):
            if missing not in self.renderers:
                hint = ": give --splats, the folder that swerve fit made" if missing == "splat" else ""
                raise SwerveError(f"{self.folder}: stores no {missing} views, and no renderer is given for them{hint}")
            for name in self.logs:
                self.renderers[missing].check(self.log(name))
        if "splat" in (kind, *extra_kinds) and "splat" in self.renderers:
            for name in self.logs:
                check_fitted_source(self.renderers["splat"], self.folder, name)
        return replace(self, view_kind=kind, extra_view_kinds=extra_kinds)

    def log_renderer(self, log: str) -> tuple[LogRenderer, Resize]:
        """Return the renderer of a log's views, and the resizing of the benchmark's images.

        Raises:
            SwerveError: there is no such log, or views of this kind have no renderer.
        """
        if self.view_kind not in self.renderers:
            raise SwerveError(f"{self.folder}: {self.view_kind} views are stored, and no renderer is given for others")
        return _cached_renderer(self.renderers[self.view_kind], self._log_path(log)), self._resize

    def identity(self) -> dict[str, Any]:
        """Return the provenance of its scenes, with a digest of options, scene groups and every scene's start."""
        digest = hashlib.sha256()
        for name in (BENCHMARK, SCENES):
            digest.update((self.folder / name).read_bytes())
        built = {key: self.info[key] for key in ("format", "version", "options", "versions")}
        return {"name": self.folder.resolve().name, "digest": digest.hexdigest(), **built}

    def inactive_sub_scores(self) -> list[str]:
        """Return lines on sub-scores that cannot fail; map and lights of a first scene group are the whole log's."""
        groups = (self.scene_group(self.scene_groups(log)[0]) for log in self.logs)
        return inactive_scores(one.scenes[one.group.now].viewpoint.scene.log for one in groups)

    def scenes(self) -> pa.Table:
        """Read the table with a row per scene, see docs/benchmark.md.

        Raises:
            SwerveError: the file is missing or damaged.
        """
        return _table(self.folder / SCENES, SCENES_SCHEMA)

    def rejections(self) -> pa.Table:
        """Read the table with a row per rejected start point.

        Raises:
            SwerveError: the file is missing or damaged.
        """
        return _table(self.folder / REJECTIONS, REJECTIONS_SCHEMA)

    def _views(self, kind: ViewKind, scene_group: str, log: Log) -> SceneViews | None:
        stored, path = kind in self.stored_kinds, views_path(self.folder, scene_group, kind)
        if stored and not (kind in _ON_DEMAND and kind in self.renderers):
            return StoredViews(path, self._resize)
        renderer = partial(_cached_renderer, self.renderers[kind], self._log_path(log.name))
        rendered = RenderedViews(renderer, self._resize)
        if stored:
            return StoredAndPastViews(path, self._resize, rendered)
        return rendered if log.cameras else None

    @property
    def _resize(self) -> Resize:
        """Return the resizing of the cameras."""
        size, fit = (self.info["options"][name] for name in ("size", "fit"))
        return Resize((size[0], size[1]) if size else None, fit)

    def _log_path(self, log: str) -> Path:
        return log_path(self.folder, self.scene_groups(log)[0].rpartition("-")[0])


def open_benchmark(
    folder: str | Path,
    views: ViewKind | None = None,
    renderers: Renderers | None = None,
    splats: str | Path | None = None,
) -> Benchmark:
    """Open a benchmark finished by `swerve build`.

    Args:
        folder: of the benchmark.
        views: kind of its views. If None: the stored kind, rasters if several kinds are stored, and rendered rasters if
            nothing is stored.
        renderers: of views that are not stored; if None, rasters in its own style and synthetic photos with its own
            seed.
        splats: folder made by `swerve fit`, for splat views that are not stored.

    Raises:
        SwerveError: it is no benchmark, not finished, without a scene group, or of another version; or the views are
            not stored and cannot be rendered.
    """
    folder = local_folder(folder)
    path = folder / BENCHMARK
    if not path.is_file():
        raise SwerveError(f"{folder}: {_why_no_benchmark(folder)}")
    info = read_json(path, hint=_AGAIN)
    if not isinstance(info, dict) or info.get("format") != FORMAT:
        raise SwerveError(f"{path}: not of a benchmark of Swerve")
    if info.get("version") != VERSION:
        raise SwerveError(
            f"{path}: benchmark of version {describe(info.get('version'))}, this is version {VERSION}. Build it again"
        )
    check_shape(info, BENCHMARK_SHAPE, path, _AGAIN)
    if not info["scene_groups"]:
        raise SwerveError(
            f"{folder}: contains no scene group, for the reasons in {REJECTIONS}. Build it with other options"
        )
    options = info["options"]
    opened = Benchmark(folder, info, renderers or default_renderers(options["style"], options["seed"], splats))
    usual: ViewKind = options["views"][0] if options["views"] and "raster" not in options["views"] else "raster"
    return opened.with_views(views or usual)


def log_path(folder: Path, log: str) -> Path:
    """Return the path of a log, given its safe name."""
    return folder / "logs" / f"{log}-00000.npz"


def group_path(folder: Path, scene_group: str) -> Path:
    """Return the path of a scene group, given its name."""
    return folder / "scene_groups" / f"{scene_group}.npz"


def views_folder(kind: ViewKind) -> str:
    """Return the name of the subfolder of a kind of views."""
    return f"views-{kind}"


def views_path(folder: Path, scene_group: str, kind: ViewKind) -> Path:
    """Return the path of a scene group's images of one kind, given the scene group's name."""
    return folder / views_folder(kind) / f"{scene_group}.tar"


def folder_size(folder: Path) -> int:
    """Return the size in bytes of all files in a folder."""
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def save_log(path: Path, log: Log) -> None:
    """Write a log without photos and sweeps, which are the source's files."""
    save_archive(path, replace(log, photos=(), sweeps=()), _LOG, VERSION)


def load_log(path: Path) -> Log:
    """Read a log.

    Raises:
        SwerveError: see `load_archive`.
    """
    return check_log(load_archive(path, Log, _LOG, VERSION), path)


def save_group(path: Path, record: GroupRecord) -> None:
    """Write a scene group."""
    save_archive(path, record, _GROUP, VERSION)


def load_group(path: Path) -> GroupRecord:
    """Read a scene group.

    Raises:
        SwerveError: see `load_archive`.
    """
    return load_archive(path, GroupRecord, _GROUP, VERSION)


# A log is read once per scene group, and scene groups of one log are consecutive.
_cached_log = lru_cache(maxsize=2)(load_log)


@lru_cache(maxsize=2)
def _cached_renderer(renderer: ViewRenderer, path: Path) -> LogRenderer:
    """Return the renderer of a log, shared by all its scene groups."""
    return renderer.prepare(_cached_log(path))


def _table(path: Path, schema: pa.Schema) -> pa.Table:
    return read_parquet(path, schema, _AGAIN, nulls=True)


def _why_no_benchmark(folder: Path) -> str:
    """Return why a folder is no finished benchmark, and what to give or do instead."""
    if (folder.parent / BENCHMARK).is_file():
        return f"not a benchmark, but a part of one: give its folder, {folder.parent}"
    if names_source(str(folder)):
        return "a source of logs, not a benchmark. Make one of it with `swerve build`"
    if not folder.exists():
        return f"no such folder. A benchmark is an output folder of swerve build, with {BENCHMARK}"
    hint = "Run `swerve build` to its end" if (folder / "job.json").is_file() else "Make one with `swerve build`"
    return f"no {BENCHMARK}: not a finished benchmark. {hint}"
