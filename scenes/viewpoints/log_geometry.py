"""Geometry shared by all viewpoints of a log, computed once."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import scipy
from jaxtyping import Bool, Float, Int

from swerve.scenes.log import Log
from swerve.scenes.randomness import keyed_generator
from swerve.scenes.tracks import ObjectClass
from swerve.scenes.vehicle import REAR_OVERHANG_SHARE
from swerve.scenes.viewpoints.collisions import DrivableSurface, body_footprints, collisions
from swerve.scenes.viewpoints.ground import poses_from_normals
from swerve.scenes.viewpoints.motion_smoother import Motion, smooth_motion
from swerve.scenes.viewpoints.path import RUN_OUT, DrivenPath

# Measurement noise of ego poses and of annotated boxes, in metres and radians.
_EGO_NOISE = (0.03, 0.005)
_BOX_NOISE = (0.10, 0.03)
_LEAST_STEPS = 10
# Number of times that the smoothed ego motion is smoothed again, with other noise, to estimate its noise.
_REPLICAS = 8
# Limits of deviation (metres) and reversing (m/s) beyond which a log's path is not used as a reference.
_ROUGH, _REVERSE = 0.25, -0.3
# Beyond the log's ends the path is extended straight. Allowed difference from the log's own bend there: lateral
# acceleration, m/s2 (a jump, of 1 m/s3 at 10 Hz), and metres at the trajectory's farthest point.
_BEND_FORCE, _BEND_DRIFT = 0.1, 0.1
# The annotation range is this percentile of the distances of all boxes.
_RANGE_PERCENTILE = 95.0


def build_log_geometry(log: Log) -> "LogGeometry":
    """Return the geometry of a log; its properties are computed on first use."""
    return LogGeometry(log)


@dataclass(frozen=True)
class LogGeometry:
    """Geometry of a log that does not depend on the timestamp or the viewpoint."""

    log: Log

    @cached_property
    def seconds(self) -> Float[np.ndarray, "t"]:
        """Times of the steps since the first, seconds."""
        seconds: Float[np.ndarray, "t"] = (self.log.times_us - self.log.times_us[0]) * 1e-6
        return seconds

    @cached_property
    def ego_motion(self) -> Motion:
        """Smoothed motion of the ego."""
        ego = self.log.ego
        motions = smooth_motion(
            self.log.times_us,
            ego.positions[None, :, :2],
            ego.headings[None],
            np.ones((1, len(ego)), bool),
            np.zeros(1),
            *_EGO_NOISE,
        )
        return motions.of(0)

    @cached_property
    def ego_replicas(self) -> Motion:
        """Smooth the smoothed ego poses again, with other noise: a batch whose spread is the smoother's noise.

        The noise is white, as large as the residuals of the poses along and across the heading and in it (a parametric
        bootstrap: Efron and Tibshirani, "An introduction to the bootstrap", 1993, 6.5).
        """
        motion, ego = self.ego_motion, self.log.ego
        draws = keyed_generator(0, self.log.name, "ego_replicas").standard_normal((3, _REPLICAS, len(ego)))
        ahead = np.stack([np.cos(motion.headings), np.sin(motion.headings)], axis=-1)
        left = np.stack([-ahead[:, 1], ahead[:, 0]], axis=-1)
        off = ego.positions[:, :2] - motion.positions
        residuals = ((off * ahead).sum(axis=-1), (off * left).sum(axis=-1), motion.heading_residuals)
        along, across, turns = (np.sqrt(np.mean(one**2)) * draw for one, draw in zip(residuals, draws, strict=True))
        return smooth_motion(
            self.log.times_us,
            motion.positions + along[..., None] * ahead + across[..., None] * left,
            motion.headings + turns,
            np.ones((_REPLICAS, len(ego)), bool),
            np.zeros(_REPLICAS),
            *_EGO_NOISE,
        )

    @cached_property
    def path(self) -> DrivenPath:
        """Path that the ego drove, with the height and the tilt of its poses."""
        ego = self.log.ego
        return DrivenPath.of(self.ego_motion, self.seconds, ego.positions[:, 2], ego.world_from_ego[:, :3, 2])

    @cached_property
    def footprints(self) -> Float[np.ndarray, "n t 4 2"]:
        """Footprints of all tracks."""
        return self.log.tracks.footprints()

    @cached_property
    def ego_footprints(self) -> Float[np.ndarray, "t 4 2"]:
        """Footprints of the recording vehicle."""
        ego = self.log.ego
        return body_footprints(ego.positions[:, :2], ego.headings, self.log.vehicle)

    @cached_property
    def ego_contacts(self) -> Bool[np.ndarray, "n t"]:
        """Boxes that overlap the recording vehicle: label errors."""
        return collisions(self.ego_footprints, self.footprints, self.log.tracks.valid)

    @cached_property
    def surface(self) -> DrivableSurface | None:
        """Drivable surface; None without a map, or where the map has no such areas."""
        surface = DrivableSurface.of(self.log.road_map) if self.log.road_map else None
        return None if surface is None or surface.shape.is_empty else surface

    @cached_property
    def ego_distance_outside(self) -> Float[np.ndarray, "t"]:
        """Distance of the recording vehicle itself from the surface, in metres: errors of the map."""
        return self.surface.distance_outside(self.ego_footprints) if self.surface else np.zeros(len(self.log.ego))

    @cached_property
    def sizes(self) -> Float[np.ndarray, "n 3"]:
        """Median size of each track over its annotated steps."""
        tracks = self.log.tracks
        rows = [tracks.sizes[row, tracks.valid[row]] for row in range(len(tracks))]
        medians = [np.median(sizes, axis=0) if len(sizes) else np.zeros(3) for sizes in rows]
        return np.array(medians).reshape(-1, 3)

    @cached_property
    def agent_rows(self) -> Int[np.ndarray, "m"]:
        """Rows of tracks with a smoothed motion: vehicles annotated for about a second or more."""
        tracks = self.log.tracks
        vehicles = tracks.classes == ObjectClass.VEHICLE
        return np.flatnonzero(vehicles & (tracks.valid.sum(axis=1) >= _LEAST_STEPS))

    @cached_property
    def agent_motions(self) -> Motion:
        """Smoothed motions of `agent_rows`; the measured point is the centre of the box."""
        rows, tracks = self.agent_rows, self.log.tracks
        return smooth_motion(
            self.log.times_us,
            tracks.positions[rows, :, :2],
            tracks.headings[rows],
            tracks.valid[rows],
            self.sizes[rows, 0] * (0.5 - REAR_OVERHANG_SHARE),
            *_BOX_NOISE,
        )

    @cached_property
    def annotation_range(self) -> float:
        """Annotation range of the recorder in metres; 0 if nothing is annotated."""
        tracks = self.log.tracks
        gap = tracks.positions[..., :2] - self.log.ego.positions[None, :, :2]
        distances = np.linalg.norm(gap, axis=-1)[tracks.valid]
        return float(np.percentile(distances, _RANGE_PERCENTILE)) if len(distances) else 0.0

    def arc_lengths_at(self, seconds: Float[np.ndarray, "q"]) -> Float[np.ndarray, "q"]:
        """Interpolate the ego's arc length on its path at times between the steps, or just outside them."""
        speeds = np.maximum(self.ego_motion.speeds, 0.0)
        lengths: Float[np.ndarray, "q"] = scipy.interpolate.CubicHermiteSpline(
            self.seconds, self.path.arc_lengths, speeds
        )(seconds)
        return lengths

    def is_implausible(self, steps: slice) -> bool:
        """Test whether the ego's path at these steps is unusable as a reference: implausible poses, or reversing."""
        motion = self.ego_motion.at(steps)
        return bool(motion.position_residuals.max() > _ROUGH or motion.speeds.min() < _REVERSE)

    def beyond_log_ends(
        self, along: Float[np.ndarray, "*c t"], speeds: Float[np.ndarray, "*c t"]
    ) -> Bool[np.ndarray, "*c"]:
        """Test which trajectories leave the log's ends further than the straight extension of the path is valid.

        Args:
            along: arc lengths of the trajectories' nearest points on the path.
            speeds: m/s.
        """
        result = np.zeros(along.shape[:-1], bool)
        for over, end in ((-along, 0), (along - self.path.arc_lengths[-1], -1)):
            bend = abs(float(self.ego_motion.curvatures[end]))
            force = bend * np.where(over > 1e-6, speeds**2, 0.0).max(axis=-1)
            farthest = np.maximum(over.max(axis=-1), 0.0)
            # The path's last node may lie one spacing short of the extension's end.
            too_far = (farthest > RUN_OUT - 1.0) | (bend * farthest**2 / 2 > _BEND_DRIFT)
            result |= too_far | (force > _BEND_FORCE)
        return result

    def poses_beside(
        self,
        positions: Float[np.ndarray, "*b 2"],
        headings: Float[np.ndarray, "*b"],
        along: Float[np.ndarray, "*b"],
    ) -> Float[np.ndarray, "*b 4 4"]:
        """Return poses with the path's tilt and the height of the map's ground relative to the path.

        Args:
            positions: rear axles near the path, world frame.
            headings: radians.
            along: arc lengths of their nearest points on the path.
        """
        at, road_map = self.path.at(along), self.log.road_map
        foot = at.positions[..., :2]
        if road_map and road_map.has_height:
            rise = road_map.ground.at(positions) - road_map.ground.at(foot)
        else:
            rise = -((positions - foot) * at.up[..., :2]).sum(axis=-1) / at.up[..., 2]
        points = np.concatenate([positions, (at.positions[..., 2] + rise)[..., None]], axis=-1)
        return poses_from_normals(points, headings, at.up)
