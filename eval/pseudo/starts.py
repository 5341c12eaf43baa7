"""Whether a frame may be in a benchmark: the scorer must have nothing against where the ego stands in it."""

from typing import Final

import numpy as np

from swerve.eval.context import Context
from swerve.eval.judge import areas_under
from swerve.eval.score_kernels import CENTER_IN_INTERSECTION, NON_DRIVABLE, ONCOMING, ego_boxes, red_light_entries
from swerve.eval.traffic_kernels import touching

COLLISION: Final = "collision"
OFF_ROAD: Final = "off_road"
WRONG_WAY: Final = "wrong_way"
RED_LIGHT: Final = "red_light"


def violation(context: Context) -> str | None:
    """What the ego violates before anything is driven, by the scorer's own kernels and its own car; None if nothing.

    "collision" (NC): its box touches a track, whoever is at fault. "off_road" (DAC): a corner is off the drivable
    surface. "wrong_way" (DDC): its middle is on no lane of the route and in no intersection. "red_light" (TLC): its box
    touches a connector of the route whose light is red. Of several, the first in this order.
    """
    traffic, states = context.traffic, context.ego[None, None]
    if touching(context.ego_box, traffic.boxes[0], traffic.present[0]).any():
        return COLLISION
    boxes = ego_boxes(states)
    area = int(areas_under(states, boxes, context.stage)[0][0, 0])
    if area & NON_DRIVABLE:
        return OFF_ROAD
    if area & ONCOMING and not area & CENTER_IN_INTERSECTION:
        return WRONG_WAY
    red = context.lights.polygons
    compliant, _ = red_light_entries(boxes, red.edges, red.starts, np.ascontiguousarray(context.lights.active[:1]))
    return None if compliant[0] == 1.0 else RED_LIGHT
