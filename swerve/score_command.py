"""Run `swerve score`."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np

from swerve.data import Source, open_source
from swerve.data.sources.neutral.neutral_source import Follow, NeutralScene, NeutralSource
from swerve.data.sources.source import require_scenes
from swerve.eval import Context, GroupTokens, build_context, one_stage, two_stage
from swerve.eval.scoring.aggregate import ScoredScenes
from swerve.eval.scoring.batch import explain_scenes
from swerve.eval.scoring.inactive_scores import inactive_scores
from swerve.eval.scoring.score_tables import check_table_name, one_stage_rows, provenance, two_stage_rows, write_rows
from swerve.eval.scoring.trajectory_file import read_trajectories
from swerve.eval.scoring.weighting import Weighting
from swerve.eval.traffic.policy import Policy
from swerve.options.score import Score
from swerve.output import write_output
from swerve.scenes import SwerveError, extract_scenes


def run(args: Score) -> int:
    """Score a file of trajectories, write the table, and return the exit code."""
    check_table_name(args.out)
    source = open_source(args.source)
    require_scenes(source)
    plans = read_trajectories(args.trajectories, args.name)
    groups: list[GroupTokens] | None = None
    if args.benchmark:
        scenes, groups = _benchmark_scenes(source, args.benchmark)
    else:
        scenes = _log_scenes(source, _log_name(source, args.log), plans)
    scored, why = explain_scenes(_contexts(scenes, args.traffic), plans, args.traffic)
    rows, epdms = _table(scored, groups, args.weighting)
    for row in rows:
        row["reasons"] = "; ".join(map(str, why.get(row["token"], ())))
    silent = inactive_scores({one.scene.log.name: one.scene.log for one in scenes}.values())
    print(f"{len(scenes)} scenes, EPDMS {epdms:.4f}")
    for line in silent:
        print(f"never triggered: {line}")
    stamp = provenance(args.traffic, args.weighting if args.benchmark else None)
    write_output(args.out, lambda path: write_rows(path, rows, {**stamp, "inactive_sub_scores": silent}))
    print(f"wrote {args.out}")
    return 0


def _table(
    scored: ScoredScenes, groups: list[GroupTokens] | None, weighting: Weighting
) -> tuple[list[dict[str, Any]], float]:
    """Return the rows of a table, and EPDMS: in one stage, or in two of groups of scenes."""
    if groups is None:
        one = one_stage(scored)
        return one_stage_rows(one), one.score
    two = two_stage(scored, groups, weighting)
    return two_stage_rows(two, {token for one in groups for token in (one.now, one.before)}), two.score


def _log_name(source: Source, name: str | None) -> str:
    """Return the name of a log of the source, of the first if none is asked for.

    Raises:
        SwerveError: there is no such log.
    """
    names = source.names()
    if name and name not in names:
        raise SwerveError(f"--log: the source has no log {name!r}; it has {', '.join(names[:5])}")
    return name or names[0]


def _contexts(scenes: Iterable[NeutralScene], traffic: Policy) -> list[Context]:
    following = traffic == "lane-following"
    return [build_context(one.scene, one.token, one.follow_up, lane_following=following) for one in scenes]


def _log_scenes(source: Source, name: str, plans: dict[str, np.ndarray]) -> list[NeutralScene]:
    if isinstance(source, NeutralSource):
        entries = source.scenes(name)
    else:
        scenes = extract_scenes(source.load(name), history=1.5, future=4.0, interval=0.1)
        entries = {scene.token: NeutralScene(scene.token, scene, follow_up=False) for scene in scenes}
    unknown = [token for token in plans if token not in entries]
    if unknown:
        raise SwerveError(f"log {name}: no scenes {', '.join(unknown[:5])}; it has {', '.join(list(entries)[:5])}, ...")
    return [entries[token] for token in plans]


def _benchmark_scenes(source: Source, benchmark: Path) -> tuple[list[NeutralScene], list[GroupTokens]]:
    if not isinstance(source, NeutralSource):
        raise SwerveError(f"{benchmark}: two-stage files need a neutral source, for example neutral:PATH")
    scenes, mapping = source.follow_ups(benchmark)
    groups = [_group(entry) for entry in mapping]
    missing = [token for group in groups for token in group.tokens if token not in scenes]
    if missing:
        raise SwerveError(f"{benchmark}: no scenes {', '.join(missing[:10])}")
    return list(scenes.values()), groups


def _group(entry: Follow) -> GroupTokens:
    now, before, pairs = entry
    return GroupTokens(now, before, tuple(pairs))
