"""Prediction of the path from history and command: ridge regression, tested on logs that it was not fitted to."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float

from swerve.scenes import Log, Scene, SwerveError
from swerve.scenes.polyline import to_frenet
from swerve.scenes.transforms import wrap_angle
from swerve.scenes.viewpoints import Command, build_log_geometry
from swerve.scenes.viewpoints.scene_viewpoints import logged

_HISTORY, _FUTURE, _EVERY = 2.0, 4.0, 0.5
_POINTS = np.arange(0.5, _FUTURE + 0.01, 0.5)
_RIDGE = 1.0


@dataclass(frozen=True)
class Samples:
    """Moments of some logs.

    Attributes:
        features: history and command.
        paths: (x, y) in the ego's frame, 0.5 s apart.
        straight: whether the command is to go straight on.
    """

    features: Float[np.ndarray, "n f"]
    paths: Float[np.ndarray, "n k 2"]
    straight: Bool[np.ndarray, "n"]


def samples(logs: list[Log]) -> Samples:
    """All moments, every half second, at which the ego moves within the next 4 s."""
    features, paths, straight = [], [], []
    for log in logs:
        geometry = build_log_geometry(log)
        history, future, every = (round(seconds / log.step) for seconds in (_HISTORY, _FUTURE, _EVERY))
        for now in range(history, len(log.times_us) - future, every):
            path = _in_frame(log, now, now + np.round(_POINTS / log.step).astype(int))
            if np.linalg.norm(path[-1, :2]) > 1.0:
                command = logged(Scene(log, now, history, future), geometry).command
                features.append(_features(log, now, np.arange(now - history, now, every), command))
                paths.append(path[:, :2])
                straight.append(command is Command.STRAIGHT)
    return Samples(np.array(features), np.array(paths), np.array(straight))


def _features(log: Log, now: int, past: np.ndarray, command: Command) -> Float[np.ndarray, "f"]:
    """Poses of the last 2 s, velocity, acceleration, yaw rate, and the command, also multiplied with the speed."""
    speed, ego = log.ego.velocity[now, 0], log.ego
    motion = np.array([speed, ego.acceleration[now, 0], ego.yaw_rate[now], speed**2 / 10.0, speed * ego.yaw_rate[now]])
    known = np.eye(4)[int(command)]
    return np.concatenate([_in_frame(log, now, past).ravel(), motion, known, known * speed])


def _in_frame(log: Log, now: int, steps: np.ndarray) -> Float[np.ndarray, "k 3"]:
    """(x, y, heading) of the ego at some steps, in its frame of now."""
    away, angle = log.ego.positions[steps, :2] - log.ego.positions[now, :2], log.ego.headings[now]
    c, s = np.cos(angle), np.sin(angle)
    local = away @ np.array([[c, -s], [s, c]])
    return np.concatenate([local, wrap_angle(log.ego.headings[steps] - angle)[:, None]], axis=1)


def errors(fitted: Samples, tested: Samples) -> Float[np.ndarray, "n 2"]:
    """For each moment, ridge regression's displacement on average over 4 s, and its distance from the driven path."""
    mean, scale = fitted.features.mean(axis=0), np.maximum(fitted.features.std(axis=0), 1e-6)
    x, z = ((one.features - mean) / scale for one in (fitted, tested))
    x, z = (np.concatenate([one, np.ones((len(one), 1))], axis=1) for one in (x, z))
    y = fitted.paths.reshape(len(x), -1)
    weights = np.linalg.solve(x.T @ x + _RIDGE * np.eye(x.shape[1]), x.T @ y)
    predicted = (z @ weights).reshape(tested.paths.shape)
    displacement = np.linalg.norm(predicted - tested.paths, axis=2).mean(axis=1)
    aside = np.array([_aside(*pair) for pair in zip(predicted, tested.paths, strict=True)])
    return np.stack([displacement, aside], axis=1)


def _aside(predicted: Float[np.ndarray, "k 2"], path: Float[np.ndarray, "k 2"]) -> float:
    """Average distance from the line through the driven points, which begins at the ego."""
    line = np.concatenate([np.zeros((1, 2)), path])
    line = line[np.append(True, np.linalg.norm(np.diff(line, axis=0), axis=1) > 1e-3)]
    return float(np.abs(to_frenet(line, predicted)[1]).mean())


def regression_table(logs: dict[str, list[Log]]) -> str:
    """Errors on half of each source's logs, fitted on the other half and the other way round; then across sources.

    Raises:
        SwerveError: a source has one log only.
    """
    lines = [
        "| history and command predict 4 s: fitted to, tested on | displacement [m] | off the path [m] "
        "| off the path where the command is straight [m] | moments |",
        "|---|---|---|---|---|",
    ]
    found = {name: (samples(some[::2]), samples(some[1::2])) for name, some in logs.items() if len(some) > 1}
    if len(found) < len(logs):
        raise SwerveError("each source needs two logs, to fit on some and test on others")
    for name, (one, other) in found.items():
        lines.append(_line(f"{name}, other half", [(one, other), (other, one)]))
    first, *others = found
    for name in others:
        lines.append(_line(f"{first}, {name}", [(fitted, tested) for fitted in found[first] for tested in found[name]]))
    return "\n".join(lines)


def _line(name: str, pairs: list[tuple[Samples, Samples]]) -> str:
    """One row of the table."""
    found = np.concatenate([errors(*pair) for pair in pairs])
    straight = np.concatenate([tested.straight for _, tested in pairs])
    displacement, aside = found.mean(axis=0)
    return f"| {name} | {displacement:.2f} | {aside:.2f} | {found[straight, 1].mean():.2f} | {len(found)} |"
