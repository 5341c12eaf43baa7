"""Dynamic geometry at one timestamp: a body for every agent and a head for every signal."""

import numpy as np
from jaxtyping import Float, Int32

from swerve.data.sources.town.photos.objects import signal_head, thing
from swerve.data.sources.town.photos.people import cyclist_body, draw_clothes, pedestrian_body
from swerve.data.sources.town.photos.reach import CullingRegion
from swerve.data.sources.town.photos.solids import Solid, joined
from swerve.data.sources.town.photos.vehicles import vehicle_body
from swerve.scenes import LightState, ObjectClass, Tracks, TrafficLights, keyed_generator
from swerve.scenes.primitives import FIRST_SIGNAL_INSTANCE
from swerve.scenes.primitives.cuboids import SIGNAL_SIZE

# Number of gait phases; metres of a double step, and of a turn of the pedals.
_POSITIONS, _STRIDE, _TURN = 12, 1.4, 4.5
_FRAMES = ((0.02, 0.02, 0.022), (0.3, 0.02, 0.02), (0.03, 0.1, 0.3), (0.5, 0.5, 0.48))


class AgentBodies:
    """Cached bodies of one log's agents; people are cached per gait phase.

    Args:
        name: name of the log.
        seed: with the name and a track's id, determines its appearance.
        lit: whether headlamps are lit.
    """

    def __init__(self, name: str, seed: int, lit: bool) -> None:
        self._name, self._seed, self._lit = name, seed, lit
        self._bodies = dict[tuple[str, int, bytes, int], Solid]()
        self._heads = {state: signal_head(state) for state in LightState}

    def at(self, tracks: Tracks, lights: TrafficLights, reach: CullingRegion) -> tuple[Solid, Int32[np.ndarray, "c1"]]:
        """Build all relevant agents and signals, each upright in its box.

        Args:
            tracks: agents at one step.
            lights: signals at one step.
            reach: region of relevant objects.

        Returns:
            triangles with the instance ids of the raster; and the offset of each object, with the total at the end.
        """
        things = []
        radii = np.linalg.norm(tracks.sizes[:, 0], axis=1) / 2
        for row in np.flatnonzero(tracks.valid[:, 0] & reach.holds(tracks.positions[:, 0], radii)):
            size, heading = tracks.sizes[row, 0], float(tracks.headings[row, 0])
            foot = tracks.positions[row, 0] - [0.0, 0.0, size[2] / 2]
            body = self._body(tracks.ids[row], ObjectClass(tracks.classes[row]), size, _phase(tracks, int(row)))
            things.append(body.moved(heading, foot).with_instance(int(row) + 1))
        radii = np.full(len(lights), np.linalg.norm(SIGNAL_SIZE) / 2)
        for row in np.flatnonzero(reach.holds(lights.positions, radii)):
            head = self._heads[LightState(lights.states[row, 0])]
            placed = head.moved(float(lights.headings[row]), lights.positions[row])
            things.append(placed.with_instance(FIRST_SIGNAL_INSTANCE + int(row)))
        starts = np.concatenate([[0], np.cumsum([len(solid) for solid in things])]).astype(np.int32)
        return joined(things), starts

    def _body(self, name: str, kind: ObjectClass, size: Float[np.ndarray, "3"], turns: float) -> Solid:
        """Return an agent's body, in the frame of its box's bottom."""
        walks = kind in (ObjectClass.PEDESTRIAN, ObjectClass.BICYCLE)
        length = _TURN if kind == ObjectClass.BICYCLE else _STRIDE
        position = int(np.floor(turns / length * _POSITIONS)) % _POSITIONS if walks else 0
        key = (name, int(kind), size.tobytes(), position)
        if key not in self._bodies:
            generator = keyed_generator(self._seed, self._name, "body", name)
            self._bodies[key] = _made(kind, size, 2 * np.pi * position / _POSITIONS, generator, self._lit)
        return self._bodies[key]


def _made(
    kind: ObjectClass, size: Float[np.ndarray, "3"], phase: float, generator: np.random.Generator, lit: bool
) -> Solid:
    """Build a new body."""
    if kind == ObjectClass.VEHICLE:
        return vehicle_body(size, generator, lit)
    if kind == ObjectClass.PEDESTRIAN:
        return pedestrian_body(size, draw_clothes(generator), phase)
    if kind == ObjectClass.BICYCLE:
        frame = _FRAMES[int(generator.integers(len(_FRAMES)))]
        return cyclist_body(size, draw_clothes(generator), frame, phase)
    return thing(kind, size, generator)


def _phase(tracks: Tracks, row: int) -> float:
    """Return a gait phase from the agent's position along its own heading."""
    heading = tracks.headings[row, 0]
    return float(tracks.positions[row, 0, :2] @ [np.cos(heading), np.sin(heading)])
