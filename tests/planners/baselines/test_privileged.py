from dataclasses import replace

import numpy as np
import pytest

from swerve.eval.context.map_polygons import pack
from swerve.eval.context.pdm_closed import IdmParameters, PdmOptions, idm_trajectory, reference_trajectory
from swerve.eval.scoring.trajectories import to_world
from swerve.eval.traffic.traffic import RedLights
from swerve.planners import Idm, LoggedHuman, PdmClosed
from swerve.scenes import SwerveError
from tests.support.moved_log import moved_log
from tests.support.observations import moving, seen
from tests.support.simple_log import simple_log
from tests.support.town_logs import town

FRONT = 4.049  # of the scored car, ahead of its rear axle


@pytest.fixture(scope="module")
def simple():
    """The ego at x = 60 and 10 m/s; a car ahead whose rear is at 87.7, at 10 m/s; the road ends at 200."""
    return seen(simple_log(), 40)


def without_traffic(observation):
    inputs = observation.privileged
    return replace(observation, privileged=replace(inputs, traffic=inputs.traffic.of(np.zeros(0, int))))


# Of the road: PDM-Closed takes it for something that stands there, half a car's length before it.
END = (200.0 - 2.588 + FRONT, 0.0)


def integrated(start, speed, target, ahead, driver):
    """IDM by the text book, with PDM-Closed's habits: at the first step something stands 1 m ahead; then every 0.2 s a
    look at what is ahead (its rear and its speed at a time), which is taken to be there for 0.1 s more."""
    headway, gap, most, least = driver
    x, v, places = start, speed, []
    for step in range(1, 41):
        if step % 2 == 0:
            rear, leader_speed = ahead(0.1 * step)
        distance, leader = (1.0, 0.0) if step == 1 else (max(rear - FRONT - x, 1.0), leader_speed)
        wanted = gap + v * headway + v * (v - leader) / (2 * np.sqrt(most * least))
        a = np.clip(most * (1 - (v / target) ** 10 - (wanted / distance) ** 2), -least, most)
        x, v = x + 0.1 * v, v + 0.1 * a
        places.append(x)
    return np.array(places) - start


@pytest.mark.parametrize("driver", [(1.5, 1.0, 1.5, 3.0), (0.5, 3.0, 2.5, 2.0)])
def test_idm_follows_a_car(simple, driver):
    planner = Idm(None, 1.0, *driver)
    poses = planner.plan(simple[0]).poses

    def ahead(time):
        # Nothing is seen beyond the last vertex of the centreline within 5 s at 13.9 m/s, which is at 120 m.
        rear = 87.7 + 10.0 * time
        return (rear, 10.0) if rear < 120.0 + 1.1485 else END

    expected = integrated(60.0, 10.0, 13.9, ahead, driver)
    np.testing.assert_allclose(poses[:, 0], expected, atol=1e-9)
    np.testing.assert_allclose(poses[:, 1:], 0.0, atol=1e-9)


def test_idm_stops_at_a_red_light(simple):
    observation = without_traffic(simple[0])
    ring = np.array([[100.0, -4.0], [110.0, -4.0], [110.0, 0.0], [100.0, 0.0]])
    lights = RedLights(("light",), pack([(ring,)]), np.ones((1, 1), bool))
    red = replace(observation, privileged=replace(observation.privileged, lights=lights))
    expected = integrated(60.0, 10.0, 13.9, lambda time: (100.0, 0.0), (1.5, 1.0, 1.5, 3.0))
    np.testing.assert_allclose(Idm().plan(red).poses[:, 0], expected, atol=1e-9)
    off = replace(lights, active=np.zeros((1, 1), bool))
    green = replace(observation, privileged=replace(observation.privileged, lights=off))
    assert Idm().plan(green).poses[-1, 0] > expected[-1] + 10.0


def test_idm_on_a_free_road_drives_at_its_target_speed(simple):
    observation = without_traffic(simple[0])
    for planner, target in ((Idm(target_speed=6.0), 6.0), (Idm(speed_share=0.5), 6.95)):
        expected = integrated(60.0, 10.0, target, lambda time: END, (1.5, 1.0, 1.5, 3.0))
        poses = planner.plan(observation).poses
        np.testing.assert_allclose(poses[:, 0], expected, atol=1e-9)
        assert (poses[-1, 0] - poses[-2, 0]) / 0.1 == pytest.approx(target, rel=0.05)


def test_idm_without_a_limit_takes_the_default(simple):
    observation = without_traffic(simple[0])
    unknown = replace(observation, privileged=replace(observation.privileged, speed_limit=None))
    same = Idm(default_speed_limit=13.9).plan(unknown).poses
    np.testing.assert_array_equal(same, Idm().plan(observation).poses)
    assert Idm(default_speed_limit=8.0).plan(unknown).poses[-1, 0] < same[-1, 0] - 1.0


def test_a_limit_of_zero_counts_as_unknown(simple):
    observation = without_traffic(simple[0])
    plans = [
        [
            planner.plan(replace(observation, privileged=replace(observation.privileged, speed_limit=limit))).poses
            for planner in (Idm(), PdmClosed())
        ]
        for limit in (0.0, None)
    ]
    np.testing.assert_array_equal(*plans)


def test_idm_drives_beside_the_line(simple):
    poses = Idm(lateral_offset=0.7).plan(simple[0]).poses
    np.testing.assert_allclose(poses[:, 1], 0.7, atol=1e-9)


def test_pdm_closed_is_the_contexts_reference():
    for log, now in ((simple_log(), 40), (town(0), 60), (town(7), 90)):
        observation, context = seen(log, now)
        plan = PdmClosed().plan(observation)
        assert plan.interval == 0.1
        np.testing.assert_allclose(to_world(plan.poses, context.ego[:3]), context.reference[1:41], atol=1e-9)
        np.testing.assert_array_equal(reference_trajectory(context.privileged_input, PdmOptions()), context.reference)


def test_one_proposal_is_idm():
    observation, _ = seen(town(0), 70)
    inputs = observation.privileged
    alone = PdmOptions(speed_fractions=(0.8,), lateral_offsets=(0.5,), idm_parameters=IdmParameters(headway=1.0))
    target = 0.8 * inputs.speed_limit
    expected = idm_trajectory(inputs, target, 0.5, IdmParameters(headway=1.0))
    np.testing.assert_array_equal(reference_trajectory(inputs, alone), expected)


def test_pdm_closed_has_its_options(simple):
    observation = without_traffic(simple[0])
    ends = [PdmClosed(speed_factor=factor).plan(observation).poses[-1, 0] for factor in (0.5, 1.0, 1.25)]
    assert ends[0] + 5.0 < ends[1] < ends[2] - 0.5
    beside = PdmClosed(lateral_offset=0.25).plan(observation).poses[-1, 1]
    assert min(abs(beside - offset) for offset in (0.25, 1.25, -0.75)) < 1e-9
    near, far = (PdmClosed(headway=headway).plan(simple[0]).poses[-1, 0] for headway in (0.8, 4.0))
    assert far < near - 1.0


def test_the_world_may_lie_anywhere(simple):
    observation, _ = seen(moved_log(simple_log(), 2.0, (300.0, -80.0)), 40)
    for planner in (Idm(), Idm(lateral_offset=-1.0), PdmClosed(speed_factor=0.7)):
        np.testing.assert_allclose(planner.plan(observation).poses, planner.plan(simple[0]).poses, atol=1e-6)


def test_the_human_drives_what_was_logged(simple):
    observation, context = simple
    plan = LoggedHuman().plan(observation)
    np.testing.assert_array_equal(plan.poses, context.human)
    assert plan.interval == 0.5


def test_without_a_human_or_privilege_the_scene_is_named(simple):
    inputs = replace(simple[0].privileged, human=None)
    with pytest.raises(SwerveError, match="scene nobody: the human's trajectory is unknown"):
        LoggedHuman().plan(moving(token="nobody", privileged_input=inputs))
    for planner in (LoggedHuman(), Idm(), PdmClosed()):
        with pytest.raises(SwerveError, match=r"scene blind: .*privileged"):
            planner.plan(moving(token="blind"))


@pytest.mark.parametrize(
    ("make", "complaint"),
    [
        (lambda: Idm(target_speed=0.0), "Idm: target_speed is 0.0, it must be above 0"),
        (lambda: Idm(headway=-1.0), "Idm: headway is -1.0, it must be 0 or more"),
        (lambda: PdmClosed(lateral_offset=np.nan), "PdmClosed: lateral_offset is nan, it must be finite"),
        (lambda: IdmParameters(acceleration=0.0), "the accelerations more than 0"),
        (lambda: PdmOptions(speed_fractions=()), "at least one speed"),
        (lambda: PdmOptions(speed_fractions=(0.0,)), "must be above 0"),
    ],
)
def test_impossible_parameters_are_refused(make, complaint):
    with pytest.raises(SwerveError, match=complaint):
        make()
