import numpy as np

from swerve.eval.study.population import population
from swerve.planners import load_planner
from tests.support.observations import seen
from tests.support.simple_log import simple_log
from tests.support.town_logs import town


def test_there_are_enough_planners_of_each_family():
    planner_specs = population()
    assert len(planner_specs) >= 80
    assert len({planner_spec.spec for planner_spec in planner_specs}) == len(planner_specs)
    assert population() == planner_specs
    families = [planner_spec.family for planner_spec in planner_specs]
    for family, least in (
        ("constant kinematics", 10),
        ("idm", 15),
        ("pdm-closed", 15),
        ("human disturbed", 10),
        ("mixed", 5),
    ):
        assert families.count(family) >= least


def test_all_plan_the_same_again_and_no_two_alike():
    """Some variants differ only where there is something to differ about: a leader, a curve, a red light, a crawl."""
    slow = simple_log(speed=5.0)
    moments = [(simple_log(), 40), (slow, 30), (town(0), 40), (town(7), 100)]
    observations = [seen(log, now)[0] for log, now in moments]
    everything = {}
    for planner_spec in population():
        plans = [load_planner(planner_spec.spec).planner.plan(one) for one in observations]
        again = load_planner(planner_spec.spec).planner.plan(observations[0])
        np.testing.assert_array_equal(again.poses, plans[0].poses)
        everything[planner_spec.spec] = np.concatenate([plan.poses[-1] for plan in plans])
    ends = np.array(list(everything.values()))
    gaps = np.abs(ends[:, None] - ends[None]).max(axis=2) + np.eye(len(ends))
    names = list(everything)
    alike = [(names[row], names[column]) for row, column in np.argwhere(gaps < 1e-3) if row < column]
    assert not alike
