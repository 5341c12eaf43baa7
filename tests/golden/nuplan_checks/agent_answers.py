"""Compares inputs of NAVSIM agents, and submissions, with the official ones (`navsim.json.gz`, `cli/submission_*.pkl`).

The code of the official `camera_agent` is not among the answers: its features are computed by an agent of ours that
asks for the same sensors, and its trajectories, which only its own code could compute, are not compared.
"""

import hashlib
import json
import pickletools
import tempfile
from gzip import decompress
from pathlib import Path

import numpy as np

from swerve.data.sources.navsim.folders import navsim_folders
from swerve.data.sources.navsim.scene_filter import read_split
from swerve.data.sources.navsim.scene_windows import index_scenes
from swerve.data.storage.restricted_pickle import PickledRecord, load_pickle
from swerve.eval.submission.check_submission import check_submission, expected_tokens
from swerve.eval.submission.pickled_names import pickled_names
from swerve.eval.submission.submission import FILE_NAME, Submission, SubmissionInfo
from swerve.eval.submission.write_submission import SAMPLING, TRAJECTORY, write_submission
from swerve.planners import load_planner
from swerve.planners.navsim.compatibility import dataclasses
from swerve.planners.navsim.predict import predict
from swerve.planners.navsim.scene_inputs import agent_input_of_scene

CAMERA_AGENT = "navsim:tests.support.navsim_agents.red_camera_agent.RedCameraAgent"
VELOCITY_AGENT = "navsim:tests.support.navsim_agents.simple_agents.ConstantVelocity"
# A float32 of a position some metres away, in the last digit: numpy 2 multiplies float32 numbers in another order.
SINGLE = 1e-6
GREY = 1.0  # decoders of JPEG differ by so much in the mean


def check(folder, root, tally):
    answers = json.loads(decompress((folder / "answers" / "navsim.json.gz").read_bytes()))
    for name, known in answers.items():
        if isinstance(known, dict) and "camera_agent" in known:
            index = _index(folder, root, name)
            for scene in known["scenes"]:
                _check_input(index, scene, tally)
            _check_camera_agent(index, known["camera_agent"], tally)
    for split, agent, file in (
        ("oracle_two_stage", VELOCITY_AGENT, "submission_constant_velocity_agent"),
        ("oracle_two_stage", "constant-velocity", "submission_constant_velocity_agent"),
    ):
        _check_submission(_index(folder, root, split), agent, folder / "answers" / "cli" / f"{file}.pkl", tally)


def _index(folder, root, name):
    return index_scenes(navsim_folders(str(root)), read_split(folder / "config" / "train_test_split" / f"{name}.yaml"))


def _check_input(index, known, tally):
    """Compares what an agent gets that asks for all sensors; synthetic scenes have no point clouds."""
    scene = index.load(known["token"])
    sensors = dataclasses.SensorConfig.build_all_sensors()
    sensors.lidar_pc = not scene.synthetic
    given = agent_input_of_scene(scene, index.sensors.of(scene), sensors, dataclasses)
    for frame, (status, golden) in enumerate(zip(given.ego_statuses, known["agent_input"], strict=True)):
        where = f"{scene.token} {frame}"
        for key, array in (
            ("pose", status.ego_pose),
            ("v", status.ego_velocity),
            ("a", status.ego_acceleration),
            ("cmd", status.driving_command),
        ):
            tally.equal("agents: number types", f"{where} {key}", [str(array.dtype)], [golden[key]["dtype"]])
            exact = key == "pose"
            tally.close(f"agents: ego {key}", where, array, golden[key]["data"], SINGLE if exact else 0.0)
        tally.equal("agents: global frame", where, [status.in_global_frame], [golden["in_global_frame"]])
        cameras = {name for name, camera in vars(given.cameras[frame]).items() if camera.image is not None}
        tally.equal("agents: cameras", where, sorted(cameras), sorted(golden["cameras"]))
        if golden["lidar"] is not None:
            digest = hashlib.sha256(np.ascontiguousarray(given.lidars[frame].lidar_pc).tobytes()).hexdigest()
            tally.equal("agents: point clouds", where, [digest], [golden["lidar"]])


def _check_camera_agent(index, known, tally):
    """Compares which cameras are loaded, and the means of the images."""
    planner = load_planner(CAMERA_AGENT).planner
    builder = planner.agent.get_feature_builders()[0]
    for token, golden in known.items():
        scene = index.load(token)
        given = agent_input_of_scene(scene, index.sensors.of(scene), planner.sensors, dataclasses)
        loaded = [
            [name for name, camera in vars(cameras).items() if camera.image is not None] for cameras in given.cameras
        ]
        tally.equal("camera agent: loaded", token, map(sorted, loaded), map(sorted, golden["loaded"]))
        reds = builder.compute_features(given)["red"].numpy()
        tally.close("camera agent: features", token, reds, golden["features"], GREY)


def _check_submission(index, spec, file, tally):
    planner = load_planner(spec).planner
    stages = {
        "first_stage_predictions": list(index.logged),
        "second_stage_predictions": list(index.reactive_stage_two),
    }
    made = {key: predict(planner, index, tokens, lambda done, total: None) for key, tokens in stages.items()}
    tally.equal("submission: failures", spec, [failed for _, failed in made.values()], [[], []])
    submission = Submission(
        SubmissionInfo("oracle", "oracle", "o@o.o", "oracle", "none"), {key: found for key, (found, _) in made.items()}
    )
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / FILE_NAME
        write_submission(submission, path)
        found = check_submission(path, expected_tokens(index.split))
        tally.equal("submission: check", spec, [*found.errors, *found.warnings], [])
        _compare_files(path.read_bytes(), file.read_bytes(), spec, tally)


def _compare_files(mine, official, spec, tally):
    tally.equal("submission: names", spec, sorted(pickled_names(mine)), sorted(pickled_names(official)))
    protocols = [max(code.proto for code, _, _ in pickletools.genops(data)) for data in (mine, official)]
    tally.equal("submission: protocol", spec, protocols[:1], protocols[1:])
    first, second = (_read(data) for data in (mine, official))
    tally.equal("submission: keys", spec, first, second)
    for key, value in second.items():
        if isinstance(value, str):
            tally.equal("submission: texts", f"{spec} {key}", [first[key]], [value])
            continue
        tally.equal("submission: tokens", f"{spec} {key}", *([sorted(one[key][0])] for one in (first, second)))
        for token, golden in value[0].items():
            _compare(first[key][0][token], golden, f"{spec} {token}", tally)


def _compare(mine, golden, where, tally):
    tally.equal("submission: attributes", where, mine.values, golden.values)
    samplings = [list(one.values["trajectory_sampling"].values.items()) for one in (mine, golden)]
    tally.equal("submission: samplings", where, *samplings)
    tally.equal("submission: types", where, *([type(value) for _, value in one] for one in samplings))
    poses = [one.values["poses"] for one in (mine, golden)]
    tally.equal("submission: types of poses", where, *([one.dtype, one.shape] for one in poses))
    tally.close("submission: poses", where, *poses, SINGLE)


def _read(data):
    allowed = {name: type("Stand", (PickledRecord,), {"__slots__": ()}) for name in (TRAJECTORY, SAMPLING)}
    return load_pickle(data, "submission", allowed)
