"""A benchmark of hand-made cases and planners for it: importable by worker processes."""

from dataclasses import dataclass, replace

import numpy as np

from swerve.eval.benchmark.benchmark_store import Benchmark
from swerve.scenes.planning import Trajectory
from tests.support.simple_scene_group import simple_scene_group


class SimpleBenchmark(Benchmark):
    """Two logs with the same case under other names."""

    @property
    def logs(self):
        return ("one", "two")

    def scene_groups(self, log):
        return {"one": ("one-0", "one-1"), "two": ("two-0",)}[log]

    def scene_group(self, name):
        return replace(simple_scene_group(), log=name.split("-")[0])


@dataclass(frozen=True)
class Steady:
    """Drives straight on at a share of its speed; every 0.5 s, or as often as it says."""

    share: float = 1.0
    interval: float = 0.5
    broken: bool = False
    cameras: tuple[str, ...] = ()

    def plan(self, observation):
        if self.broken:
            raise RuntimeError("no idea")
        seconds = self.interval * np.arange(1, round(4.0 / self.interval) + 1)
        speed = self.share * observation.history.velocity[-1, 0]
        return Trajectory(np.stack([speed * seconds, *np.zeros((2, len(seconds)))], axis=1), self.interval)


def load(spec):
    """A planner from a share, or the one that is broken."""
    return Steady(broken=True) if spec == "broken" else Steady(float(spec))
