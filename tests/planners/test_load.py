import sys

import numpy as np
import pytest

from swerve.planners import ConstantVelocity, DisturbedPlanner, Idm, describe_planners, load_planner
from swerve.scenes import SwerveError
from tests.support.observations import moving

USERS = """
import numpy as np
from swerve.scenes.planning import Trajectory

class Forward:
    cameras = ()
    def __init__(self, reach: float, steps=8, delay: float = 0.0, name: str = "x"):
        if reach < 0:
            raise ValueError("reach is negative")
        self.reach, self.steps, self.delay, self.name = reach, steps, delay, name
    def plan(self, observation):
        return Trajectory(np.linspace(0, self.reach, self.steps + 1)[1:, None] * [1.0, 0.0, 0.0])

class Any:
    def __init__(self, **options):
        self.options = options
    def plan(self, observation):
        return None

class Blind:
    pass

def made(far=10):
    return Forward(float(far))

def nothing():
    return 3

def straight(observation):
    return None

class Lettered(Forward):
    cameras = "front"

number = 3
"""


@pytest.fixture
def users(tmp_path, monkeypatch):
    """A folder with a user's modules, which is the current one."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    (tmp_path / "users_planners.py").write_text(USERS)
    (tmp_path / "users_broken.py").write_text("import users_missing_part")
    (tmp_path / "users_bug.py").write_text("1 / 0")
    (tmp_path / "runs").mkdir()
    (tmp_path / "runs" / "planner.safetensors").touch()
    yield tmp_path
    for name in ("users_planners", "users_broken", "users_bug"):
        sys.modules.pop(name, None)


def test_built_ins_take_parameters_and_labels():
    named = load_planner("idm,headway=2,target_speed=8")
    assert named.label == named.spec == "idm,headway=2,target_speed=8"
    assert named.planner == Idm(target_speed=8.0, headway=2.0)
    assert type(named.planner.headway) is float
    assert load_planner("idm, target_speed = none, label=plain".replace(" = ", "=")).planner == Idm()
    assert load_planner("constant-velocity,turn=true,label=my planner").label == "my planner"


def test_any_planner_can_be_disturbed(users):
    assert load_planner("constant-velocity,delay=0.3,distance_factor=0.9").planner == DisturbedPlanner(
        ConstantVelocity(), distance_factor=0.9, delay=0.3
    )
    planner = load_planner("users_planners:Forward,reach=8,lateral_shift=1").planner
    assert isinstance(planner, DisturbedPlanner)
    assert planner.lateral_shift == 1.0
    # The class has a parameter of its own of that name.
    own = load_planner("users_planners:Forward,reach=8,delay=2").planner
    assert (type(own).__name__, own.delay) == ("Forward", 2.0)


def test_a_users_class_is_found_in_the_current_folder(users):
    planner = load_planner("users_planners:Forward,reach=16,steps=10,name=1").planner
    assert (planner.reach, planner.steps, planner.name) == (16.0, 10, "1")
    np.testing.assert_allclose(planner.plan(moving()).poses[-1], [16.0, 0.0, 0.0])
    assert load_planner("users_planners:made,far=12").planner.reach == 12.0
    options = load_planner("users_planners:Any,a=1,b=0.5,c=yes,d=False,e=none").planner.options
    assert options == {"a": 1, "b": 0.5, "c": "yes", "d": False, "e": None}


@pytest.mark.parametrize(
    ("spec", "complaint"),
    [
        ("idn", "no planner is named 'idn'. Available: stationary, constant-velocity, .*module:Class"),
        ("idm,headway", "'headway' is not of the form key=value"),
        ("idm,headway=1,headway=2", "headway is given twice"),
        ("idm,headwind=1", r"no parameter 'headwind'. Available: target_speed, .*noise_seed, label"),
        ("idm,headway=fast", "headway must be float, not 'fast'"),
        ("idm,target_speed=fast", "target_speed must be float or none, not 'fast'"),
        ("constant-velocity,turn=1", "turn must be bool, not '1'"),
        ("idm,headway=-1", "planner idm,headway=-1: Idm: headway is -1.0, it must be 0 or more"),
        ("idm,headway=nan", "it must be finite"),
        ("idm,delay=-1", "delay is -1.0, it must be 0 or more"),
        ("idm,noise_seed=0.5", "noise_seed must be int"),
        ("Human", "no planner is named 'Human'; perhaps human. Available"),
        ("human,", "nothing follows the comma. Planners are separated by spaces"),
        ("human idm", "several are separated by spaces, without quotes"),
        (
            "users_planners.Forward",
            "perhaps users_planners:Forward, or of a NAVSIM agent navsim:users_planners.Forward",
        ),
        ("agent.yaml", "a NAVSIM agent is navsim:agent.yaml"),
        ("runs", "which is a folder; perhaps runs/planner.safetensors"),
        ("users_nowhere:Forward", "no module 'users_nowhere', neither installed nor in"),
        ("users_planners:Backward", "module users_planners has no class 'Backward'"),
        ("users_planners:number", "module users_planners has no class 'number'"),
        ("users_planners:Blind", r"class Blind has no method plan\(observation\)"),
        ("users_planners:nothing", r"users_planners:nothing has no method plan\(observation\)"),
        ("users_planners:straight", r"straight plans itself: make it the method plan\(self, observation\) of a class"),
        ("users_planners:Lettered,reach=1", r"cameras is one text, 'front': declare a tuple, cameras = \('front',\)"),
        ("users_planners:Forward", "needs reach=..."),
        (
            "users_planners:Forward,reach=1,speed=2",
            "no parameter 'speed'. Available: reach, steps, delay, name, distance_factor",
        ),
        ("users_planners:Forward,reach=-1", r"it cannot be created \(ValueError: reach is negative\)"),
        ("users_broken:Forward", r"users_broken cannot be imported \(No module named 'users_missing_part'\)"),
        ("users_bug:Forward", r"users_bug cannot be imported \(ZeroDivisionError: division by zero\)"),
        (":Forward", "no planner is named ':Forward'"),
        ("nowhere.safetensors", "nowhere.safetensors: cannot be read as a trained planner"),
    ],
)
def test_mistakes_are_named(users, spec, complaint):
    with pytest.raises(SwerveError, match=complaint):
        load_planner(spec)


def test_the_description_can_be_typed_as_it_stands():
    lines = describe_planners().splitlines()
    assert len(lines) == 7
    for line in lines[:-1]:
        name, *parameters = line.split()
        load_planner(",".join([name, *parameters, *lines[-1].split()[3:]]))
