"""Compares the reader of log data bases with the devkit's answers (`answers/db_*.json.gz`)."""

import hashlib
import io
from dataclasses import asdict

import numpy as np
from PIL import Image

from swerve.data.sources.nuplan.nuplan_db import TABLES, NuplanDb
from swerve.data.sources.nuplan.nuplan_maps import load_nuplan_map
from swerve.data.sources.nuplan.nuplan_scenario import NuplanScenario
from swerve.data.sources.nuplan.point_cloud import read_point_cloud
from swerve.scenes import Vehicle
from tests.support.nuplan_files import answers_in

TOLERANCE = 1e-6
# How the answers' scenarios were asked for.
DURATION, OFFSET, SUBSAMPLE = 3.0, -1.0, 0.5
WINDOW_US = 50_000
AGENT_TYPES = ("VEHICLE", "PEDESTRIAN", "BICYCLE")


def check(folder, root, tally):
    for name, answers in answers_in(folder, "db_*").items():
        files = sorted(root.rglob(f"{answers['log_name']}.db"))
        tally.equal("db: file", name, [file.stem for file in files], [answers["log_name"]])
        if files:
            check_db(NuplanDb(files[0]), answers, root, name, tally)


def check_db(db, answers, root, where, tally):
    tally.equal("db: log", where, sorted(asdict(db.log()).items()), sorted(answers["log"].items()))
    tally.equal(
        "db: rows of tables", where, {name: db.count(name) for name in TABLES}.items(), answers["counts"].items()
    )
    cameras = db.cameras()
    tally.equal(
        "cameras", where, [camera.channel for camera in cameras], [golden["channel"] for golden in answers["cameras"]]
    )
    for camera, golden in zip(cameras, answers["cameras"], strict=False):
        check_camera(camera, golden, f"{where} {camera.channel}", tally)
    check_scenes(db, answers, where, tally)
    nuplan = load_nuplan_map(root / "maps", answers["log"]["map_version"])
    for golden in answers["samples"]:
        check_sample(db, golden, f"{where} {golden['token']}", tally)
    check_scenarios(db, answers, where, tally)
    for golden in answers["builder_multi"]:
        check_scenario(db, nuplan, golden, f"{where} {golden['token']}", tally)
    for golden in answers["sensors"]:
        check_sensors(db, golden, root / "sensor_blobs", f"{where} {golden['token']}", tally)


def check_camera(camera, golden, where, tally):
    names = ("token", "channel", "width", "height")
    tally.equal(
        "cameras: names, sizes", where, [getattr(camera, name) for name in names], [golden[name] for name in names]
    )
    for name in ("translation", "rotation", "intrinsic", "distortion"):
        tally.close(f"cameras: {name}", where, getattr(camera, name), golden[name])


def check_scenes(db, answers, where, tally):
    pcs = db.lidar_pcs
    mine = [[scene.token, scene.name, scene.goal or None, scene.roadblock_text] for scene in db.scenes]
    mine = [[*scene, pcs.scene_tokens.count(scene[0])] for scene in mine]
    golden = [
        [scene[key] for key in ("token", "name", "goal", "roadblock_ids", "num_lidar_pcs")]
        for scene in answers["scenes"]
    ]
    tally.equal("scenes", where, sorted(mine), sorted(golden))
    times = pcs.times_us.tolist(), pcs.poses.times_us.tolist()
    mine = zip(pcs.tokens, times[0], pcs.scene_tokens, pcs.ego_pose_tokens, times[1], strict=True)
    tally.equal("lidar_pcs", where, map(list, mine), answers["lidar_pcs"])


def check_sample(db, golden, where, tally):
    row = db.lidar_pcs.row_of[golden["token"]]
    scenario, poses = NuplanScenario(db, golden["token"]), db.lidar_pcs.poses
    check_ego(db, row, golden["ego"], where, tally)
    tally.close("samples: pose", where, planar(poses.of([row])), golden["se2"], TOLERANCE)
    tally.close("samples: height", where, poses.positions[row, 2], golden["pose_z"])
    tally.close("samples: quaternion", where, poses.quaternions[row], golden["q"])
    check_objects(scenario.objects(0), golden["objects"], where, tally)
    check_lights(scenario, golden["lights"], where, tally)
    check_route(scenario, golden["roadblock_ids"], golden["goal"], where, tally)
    tally.equal("samples: map", where, [db.log().map_version], [golden["map_name"]])
    time = int(db.lidar_pcs.times_us[row])
    images = db.images(time - WINDOW_US, time + WINDOW_US)
    mine = zip(images.channels, images.files, images.times_us.tolist(), strict=True)
    tally.equal("samples: images", where, sorted(map(list, mine)), sorted(golden["images"]))


def planar(poses):
    return np.column_stack([poses.positions[:, :2], poses.headings])[0]


def check_ego(db, row, golden, where, tally):
    pose, velocity, acceleration = (
        planar(db.lidar_pcs.poses.of([row])),
        db.lidar_pcs.poses.velocity[row, :2],
        db.lidar_pcs.poses.acceleration[row, :2],
    )
    reach = Vehicle.pacifica().rear_axle_to_center
    center = [pose[0] + reach * np.cos(pose[2]), pose[1] + reach * np.sin(pose[2]), pose[2]]
    tally.equal("ego: time", where, [int(db.lidar_pcs.times_us[row])], [golden["t_us"]])
    tally.close("ego: rear axle", where, pose, golden["rear_axle"], TOLERANCE)
    tally.close("ego: center", where, center, golden["center"], TOLERANCE)
    tally.close("ego: velocity", where, velocity, golden["v_rear"], TOLERANCE)
    tally.close("ego: acceleration", where, acceleration, golden["a_rear"], TOLERANCE)
    tally.close("ego: speed", where, np.hypot(*velocity), golden["speed"], TOLERANCE)


def check_objects(boxes, golden, where, tally, limit=None):
    order = np.argsort(boxes.tokens)[:limit]
    kinds = ("token", "track", "category", "t_us")
    mine = [(boxes.tokens[i], boxes.track_tokens[i], boxes.categories[i], int(boxes.times_us[i])) for i in order]
    tally.equal("objects: names, classes, times", where, mine, [tuple(item[key] for key in kinds) for item in golden])
    if len(mine) == len(golden):
        poses = np.column_stack([boxes.centers[:, :2], boxes.headings])[order]
        tally.close("objects: poses", where, poses, [item["center"] for item in golden], TOLERANCE)
        tally.close("objects: sizes", where, boxes.sizes[order], [item["lwh"] for item in golden], TOLERANCE)
        moving = [item["type"] in AGENT_TYPES for item in golden]
        theirs = [item["v"] for item in golden if item["type"] in AGENT_TYPES]
        tally.close("objects: velocities", where, boxes.velocities[order][moving], theirs, TOLERANCE)


def check_lights(scenario, golden, where, tally, iteration=0):
    mine = [[lane, state.upper(), int(scenario.times_us[iteration])] for lane, state in scenario.lights(iteration)]
    tally.equal("lights", where, mine, golden)


def check_route(scenario, route, goal, where, tally):
    tally.equal("routes", where, scenario.route(), [id_ for id_ in route if id_])
    mine = scenario.goal()
    tally.equal("goals: given", where, [mine is None], [goal is None])
    if mine is not None and goal is not None:
        tally.close("goals", where, mine, goal, TOLERANCE)


def check_scenarios(db, answers, where, tally):
    tags = sorted(zip(db.tags.types, db.tags.lidar_pc_tokens, strict=True))
    tally.equal("scenario tags", where, tags, sorted(map(tuple, answers["scenario_tags"])))
    tally.equal("scenario tags: order of types", where, db.tags.types, [kind for kind, _ in answers["scenario_tags"]])
    found = db.scenario_tokens()
    tally.equal("scenarios", where, [len(found)], [answers["builder"]["num"]])
    tally.equal("scenarios: tokens and types", where, sorted(map(list, found)), answers["builder"]["scenarios"])


def check_scenario(db, nuplan, golden, where, tally):
    scenario = NuplanScenario(db, golden["token"], DURATION, OFFSET, SUBSAMPLE)
    tally.equal("scenario: tokens", where, scenario.tokens, golden["tokens"])
    tally.equal("scenario: iterations", where, [len(scenario.rows)], [golden["iterations"]])
    tally.close("scenario: interval", where, scenario.interval, golden["interval"], TOLERANCE)
    tally.equal("scenario: times", where, scenario.times_us[[0, 1, -1]].tolist(), golden["time_points"])
    kinds = dict(db.scenario_tokens({golden["type"]}))  # they were asked for by type
    tally.equal("scenario: type", where, [kinds.get(golden["token"])], [golden["type"]])
    states = [(scenario.rows[0], golden["ego0"]), (scenario.rows[5], golden["ego5"])]
    for rows, name in ((scenario.future_rows(0, 2.0, 4), "future"), (scenario.past_rows(0, 1.0, 4), "past")):
        tally.equal(f"scenario: states of {name}", where, [len(rows)], [len(golden[name])])
        states += zip(rows, golden[name], strict=False)
    for row, state in states:
        check_ego(db, int(row), state, where, tally)
    objects = scenario.objects(3)
    tally.equal("scenario: objects", where, [len(objects.tokens)], [golden["num_objects3"]])
    check_objects(objects, golden["objects3"], where, tally, limit=len(golden["objects3"]))
    check_lights(scenario, golden["lights"], where, tally)
    check_route(scenario, golden["route"], golden["goal"], where, tally)
    tally.close("scenario: expert goal", where, scenario.expert_goal(), golden["expert_goal"], TOLERANCE)
    tally.close("scenario: lidar mount", where, db.lidar_mount(), golden["lidar_to_ego"], TOLERANCE)
    within = scenario.objects_within(2, 0.5, 0.5)
    tally.equal("scenario: objects within a window", where, [len(within.tokens)], [golden["objects_window_2_0.5_0.5"]])
    tally.equal("scenario: derived route", where, scenario.derived_route(nuplan), golden["derived_route"])
    check_predictions(scenario, golden["predictions0"], where, tally)


def check_predictions(scenario, golden, where, tally):
    mine = scenario.predictions(0, 2.0, 0.5)
    for track, waypoints in golden:
        times, poses = mine[track]
        present = [waypoint for waypoint in waypoints if waypoint is not None]
        known = ~np.isnan(poses[:, 0])
        tally.equal("predictions: times", where, times[known].tolist(), [waypoint[0] for waypoint in present])
        if known.sum() == len(present):
            tally.close("predictions: poses", where, poses[known], [waypoint[1:] for waypoint in present], TOLERANCE)


def check_sensors(db, golden, sensors, where, tally):
    row = db.lidar_pcs.row_of[golden["token"]]
    sensors = next(folder for folder in sensors.glob("*") if (folder / db.lidar_pcs.files[row]).is_file())
    time = int(db.lidar_pcs.times_us[row])
    images = db.images(time - WINDOW_US, time + WINDOW_US)
    files = dict(zip(images.channels, images.files, strict=True))
    for channel, (shape, digest, mean) in golden["images"].items():
        pixels = np.asarray(Image.open(io.BytesIO((sensors / files[channel]).read_bytes())).convert("RGB"))
        tally.equal("images: shape", where, [pixels.shape], [tuple(shape)])
        # The digest depends on the JPEG decoder: compare it only where the means differ.
        same = hashlib.sha256(pixels.tobytes()).hexdigest() == digest
        tally.close("images: mean", f"{where} {channel}", mean if same else pixels.mean(), mean, 1.0)
    points = read_point_cloud(sensors / db.lidar_pcs.files[row])
    cloud = golden["lidar"]
    tally.equal("lidar: shape, type", where, [*points.shape, str(points.dtype)], [*cloud["shape"], cloud["dtype"]])
    tally.close("lidar: first point", where, points[:, 0], cloud["first"])
    tally.equal("lidar: digest", where, [hashlib.sha256(points.tobytes()).hexdigest()], [cloud["sha"]])
