"""Run AlpaSim's own runtime with Swerve's driver and renderer, and with AlpaSim's controller.

In Swerve's environment, write a log as a scene, and serve:

    python -m experiments.alpasim_rollout scene town:3 town-000003 scene.npz
    swerve serve driver --planner constant-velocity --port 6789
    swerve serve renderer town:3 --port 6790

In an environment that has AlpaSim's packages (alpasim_runtime, alpasim_utils with its Rust extension, alpasim_grpc,
alpasim_controller and eval), where Swerve need not be:

    python -m alpasim_controller.server --port 6791
    python experiments/alpasim_rollout.py drive scene.npz OUT --driver 127.0.0.1:6789 --renderer 127.0.0.1:6790 \
        --controller 127.0.0.1:6791

`drive` runs `EventBasedRollout`: recorded traffic, no physics, no map, cameras and control steps at 2 Hz, the first
second forced along the recorded drive. It prints how far the driven and the recorded car are apart, and writes
AlpaSim's log of all messages, OUT/rollouts/SCENE/UUID/rollout.asl. Without --controller the car is placed on the plan.
"""

import argparse
import asyncio
import sys
from importlib import import_module
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np

SHUTTER_US, STEP_US, FORCED_US = 1_000, 500_000, 1_000_000
_STILL = 1.0


def main() -> None:
    """Write a scene, or drive in it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="command", required=True)
    scene = commands.add_parser("scene")
    for name in ("source", "log", "file"):
        scene.add_argument(name)
    drive = commands.add_parser("drive")
    drive.add_argument("file", type=Path)
    drive.add_argument("out", type=Path)
    for name in ("driver", "renderer", "controller"):
        drive.add_argument(f"--{name}", default="", help="HOST:PORT; AlpaSim's stand-in (skip) if empty")
    drive.add_argument("--cameras", nargs="*", default=["front", "front_left", "front_right"])
    drive.add_argument("--size", nargs=2, type=int, default=(480, 270), help="of images, width and height")
    drive.add_argument("--steps", type=int, default=20, help="of 0.5 s")
    args = parser.parse_args()
    if args.command == "scene":
        write_scene(args.source, args.log, args.file)
    else:
        asyncio.run(drive_scene(args))


def write_scene(source: str, name: str, file: str) -> None:
    """Write poses, boxes and the car of a log, which is all that the runtime takes from a scene."""
    from swerve.data import open_source
    from swerve.scenes import ObjectClass

    log = open_source(source).load(name)
    tracks, vehicle = log.tracks, log.vehicle
    np.savez(
        file,
        name=log.name,
        times_us=log.times_us,
        ego=log.ego.world_from_ego,
        vehicle=(vehicle.length, vehicle.width, vehicle.height, -vehicle.rear_overhang),
        ids=np.array(tracks.ids, str),
        classes=np.array([ObjectClass(one).name.lower() for one in tracks.classes], str),
        positions=tracks.positions,
        headings=tracks.headings,
        sizes=np.median(tracks.sizes, axis=1) if len(tracks) else np.zeros((0, 3)),
        valid=tracks.valid,
    )


async def drive_scene(args: argparse.Namespace) -> None:
    """Run a rollout, and print its distance from the recorded drive."""
    with np.load(args.file) as held:
        scene = _data_source({name: held[name] for name in held.files}, args.cameras)
    services, catalog = _services(args)
    simulation = _simulation(args)
    unbound_rollout = import_module("alpasim_runtime.unbound_rollout").UnboundRollout
    versions = import_module("alpasim_grpc.v0.logging_pb2").RolloutMetadata.VersionIds()
    unbound = unbound_rollout.create(
        simulation, scene.scene_id, versions, scene, str(args.out / "rollouts"), services["renderer_service"]
    )
    rollout = import_module("alpasim_runtime.event_loop").create_event_rollout(
        unbound=unbound,
        data_source=scene,
        camera_catalog=catalog,
        eval_config=SimpleNamespace(enabled=False),
        eval_executor=None,
        **services,
    )
    states: list[Any] = []
    made = rollout._create_rollout_state
    rollout._create_rollout_state = lambda: states.append(made()) or states[0]
    await rollout.run()
    _report(states[0].ego_trajectory, scene.rig.trajectory, unbound)


def _report(driven: Any, recorded: Any, unbound: Any) -> None:
    """Print where the car was at the end of each second."""
    times_us = driven.timestamps_us
    there = driven.positions
    logged = recorded.interpolate(times_us).positions
    apart = np.linalg.norm(there - logged, axis=1)[:, None]
    print(f"{unbound.rollout_uuid}: {unbound.n_sim_steps} steps; seconds, metres driven, metres from the recorded car")
    start = unbound.first_policy_timestamp_us
    length = np.append(0.0, np.cumsum(np.linalg.norm(np.diff(there, axis=0), axis=1)))
    for row in np.flatnonzero((times_us >= start) & ((times_us - start) % 1_000_000 == 0)):
        print(f"{(int(times_us[row]) - start) * 1e-6:5.1f} {length[row]:8.2f} {apart[row, 0]:8.3f}")


def _data_source(held: dict[str, np.ndarray], cameras: list[str]) -> Any:
    """Return AlpaSim's `SceneDataSource`: a rig, traffic, no map."""
    scenario = import_module("alpasim_utils.scenario")
    times_us = held["times_us"].astype(np.uint64)
    start = int(times_us[0]) + 1_500_000 + SHUTTER_US
    frames = {name: [range(start - SHUTTER_US, start)] for name in cameras}
    length, width, height, offset = (float(one) for one in held["vehicle"])
    rig = scenario.Rig(
        sequence_id=str(held["name"]),
        trajectory=_trajectory(times_us, held["ego"]),
        camera_ids=[scenario.CameraId(name, 0, str(held["name"]), name) for name in cameras],
        camera_frame_timestamps_us={name: [ranges[0].stop] for name, ranges in frames.items()},
        camera_frame_ranges_us=frames,
        world_to_nre=np.eye(4),
        vehicle_config=scenario.VehicleConfig(length, width, height, offset),
    )
    facts = SimpleNamespace(logger=SimpleNamespace(run_id="swerve"), version_string="swerve", uuid="swerve")
    return SimpleNamespace(
        scene_id=str(held["name"]), rig=rig, traffic_objects=_traffic(held, times_us), map=None, metadata=facts
    )


def _traffic(held: dict[str, np.ndarray], times_us: np.ndarray) -> Any:
    scenario = import_module("alpasim_utils.scenario")
    objects = scenario.TrafficObjects()
    for row, name in enumerate(held["ids"]):
        known = held["valid"][row]
        poses = np.tile(np.eye(4), (int(known.sum()), 1, 1))
        poses[:, :3, 3] = held["positions"][row, known]
        cos, sin = np.cos(held["headings"][row, known]), np.sin(held["headings"][row, known])
        poses[:, 0, 0], poses[:, 0, 1], poses[:, 1, 0], poses[:, 1, 1] = cos, -sin, sin, cos
        still = np.ptp(poses[:, :2, 3], axis=0).max() < _STILL
        objects[str(name)] = scenario.TrafficObject(
            track_id=str(name),
            aabb=scenario.AABB(*(float(one) for one in held["sizes"][row])),
            trajectory=_trajectory(times_us[known], poses),
            is_static=bool(still),
            label_class=str(held["classes"][row]),
        )
    return objects


def _trajectory(times_us: np.ndarray, poses: np.ndarray) -> Any:
    geometry = import_module("alpasim_utils.geometry")
    return geometry.Trajectory.from_poses(times_us, [geometry.Pose.from_se3(one.astype(np.float32)) for one in poses])


def _services(args: argparse.Namespace) -> tuple[dict[str, Any], Any]:
    """Return AlpaSim's clients, of which those without an address are its stand-ins, and the catalog of cameras."""
    named = {
        "driver": ("driver_service", "DriverService"),
        "physics": ("physics_service", "PhysicsService"),
        "trafficsim": ("traffic_service", "TrafficService"),
        "controller": ("controller_service", "ControllerService"),
    }
    found = {}
    for name, (module, cls) in named.items():
        address = getattr(args, name, "")
        found[name] = getattr(import_module(f"alpasim_runtime.services.{module}"), cls)(address, skip=not address)
    catalog = import_module("alpasim_runtime.camera_catalog").CameraCatalog(None)
    sensorsim = import_module("alpasim_runtime.services.sensorsim_service").SensorsimService
    found["renderer_service"] = sensorsim(args.renderer, skip=not args.renderer, camera_catalog=catalog)
    return found, catalog


def _simulation(args: argparse.Namespace) -> Any:
    config = import_module("alpasim_runtime.config")
    width, height = args.size
    return config.SimulationConfig(
        n_sim_steps=args.steps,
        n_rollouts=1,
        control_timestep_us=STEP_US,
        pose_reporting_interval_us=100_000,
        force_gt_duration_us=FORCED_US,
        cameras=[config.RuntimeCameraConfig(name, height, width, STEP_US, SHUTTER_US) for name in args.cameras],
        route_generator_type=config.RouteGeneratorType.RECORDED,
        send_recording_ground_truth=True,
        min_traffic_duration_us=0,
    )


if __name__ == "__main__":
    sys.exit(main())
