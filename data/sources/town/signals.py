"""Traffic signals: phases, connector states, walk intervals of pedestrians, and head positions."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, UInt8

from swerve.data.sources.town.connectors import Connector, Movement
from swerve.data.sources.town.curves import left_of, unit
from swerve.data.sources.town.junctions import Arm, Junction
from swerve.data.sources.town.plan import TownPlan
from swerve.scenes import LaneType, LightState, TrafficLights, keyed_generator
from swerve.scenes.transforms import wrap_angle

YELLOW, ALL_RED = 3.0, 2.0
# Walking speed of the slowest pedestrian that greens are designed for, m/s.
SLOW_WALK = 1.1
_HEAD_HEIGHT, _BICYCLE_HEAD_HEIGHT, _HEAD_SPACING = 5.4, 2.6, 0.7
_UNKNOWN_SHARE = 0.12


@dataclass(frozen=True)
class Phase:
    """Signal phase in which some arms have green.

    Attributes:
        arms: indices of these arms.
        protected_left: whether it serves left-turn lanes only.
        green: duration of the green, seconds.
    """

    arms: tuple[int, ...]
    protected_left: bool
    green: float


@dataclass(frozen=True)
class Program:
    """Cyclic signal program of a junction.

    Attributes:
        phases: phases in order.
        offset: seconds into the cycle at time zero.
    """

    phases: tuple[Phase, ...]
    offset: float

    @property
    def cycle(self) -> float:
        """Duration of the cycle, seconds."""
        return sum(phase.green + YELLOW + ALL_RED for phase in self.phases)

    def since_green(self, number: int, seconds: Float[np.ndarray, "t"]) -> Float[np.ndarray, "t"]:
        """Compute the seconds since a phase last became green."""
        start = sum(phase.green + YELLOW + ALL_RED for phase in self.phases[:number])
        return (seconds + self.offset - start) % self.cycle

    def states(self, number: int, seconds: Float[np.ndarray, "t"]) -> UInt8[np.ndarray, "t"]:
        """Compute the states of a phase's heads."""
        since, green = self.since_green(number, seconds), self.phases[number].green
        lit = np.where(since < green, LightState.GREEN, LightState.YELLOW)
        return np.where(since < green + YELLOW, lit, LightState.RED).astype(np.uint8)


def build_programs(plan: TownPlan, name: str, seed: int) -> dict[int, Program]:
    """Build the program of each signalised junction."""
    generator = keyed_generator(seed, name, "signals")
    return {
        number: _program(number, junction, plan.connectors, generator)
        for number, junction in enumerate(plan.junctions)
        if junction.signalised
    }


def _program(
    number: int, junction: Junction, connectors: tuple[Connector, ...], generator: np.random.Generator
) -> Program:
    """Build a program: two axes in turn; left-turn lanes get their own phase before their axis."""
    minor = tuple(arm for arm in range(len(junction.arms)) if arm not in junction.priority_arms)
    lefts = {c.arm for c in connectors if c.junction == number and c.left_only and c.movement is Movement.LEFT}
    phases = []
    for axis, other in ((junction.priority_arms, minor), (minor, junction.priority_arms)):
        alone = tuple(arm for arm in axis if arm in lefts and _has_other_ways(number, arm, connectors))
        if alone:
            phases.append(Phase(alone, True, float(generator.uniform(6.0, 9.0))))
        walk = max((_crossing_time(junction.arms[arm]) for arm in other), default=0.0)
        phases.append(Phase(axis, False, float(max(generator.uniform(9.0, 15.0), walk - 2.0))))
    cycle = sum(phase.green + YELLOW + ALL_RED for phase in phases)
    return Program(tuple(phases), float(generator.uniform(0.0, cycle)))


def _has_other_ways(number: int, arm: int, connectors: tuple[Connector, ...]) -> bool:
    """Test whether some traffic of an arm does not turn left."""
    return any(c.movement is not Movement.LEFT for c in connectors if c.junction == number and c.arm == arm)


def _crossing_time(arm: Arm) -> float:
    """Return the seconds that a slow pedestrian needs across an arm."""
    return (arm.kerb_in + arm.kerb_out) / SLOW_WALK if arm.crossing is not None else 0.0


def phase_of(program: Program, connector: Connector) -> int:
    """Return the index of the phase in which a connector has green."""
    alone = connector.left_only and connector.movement is Movement.LEFT
    rows = [row for row, phase in enumerate(program.phases) if connector.arm in phase.arms]
    return next((row for row in rows if program.phases[row].protected_left == alone), rows[0])


def connector_states(
    plan: TownPlan, programs: dict[int, Program], seconds: Float[np.ndarray, "t"]
) -> UInt8[np.ndarray, "c t"]:
    """Compute the state of every connector; green where there are no signals."""
    states = np.full((len(plan.connectors), len(seconds)), LightState.GREEN, np.uint8)
    for row, connector in enumerate(plan.connectors):
        if connector.junction in programs:
            program = programs[connector.junction]
            states[row] = program.states(phase_of(program, connector), seconds)
    return states


def walk_states(
    plan: TownPlan, programs: dict[int, Program], junction: int, arm: int, seconds: Float[np.ndarray, "t"]
) -> Bool[np.ndarray, "t"]:
    """Test when pedestrians may start across an arm: its cross traffic has green, for long enough."""
    if junction not in programs:
        return np.ones(len(seconds), bool)
    program = programs[junction]
    rows = [row for row, phase in enumerate(program.phases) if arm not in phase.arms and not phase.protected_left]
    needed = _crossing_time(plan.junctions[junction].arms[arm])
    allowed = np.zeros(len(seconds), bool)
    for row in rows:
        left = program.phases[row].green + YELLOW + ALL_RED - program.since_green(row, seconds)
        allowed |= (program.states(row, seconds) == LightState.GREEN) & (left > needed)
    return allowed


def traffic_lights(
    plan: TownPlan, programs: dict[int, Program], seconds: Float[np.ndarray, "t"], name: str, seed: int
) -> TrafficLights:
    """Build one head per connector at a signalised junction; some states are unknown."""
    generator = keyed_generator(seed, name, "heads")
    rows = [row for row, connector in enumerate(plan.connectors) if connector.junction in programs]
    if not rows:
        return TrafficLights.empty(len(seconds))
    states = connector_states(plan, programs, seconds)[rows]
    for row in np.flatnonzero(generator.random(len(rows)) < _UNKNOWN_SHARE):
        first, last = np.sort(generator.integers(0, len(seconds) + 1, 2))
        states[row, first:last] = LightState.UNKNOWN
    heads = [_head(plan, plan.connectors[row]) for row in rows]
    return TrafficLights(
        tuple(plan.connectors[row].lane.id for row in rows),
        np.array([position for position, _ in heads]),
        np.array([heading for _, heading in heads]),
        states,
    )


def _head(plan: TownPlan, connector: Connector) -> tuple[Float[np.ndarray, "3"], float]:
    """Return a connector's head position and direction: beyond the junction, over its lane; for bikes at the kerb."""
    junction = plan.junctions[connector.junction]
    arm = junction.arms[connector.arm]
    lateral = float((connector.lane.centerline[0, :2] - junction.position) @ left_of(unit(arm.angle)))
    if connector.lane.kind is LaneType.BICYCLE:
        place, height = junction.point(arm, arm.lane_end_distance - 1.0, arm.kerb_in + 0.4), _BICYCLE_HEAD_HEIGHT
    else:
        shift = {Movement.LEFT: -1, Movement.STRAIGHT: 0, Movement.RIGHT: 1}[connector.movement] * _HEAD_SPACING
        place, height = junction.point(arm, -_far_side(junction, connector.arm), lateral + shift), _HEAD_HEIGHT
    ground = float(plan.road_map.ground.at(place[None])[0])
    return np.array([*place, ground + height]), float(wrap_angle(arm.angle))


def _far_side(junction: Junction, number: int) -> float:
    """Return the distance beyond the node of an arm's heads: behind the crossing roads."""
    arm = junction.arms[number]
    beyond = [
        abs(float(np.sin(arm.angle - other.angle))) * max(other.kerb_in, other.kerb_out)
        for other in junction.arms
        if other is not arm
    ]
    return max(beyond) + 1.5
