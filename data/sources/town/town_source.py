"""Source `town:COUNT` or `town:FIRST-LAST`: logs generated on demand, each from its name."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import ClassVar

import numpy as np

from swerve.data.sources.town.jaywalking import UnmarkedCrossing, draw_unmarked
from swerve.data.sources.town.obstructions import Obstruction, draw_obstructions
from swerve.data.sources.town.plan import TownPlan, plan_town
from swerve.data.sources.town.recording import ego_from_simulation, tracks_from_simulation
from swerve.data.sources.town.rig import town_rig
from swerve.data.sources.town.routes import Path
from swerve.data.sources.town.screens import draw_screens
from swerve.data.sources.town.signals import Program, build_programs, traffic_lights
from swerve.data.sources.town.simulation import Movements, draw_traffic, log_seconds, simulate_town
from swerve.data.sources.town.standing import sample_static_objects
from swerve.data.sources.town.town_options import TownOptions
from swerve.data.sources.town.traffic_state import SPACING
from swerve.scenes import Camera, Log, LogError, Split, SwerveError, Vehicle, keyed_generator

# Length of the route beyond the end of the log, metres.
_ROUTE_BEYOND = 100.0
# The ego should drive so far in the log, or two starts are tried and the farthest is kept.
_WAY_WANTED, _STARTS = (15.0, 110.0), 2


@dataclass(frozen=True)
class TownSource:
    """Source of `count` logs named town-000000, town-000001, ...; small and picklable.

    Of each ten logs, number 8 is for validation and number 9 for testing.

    Attributes:
        count: number of logs.
        seed: random seed of all towns.
        first: index of the first log.
    """

    count: int
    seed: int = 0
    first: int = 0
    kind: ClassVar[str] = "town"

    def __post_init__(self) -> None:
        if self.first < 0 or self.count < 1 or self.first + self.count > 1_000_000:
            raise SwerveError(
                f"town: {self.count} logs from number {self.first} on: one log is needed at least, and numbers must "
                "lie in 0..999999"
            )

    def names(self) -> tuple[str, ...]:
        """Return the names of all logs, in order."""
        return tuple(f"town-{number:06d}" for number in range(self.first, self.first + self.count))

    def load(self, name: str) -> Log:
        """Generate one log.

        Raises:
            LogError: there is no log of this name.
        """
        number = log_number(name)
        if not self.first <= number < self.first + self.count:
            known = self.names()
            raise LogError(f"town:{self.count}", name, "no such log", f"It has {known[0]} to {known[-1]}")
        return generate_town(name, self.seed)

    def rigs(self, names: Collection[str]) -> dict[str, tuple[Camera, ...]]:
        """Return the cameras, which are the same in all towns."""
        return dict.fromkeys(names, town_rig())


def generate_town(name: str, seed: int = 0, options: TownOptions | None = None) -> Log:
    """Generate one log at 10 Hz, fully determined by its name, the seed and the options.

    Map, traffic and pedestrians cover the whole town; tracks are those within 150 m of the ego. The ego's route
    continues for 100 m beyond the log's end.

    Args:
        name: town-NNNNNN.
        seed: seed of the source.
        options: densities; the defaults if None.

    Raises:
        LogError: the name has another format.
    """
    number, options, vehicle = log_number(name), options or TownOptions(), Vehicle.pacifica()
    plan = plan_town(name, seed)
    directions, generator = plan.directions, keyed_generator(seed, name, "obstructions")
    obstructions = draw_obstructions(directions, options.obstructions, generator)
    unmarked = draw_unmarked(plan, obstructions, keyed_generator(seed, name, "unmarked crossings"))
    unmarked = draw_screens(plan, unmarked, options.occlusions, keyed_generator(seed, name, "screens"))
    programs, movements, start = _liveliest(plan, obstructions, unmarked, vehicle, options, name, seed)
    seconds = log_seconds(options.steps)
    times = np.round(seconds * 1e6).astype(np.int64)
    path, ground = movements.ego_path, plan.road_map.ground
    standing = sample_static_objects(plan, unmarked, path.points[: int(400 / SPACING)], options, name, seed)
    stopped = [thing for here in obstructions.values() for thing in here.objects]
    return Log(
        name=name,
        source="town",
        times_us=times,
        ego=ego_from_simulation(movements.vehicles[0], vehicle, ground, times),
        vehicle=vehicle,
        tracks=tracks_from_simulation(movements, standing, stopped, ground, keyed_generator(seed, name, "sizes")),
        lights=traffic_lights(plan, programs, seconds, start, seed),
        road_map=plan.road_map,
        cameras=town_rig(),
        route=_route(plan, path, movements),
        split=split_of(number),
    )


def log_number(name: str) -> int:
    """Parse the number in a log's name.

    Raises:
        LogError: the name has another format.
    """
    digits = name.removeprefix("town-")
    if not (name.startswith("town-") and len(digits) == 6 and digits.isascii() and digits.isdecimal()):
        raise LogError("town", "name", f"{name!r} is not a town", "Names look like town-000042")
    return int(digits)


def split_of(number: int) -> Split:
    """Return the split: of each ten logs, number 8 is for validation, number 9 for testing, the others for training."""
    last = number % 10
    return "val" if last == 8 else "test" if last == 9 else "train"


def _liveliest(
    plan: TownPlan,
    obstructions: Mapping[str, Obstruction],
    unmarked: Sequence[UnmarkedCrossing],
    vehicle: Vehicle,
    options: TownOptions,
    name: str,
    seed: int,
) -> tuple[dict[int, Program], Movements, str]:
    """Simulate with several signal programs until the ego drives far enough; return that start, or the farthest.

    The required distance differs between logs, so that some include waiting at a red light.
    """
    wanted = keyed_generator(seed, name, "start").uniform(*_WAY_WANTED) * options.seconds / 20.0
    best, farthest, traffic = None, -1.0, None
    for attempt in range(_STARTS):
        start = f"{name}/{attempt}"
        programs = build_programs(plan, start, seed)
        if traffic is None:
            traffic = draw_traffic(plan, obstructions, unmarked, programs, vehicle, options, start, seed)
        movements, traffic = simulate_town(plan, unmarked, programs, traffic, options, farthest)
        if movements is not None and movements.present[0].all() and _way(movements) > farthest:
            best, farthest = (programs, movements, start), _way(movements)
        if farthest > wanted:
            break
    if best is None:
        raise RuntimeError(f"the ego left the map in every start of {name} (seed {seed}): a fault of the generator")
    return best


def _route(plan: TownPlan, path: Path, movements: Movements) -> tuple[str, ...]:
    """Return the lane groups along the ego's path, from the log's start to beyond its end."""
    begin = movements.ego_end - _way(movements) - movements.drivers[0].body.rear
    end = movements.ego_end + _ROUTE_BEYOND
    lanes = plan.road_map.lane_by_id
    bounds = zip(path.lanes, path.starts[:-1], path.starts[1:], strict=True)
    groups = [lanes[lane].group_id for lane, enter, leave in bounds if leave > begin and enter < end]
    return tuple(group for group, _ in groupby(groups))


def _way(movements: Movements) -> float:
    """Return the distance that the ego drives, metres."""
    return float(np.linalg.norm(np.diff(movements.vehicles[0, :, :2], axis=0), axis=1).sum())
