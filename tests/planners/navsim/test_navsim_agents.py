"""NAVSIM agents as planners: loading, inputs, trajectories."""

import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from swerve.data.sources.default_rigs import default_rig
from swerve.eval.benchmark.evaluate.call_planner import call_planner
from swerve.eval.benchmark.evaluate.observations import declared_cameras, uses_images
from swerve.planners import load_planner
from swerve.planners.fingerprint import fingerprint
from swerve.planners.load_planner import with_options
from swerve.planners.navsim.load_agent import AgentFactory, _texts
from swerve.scenes import Lens, LensModel, SwerveError
from swerve.scenes.viewpoints import Command
from tests.support.observations import moving, seen
from tests.support.simple_log import simple_log

torch = pytest.importorskip("torch", reason="NAVSIM agents need torch")
SIMPLE = "navsim:tests.support.navsim_agents.simple_agents"
LEARNED = "navsim:tests.support.navsim_agents.learned_agent"
VELOCITIES = ((10.0, 0.0), (3.0, 0.5), (0.0, 0.0), (7.0, -0.2))


def observations():
    return [moving(velocity, token=str(index)) for index, velocity in enumerate(VELOCITIES)]


def looking(**images):
    """Return an observation with images of grey values by camera name."""
    cameras = tuple(camera for camera in default_rig() if camera.name in images)
    pixels = {name: np.full((4, 6, 3), grey, np.uint8) for name, grey in images.items()}
    return replace(moving(), cameras=cameras, images=pixels)


def test_agent_drives_as_it_says():
    planner = load_planner(f"{SIMPLE}.ConstantVelocity,factor=0.5").planner
    assert not uses_images(planner)
    assert not planner.privileged
    plan = planner.plan(moving((10.0, 0.0)))
    np.testing.assert_array_equal(plan.poses[:, 0], np.float32(2.5 * np.arange(1, 9)))
    assert plan.interval == 0.5


def test_names_of_navsim_are_gone_after_loading_and_planning():
    load_planner(f"{SIMPLE}.ConstantVelocity").planner.plan(moving())
    assert [name for name in sys.modules if name.split(".")[0] in ("navsim", "nuplan")] == []


def test_other_package_named_navsim_comes_back():
    sys.modules["navsim"] = other = type(sys)("navsim")
    try:
        planner = load_planner(f"{SIMPLE}.ConstantVelocity").planner
        assert sys.modules["navsim"] is other
        planner.plan(moving())
        assert sys.modules["navsim"] is other
    finally:
        del sys.modules["navsim"]


@pytest.mark.parametrize(("poses", "interval", "expected"), [(40, 0.1, 40), (8, 0.5, 8), (6, 0.5, 8), (10, 0.5, 10)])
def test_any_sampling_is_taken_and_short_ones_hold_their_last_pose(poses, interval, expected):
    options = f"trajectory_sampling.time_horizon=none,trajectory_sampling.num_poses={poses}"
    spec = f"{SIMPLE}.ConstantVelocity,{options},trajectory_sampling.interval_length={interval}"
    plan = load_planner(spec).planner.plan(moving((10.0, 0.0)))
    assert plan.interval == interval
    wanted = 10 * interval * np.minimum(np.arange(1, expected + 1), poses)
    np.testing.assert_allclose(plan.poses[:, 0], wanted, rtol=1e-6)


def test_agent_of_navsim_v1_has_no_sampling():
    plan = load_planner(f"{SIMPLE}.VersionOne").planner.plan(moving((10.0, 0.0)))
    np.testing.assert_allclose(plan.poses[:, 0], 5.0 * np.arange(1, 9))


def test_options_are_appended():
    spec = with_options(f"{SIMPLE}.ConstantVelocity", ["factor=0.5", "label=slow"])
    assert load_planner(spec).label == "slow"
    assert load_planner(spec).planner.agent.factor == 0.5
    with pytest.raises(SwerveError, match="has a comma"):
        with_options("idm", ["names=a,b"])


def test_learned_agent_runs_as_one_batch_in_evaluation_mode():
    planner = load_planner(f"{LEARNED}.EgoMlpAgent,hidden=16,lr=1e-3").planner
    given = observations()
    together = planner.plan_batch(given)
    assert planner.agent.batches == [4]
    alone = [planner.plan(one) for one in given]
    assert planner.agent.batches == [4, 1, 1, 1, 1]
    for one, other in zip(together, alone, strict=True):
        np.testing.assert_allclose(one.poses, other.poses, atol=1e-5)
    np.testing.assert_array_equal(planner.plan(given[0]).poses, alone[0].poses)


def test_checkpoint_gives_the_trajectory_that_its_weights_give(tmp_path):
    torch.manual_seed(3)
    trained = load_planner(f"{LEARNED}.EgoMlpAgent,hidden=16,lr=1e-3").planner
    state = {f"agent.{key}": value for key, value in trained.agent.state_dict().items()}
    torch.save({"state_dict": state}, tmp_path / "best.ckpt")
    spec = f"{LEARNED}.EgoMlpAgent,hidden=16,lr=1e-3,checkpoint_path={tmp_path}/best.ckpt"
    loaded = load_planner(spec)
    np.testing.assert_array_equal(loaded.planner.plan(moving()).poses, trained.plan(moving()).poses)
    weights = [
        trained.agent.state_dict()[f"layers.{layer}.{kind}"].numpy() for layer in (0, 3) for kind in ("weight", "bias")
    ]
    past = np.stack([10 * np.array([-1.5, -1.0, -0.5, 0.0]), np.zeros(4), np.zeros(4)], axis=1).ravel()
    inputs = np.concatenate([[10, 0, 0, 0, 0, 1, 0, 0], past])
    by_hand = weights[2] @ np.maximum(weights[0] @ inputs + weights[1], 0) + weights[3]
    np.testing.assert_allclose(loaded.planner.plan(moving()).poses, by_hand.reshape(8, 3), atol=1e-5)
    known = fingerprint(loaded)
    torch.save({"state_dict": state, "epoch": 2}, tmp_path / "best.ckpt")
    assert fingerprint(load_planner(spec)) != known


def test_agent_that_cannot_batch_is_planned_one_by_one():
    planner = load_planner(f"{LEARNED}.SqueezingAgent,hidden=4,lr=1").planner
    outputs = call_planner(planner, observations())
    assert [output.error for output in outputs] == [""] * 4
    alone = [planner.plan(one).poses for one in observations()]
    for output, poses in zip(outputs, alone, strict=True):
        np.testing.assert_array_equal(output.plan.poses, poses)


def test_agent_input_has_navsims_types_and_values():
    planner = load_planner(f"{SIMPLE}.Seeing").planner
    observation = replace(looking(front=30, left=40), command=Command.RIGHT)
    plan = planner.plan(observation)
    np.testing.assert_allclose(plan.poses[-1], [12.0, 0, 0])
    (given,) = planner.agent.seen
    assert len(given.ego_statuses) == len(given.cameras) == len(given.lidars) == 4
    for status, seconds in zip(given.ego_statuses, (-1.5, -1.0, -0.5, 0.0), strict=True):
        assert status.ego_pose.dtype == status.ego_velocity.dtype == status.ego_acceleration.dtype == np.float32
        np.testing.assert_allclose(status.ego_pose, [10 * seconds, 0, 0], atol=1e-6)
        np.testing.assert_array_equal(status.ego_velocity, [10, 0])
        np.testing.assert_array_equal(status.driving_command, [0, 0, 1, 0])
        assert status.driving_command.dtype == np.int64
        assert not status.in_global_frame
    now = given.cameras[-1]
    assert (now.cam_f0.image == 30).all()
    assert now.cam_l1.image is None, "the agent does not ask for it"
    assert all(vars(frame)[name].image is None for frame in given.cameras[:-1] for name in vars(frame))
    front = default_rig()[0]
    np.testing.assert_array_equal(now.cam_f0.intrinsics, front.matrix - [[0, 0, 0.5], [0, 0, 0.5], [0, 0, 0]])
    np.testing.assert_array_equal(now.cam_f0.sensor2lidar_rotation @ [0, 0, 1], front.ego_from_camera[:3, 2])
    np.testing.assert_array_equal(now.cam_f0.sensor2lidar_translation, front.ego_from_camera[:3, 3])
    np.testing.assert_array_equal(now.cam_f0.distortion, [-0.1, 0.02, 0, 0, 0])


def test_only_cameras_of_the_agents_roles_are_loaded():
    planner = load_planner(f"{SIMPLE}.Seeing,back=true").planner
    assert uses_images(planner)
    assert [one.name for one in declared_cameras(planner, default_rig(), "token", "")] == ["front", "rear"]
    front_only = [one for one in default_rig() if "rear" not in one.name]
    assert [one.name for one in declared_cameras(planner, front_only, "token", "")] == ["front"]
    planner.plan(looking(front=30))
    assert planner.agent.seen[0].cameras[-1].cam_b0.image is None


def test_sensors_that_scenes_do_not_have_are_refused():
    with pytest.raises(SwerveError, match=r"asks for cam_b0, and no camera looks there. There are: front"):
        declared_cameras(load_planner(f"{SIMPLE}.Seeing,front=false,back=true").planner, default_rig()[:1], "t", "")
    for options, message in (("lidar=true", "lidar_pc"), ("past=true", "cam_f0 of earlier frames.*past_images=empty")):
        planner = load_planner(f"{SIMPLE}.Seeing,{options}").planner
        with pytest.raises(SwerveError, match=message):
            declared_cameras(planner, default_rig(), "token", "")
        with pytest.raises(SwerveError, match=message):
            planner.plan(looking(front=30))
    planner = load_planner(f"{SIMPLE}.Seeing,past=true,past_images=empty").planner
    assert planner.plan(looking(front=30)).poses[-1, 0] == 12
    fisheye = replace(default_rig()[0], lens=Lens(LensModel.FISHEYE, (0.1, 0.0, 0.0, 0.0)))
    with pytest.raises(SwerveError, match="camera front: NAVSIM's cameras have no lens FISHEYE"):
        planner.plan(replace(looking(front=30), cameras=(fisheye,)))


def test_agent_that_requires_a_scene_gets_the_human():
    planner = load_planner(f"{SIMPLE}.Human").planner
    observation, context = seen(simple_log(), 30)
    assert planner.privileged
    plan = planner.plan(observation)
    np.testing.assert_allclose(plan.poses, context.human, atol=1e-9)
    with pytest.raises(SwerveError, match="the human's future is unknown"):
        planner.plan(moving())
    with pytest.raises(SwerveError, match=r"map_api\.get_proximal_map_objects"):
        load_planner(f"{SIMPLE}.AskingMap").planner.plan(observation)


def test_scene_has_annotations_of_the_current_frame_in_the_ego_frame():
    from swerve.planners.navsim.agent_inputs import agent_input_of
    from swerve.planners.navsim.agent_scenes import agent_scene_of
    from swerve.planners.navsim.compatibility import dataclasses as classes

    observation, context = seen(simple_log(), 30)
    given = agent_input_of(observation, classes.SensorConfig.build_no_sensors(), classes)
    scene = agent_scene_of(observation, given, classes)
    assert len(scene.frames) == 12
    traffic = context.privileged_input.traffic
    annotations = scene.frames[3].annotations
    assert len(annotations.boxes) == traffic.present[0].sum() > 0
    x, y, heading = context.privileged_input.ego[:3]
    for box, token in zip(annotations.boxes, annotations.track_tokens, strict=True):
        row = traffic.ids.index(token)
        turned = np.exp(1j * heading) * complex(*box[:2])
        np.testing.assert_allclose([x + turned.real, y + turned.imag], traffic.poses[0, row, :2], atol=1e-9)
    again = scene.get_agent_input()
    for one, other in zip(again.ego_statuses, given.ego_statuses, strict=True):
        np.testing.assert_allclose(one.ego_pose, other.ego_pose, atol=1e-6)


def test_every_role_has_its_camera_in_the_default_rig():
    from swerve.planners.navsim.camera_roles import cameras_by_role

    names = {role: camera.name for role, camera in cameras_by_role(default_rig()).items()}
    assert names == {
        "cam_f0": "front",
        "cam_l0": "front_left",
        "cam_l1": "left",
        "cam_l2": "rear_left",
        "cam_r0": "front_right",
        "cam_r1": "right",
        "cam_r2": "rear_right",
        "cam_b0": "rear",
    }
    named = replace(default_rig()[3], name="CAM_F0")
    assert cameras_by_role([default_rig()[0], named])["cam_f0"].name == "front"
    assert cameras_by_role([named])["cam_f0"] is named


YAML = """
_target_: tests.support.navsim_agents.learned_agent.EgoMlpAgent
_convert_: 'all'

trajectory_sampling:
  _target_: nuplan.planning.simulation.trajectory.trajectory_sampling.TrajectorySampling
  _convert_: 'all'
  time_horizon: 4
  interval_length: 0.1
checkpoint_path: ${oc.env:AGENT_CHECKPOINT,}
hidden: 8
lr: 1e-4
"""


def test_yaml_of_an_agent(tmp_path, monkeypatch):
    file = tmp_path / "agent.yaml"
    file.write_text(YAML)
    planner = load_planner(f"navsim:{file}").planner
    assert planner.agent.lr == 1e-4
    assert len(planner.plan(moving()).poses) == 40
    assert file in planner.source_files
    overridden = load_planner(f"navsim:{file},hidden=3,trajectory_sampling.interval_length=0.5,label=mine,delay=0.5")
    assert overridden.label == "mine"
    assert overridden.planner.planner.agent.layers[0].out_features == 3
    assert len(overridden.planner.planner.plan(moving()).poses) == 8
    monkeypatch.setenv("AGENT_CHECKPOINT", "/missing.ckpt")
    with pytest.raises(SwerveError, match=r"missing\.ckpt"):
        load_planner(f"navsim:{file}")
    saved = tmp_path / "config.yaml"
    saved.write_text(
        "defaults: [x]\ncache: ${cache_path}\nagent:\n"
        + "".join(f"  {line}\n" for line in YAML.replace("${oc.env:AGENT_CHECKPOINT,}", "null").splitlines())
    )
    assert load_planner(f"navsim:{saved}").planner.agent.lr == 1e-4


def test_a_checkpoint_in_a_nested_config_belongs_to_the_agent(tmp_path):
    (tmp_path / "weights.ckpt").write_text("")
    assert list(_texts({"a": {"b": ["x", {"c": "y"}], "d": 1}, "e": "z"})) == ["x", "y", "z"]
    config = {"cfg": {"checkpoint_path": str(tmp_path / "weights.ckpt")}}
    factory = AgentFactory.__new__(AgentFactory)
    factory._kind, factory._file = AgentFactory, None
    assert tmp_path / "weights.ckpt" in factory._source_files(config)


def test_options_of_one_call_do_not_reach_the_next(tmp_path):
    file = tmp_path / "agent.yaml"
    file.write_text(YAML)
    factory = AgentFactory(f"navsim:{file}", str(file))
    assert factory(hidden=3).agent.layers[0].out_features == 3
    assert factory().agent.layers[0].out_features != 3


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a: 1", "has no _target_"),
        ("_target_: [", "not a YAML file"),
        ("_target_: Class", "not of the form module.Class"),
        ("_target_: a.B\ndefaults: [c]", "needs hydra"),
        ("_target_: a.B\nx: ${y}", r"\$\{y\} needs hydra"),
        ("_target_: a.B\nx: ${oc.env:NOT_SET_AT_ALL}", "NOT_SET_AT_ALL is not set"),
        ("_target_: a.B\n", "no module 'a'"),
        (
            "_target_: tests.support.navsim_agents.simple_agents.ConstantVelocity\n_partial_: true",
            "_partial_ needs hydra",
        ),
    ],
)
def test_faults_of_yaml_files_are_told(tmp_path, text, message):
    file = tmp_path / "agent.yaml"
    file.write_text(text)
    with pytest.raises(SwerveError, match=message):
        load_planner(f"navsim:{file}")


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        (f"{SIMPLE}.Missing", "has no class 'Missing'"),
        (f"{SIMPLE}.NotAnAgent", "is no NAVSIM agent, it has no compute_trajectory"),
        (
            f"{SIMPLE}.ConstantVelocity,speed=3",
            "no parameter 'speed'. Available: trajectory_sampling, factor, past_images",
        ),
        (f"{SIMPLE}.ConstantVelocity,factor.x=3", "there is no factor with options"),
        (f"{SIMPLE}.ConstantVelocity,factor=fast", "factor must be float"),
        (f"{SIMPLE}.ConstantVelocity,past_images=maybe", "must be refuse or empty"),
        (f"{LEARNED}.EgoMlpAgent,lr=1", "needs hidden="),
        ("navsim:missing.yaml", "missing.yaml"),
        ("navsim:nowhere.Agent", "no module 'nowhere'"),
    ],
)
def test_faults_of_specs_are_told(spec, message):
    with pytest.raises(SwerveError, match=message):
        load_planner(spec)


def test_modules_that_are_not_provided_are_told(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "fusing.py").write_text("from navsim.agents.transfuser.transfuser_config import TransfuserConfig\n")
    (tmp_path / "using.py").write_text("from navsim.common.dataclasses import PDMResults\n")
    for module in ("fusing", "using"):
        with pytest.raises(SwerveError, match=r"does not provide \(.*\). Install NAVSIM in this environment"):
            load_planner(f"navsim:{module}.Agent")
    (output,) = call_planner(load_planner(f"{SIMPLE}.Importing").planner, [moving()])
    assert "imports what Swerve does not provide" in output.error
    assert "github.com/autonomousvision/navsim" in output.error


def test_installed_package_is_used(tmp_path, monkeypatch):
    """Packages with the modules of NAVSIM and nuPlan take the place of ours."""
    for name, text in {
        "agents/abstract_agent": (
            "class AbstractAgent:\n"
            "    real = True\n"
            "    def __init__(self, sampling):\n        self._trajectory_sampling = sampling\n"
            "    def compute_trajectory(self, given):\n        pass\n"
        ),
        "common/dataclasses": (
            "from swerve.planners.navsim.compatibility.dataclasses import *\n"
            "class EgoStatus(EgoStatus):\n    real = True\n"
        ),
    }.items():
        write_module(tmp_path, f"navsim/{name}", text)
    sampling = "from swerve.planners.navsim.compatibility.trajectory_sampling import TrajectorySampling\n"
    write_module(tmp_path, "nuplan/planning/simulation/trajectory/trajectory_sampling", sampling)
    (tmp_path / "real_agent.py").write_text(
        "from navsim.agents.abstract_agent import AbstractAgent\n"
        "from navsim.common.dataclasses import SensorConfig, Trajectory\n"
        "import numpy as np\n"
        "class Agent(AbstractAgent):\n"
        "    def __init__(self, trajectory_sampling):\n        super().__init__(trajectory_sampling)\n"
        "    def initialize(self):\n        pass\n"
        "    def get_sensor_config(self):\n        return SensorConfig.build_no_sensors()\n"
        "    def compute_trajectory(self, given):\n        assert given.ego_statuses[0].real\n"
        "        return Trajectory(np.ones((8, 3)))\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    try:
        planner = load_planner("navsim:real_agent.Agent").planner
        assert planner.agent.real
        assert planner.plan(moving()).poses[0, 0] == 1
        assert "navsim.common.dataclasses" in sys.modules
    finally:
        for name in [name for name in sys.modules if name.split(".")[0] in ("navsim", "nuplan", "real_agent")]:
            del sys.modules[name]


def write_module(root, name, text):
    file = root / f"{name}.py"
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text)
    folder = file.parent
    while folder != root:
        (folder / "__init__.py").touch()
        folder = folder.parent


def test_modules_of_a_checkout_are_found_where_nuplan_is_not_installed(tmp_path, monkeypatch):
    """NAVSIM in the current folder, without nuPlan: its agents run with our classes."""
    write_module(tmp_path, "navsim/agents/abstract_agent", "import nuplan.common.maps\n")
    agent = (Path(__file__).parents[2] / "support/navsim_agents/simple_agents.py").read_text()
    write_module(tmp_path, "navsim/agents/own_agent", agent)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    planner = load_planner("navsim:navsim.agents.own_agent.ConstantVelocity").planner
    assert planner.plan(moving((10.0, 0.0))).poses[-1, 0] == 40
    assert "navsim" not in sys.modules


def test_packages_of_import_hooks_are_found(monkeypatch, tmp_path):
    """As pip installs checkouts: a finder knows where they lie."""
    from importlib.util import spec_from_file_location

    from swerve.planners.navsim.navsim_modules import is_installed

    write_module(tmp_path, "navsim/agents/abstract_agent", "")

    class Finder:
        @staticmethod
        def find_spec(name, path, target=None):
            if name == "navsim":
                return spec_from_file_location(
                    name, tmp_path / "navsim/__init__.py", submodule_search_locations=[str(tmp_path / "navsim")]
                )
            return None

    assert not is_installed("navsim.agents.abstract_agent")
    monkeypatch.setattr(sys, "meta_path", [*sys.meta_path, Finder])
    assert is_installed("navsim.agents.abstract_agent")
    assert not is_installed("navsim.agents.other")


def test_sampling_completes_and_compares():
    from swerve.planners.navsim.compatibility.trajectory_sampling import TrajectorySampling

    assert TrajectorySampling(time_horizon=4, interval_length=0.1).num_poses == 40
    assert TrajectorySampling(time_horizon=1.2, interval_length=0.1).num_poses == 11, "as in nuPlan"
    assert TrajectorySampling(num_poses=40, interval_length=0.1) == TrajectorySampling(40, 4.0)
    assert hash(TrajectorySampling(8, 4.0)) == hash(TrajectorySampling(time_horizon=4, interval_length=0.5))
    assert TrajectorySampling(8, 4.0) != TrajectorySampling(40, 4.0)
    for given in (
        {"num_poses": 8},
        {"time_horizon": 4, "interval_length": 0.3},
        {"num_poses": 8.0, "time_horizon": 4},
        {"num_poses": 7, "time_horizon": 4, "interval_length": 0.5},
        {},
    ):
        with pytest.raises(ValueError, match=r"num_poses|time_horizon"):
            TrajectorySampling(**given)
