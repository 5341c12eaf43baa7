"""Descriptions of 3D views, as arrays over time: viewers, recordings and images are made of them.

Coordinates are a log's world frame (z up, metres). Images and point clouds are read when they are shown, since a log
may have thousands.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import cache
from typing import Final, TypeVar

import numpy as np
from jaxtyping import Float, Float32, Int32, UInt8

from swerve.rasterizer.style import Style
from swerve.scenes import SwerveError
from swerve.scenes.camera import Camera
from swerve.scenes.primitives import Primitives, Semantic
from swerve.scenes.tracks import ObjectClass, Tracks
from swerve.scenes.vehicle import Vehicle
from swerve.viz.solids import boxes, outline

Color = tuple[int, int, int]
Facts = Mapping[str, str]
AGENT_COLORS: Final[Mapping[ObjectClass, Color]] = {
    ObjectClass.VEHICLE: (127, 166, 214),
    ObjectClass.PEDESTRIAN: (232, 121, 185),
    ObjectClass.BICYCLE: (244, 211, 94),
}
OTHER_COLOR: Final[Color] = (143, 148, 158)
EGO_COLOR: Final[Color] = (240, 243, 248)
_MAP_COLORS: Final = {
    Semantic.ROAD: (50, 55, 64),
    Semantic.INTERSECTION: (58, 63, 74),
    Semantic.CAR_PARK: (48, 56, 68),
    Semantic.WALKWAY: (80, 78, 74),
    Semantic.CROSSING: (124, 121, 114),
    Semantic.SPEED_BUMP: (104, 94, 80),
    Semantic.LINE_WHITE: (222, 226, 232),
    Semantic.LINE_YELLOW: (238, 198, 86),
    Semantic.LINE_BLUE: (92, 132, 240),
    Semantic.ROAD_EDGE: (152, 128, 118),
    Semantic.STOP_LINE: (236, 238, 242),
}


@cache
def map_style() -> Style:
    """Return the colours of maps in 3D; signals as in rasters."""
    plain = Style.surfaces()
    palette = plain.palette.copy()
    for semantic, color in _MAP_COLORS.items():
        palette[semantic] = color
    return Style(plain.background, palette)


@dataclass(frozen=True)
class ColoredMesh:
    """Triangles, a colour each.

    Attributes:
        name: of the layer.
        vertices: world frame, metres.
        triangles: rows of three vertices.
        colors: red, green, blue of each triangle.
    """

    name: str
    vertices: Float[np.ndarray, "v 3"]
    triangles: Int32[np.ndarray, "f 3"]
    colors: UInt8[np.ndarray, "f 3"]

    @classmethod
    def of_primitives(cls, name: str, primitives: Primitives, style: Style) -> "ColoredMesh":
        """Return primitives in the colours of a style."""
        colors = style.palette[primitives.semantics, primitives.faces]
        return cls(name, primitives.vertices, primitives.triangles, colors)


@dataclass(frozen=True)
class Path3D:
    """Line in the world.

    Attributes:
        name: unique in the view.
        group: what is shown and hidden together, such as "plans".
        points: world frame, metres.
        color: of the line.
        width: metres.
        facts: shown when it is clicked.
        steps: first and last step at which it is shown; None for all.
    """

    name: str
    group: str
    points: Float[np.ndarray, "k 3"]
    color: Color
    width: float = 0.15
    facts: Facts = field(default_factory=dict)
    steps: tuple[int, int] | None = None

    def shown_at(self, step: int) -> bool:
        """Return whether it is shown at a step."""
        return self.steps is None or self.steps[0] <= step <= self.steps[1]


@dataclass(frozen=True)
class Marker3D:
    """Outline of a vehicle at a place where it does not move, such as a viewpoint.

    Attributes:
        name: unique in the view.
        group: what is shown and hidden together, such as "recovery viewpoints".
        center: of the box, world frame, metres.
        heading: radians.
        size: length, width, height, metres.
        color: of the box.
        facts: shown when it is clicked.
        steps: first and last step at which it is shown; None for all.
    """

    name: str
    group: str
    center: Float[np.ndarray, "3"]
    heading: float
    size: Float[np.ndarray, "3"]
    color: Color
    facts: Facts = field(default_factory=dict)
    steps: tuple[int, int] | None = None

    def shown_at(self, step: int) -> bool:
        """Return whether it is shown at a step."""
        return self.steps is None or self.steps[0] <= step <= self.steps[1]


@dataclass(frozen=True)
class CameraView3D:
    """Camera of the ego with its images.

    Attributes:
        camera: calibration; mounted on the ego.
        image: returns the image at a step; None where there is none. It may be of another size than the camera's.
        depth: returns the depth at a step, metres along the optical axis, infinite where there is none; None without.
    """

    camera: Camera
    image: Callable[[int], UInt8[np.ndarray, "_ _ 3"] | None]
    depth: Callable[[int], Float32[np.ndarray, "_ _"] | None] | None = None


@dataclass(frozen=True)
class SplatCloud:
    """Gaussians as a viewer draws them.

    Attributes:
        centers: world frame, metres.
        covariances: square metres.
        colors: 0 to 1, seen from above the scene.
        opacities: 0 to 1.
    """

    centers: Float32[np.ndarray, "n 3"]
    covariances: Float32[np.ndarray, "n 3 3"]
    colors: Float32[np.ndarray, "n 3"]
    opacities: Float32[np.ndarray, "n"]


@dataclass(frozen=True)
class Curve:
    """Number over time, such as a score or the speed.

    Attributes:
        name: with its unit.
        values: at each step; NaN where unknown.
    """

    name: str
    values: Float[np.ndarray, "t"]


@dataclass(frozen=True)
class SceneView3D:
    """A scene, a log, a sample or a rollout over time.

    Attributes:
        title: a line.
        text: a sentence or two on what is shown.
        times: seconds, rising.
        world_from_ego: pose of the ego at each step.
        vehicle: the ego's dimensions.
        tracks: the other agents at these steps.
        track_facts: shown when a track is clicked, beside its class, size and speed, by id.
        meshes: what does not move, such as the map.
        signals: returns the heads of traffic lights at a step; None if there are none.
        paths: lines.
        markers: boxes that do not move.
        cameras: of the ego.
        points: returns the LiDAR points at a step, world frame; None where there are none.
        splats: Gaussians; None if there are none.
        curves: numbers over time.
        start: step that is shown first.
        unit: of the times: seconds, or what is counted.
    """

    title: str
    text: str
    times: Float[np.ndarray, "t"]
    world_from_ego: Float[np.ndarray, "t 4 4"]
    vehicle: Vehicle
    tracks: Tracks
    track_facts: Mapping[str, Facts] = field(default_factory=dict)
    meshes: tuple[ColoredMesh, ...] = ()
    signals: Callable[[int], ColoredMesh] | None = None
    paths: tuple[Path3D, ...] = ()
    markers: tuple[Marker3D, ...] = ()
    cameras: tuple[CameraView3D, ...] = ()
    points: Callable[[int], Float32[np.ndarray, "_ 3"] | None] | None = None
    splats: SplatCloud | None = None
    curves: tuple[Curve, ...] = ()
    start: int = 0
    unit: str = "s"

    def __post_init__(self) -> None:
        steps = len(self.times)
        lengths = {len(self.world_from_ego), self.tracks.valid.shape[1], *(len(curve.values) for curve in self.curves)}
        if not steps or lengths != {steps}:
            raise ValueError(f"all of a view must have its {steps} steps, at least one; there are {sorted(lengths)}")
        if not 0 <= self.start < steps:
            raise ValueError(f"start {self.start} must lie in 0..{steps - 1}")

    def __len__(self) -> int:
        return len(self.times)

    def moment(self, step: int) -> str:
        """Return where a step is: a time, or a count where steps are not of a time."""
        if self.unit != "s":
            return f"{step + 1} of {len(self)} {self.unit}"
        return f"{self.times[step]:.1f} of {self.times[-1]:.1f} s"


def track_colors(tracks: Tracks) -> UInt8[np.ndarray, "n 3"]:
    """Return the colour of each track by its class."""
    colors = [AGENT_COLORS.get(ObjectClass(kind), OTHER_COLOR) for kind in tracks.classes.tolist()]
    return np.array(colors, np.uint8).reshape(-1, 3)


def track_facts(view: SceneView3D, row: int, step: int) -> dict[str, str]:
    """Return what is shown when a track is clicked, at a step."""
    tracks = view.tracks
    speed, size = np.hypot(*tracks.velocities[row, step]), tracks.sizes[row, step]
    gap = tracks.positions[row, step, :2] - view.world_from_ego[step, :2, 3]
    return {
        "track": tracks.ids[row],
        "class": ObjectClass(tracks.classes[row]).name.lower().replace("_", " "),
        "speed": f"{speed:.1f} m/s",
        "size": " x ".join(f"{side:.1f}" for side in size) + " m",
        "distance from the ego": f"{np.hypot(*gap):.1f} m",
        **view.track_facts.get(tracks.ids[row], {}),
    }


def moving_paths(tracks: Tracks, least: float = 2.0) -> list[tuple[int, Float[np.ndarray, "k 3"]]]:
    """Return rows and paths, on the ground under the boxes, of tracks that move `least` metres or more."""
    found = []
    for row in range(len(tracks)):
        steps = np.flatnonzero(tracks.valid[row])
        if len(steps) > 1 and np.linalg.norm(np.ptp(tracks.positions[row, steps, :2], axis=0)) >= least:
            feet = tracks.positions[row, steps] - [0.0, 0.0, 0.5] * tracks.sizes[row, steps]
            found.append((row, feet))
    return found


def ego_box(
    world_from_ego: Float[np.ndarray, "4 4"], vehicle: Vehicle
) -> tuple[Float[np.ndarray, "3"], Float[np.ndarray, "3"]]:
    """Return the centre of the ego's box in the world, and its size."""
    center = world_from_ego @ np.array([vehicle.rear_axle_to_center, 0.0, vehicle.height / 2, 1.0])
    return center[:3], vehicle.size


def marked_lines(view: SceneView3D) -> list[tuple[Path3D | Marker3D, Float[np.ndarray, "_ 3"], float]]:
    """Return lines and outlines of markers: each with its points and its width in metres."""
    found: list[tuple[Path3D | Marker3D, Float[np.ndarray, "_ 3"], float]]
    found = [(path, path.points, path.width) for path in view.paths]
    found += [(marker, outline(marker.center, marker.heading, marker.size), 0.08) for marker in view.markers]
    return found


def step_meshes(view: SceneView3D, step: int) -> tuple[ColoredMesh, ...]:
    """Return all that is solid at a step as meshes: the map, agents, lights and the ego."""
    tracks, seen = view.tracks, np.flatnonzero(view.tracks.valid[:, step])
    found = list(view.meshes)
    if len(seen):
        places = tracks.positions[seen, step], tracks.headings[seen, step], tracks.sizes[seen, step]
        found.append(_solid("agents", *places, track_colors(tracks)[seen]))
    if view.signals is not None and len((lights := view.signals(step)).triangles):
        found.append(lights)
    pose = view.world_from_ego[step]
    center, size = ego_box(pose, view.vehicle)
    heading = np.array([np.arctan2(pose[1, 0], pose[0, 0])])
    return (*found, _solid("ego", center[None], heading, size[None], np.array([EGO_COLOR], np.uint8)))


def _solid(
    name: str,
    centers: Float[np.ndarray, "n 3"],
    headings: Float[np.ndarray, "n"],
    sizes: Float[np.ndarray, "n 3"],
    colors: UInt8[np.ndarray, "n 3"],
) -> ColoredMesh:
    corners, shades = boxes(centers, headings, sizes, colors)
    numbers = np.arange(3 * len(corners), dtype=np.int32).reshape(-1, 3)
    return ColoredMesh(name, corners.reshape(-1, 3), numbers, shades)


_Mark = TypeVar("_Mark", Path3D, Marker3D)


def between(view: SceneView3D, first: float, last: float) -> SceneView3D:
    """Return the steps of a view from one time to another.

    Raises:
        SwerveError: there is none.
    """
    rows = np.flatnonzero((view.times >= first - 1e-6) & (view.times <= last + 1e-6))
    if not len(rows):
        raise SwerveError(f"{first:g} to {last:g}: the view lasts from {view.times[0]:.1f} to {view.times[-1]:.1f}")
    low, high = int(rows[0]), int(rows[-1])
    signals, points = view.signals, view.points
    return replace(
        view,
        times=view.times[low : high + 1],
        world_from_ego=view.world_from_ego[low : high + 1],
        tracks=view.tracks.at(slice(low, high + 1)),
        signals=None if signals is None else lambda step: signals(step + low),
        points=None if points is None else lambda step: points(step + low),
        paths=tuple(_moved(one, low, high) for one in view.paths if _overlaps(one.steps, low, high)),
        markers=tuple(_moved(one, low, high) for one in view.markers if _overlaps(one.steps, low, high)),
        cameras=tuple(_later(one, low) for one in view.cameras),
        curves=tuple(Curve(one.name, one.values[low : high + 1]) for one in view.curves),
        start=min(max(view.start, low), high) - low,
    )


def _overlaps(steps: tuple[int, int] | None, low: int, high: int) -> bool:
    return steps is None or (steps[0] <= high and steps[1] >= low)


def _moved(one: _Mark, low: int, high: int) -> _Mark:
    """Return a line or a marker with its steps counted from another one."""
    if one.steps is None:
        return one
    return replace(one, steps=(max(one.steps[0] - low, 0), min(one.steps[1], high) - low))


def _later(one: CameraView3D, low: int) -> CameraView3D:
    depth = one.depth
    return CameraView3D(
        one.camera, lambda step: one.image(step + low), None if depth is None else lambda step: depth(step + low)
    )
