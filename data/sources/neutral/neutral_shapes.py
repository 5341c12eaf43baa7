"""Shapes of neutral logs and two-stage files (docs/neutral_log.md)."""

from itertools import chain
from typing import Any, Final

from swerve.data.sources.nuplan_classes import CLASSES
from swerve.data.storage.checked_json import (
    Shape,
    ShapeError,
    array,
    fail,
    fields,
    identifier,
    integer,
    list_of,
    number,
    one_of,
    optional,
    plain_name,
    row_of,
)
from swerve.scenes import LightState

SCHEMA: Final = "ps-neutral-log/1"
TWO_STAGE_SCHEMA: Final = "ps-neutral-two-stage/1"
LIGHTS: Final = {
    "red": LightState.RED,
    "green": LightState.GREEN,
    "yellow": LightState.YELLOW,
    "unknown": LightState.UNKNOWN,
}
# Columns of an object: track, class, then numbers.
_COLUMNS: Final = 10
_MOST_FRAMES: Final = 100_000

_NUMBERS: Final = array(None, _COLUMNS - 2)
_CLASS, _ID = one_of(CLASSES), list_of(identifier)


def objects(value: Any, place: str) -> None:  # noqa: ANN401 whatever JSON holds
    """Accept the objects of a frame, each of another track; entries beyond the tenth are not looked at."""
    if type(value) is not list:
        fail(place, "a list", value)
    for index, row in enumerate(value):
        if type(row) is not list or len(row) < _COLUMNS:
            fail(f"{place}[{index}]", f"a list of {_COLUMNS}", row)
        plain_name(row[0], f"{place}[{index}][0]")
        _CLASS(row[1], f"{place}[{index}][1]")
    _NUMBERS([row[2:_COLUMNS] for row in value], f"{place}[:, 2:]")
    ids = [row[0] for row in value]
    if len(set(ids)) < len(ids):
        twice = next(one for index, one in enumerate(ids) if one in ids[:index])
        raise ShapeError(place, f"has track {twice} twice")


_LINE, _OUTLINE = array(None, 2, least=2), array(None, 2, least=3)
_HOLES: Final = {"holes": optional(list_of(_OUTLINE))}
_LINKS: Final = {"predecessors": _ID, "successors": _ID}
_AREA: Final = fields({"id": identifier, "polygon": _OUTLINE}, _HOLES)
_LANE: Final = fields(
    {
        **{"id": identifier, "roadblock_id": identifier, "type": plain_name},
        **{"centerline": _LINE, "polygon": _OUTLINE},
        **{"speed_limit_mps": optional(number(0.0, 100.0)), **_LINKS},
    },
    _HOLES,
)
_GROUP: Final = fields({"id": identifier, "type": plain_name, "polygon": _OUTLINE, "lane_ids": _ID, **_LINKS}, _HOLES)
_MAP: Final = fields(
    {
        "lanes": list_of(_LANE),
        "roadblocks": list_of(_GROUP),
        **dict.fromkeys(("intersections", "carparks", "drivable_areas", "crosswalks"), list_of(_AREA)),
    }
)
_EGO: Final = fields(dict.fromkeys(("x", "y", "heading", "vx", "vy", "ax", "ay"), number()))
_LIGHTS: Final = list_of(row_of(identifier, one_of(LIGHTS)))
_STATE: Final = {"t_us": integer(), "objects": objects, "traffic_lights": _LIGHTS}
_LENGTH: Final = number(0.01, 100.0)
_VEHICLE: Final = fields(
    {"name": plain_name, **dict.fromkeys(("width", "height", "wheel_base", "front_length", "rear_length"), _LENGTH)}
)
_SCENE: Final = {
    "token": plain_name,
    "frame": integer(0, _MOST_FRAMES),
    "num_history_frames": integer(1, _MOST_FRAMES),
    "num_future_frames": integer(0, _MOST_FRAMES),
}
SCENE: Final = fields(
    _SCENE,
    {
        "route_roadblock_ids": list_of(plain_name),
        "traffic_lights": list_of(_LIGHTS),
        "extra_objects": list_of(objects),
        "ego_offset": row_of(number(), number(), number()),
    },
)
LOG: Final = fields(
    {
        "log_name": plain_name,
        "navsim_stride": integer(1, _MOST_FRAMES),
        "vehicle": _VEHICLE,
        "frames": list_of(fields({"ego": _EGO, **_STATE}), 1, _MOST_FRAMES),
        "map": _MAP,
        "route_roadblock_ids": list_of(plain_name),
    }
)
# The scenes are looked at where they are asked for: a log is read without them.
SCENES: Final = fields({"scenes": list_of(SCENE)})


def _follow_up(value: Any, place: str) -> None:  # noqa: ANN401
    """Accept a follow-up scene, whose current frame is one of its own and has an ego."""
    _FOLLOW_UP(value, place)
    now, frames = value["current_frame"], value["frames"]
    if now >= len(frames) or frames[now].get("ego") is None:
        raise ShapeError(f"{place}.current_frame", f"is {now}, a frame that is not there or has no ego")


_FOLLOW_UP: Final = fields(
    {
        "token": plain_name,
        "current_frame": integer(0, _MOST_FRAMES),
        "frames": list_of(fields(_STATE, {"ego": optional(_EGO)}), 1, _MOST_FRAMES),
    }
)
TWO_STAGE: Final = fields(
    {
        "log": plain_name,
        "second_stage": list_of(_follow_up),
        "mapping": list_of(row_of(plain_name, plain_name, list_of(row_of(plain_name, plain_name)))),
    }
)
SHAPES: Final[dict[str, Shape]] = {SCHEMA: LOG, TWO_STAGE_SCHEMA: TWO_STAGE}


def tracks_of(frame: dict[str, Any], more: list[Any]) -> list[Any]:
    """Return the objects of a frame and further ones, each of another track.

    Raises:
        ShapeError: a track is there twice.
    """
    both = list(chain(frame["objects"], more))
    objects(both, "extra_objects")
    return both
