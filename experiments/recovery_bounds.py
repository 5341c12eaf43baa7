"""Measure bounds and acceptance of recoveries: `python -m experiments.recovery_bounds SOURCE... [--per-scene 4]`.

Sources are those of `swerve`: `av2:FOLDER`, `town:8`. Every 0.5 s of each log is a scene; bounds are compared with
finite differences of history and target at 10 Hz in float32, as they are stored. A ratio within `TOLERANCE` of what is
stated or recorded is within it: float32 adds 0.03 m/s3 to the jerk, interpolation to tenths of seconds the rest.
"""

import sys
from collections import Counter
from collections.abc import Iterator

import numpy as np
from jaxtyping import Bool, Float

from swerve.data import open_source
from swerve.data.dataset.targets import trajectory_arrays
from swerve.scenes import extract_scenes
from swerve.scenes.transforms import yaw_of
from swerve.scenes.viewpoints import (
    KinematicLimits,
    LogGeometry,
    RecoveryOptions,
    Viewpoint,
    ViewpointKind,
    ViewpointOptions,
    build_log_geometry,
    build_viewpoints,
)
from swerve.scenes.viewpoints.bounds import BOUND_NAMES
from swerve.scenes.viewpoints.collisions import body_footprints, collisions

TOLERANCE, SLACK = 0.05, 0.2


def published_ratios(found: Viewpoint) -> Float[np.ndarray, "9"]:
    """Compute the ratios of the stored poses to the bounds."""
    arrays = trajectory_arrays(found, 2.0, 5.0)
    known = np.concatenate([arrays["history_valid"], arrays["target_10hz_valid"]])
    poses = np.concatenate([arrays["history_pose"], arrays["target_10hz"]])[known].astype(np.float64)
    seconds = np.arange(len(poses)) / 10
    return KinematicLimits().max_pose_ratios(poses[:, :2], np.unwrap(poses[:, 2]), seconds, found.vehicle)


def history_conflicts(found: Viewpoint, geometry: LogGeometry) -> tuple[bool, float]:
    """Return whether the history overlaps a box, and by how many metres it leaves the road further than the human."""
    scene, poses = found.scene, found.ego.world_from_ego
    steps = slice(scene.now - scene.history, scene.now + 1)
    footprint = body_footprints(poses[:, :2, 3], yaw_of(poses), found.vehicle)
    valid = scene.log.tracks.valid[:, steps] & ~geometry.ego_contacts[:, steps]
    hit = bool(collisions(footprint, geometry.footprints[:, steps], valid).any())
    if geometry.surface is None:
        return hit, 0.0
    return hit, float((geometry.surface.distance_outside(footprint) - geometry.ego_distance_outside[steps]).max())


def measure(spec: str, options: ViewpointOptions) -> Iterator[tuple[Viewpoint | str, LogGeometry]]:
    """Yield the recoveries of all scenes, and the reasons of those that were rejected."""
    source = open_source(spec)
    for name in source.names():
        geometry = build_log_geometry(source.load(name))
        for scene in extract_scenes(geometry.log, interval=0.5):
            made, rejected = build_viewpoints(scene, [ViewpointKind.RECOVERY], options, 0, geometry)
            yield from ((one, geometry) for one in made)
            yield from ((one.reason, geometry) for one in rejected)


def tell(spec: str, options: ViewpointOptions) -> None:
    """Print the figures of a source."""
    found = list(measure(spec, options))
    made = [(one, geometry) for one, geometry in found if isinstance(one, Viewpoint)]
    print(f"{spec}: {len(made)} made; rejected {dict(Counter(one for one, _ in found if isinstance(one, str)))}")
    ratios = np.array([published_ratios(one) for one, _ in made])
    recorded = np.array([[one.parameters.get(f"relaxed_{name}", 1.0) for name in BOUND_NAMES] for one, _ in made])
    tell_ratios("over the stated bound", ratios, ratios > 1.0 + TOLERANCE)
    tell_ratios("recorded as relaxed", recorded, recorded > 1.0)
    tell_ratios("over the recorded bound", ratios / recorded, ratios > recorded + TOLERANCE)
    conflicts = [history_conflicts(one, geometry) for one, geometry in made]
    off = np.array([metres for _, metres in conflicts])
    hits = sum(hit for hit, _ in conflicts)
    print(f"  histories: {hits} overlap a box, {(off > SLACK).sum()} leave the road, by up to {off.max():.2f} m")


def tell_ratios(title: str, ratios: Float[np.ndarray, "n 9"], over: Bool[np.ndarray, "n 9"]) -> None:
    """Print how many viewpoints exceed something, and each bound that is exceeded."""
    each = (f"{name} {over[:, row].mean():.1%} (largest {ratios[over[:, row], row].max():.2f})"
            for row, name in enumerate(BOUND_NAMES) if over[:, row].any())  # fmt: skip
    print(f"  {title}: {over.any(axis=1).mean():.1%}", *each, sep="; ")


def main(arguments: list[str]) -> None:
    """Print the figures of each source."""
    per_scene = 4
    if "--per-scene" in arguments:
        place = arguments.index("--per-scene")
        per_scene = int(arguments[place + 1])
        arguments = arguments[:place] + arguments[place + 2 :]
    for spec in arguments:
        tell(spec, ViewpointOptions(RecoveryOptions(samples_per_scene=per_scene)))


if __name__ == "__main__":
    main(sys.argv[1:])
