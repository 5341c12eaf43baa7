"""How well history and command predict the path: ridge regression, tested on logs that it was not fitted to."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from swerve.scenes import Log, Scene, SwerveError
from swerve.scenes.polyline import frenet
from swerve.scenes.transforms import wrap_angle
from swerve.scenes.viewpoints import prepare
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
    """

    features: Float[np.ndarray, "n f"]
    paths: Float[np.ndarray, "n k 2"]


def samples(logs: list[Log]) -> Samples:
    """All moments, every half second, at which the ego moves within the next 4 s."""
    features, paths = [], []
    for log in logs:
        geometry = prepare(log)
        history, future, every = (round(seconds / log.step) for seconds in (_HISTORY, _FUTURE, _EVERY))
        for now in range(history, len(log.times_us) - future, every):
            scene = Scene(log, now, history, future)
            path = _in_frame(log, now, now + np.round(_POINTS / log.step).astype(int))
            if np.linalg.norm(path[-1, :2]) > 1.0:
                features.append(_features(log, now, np.arange(now - history, now, every), logged(scene, geometry)))
                paths.append(path[:, :2])
    return Samples(np.array(features), np.array(paths))


def _features(log: Log, now: int, past: np.ndarray, viewpoint) -> Float[np.ndarray, "f"]:
    """Poses of the last 2 s, velocity, acceleration, yaw rate, and the command, also multiplied with the speed."""
    speed, ego = log.ego.velocity[now, 0], log.ego
    motion = np.array([speed, ego.acceleration[now, 0], ego.yaw_rate[now], speed**2 / 10.0, speed * ego.yaw_rate[now]])
    command = np.eye(4)[int(viewpoint.command)]
    return np.concatenate([_in_frame(log, now, past).ravel(), motion, command, command * speed])


def _in_frame(log: Log, now: int, steps: np.ndarray) -> Float[np.ndarray, "k 3"]:
    """(x, y, heading) of the ego at some steps, in its frame of now."""
    away, angle = log.ego.positions[steps, :2] - log.ego.positions[now, :2], log.ego.headings[now]
    c, s = np.cos(angle), np.sin(angle)
    local = away @ np.array([[c, -s], [s, c]])
    return np.concatenate([local, wrap_angle(log.ego.headings[steps] - angle)[:, None]], axis=1)


def errors(fitted: Samples, tested: Samples) -> tuple[float, float]:
    """Average displacement over 4 s of a ridge regression, and its points' average distance from the driven path."""
    mean, scale = fitted.features.mean(axis=0), np.maximum(fitted.features.std(axis=0), 1e-6)
    x, z = ((one.features - mean) / scale for one in (fitted, tested))
    x, z = (np.concatenate([one, np.ones((len(one), 1))], axis=1) for one in (x, z))
    y = fitted.paths.reshape(len(x), -1)
    weights = np.linalg.solve(x.T @ x + _RIDGE * np.eye(x.shape[1]), x.T @ y)
    predicted = (z @ weights).reshape(tested.paths.shape)
    displacement = np.linalg.norm(predicted - tested.paths, axis=2).mean()
    return float(displacement), float(np.mean([_aside(*pair) for pair in zip(predicted, tested.paths, strict=True)]))


def _aside(predicted: Float[np.ndarray, "k 2"], path: Float[np.ndarray, "k 2"]) -> float:
    """Average distance from the line through the driven points, which begins at the ego."""
    line = np.concatenate([np.zeros((1, 2)), path])
    line = line[np.append(True, np.linalg.norm(np.diff(line, axis=0), axis=1) > 1e-3)]
    return float(np.abs(frenet(line, predicted)[1]).mean())


def regression_table(logs: dict[str, list[Log]]) -> str:
    """Errors on half of each source's logs (every second), fitted on the other half, and the other way round."""
    lines = ["| history and command predict 4 s | displacement [m] | off the path [m] | moments |", "|---|---|---|---|"]
    for name, found in logs.items():
        halves = found[::2], found[1::2]
        if not all(halves):
            raise SwerveError(f"{name}: two logs are needed to fit on some and test on others, it has {len(found)}")
        one, other = (samples(half) for half in halves)
        both = np.array([errors(one, other), errors(other, one)])
        shares = np.array([len(other.paths), len(one.paths)])
        displacement, aside = (both * shares[:, None]).sum(axis=0) / shares.sum()
        lines.append(f"| {name} | {displacement:.2f} | {aside:.2f} | {shares.sum()} |")
    return "\n".join(lines)
