from dataclasses import replace

from swerve.eval.scoring.inactive_scores import inactive_scores
from swerve.scenes import Area, TrafficLights
from tests.support.simple_log import empty_road, simple_log


def whole_log():
    """The simple log with an intersection."""
    log = simple_log()
    area = Area("crossing", log.road_map.crosswalks[0].polygon)
    return replace(log, road_map=replace(log.road_map, intersections=(area,)))


def test_nothing_is_silent_where_nothing_is_missing():
    assert inactive_scores([whole_log()]) == []


def test_each_thing_that_is_missing_is_named_with_its_sub_scores():
    whole = whole_log()
    lights = TrafficLights.empty(len(whole.times_us))
    assert inactive_scores([whole, replace(whole, lights=lights)]) == [
        "traffic_light_compliance: no red traffic lights in 1 of 2 logs"
    ]
    (told,) = inactive_scores([simple_log()])
    assert "lane_keeping" in told
    assert told.endswith("no intersections in 1 of 1 logs")
    bare = replace(empty_road(), road_map=None, route=(), lights=lights)
    assert [line.rpartition(": no ")[2].split(" in ")[0] for line in inactive_scores([bare])] == [
        "other road users",
        "drivable areas",
        "intersections",
        "route",
        "red traffic lights",
    ]
