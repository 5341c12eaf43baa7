"""Times of a scene group's scenes, in steps of 0.1 s of its log."""

from dataclasses import dataclass

from swerve.eval.benchmark.frame_steps import BEFORE, FUTURE, HISTORY, LAST
from swerve.scenes import Log, Scene, SwerveError, split_windows
from swerve.scenes.log import listed_outside

# Scores count steps of a log as 0.1 s: five of them must stay within the 0.55 s of extended comfort.
_STEP, _SLACK = 0.1, 0.008


@dataclass(frozen=True)
class GroupSteps:
    """Steps of a log's scene groups.

    Attributes:
        kept: steps of the scene groups.
        broken: steps without a scene group because of a gap in time.
        outside: steps of the log's list of scenes without a scene group, since too little of the log is before or after
            them.
    """

    kept: tuple[int, ...]
    broken: tuple[int, ...] = ()
    outside: tuple[int, ...] = ()


def scene_group_steps(log: Log, every: float) -> GroupSteps:
    """Return the steps of a log's scene groups, with 2 s before and 8 s after them.

    They are `every` seconds apart, or at the log's `scene_times_us`.

    Raises:
        SwerveError: the log's steps are not of 0.1 s.
    """
    check_rate(log, "a benchmark is built")
    even, broken = split_windows(log, (HISTORY + BEFORE) * _STEP, LAST * _STEP, every)
    outside = listed_outside(log, (*even, *broken))
    return GroupSteps(tuple(scene.now for scene in even), tuple(scene.now for scene in broken), tuple(outside))


def check_rate(log: Log, what: str) -> None:
    """Check that a log has ten steps a second.

    Args:
        log: the log.
        what: is made of it, for the message.

    Raises:
        SwerveError: it has not.
    """
    if abs(log.step - _STEP) > _SLACK:
        raise SwerveError(
            f"log {log.name} has steps of {log.step:.3g} s: {what} from logs with ten steps a second. Resample it first"
        )


def scene_at(log: Log, now: int) -> Scene:
    """Return the scene at a step."""
    return Scene(log, now, HISTORY, FUTURE)
