"""The splits of nuScenes: 700 scenes to train, 150 to validate, 150 to test, and ten of `v1.0-mini`."""

import re
from typing import Final

from swerve.scenes import Split

# Numbers of scenes, first and last. A range may span numbers that no scene has. As published with the data set.
_VAL: Final = (
    *((3, 3), (12, 18), (35, 39), (92, 110), (221, 221), (268, 278), (329, 332), (344, 346), (519, 524), (552, 565)),
    *((625, 638), (770, 784), (794, 802), (904, 931), (962, 972), (1059, 1073)),
)
_TEST: Final = (
    *((77, 91), (111, 119), (140, 148), (265, 266), (279, 282), (307, 314), (333, 343), (481, 498), (547, 551)),
    *((601, 624), (827, 846), (932, 943), (1026, 1043)),
)
_LAST: Final = 1110
_MINI_TRAIN: Final = (61, 553, 655, 757, 796, 1077, 1094, 1100)
_MINI_VAL: Final = (103, 916)
_NAME: Final = re.compile(r"scene-(\d{4})")


def official_split(scene: str, version: str) -> Split | None:
    """Return the split of a scene of nuScenes; None for names that it does not have.

    In `v1.0-mini` these are `mini_train` and `mini_val`: two scenes of the former, 0553 and 0796, are for validation
    among all.

    Args:
        scene: name of the scene, such as "scene-0061".
        version: name of the tables' folder, such as "v1.0-mini".
    """
    found = _NAME.fullmatch(scene)
    number = int(found[1]) if found else 0
    if not 1 <= number <= _LAST:
        return None
    if version == "v1.0-mini" and number in (*_MINI_TRAIN, *_MINI_VAL):
        return "val" if number in _MINI_VAL else "train"
    if _within(number, _TEST):
        return "test"
    return "val" if _within(number, _VAL) else "train"


def _within(number: int, ranges: tuple[tuple[int, int], ...]) -> bool:
    return any(first <= number <= last for first, last in ranges)
