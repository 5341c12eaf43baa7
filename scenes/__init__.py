"""Scene data model (logs, cameras, tracks, lights, road map), viewpoints off the logged path, and 3D primitives."""

from typing import TYPE_CHECKING

from swerve.scenes.lazy_package import make_lazy

if TYPE_CHECKING:
    from swerve.scenes.camera import FORWARD, Camera, Lens, LensModel
    from swerve.scenes.errors import LogError, MissingExtraError, SwerveError
    from swerve.scenes.log import Log, Photo, Scene, Sweep, extract_scenes, split_windows
    from swerve.scenes.randomness import keyed_generator
    from swerve.scenes.road_map import (
        Area,
        GroundHeight,
        Lane,
        LaneGroup,
        LaneMarking,
        LaneType,
        RoadEdge,
        RoadLine,
        RoadMap,
        StopLine,
    )
    from swerve.scenes.split import Split
    from swerve.scenes.tracks import Ego, LightState, ObjectClass, Tracks, TrafficLights, box_footprints
    from swerve.scenes.vehicle import Vehicle

__all__ = [
    "FORWARD",
    "Area",
    "Camera",
    "Ego",
    "GroundHeight",
    "Lane",
    "LaneGroup",
    "LaneMarking",
    "LaneType",
    "Lens",
    "LensModel",
    "LightState",
    "Log",
    "LogError",
    "MissingExtraError",
    "ObjectClass",
    "Photo",
    "RoadEdge",
    "RoadLine",
    "RoadMap",
    "Scene",
    "Split",
    "StopLine",
    "Sweep",
    "SwerveError",
    "Tracks",
    "TrafficLights",
    "Vehicle",
    "box_footprints",
    "extract_scenes",
    "keyed_generator",
    "split_windows",
]

make_lazy(__name__)
