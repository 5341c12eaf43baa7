"""Past frames: what a camera saw some time ago, as a camera of its own, such as `front@0.5`.

Such a camera stands where the camera was at that time, in the ego frame of now. So samples, streams and networks treat
it as any other: its image shows the scene of that time, and static points project to where it shows them.
"""

import math
from dataclasses import replace
from typing import Final

import numpy as np
from jaxtyping import Float

from swerve.scenes.camera import Camera
from swerve.scenes.errors import SwerveError
from swerve.scenes.transforms import inverse
from swerve.scenes.viewpoints.viewpoint import Viewpoint

_MARK: Final = "@"
_LONGEST: Final = 60.0


def past_name(camera: str, seconds: float) -> str:
    """Return the name of a camera's frame so many seconds ago."""
    return f"{camera}{_MARK}{seconds:g}"


def split_past_name(name: str) -> tuple[str, float]:
    """Return the camera of a name, and how many seconds ago its frame is; 0 for a camera of now.

    Raises:
        SwerveError: what follows the @ is no such time.
    """
    camera, mark, text = name.rpartition(_MARK)
    if not mark:
        return name, 0.0
    try:
        seconds = float(text)
    except ValueError:
        seconds = math.nan
    if not (camera and 0.0 < seconds <= _LONGEST):
        raise SwerveError(f"camera {name!r}: a past frame is CAMERA{_MARK}SECONDS, such as front{_MARK}0.5")
    return camera, seconds


def past_step(viewpoint: Viewpoint, seconds: float) -> int:
    """Return the step of the viewpoint's window that is nearest to a time ago, if within half a step.

    Raises:
        SwerveError: the window begins later.
    """
    scene = viewpoint.scene
    times = scene.times_us[: scene.history + 1]
    wanted = times[-1] - round(seconds * 1e6)
    step = int(np.abs(times - wanted).argmin())
    if abs(int(times[step]) - wanted) > scene.log.step * 0.5e6 + 1:
        raise SwerveError(
            f"scene {scene.token} of log {scene.log.name}: has no frame {seconds:g} s ago; its history is of "
            f"{(times[-1] - times[0]) / 1e6:g} s"
        )
    return step


def past_camera(camera: Camera, viewpoint: Viewpoint, seconds: float, name: str) -> Camera:
    """Return a camera as it stood some time ago, in the ego frame of now.

    Args:
        camera: of the rig, in the ego frame of its time.
        viewpoint: of now.
        seconds: ago.
        name: of the result.

    Raises:
        SwerveError: the viewpoint's history is shorter.
    """
    then = viewpoint.ego.world_from_ego[past_step(viewpoint, seconds)]
    return as_past_camera(camera, inverse(viewpoint.world_from_ego) @ then, name)


def as_past_camera(camera: Camera, now_from_then: Float[np.ndarray, "4 4"], name: str) -> Camera:
    """Return a camera of an earlier ego frame in that of now, under another name."""
    return replace(camera.mounted(now_from_then @ camera.ego_from_camera), name=name)
