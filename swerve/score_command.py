"""`swerve score`: the command."""

import gzip
import json
import zlib
from enum import Enum
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer

from swerve.data import Source, open_source
from swerve.data.sources.neutral.neutral_source import Follow, NeutralScene, NeutralSource
from swerve.eval import Context, GroupTokens, build_context, one_stage, score_scenes, two_stage
from swerve.eval.scoring.score_tables import one_stage_rows, provenance, two_stage_rows, write_rows
from swerve.scenes import SwerveError, scenes_of


class Traffic(str, Enum):
    """How the others drive."""

    LOG_REPLAY = "log-replay"
    CONSTANT_VELOCITY = "constant-velocity"
    NAVSIM_REACTIVE = "navsim-reactive"
    LANE_FOLLOWING = "lane-following"


class Weighting(str, Enum):
    """How follow-up scenes are weighted."""

    NAVSIM_EXACT = "navsim-exact"
    STABLE = "stable"


def score(
    source: Annotated[
        str, typer.Argument(help="neutral:PATH, av2:PATH, waymo:PATH, town:COUNT, town:FIRST-LAST, or a path.")
    ],
    trajectories: Annotated[Path, typer.Argument(help="JSON: token -> poses [x, y, heading] every 0.5 s, relative.")],
    out: Annotated[Path, typer.Option(help="A .csv or .parquet file.")] = Path("scores.csv"),
    log: Annotated[str | None, typer.Option(help="Name of the log. Default: the source's first.")] = None,
    name: Annotated[str | None, typer.Option(help="Which trajectory, where the file has several per token.")] = None,
    benchmark: Annotated[Path | None, typer.Option(help="Two-stage file; the source holds its logs.")] = None,
    traffic: Annotated[Traffic, typer.Option(help="How the others drive.")] = Traffic.LOG_REPLAY,
    weighting: Annotated[Weighting, typer.Option(help="Of follow-up scenes.")] = Weighting.NAVSIM_EXACT,
) -> None:
    """Score a file of trajectories as NAVSIM does: EPDMS in one stage, or in two with a benchmark.

    Tokens are those of the neutral log file; for other sources, the moment's time in microseconds.
    """
    opened = open_source(source)
    plans = read_trajectories(trajectories, name)
    if not plans:
        raise SwerveError(f"{trajectories}: holds no trajectory")
    if benchmark:
        contexts, groups = _benchmark_contexts(opened, benchmark)
        frames = score_scenes(contexts, plans, traffic.value)
        table = two_stage(frames, groups, weighting.value)
        rows = two_stage_rows(table, {token for group in groups for token in (group.now, group.before)})
    else:
        contexts = _log_contexts(opened, log or opened.names()[0], plans)
        table = one_stage(score_scenes(contexts, plans, traffic.value))
        rows = one_stage_rows(table)
    write_rows(out, rows, provenance(traffic.value, weighting.value if benchmark else None))
    typer.echo(f"{len(contexts)} scenes, EPDMS {table.score:.4f}; wrote {out}")


def read_trajectories(path: Path, name: str | None = None) -> dict[str, np.ndarray]:
    """Poses by token, from JSON: token -> poses, or token -> [{"name", "poses"}, ...].

    Raises:
        SwerveError: the file cannot be read, or a token has not exactly one trajectory (of that name).
    """
    try:
        with gzip.open(path, "rt") if path.suffix == ".gz" else open(path) as stream:
            content = json.load(stream)
        return {token: _poses(token, entry, name) for token, entry in content.items()}
    except (OSError, EOFError, zlib.error, ValueError, TypeError, AttributeError, KeyError) as error:
        raise SwerveError(f"{path}: not a file of trajectories ({error})") from error


def _poses(token: str, entry: list[Any], name: str | None) -> np.ndarray:
    if entry and isinstance(entry[0], dict):
        chosen = [one["poses"] for one in entry if name in (None, one["name"])]
        if len(chosen) != 1:
            raise SwerveError(f"scene {token} has {len(chosen)} trajectories to choose from: give --name")
        entry = chosen[0]
    return np.array(entry, dtype=float).reshape(len(entry), 3)


def _log_contexts(source: Source, name: str, plans: dict[str, np.ndarray]) -> list[Context]:
    if isinstance(source, NeutralSource):
        entries = source.scenes(name)
    else:
        scenes = scenes_of(source.load(name), history=1.5, future=4.0, every=0.1)
        entries = {scene.token: NeutralScene(scene.token, scene, follow_up=False) for scene in scenes}
    unknown = [token for token in plans if token not in entries]
    if unknown:
        raise SwerveError(f"log {name}: no scenes {', '.join(unknown[:5])}; it has {', '.join(list(entries)[:5])}, ...")
    return [build_context(entries[token].scene, token, entries[token].follow_up) for token in plans]


def _benchmark_contexts(source: Source, benchmark: Path) -> tuple[list[Context], list[GroupTokens]]:
    if not isinstance(source, NeutralSource):
        raise SwerveError(f"{benchmark}: two-stage files need a neutral source, for example neutral:PATH")
    scenes, mapping = source.follow_ups(benchmark)
    groups = [_group(entry) for entry in mapping]
    missing = [token for group in groups for token in group.tokens if token not in scenes]
    if missing:
        raise SwerveError(f"{benchmark}: no scenes {', '.join(missing[:10])}")
    return [build_context(one.scene, one.token, one.follow_up) for one in scenes.values()], groups


def _group(entry: Follow) -> GroupTokens:
    now, before, pairs = entry
    return GroupTokens(now, before, tuple(pairs))
