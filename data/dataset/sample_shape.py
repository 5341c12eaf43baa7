"""Shape of a sample's JSON (docs/formats.md)."""

from pathlib import Path
from typing import Any, Final

from swerve.data.storage.checked_image import MOST_PIXELS
from swerve.data.storage.checked_json import (
    Shape,
    anything,
    array,
    check_shape,
    describe,
    fields,
    flag,
    integer,
    list_of,
    mapping_of,
    number,
    one_of,
    optional,
    parse_json,
    plain_name,
    row_of,
    text,
)
from swerve.scenes import LensModel, SwerveError
from swerve.scenes.viewpoints import Command, ViewpointKind

# Version of a sample's members (docs/formats.md). Must be increased whenever one or its meaning changes.
FORMAT: Final = 4
HINT: Final = "Delete the shard and run the same job again"
_SIDE: Final = integer(1, MOST_PIXELS)
_LENGTH: Final = number(0.01, 100.0)
_CAMERA: Final = fields(
    {
        "name": plain_name,
        "member": plain_name,
        "width": _SIDE,
        "height": _SIDE,
        **dict.fromkeys(("fx", "fy", "cx", "cy"), number(-1e6, 1e6)),
        "lens": one_of([model.name.lower() for model in LensModel]),
        "coefficients": array(None),
        "ego_from_camera": array(4, 4),
        "time_us": integer(),
        "now_from_capture": array(4, 4),
        "photo": flag,
        "photo_window": row_of(*[number(-1e3, 1e3)] * 4),
        "synthetic": flag,
    }
)
# What decides whether a sample is wanted at all.
SAMPLE_HEAD: Final = fields({"kind": text})
SAMPLE: Final = fields(
    {
        "key": plain_name,
        "kind": one_of([kind.value for kind in ViewpointKind]),
        "index": integer(),
        "parameters": mapping_of(optional(number())),
        "command": one_of([command.name.lower() for command in Command]),
        **dict.fromkeys(("source", "log", "token"), plain_name),
        "time_us": integer(),
        "vehicle": fields(dict.fromkeys(("length", "width", "height", "wheelbase", "rear_overhang"), _LENGTH)),
        "world_from_ego": array(4, 4),
        "origin": array(3),
        "cameras": list_of(_CAMERA),
    },
    {"expert": optional(fields({"source": text, "score": number(0.0, 1.0), "target_score": optional(number())}))},
)


def read_details(content: bytes, shard: Path | str, key: str, shape: Shape = SAMPLE) -> dict[str, Any]:
    """Parse a sample's JSON, whose format decides whether the rest is understood.

    Args:
        content: of the member.
        shard: for messages, as is the key.
        key: of the sample.
        shape: of what the caller needs.

    Raises:
        SwerveError: the sample has another format, or its JSON is damaged.
    """
    where = f"{shard}: {key}.json"
    details: dict[str, Any] = parse_json(content, where, mapping_of(anything), HINT)
    if type(details.get("format")) is not int or details["format"] != FORMAT:
        raise SwerveError(
            f"{shard}: sample {key} is of format {describe(details.get('format'))}, this program reads {FORMAT}. "
            f"Create the set again; it was written by Swerve {details.get('version')!s:.40}"
        )
    check_shape(details, shape, where, HINT)
    return details
