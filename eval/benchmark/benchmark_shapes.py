"""Shapes of benchmark.json and the tables (docs/benchmark.md), and checks of a scene group against its log."""

import re
from collections.abc import Iterator
from typing import Any, Final, get_args

import numpy as np
import pyarrow as pa

from swerve.data.dataset.augment_options import StyleName
from swerve.data.storage.checked_json import (
    ShapeError,
    anything,
    describe,
    fields,
    integer,
    list_of,
    mapping_of,
    one_of,
    optional,
    plain_name,
    row_of,
    text,
)
from swerve.eval.benchmark.assemble import GroupRecord, follow_up_log
from swerve.eval.benchmark.build_options import VIEW_KINDS
from swerve.eval.benchmark.frame_steps import BEFORE, ENDPOINT, FIRST, HISTORY, LAST
from swerve.eval.traffic.policy import Policy
from swerve.scenes import Log
from swerve.scenes.resize import Fit

SCENES_SCHEMA = pa.schema(
    {
        "token": pa.string(),
        "log": pa.string(),
        "scene_group": pa.string(),
        "stage": pa.int8(),
        "frame": pa.string(),
        "index": pa.int32(),
        "time_us": pa.int64(),
        **dict.fromkeys(("x", "y", "heading", "speed"), pa.float64()),
        "command": pa.string(),
        "origin": pa.string(),
        **dict.fromkeys(("lateral_offset", "longitudinal_offset", "heading_offset", "speed_offset"), pa.float64()),
        "parameters": pa.string(),
        "unfit": pa.string(),
    }
)
REJECTIONS_SCHEMA = pa.schema(
    {"log": pa.string(), "time_us": pa.int64(), "index": pa.int32(), "reason": pa.string(), "message": pa.string()}
)
# Names of scene groups are those of their files.
_FILE_NAME: Final = re.compile(r"[A-Za-z0-9_-]{1,200}-\d+")
_SIDE: Final = integer(1, 16384)


def _file_name(value: Any, place: str) -> None:  # noqa: ANN401 whatever JSON holds
    if not isinstance(value, str) or not _FILE_NAME.fullmatch(value):
        raise ShapeError(place, f"is {describe(value)}, which is no name of a scene group")


_OPTIONS: Final = fields(
    {
        "traffic": one_of(get_args(Policy)),
        "views": list_of(one_of(VIEW_KINDS), most=len(VIEW_KINDS)),
        "style": one_of(get_args(StyleName)),
        "size": optional(row_of(_SIDE, _SIDE)),
        "fit": one_of(get_args(Fit)),
        "seed": integer(0),
    }
)
BENCHMARK_SHAPE: Final = fields(
    {
        "options": _OPTIONS,
        "logs": list_of(row_of(plain_name, plain_name)),
        "versions": mapping_of(text),
        "counts": mapping_of(anything),
        "views": mapping_of(anything),
        "scene_groups": mapping_of(list_of(_file_name, least=1)),
    }
)


def group_problems(record: GroupRecord, log: Log) -> Iterator[tuple[str, str]]:
    """Yield what does not fit in a scene group: field and problem, before scenes are built from it."""
    steps = LAST - FIRST + 1
    if record.log != log.name:
        yield "log", f"is {record.log!r:.80}, its log is {log.name!r:.80}"
    if not HISTORY + BEFORE <= record.group_step < len(log.times_us) - LAST:
        yield "group_step", f"is {record.group_step}, of {len(log.times_us)} steps"
    if record.tracks.valid.shape != (len(record.tracks.ids), steps):
        yield "tracks", f"is for {record.tracks.valid.shape} tracks and steps, not {(len(record.tracks.ids), steps)}"
    for row, start in enumerate(record.starts):
        if len(start.ego) != ENDPOINT - FIRST + 1 or not np.isfinite(start.ego.world_from_ego).all():
            yield f"starts[{row}].ego", f"has {len(start.ego)} poses, or one that is not finite"


def first_follow_up(record: GroupRecord, log: Log) -> Log | None:
    """Return the log of the first follow-up, by which the group's tracks can be validated; None if it has none."""
    return follow_up_log(log, record.group_step, record.tracks, record.starts[0]) if record.starts else None
