from dataclasses import replace

import numpy as np
import pytest

from swerve.eval import build_context, lane_agents, simulate, simulate_navsim_idm
from swerve.eval.scoring.trajectories import references_of
from swerve.scenes import LightState, Scene
from tests.support.simple_log import LENGTH, simple_log

NOW = 70


def driven(agents, log=None, speed=10.0, now=NOW):
    """The traffic while the ego keeps a speed."""
    context = build_context(Scene(log or simple_log(), now, 15, 50))
    plan = np.column_stack([np.arange(1, 9) * 0.5 * speed, np.zeros((8, 2))])
    states = simulate(context.ego, references_of(plan[None], context.ego[:3], context.start_us))[0]
    return agents(context, states), context


def speeds(traffic, track):
    row = traffic.ids.index(track)
    return np.hypot(*traffic.velocities[:, row].T)


def test_navsim_agents_brake_for_the_end_of_their_lane():
    """At 7 s the leader is at x = 120 of a lane of 200 m: NAVSIM's never leave it, ours have nothing to brake for."""
    log = simple_log()
    traffic, _ = driven(simulate_navsim_idm, log)
    row = traffic.ids.index("track0")
    assert (traffic.poses[:, row, 0] < LENGTH - 10 + 1e-6).all()
    assert speeds(traffic, "track0")[40] < 10


def test_navsim_agents_without_a_lane_vanish_or_stand():
    traffic, context = driven(simulate_navsim_idm)
    assert context.traffic.present[:, traffic.ids.index("track3")].all()
    parked = traffic.ids.index("track3")
    assert traffic.present[:, parked].all()  # off all lanes and slow: it stays
    assert (traffic.poses[:, parked] == traffic.poses[0, parked]).all()
    log = simple_log()
    fast = log.tracks.velocities.copy()
    fast[3] = (3.0, 0.0)
    traffic, _ = driven(simulate_navsim_idm, replace(log, tracks=replace(log.tracks, velocities=fast)))
    assert traffic.present[:, parked].tolist() == [True] + [False] * 40


def test_navsim_agents_replay_everybody_else():
    traffic, context = driven(simulate_navsim_idm)
    for track in ("track4", "track5"):
        row = traffic.ids.index(track)
        np.testing.assert_array_equal(traffic.poses[:, row], context.traffic.poses[:, row])


def test_an_agent_keeps_behind_an_ego_that_stands():
    log = simple_log()
    positions = log.tracks.positions.copy()
    positions[1, :, 0] -= 55
    positions[1, :, 1] = -1.75
    behind = replace(log, tracks=replace(log.tracks, positions=positions))
    for agents in (simulate_navsim_idm, lane_agents):
        traffic, context = driven(agents, behind, speed=0.5)
        row = traffic.ids.index("track1")
        gap = context.ego[0] - 1.127 - (traffic.poses[:, row, 0] + 2.1)
        assert gap.min() > 0, agents.__name__
        assert speeds(traffic, "track1")[40] < 8


def red(log, lane):
    lights = replace(log.lights, lane_ids=(lane,), states=np.full((1, 121), LightState.RED, np.uint8))
    return replace(log, lights=lights)


def split_at(log, x):
    """The same map with the ego's lane cut in two at x."""
    road = log.road_map
    whole = road.lane_by_id["east_left"]
    first, second = whole.centerline[:, 0] <= x, whole.centerline[:, 0] >= x
    outline = whole.polygon
    a = replace(
        whole, centerline=whole.centerline[first], polygon=np.minimum(outline, [x, 9e9, 9e9]), successors=("b",)
    )
    b = replace(whole, id="b", centerline=whole.centerline[second], polygon=np.maximum(outline, [x, -9e9, -9e9]))
    group = road.lane_groups[0]
    return replace(
        log,
        road_map=replace(
            road,
            lanes=(a, b, *road.lanes[1:]),
            lane_groups=(replace(group, lane_ids=(*group.lane_ids, "b")), *road.lane_groups[1:]),
        ),
    )


@pytest.mark.parametrize("lit", [True, False])
def test_lane_agents_stop_for_red_and_drive_on_for_green(lit):
    """NAVSIM's agents are meant to stop for red lights, but never receive any."""
    log = split_at(simple_log(), 150.0)
    log = red(log, "b") if lit else replace(log, lights=replace(log.lights, states=log.lights.states * 0))
    traffic, _ = driven(lane_agents, log)
    row = traffic.ids.index("track0")
    front = traffic.poses[:, row, 0] + 2.3
    assert front[0] == pytest.approx(122.3)
    if lit:
        assert front[40] < 150.0
        assert speeds(traffic, "track0")[40] < 4
    else:
        assert front[40] > 155.0


def test_lane_agents_keep_their_offset_and_begin_where_they_are():
    log = simple_log()
    positions = log.tracks.positions.copy()
    positions[0, :, 1] += 0.6
    traffic, _ = driven(lane_agents, replace(log, tracks=replace(log.tracks, positions=positions)))
    row = traffic.ids.index("track0")
    np.testing.assert_allclose(traffic.poses[:, row, 1], -1.15, atol=1e-9)
    assert traffic.poses[1, row, 0] - traffic.poses[0, row, 0] == pytest.approx(1.0, abs=0.01)


@pytest.mark.parametrize("seconds", [0.0, 2.0, np.inf])
def test_lane_agents_wait_as_long_as_in_the_log(seconds):
    """The leader is at rest at x = 120 and starts after so many seconds at 10 m/s, for an unknown reason."""
    log = simple_log()
    row = log.tracks.ids.index("track0")
    moving = 0.1 * (np.arange(len(log.times_us)) - NOW) - seconds
    positions, velocities = log.tracks.positions.copy(), log.tracks.velocities.copy()
    positions[row, :, 0] = 120.0 + 10.0 * np.maximum(moving, 0.0)
    velocities[row, :, 0] = np.where(moving > 0, 10.0, 0.0)
    waits = replace(log, tracks=replace(log.tracks, positions=positions, velocities=velocities))
    traffic, _ = driven(lane_agents, waits, speed=0.0)
    x = traffic.poses[:, traffic.ids.index("track0"), 0]
    if np.isinf(seconds):
        assert np.allclose(x, 120.0)
    else:
        # After a metre of the log, 0.1 to 0.2 s, it starts; then it accelerates with 1 m/s2.
        off = round(10 * seconds) + 2
        assert np.allclose(x[: off - 1], 120.0)
        left = 4.0 - seconds
        assert 0.5 * (left - 0.4) ** 2 - 1.0 < x[40] - 120.0 < 0.5 * left**2
