"""A split of NAVSIM as a benchmark, in place: its scenes, on the official map, with its images."""

import hashlib
import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import astuple, dataclass
from functools import cached_property
from typing import Any, Final

import numpy as np
import pyarrow as pa
from jaxtyping import Float

from swerve.data.sources.navsim.folders import MAPS_VARIABLE, NavsimFolders
from swerve.data.sources.navsim.scene_filter import NavsimSplit, SceneMapping
from swerve.data.sources.navsim.scene_windows import ReadFiles, SceneIndex, index_scenes, read_in_turn
from swerve.data.sources.nuplan.nuplan_maps import map_file
from swerve.eval.benchmark.build_options import ViewKind
from swerve.eval.benchmark.evaluate.observations import uses_images
from swerve.eval.benchmark.navsim_scenes import (
    NavsimViews,
    benchmark_scene,
    calibrated_cameras,
    check_images,
    map_location,
)
from swerve.eval.benchmark.scene_group import BenchmarkScene, SceneGroup
from swerve.eval.scoring.aggregate import GroupTokens
from swerve.eval.traffic.policy import Policy
from swerve.scenes import LogError, SwerveError
from swerve.scenes.camera_roles import rig_names
from swerve.scenes.planning import Planner, chosen_names
from swerve.scenes.printable import sentence

_SHOWN: Final = 3
# Scenes of a record; neighbours share the map that is cut for them.
BATCH: Final = 16
# What the official scripts use where nothing is said: reactive agents in two stages, replayed ones in one.
TWO_STAGE_TRAFFIC: Final[Policy] = "navsim-reactive"
ONE_STAGE_TRAFFIC: Final[Policy] = "log-replay"


@dataclass(frozen=True)
class NavsimBenchmark:
    """Scenes of a split; holds paths and tokens only and can be pickled.

    Attributes:
        index: the split's scenes.
        groups: scene groups of a two-stage split whose scenes are all there; empty in one-stage splits.
        notes: what is missing, a line each.
    """

    index: SceneIndex
    groups: tuple[SceneMapping, ...]
    notes: tuple[str, ...] = ()

    @property
    def view_kind(self) -> ViewKind:
        """Return the kind of its images: photographs; NAVSIM's neural reconstructions in the second stage."""
        return "photo"

    @property
    def traffic(self) -> Policy:
        """Return the traffic policy of the official script for the split."""
        return TWO_STAGE_TRAFFIC if self.groups else ONE_STAGE_TRAFFIC

    @property
    def logs(self) -> tuple[str, ...]:
        """Return the names of the logs with a scene group."""
        return tuple(dict.fromkeys(self._log_of(group) for group in self.groups))

    def scene_groups(self, log: str) -> tuple[str, ...]:
        """Return the names of a log's scene groups."""
        return tuple(group.now for group in self.groups if self._log_of(group) == log)

    def scene_group(self, name: str) -> SceneGroup:
        """Load a scene group.

        Raises:
            SwerveError: there is no such scene group, a file of it is damaged, or its map is missing.
        """
        group = next((one for one in self.groups if one.now == name), None)
        if group is None:
            raise SwerveError(f"split {self.index.split.name}: has no scene group {name!r}")
        tokens, origin = GroupTokens(group.now, group.before, group.follow_ups), self.origin_of(group.now)
        scenes = {token: self.scene(token, origin) for token in tokens.tokens}
        return SceneGroup(self._log_of(group), tokens, scenes, self.views, self.view_kind)

    @property
    def views(self) -> NavsimViews:
        """Return the images of its scenes."""
        return NavsimViews(self.index)

    @property
    def scene_logs(self) -> tuple[str, ...]:
        """Return the names of the logs with a logged scene."""
        return tuple(self._logged)

    def batches(self, log: str) -> tuple[tuple[str, ...], ...]:
        """Return the tokens of a log's logged scenes in order of time, in batches.

        Raises:
            SwerveError: there is no such log.
        """
        if log not in self._logged:
            raise SwerveError(f"split {self.index.split.name}: has no log {log!r}")
        tokens = self._logged[log]
        return tuple(tokens[first : first + BATCH] for first in range(0, len(tokens), BATCH))

    def batch(self, tokens: Sequence[str]) -> list[BenchmarkScene]:
        """Load scenes, each in coordinates of its own.

        Raises:
            LogError: a file cannot be read, or a map is missing.
        """
        return [self.scene(token, self.origin_of(token)) for token in tokens]

    @cached_property
    def _logged(self) -> dict[str, tuple[str, ...]]:
        found: dict[str, list[str]] = {}
        for token, address in self.index.logged.items():
            found.setdefault(address.log_name, []).append(token)
        return {log: tuple(tokens) for log, tokens in found.items()}

    def scene(self, token: str, origin: Float[np.ndarray, "3"]) -> BenchmarkScene:
        """Return a scene; its coordinates are global ones minus `origin`.

        Raises:
            LogError: a file of it cannot be read, or the map is missing.
        """
        return benchmark_scene(self.index.load(token), self.index.folders.maps, origin)

    def origin_of(self, token: str) -> Float[np.ndarray, "3"]:
        """Return the whole metres of a scene's position, the origin of all scenes that are compared with it."""
        x, y, _ = self.index.load(token).current.ego_pose
        return np.array([round(x), round(y), 0.0])

    def source_of(self, log: str) -> str:
        """Return "navsim"."""
        return "navsim"

    def identity(self) -> dict[str, Any]:
        """Return the provenance of its scenes, with a digest of the tokens and of the files' sizes."""
        index, maps = self.index, self.index.folders.maps
        facts = {
            "data_split": index.split.data_split,
            "num_history_frames": index.split.scene_filter.num_history_frames,
            "num_future_frames": index.split.scene_filter.num_future_frames,
            "scenes": len(index.logged),
            "synthetic_scenes": len(index.synthetic),
            "scene_groups": len(self.groups),
            "maps": {name: map_file(maps, name).parent.name for name in self._locations()},
            "left_out": list(self.notes),
        }
        files = sorted({address.file for address in (*index.logged.values(), *index.synthetic.values())})
        parts = [facts, [astuple(group) for group in self.groups], sorted(index.logged)]
        told = json.dumps([*parts, [(file.name, file.stat().st_size) for file in files]])
        return {"name": index.split.name, "digest": hashlib.sha256(told.encode()).hexdigest(), **facts}

    def scenes(self) -> pa.Table:
        """Return a row per scene, with its "token" and "scene_group"."""
        rows = [(token, group.now) for group in self.groups for token in _tokens(group)]
        return pa.table({"token": [token for token, _ in rows], "scene_group": [now for _, now in rows]})

    def rejections(self) -> pa.Table:
        """Return no rows: NAVSIM does not say which start points it rejected."""
        return pa.table({"reason": pa.array([], pa.string())})

    def inactive_sub_scores(self) -> list[str]:
        """Return lines on sub-scores that cannot fail in the split's data; the official map has all that they need."""
        scenes = self.index.logged.values()
        logs = {address.log_name for address in scenes}
        lacking = len(logs) - len({address.log_name for address in scenes if address.has_lights})
        return [f"traffic_light_compliance: no traffic lights in {lacking} of {len(logs)} logs"] if lacking else []

    def _locations(self) -> tuple[str, ...]:
        return tuple(sorted({map_location(address.map_name) for address in self.index.logged.values()}))

    def check_maps(self) -> None:
        """Check that the maps of all scenes are there: nothing is scored without one.

        Raises:
            SwerveError: a map is missing, or is of another version.
        """
        for location in self._locations():
            try:
                map_file(self.index.folders.maps, location)
            except LogError as error:
                raise SwerveError(
                    f"{sentence(str(error))} Nothing is scored without its map: nuPlan's maps belong into "
                    f"{self.index.folders.root / 'maps'}, or where {MAPS_VARIABLE} says"
                ) from error

    def check_images(self, planners: Iterable[Planner]) -> None:
        """Check that the images that planners need are there.

        Raises:
            SwerveError: some are missing, in one line.
        """
        tokens = [token for group in self.groups for token in _tokens(group)] or list(self.index.logged)
        seeing = [getattr(planner, "cameras", None) for planner in planners if uses_images(planner)]
        if seeing:
            rig = calibrated_cameras(self.index.load(tokens[0]))
            names = {name for choice in seeing for name in rig_names(chosen_names(choice, rig), rig)}
            if names:
                check_images(self.index, tokens, None if None in seeing else names)

    def _log_of(self, group: SceneMapping) -> str:
        return self.index.logged[group.now].log_name


def open_navsim_benchmark(
    folders: NavsimFolders, split: NavsimSplit, read_files: ReadFiles = read_in_turn
) -> NavsimBenchmark:
    """Open a split of NAVSIM's as a benchmark, in place.

    Scene groups of which a scene is missing are left out, with a line in `notes`; so are scenes of one-stage splits.

    Args:
        folders: the data set.
        split: the split; its `data_split` must be there.
        read_files: applies a function to files, see `index_scenes`.

    Raises:
        SwerveError: no scene group is complete, no scene is there, or a map is missing.
        LogError: a file is damaged.
    """
    index = index_scenes(folders, split, read_files)
    there = {*index.logged, *index.synthetic}
    groups = tuple(group for group in split.mapping if there.issuperset(_tokens(group)))
    lost = [group.now for group in split.mapping if group not in groups]
    if split.mapping and not groups:
        lines = "; ".join(index.missing) or "its tokens are not those of the logs and synthetic scenes"
        raise SwerveError(f"split {split.name}: none of its {len(lost)} scene groups is complete: {lines}")
    left_out = [
        f"split {split.name}: {len(lost)} of {len(split.mapping)} scene groups are incomplete and left out, "
        f"such as {', '.join(lost[:_SHOWN])}"
    ]
    benchmark = NavsimBenchmark(index, groups, (*index.missing, *(left_out if lost else ())))
    benchmark.check_maps()
    return benchmark


def _tokens(group: SceneMapping) -> Iterator[str]:
    yield from (group.now, group.before)
    for pair in group.follow_ups:
        yield from pair
