"""Bird's-eye-view images of rollouts."""

import numpy as np
from jaxtyping import Float, UInt8

from swerve.eval.closed_loop.closed_loop_scene import ClosedLoopScene
from swerve.eval.closed_loop.rollout import Rollout
from swerve.eval.closed_loop.rollout_views import lights_at, tracks_at_step, world_from_ego
from swerve.eval.scoring.sub_scores import METRIC_NAMES, Metric
from swerve.eval.scoring.thresholds import STEP
from swerve.rasterizer import Style
from swerve.scenes import Vehicle
from swerve.scenes.primitives import Primitives, agent_cuboids, build_dynamic
from swerve.viz.birds_eye import BirdsEye, Color

# Colours of the human's path, of the driven path, and of the ego at the image's step.
HUMAN, DRIVEN, EGO = (235, 235, 235), (255, 150, 60), (255, 60, 60)
_SECOND = round(1.0 / STEP)
# Sub-scores that multiply the score.
MULTIPLIED = METRIC_NAMES[: Metric.EGO_PROGRESS]
# Margin around the driven path, and minimum distance from the centre to an edge, metres.
_MARGIN, _LEAST = 15.0, 30.0


def rollout_image(
    closed_loop_scene: ClosedLoopScene, rollout: Rollout, static: Primitives, size: int = 900
) -> UInt8[np.ndarray, "h w 3"]:
    """Draw a rollout (orange, a dot each second) and the human's path (white), with all boxes at the worst step.

    That is the first step with an event that made the score 0, else the last; the scored vehicle is red there, and an
    outline at each second.

    Args:
        closed_loop_scene: see `build_closed_loop_scene`.
        rollout: on this scene.
        static: `build_static` of the log's map.
        size: pixels of each side.
    """
    step = worst_step(rollout)
    human_poses = closed_loop_scene.human_poses_at(np.arange(closed_loop_scene.steps))
    eye = _framed(np.concatenate([rollout.states[:, :2], human_poses[:, :2]]), float(rollout.states[0, 2]), size)
    style = Style.surfaces()
    tracks = tracks_at_step(closed_loop_scene, rollout.traffic, step)
    moving = build_dynamic(tracks, lights_at(closed_loop_scene, step), 0)
    eye.primitives(static.concatenate(moving), style)
    eye.sides(agent_cuboids(tracks, 0), style)
    eye.path(human_poses[:, :2], HUMAN, width=0.25, dots=_SECOND)
    eye.path(rollout.states[:, :2], DRIVEN, width=0.25, dots=_SECOND)
    _cars(eye, closed_loop_scene, rollout, step)
    eye.scale_bar()
    return eye.picture()


def worst_step(rollout: Rollout) -> int:
    """Return the first step with an event that made the score 0, else the last."""
    fatal = [one for one in rollout.reasons if one.metric in MULTIPLIED and one.value == 0.0]
    ends = [one.seconds for one in fatal if one.seconds is not None]
    return min(round(min(ends) / STEP), len(rollout.states) - 1) if ends else len(rollout.states) - 1


def _framed(points: Float[np.ndarray, "n 2"], heading: float, size: int) -> BirdsEye:
    """Create an image that contains all points, with the initial heading up."""
    ahead = np.array([np.cos(heading), np.sin(heading)])
    axes = np.stack([ahead, [-ahead[1], ahead[0]]])
    seen = points @ axes.T
    low, high = seen.min(axis=0), seen.max(axis=0)
    reach = max(float((high - low).max()) / 2 + _MARGIN, _LEAST)
    return BirdsEye((low + high) / 2 @ axes, heading, reach, size)


def _cars(eye: BirdsEye, closed_loop_scene: ClosedLoopScene, rollout: Rollout, step: int) -> None:
    """Draw the scored vehicle, independent of the recording vehicle."""
    car = Vehicle.pacifica()
    shown: list[tuple[int, Color, bool]] = [(at, DRIVEN, False) for at in range(0, len(rollout.states), _SECOND)]
    for at, color, filled in [*shown, (step, EGO, True)]:
        eye.vehicle(world_from_ego(closed_loop_scene, rollout.states, at), car, color, filled)
