"""Client made of AlpaSim's own generated modules, to be run with the folder they are in as PYTHONPATH: ADDRESS.

It makes the calls of a rollout in the order of AlpaSim's runtime (PolicyEvent, DriverService): a version probe, a
session with a camera, then at each control step images, all egomotion since the last one, a route padded with NaN,
the recorded drive, and the drive call; it prints what is answered as JSON.
"""

import io
import json
import math
import sys

import grpc
import numpy as np
from alpasim_grpc.v0 import common_pb2, egodriver_pb2, egodriver_pb2_grpc, sensorsim_pb2
from PIL import Image

START_US, STEP_US, SPEED = 1_000_000, 500_000, 8.0
NAME = "camera_front_wide_120fov"


def pose(x):
    return common_pb2.Pose(vec=common_pb2.Vec3(x=x, y=0.0, z=0.0), quat=common_pb2.Quat(w=1.0, x=0.0, y=0.0, z=0.0))


def trajectory(times_us):
    rows = [common_pb2.PoseAtTime(pose=pose(SPEED * (t - START_US) * 1e-6), timestamp_us=t) for t in times_us]
    return common_pb2.Trajectory(poses=rows)


def camera():
    spec = sensorsim_pb2.CameraSpec(logical_id=NAME, resolution_h=900, resolution_w=1600)
    spec.ftheta_param.principal_point_x, spec.ftheta_param.principal_point_y = 800.0, 450.0
    spec.ftheta_param.reference_poly = sensorsim_pb2.FthetaCameraParam.PIXELDIST_TO_ANGLE
    spec.ftheta_param.pixeldist_to_angle_poly.extend([0.0, 1.0 / 900.0])
    mounted = common_pb2.Pose(vec=common_pb2.Vec3(x=1.7, z=1.5), quat=common_pb2.Quat(w=0.5, x=-0.5, y=0.5, z=-0.5))
    return sensorsim_pb2.AvailableCamerasReturn.AvailableCamera(intrinsics=spec, rig_to_camera=mounted, logical_id=NAME)


def image():
    pixels = np.random.default_rng(0).integers(0, 255, (225, 400, 3)).astype(np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, format="JPEG")
    return buffer.getvalue()


def main(address):
    with grpc.insecure_channel(address) as channel:
        stub, name = egodriver_pb2_grpc.EgodriverServiceStub(channel), "test-session"
        version = stub.get_version(common_pb2.Empty())
        spec = egodriver_pb2.DriveSessionRequest.RolloutSpec()
        spec.vehicle.available_cameras.append(camera())
        debug = egodriver_pb2.DriveSessionRequest.DebugInfo(scene_id="clip")
        stub.start_session(
            egodriver_pb2.DriveSessionRequest(session_uuid=name, random_seed=7, debug_info=debug, rollout_spec=spec)
        )
        answers, told = [], START_US - 2 * STEP_US
        for step in range(6):
            now = START_US + step * STEP_US
            frame = egodriver_pb2.RolloutCameraImage.CameraImage(
                frame_start_us=now - 30_000,
                frame_end_us=now,
                image_bytes=image(),
                logical_id=NAME,
            )
            stub.submit_image_observation(egodriver_pb2.RolloutCameraImage(session_uuid=name, camera_image=frame))
            times = list(range(told + STEP_US, now + 1, STEP_US))
            told = now
            state = common_pb2.DynamicState(linear_velocity=common_pb2.Vec3(x=SPEED))
            stub.submit_egomotion_observation(
                egodriver_pb2.RolloutEgoTrajectory(
                    session_uuid=name, trajectory=trajectory(times), dynamic_states=[state] * len(times)
                )
            )
            points = [common_pb2.Vec3(x=x, y=0.0, z=0.0) for x in np.linspace(0.0, 80.0, 20)[:12]]
            points += [common_pb2.Vec3(x=math.nan, y=math.nan, z=math.nan)] * 8
            route = egodriver_pb2.Route(timestamp_us=now, waypoints=points)
            stub.submit_route(egodriver_pb2.RouteRequest(session_uuid=name, route=route))
            truth = egodriver_pb2.GroundTruth(timestamp_us=now, trajectory=trajectory([now, now + STEP_US]))
            stub.submit_recording_ground_truth(egodriver_pb2.GroundTruthRequest(session_uuid=name, ground_truth=truth))
            answer = stub.drive(
                egodriver_pb2.DriveRequest(session_uuid=name, time_now_us=now, time_query_us=now + STEP_US)
            )
            answers.append([(one.timestamp_us - now, one.pose.vec.x) for one in answer.trajectory.poses])
        stub.close_session(egodriver_pb2.DriveSessionCloseRequest(session_uuid=name))
    print(json.dumps({"version": version.version_id, "minor": version.grpc_api_version.minor, "answers": answers}))


if __name__ == "__main__":
    main(sys.argv[1])
