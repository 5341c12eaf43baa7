"""Shape of a sample's JSON (docs/formats.md)."""

from typing import Final

from swerve.data.storage.checked_image import MOST_PIXELS
from swerve.data.storage.checked_json import (
    array,
    fields,
    flag,
    integer,
    list_of,
    mapping_of,
    number,
    one_of,
    optional,
    plain_name,
    row_of,
    text,
)
from swerve.scenes import LensModel
from swerve.scenes.viewpoints import Command, ViewpointKind

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
# What decides whether the rest is understood, and whether a sample is wanted at all.
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
