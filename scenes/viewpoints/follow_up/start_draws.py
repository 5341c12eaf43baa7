"""Random start points of follow-ups, for training: offsets are drawn, histories synthesised."""

from typing import Final

import numpy as np
from jaxtyping import Bool, Float

from swerve.scenes.log import Scene
from swerve.scenes.randomness import keyed_generator
from swerve.scenes.viewpoints.follow_up.follow_up_options import FollowUpOptions
from swerve.scenes.viewpoints.follow_up.follow_ups import FollowUp, synthesised_follow_ups
from swerve.scenes.viewpoints.follow_up.grid import HumanReference, points_at
from swerve.scenes.viewpoints.follow_up.start_draw_options import StartDrawOptions
from swerve.scenes.viewpoints.follow_up.synthesis import free_speed
from swerve.scenes.viewpoints.log_geometry import LogGeometry
from swerve.scenes.viewpoints.viewpoint import Rejection, ViewpointKind

# Axes of a draw: lateral offset, longitudinal offset, heading offset, share of the human's speed.
LONGITUDINAL, SPEED = 1, 3
_LONGITUDINAL_BINS, _SPEED_BINS = 6, 4
# Reasons that hold for a scene whatever the draw.
LOG_END: Final = "log_end"
SCENE_UNSCORABLE: Final = "scene_unscorable"
# Share of the draws at free speed; humans slower than this, m/s, have no share of their speed.
_FREE, _SLOWEST = 1 / (_SPEED_BINS + 1), 0.1
SCENE_REASONS: Final = ("rough_log", LOG_END, SCENE_UNSCORABLE)


def drawn_starts(
    scene: Scene, geometry: LogGeometry, index: int, options: StartDrawOptions, histories: FollowUpOptions, seed: int
) -> list[FollowUp | Rejection]:
    """Build the start points of all attempts of one follow-up viewpoint, in their order, numbered from 0.

    Reproducible from (seed, log, token, index) alone. Attempts after the first stay in the bins of longitudinal offset
    and speed of the first. The car leaves the human's state at the scene and reaches the start `histories.horizon`
    seconds later, as in a benchmark's follow-ups without a logged history.

    Reasons to reject: "rough_log" (no car drives the human's poses, or they reverse), "beyond_log", "infeasible". In
    `parameters`, "speed" is the offset from the speed of a free drive to that point, as in a benchmark, and
    "speed_share" the share of the human's speed (of 0.1 m/s at least), along the path.

    Args:
        scene: of the log, with the horizon after it.
        geometry: of the log.
        index: number of the viewpoint in its scene.
        options: ranges of the draws.
        histories: horizon, length and bounds of the histories.
        seed: of the job.
    """
    human = HumanReference.of(scene, geometry, histories.horizon)
    if geometry.is_implausible(human.steps):
        return [Rejection(ViewpointKind.FOLLOW_UP, index, "rough_log")]
    shares = np.stack(
        [_shares(seed, scene.log.name, scene.token, index, attempt, options) for attempt in range(options.attempts)]
    )
    lateral, longitudinal, heading, share = draws_at(options, shares).T
    arrival = geometry.seconds[scene.now] + histories.horizon
    there = max(float(np.interp(arrival, geometry.seconds, geometry.ego_motion.speeds)), 0.0)
    distance = human.end + longitudinal - human.along
    free = free_speed(human, distance, histories.horizon)
    share = np.where(np.isnan(share), free / max(there, _SLOWEST), share)
    offsets = np.where(_is_free(options, shares), 0.0, share * there - free)
    points = points_at(human, geometry.path, np.arange(len(shares)), lateral, longitudinal, heading, offsets)
    found = sorted(synthesised_follow_ups(geometry, human, points, histories), key=lambda one: one.index)
    for one in found:
        if isinstance(one, FollowUp):
            one.parameters["speed_share"] = float(share[one.index])
    return found


def draws_at(options: StartDrawOptions, shares: Float[np.ndarray, "*q 4"]) -> Float[np.ndarray, "*q 4"]:
    """Compute the quantiles of (lateral m, longitudinal m, heading rad, share of the speed) at shares from 0 to 1.

    The share of the speed is NaN in the fifth that arrives at free speed.
    """
    if options.free_speed:
        free, shares = _is_free(options, shares), shares.copy()
        shares[..., SPEED] = np.where(free, np.nan, (shares[..., SPEED] - _FREE) / (1 - _FREE))
    low = np.array([-options.lateral, -options.longitudinal, -options.heading, options.slowest])
    high = np.array([options.lateral, options.longitudinal, options.heading, options.fastest])
    draws: Float[np.ndarray, "*q 4"] = low + shares * (high - low)
    return draws


def start_bins(options: StartDrawOptions) -> tuple[int, int]:
    """Return the numbers of bins of longitudinal offset and of speed, equally probable as requested."""
    speeds = _SPEED_BINS if options.fastest > options.slowest else 1
    # With free speed the first bin, as probable as each of four others, is that of draws at free speed.
    return _LONGITUDINAL_BINS if options.longitudinal else 1, _SPEED_BINS + 1 if options.free_speed else speeds


def start_stratum(seed: int, log: str, token: str, index: int, options: StartDrawOptions) -> tuple[int, int]:
    """Return the bins of longitudinal offset and of speed in which all draws of a viewpoint lie.

    Args:
        seed: of the job.
        log: name of the log.
        token: of the scene from which the follow-up starts.
        index: number of the viewpoint in its scene.
        options: ranges of the draws.
    """
    shares = _shares(seed, log, token, index, 0, options)
    bins = start_bins(options)
    return int(shares[LONGITUDINAL] * bins[0]), int(shares[SPEED] * bins[1])


def _is_free(options: StartDrawOptions, shares: Float[np.ndarray, "*q 4"]) -> Bool[np.ndarray, "*q"]:
    """Return which draws arrive at free speed."""
    free: Bool[np.ndarray, "*q"] = (shares[..., SPEED] < _FREE) & options.free_speed
    return free


def _shares(
    seed: int, log: str, token: str, index: int, attempt: int, options: StartDrawOptions
) -> Float[np.ndarray, "4"]:
    """Return numbers that are uniform in [0, 1), in the bins of the first attempt."""
    first, shares = (_uniform(seed, log, token, index, number) for number in (0, attempt))
    for axis, bins in zip((LONGITUDINAL, SPEED), start_bins(options), strict=True):
        shares[axis] = (np.floor(first[axis] * bins) + (shares[axis] * bins) % 1.0) / bins
    return shares


def _uniform(seed: int, log: str, token: str, *key: int) -> Float[np.ndarray, "4"]:
    return keyed_generator(seed, log, token, "drawn_follow_up", *key).random(4)
