"""Connectors from the shape of the lane graph: of a junction drawn here, and where sources say which lanes they are."""

import numpy as np
import pytest

from experiments.connector_agreement import agreement
from swerve.data.sources.derived_connectors import connectors_of
from swerve.scenes import Lane
from tests.support.town_logs import NUMBERS, town


def lane(name, *points, before=(), after=()):
    line = np.column_stack([np.array(points, float), np.zeros(len(points))])
    return Lane(name, line, line, predecessors=before, successors=after)


def cross_roads():
    """Two roads of one lane, eastbound and northbound; who comes from the west may turn left or go straight on."""
    return [
        lane("west", (-100, 0), (-10, 0), after=("straight", "left")),
        lane("straight", (-10, 0), (10, 0), before=("west",), after=("east",)),
        lane("left", (-10, 0), (-2, 3), (0, 10), before=("west",), after=("north",)),
        lane("east", (10, 0), (100, 0), before=("straight",)),
        lane("south", (0, -100), (0, -10), after=("onward",)),
        lane("onward", (0, -10), (0, 10), before=("south",), after=("north",)),
        lane("north", (0, 10), (0, 100), before=("onward", "left")),
    ]


def widening():
    """A lane that becomes two, side by side."""
    return [
        lane("one", (0, 0), (50, 0), after=("keeps", "parts")),
        lane("keeps", (50, 0), (90, 0), before=("one",)),
        lane("parts", (50, 0), (65, 3.5), (90, 3.5), before=("one",)),
    ]


def test_lanes_that_cross_or_turn_at_a_fork_or_a_merge_are_connectors():
    assert connectors_of(cross_roads()) == {"straight", "left", "onward"}


def test_a_road_that_widens_has_no_intersection_unless_a_signal_rules_it():
    assert connectors_of(widening()) == frozenset()
    assert "keeps" in connectors_of(widening(), {"keeps"})


def arc(first, last, radius=12.0):
    """Points of a circle round the origin, from one direction to another, degrees."""
    turn = np.deg2rad(np.linspace(first, last, 25))
    return [(radius * np.cos(angle), radius * np.sin(angle)) for angle in turn]


def roundabout():
    """Two of the ways over a roundabout, each one lane: from the west straight on, and left almost all round."""
    left = ((-28, -2), *arc(200, 430), (2, 28))
    return [
        lane("west", (-100, -2), (-28, -2), after=("over", "left")),
        lane("over", (-28, -2), *arc(200, 340), (28, -2), before=("west",), after=("east",)),
        lane("left", *left, before=("west",), after=("north",)),
        lane("east", (28, -2), (100, -2), before=("over",)),
        lane("north", (2, 28), (2, 100), before=("left",)),
    ]


def ring_in_pieces():
    """A roundabout of four arms whose ring is split where lanes leave and enter it."""
    lanes = []
    for number, at in enumerate((0, 90, 180, 270)):
        following, previous = (number + 1) % 4, (number - 1) % 4
        leave, enter = arc(at - 18, at - 18)[0], arc(at + 18, at + 18)[0]
        way = [(radius * np.cos(np.deg2rad(at)), radius * np.sin(np.deg2rad(at))) for radius in (20.0, 80.0)]
        lanes += [
            lane(f"in-{number}", *way[::-1], after=(f"entry-{number}",)),
            lane(f"out-{number}", *way, before=(f"exit-{number}",)),
            lane(f"entry-{number}", way[0], enter, before=(f"in-{number}",), after=(f"side-{number}",)),
            lane(f"exit-{number}", leave, way[0], before=(f"side-{previous}",), after=(f"out-{number}",)),
            lane(f"past-{number}", *arc(at - 18, at + 18), before=(f"side-{previous}",), after=(f"side-{number}",)),
            lane(
                f"side-{number}",
                *arc(at + 18, at + 72),
                before=(f"past-{number}", f"entry-{number}"),
                after=(f"past-{following}", f"exit-{following}"),
            ),
        ]
    return lanes


def test_lanes_over_a_roundabout_are_connectors_though_they_end_as_they_began_or_are_long():
    over, left = roundabout()[1:3]
    assert abs(over.headings[-1] - over.headings[0]) < np.deg2rad(20)  # the turns to both sides cancel
    assert left.lengths[-1] > 60.0
    assert connectors_of(roundabout()) == {"over", "left"}


def test_a_ring_in_pieces_is_made_of_connectors():
    lanes = ring_in_pieces()
    assert connectors_of(lanes) == {one.id for one in lanes if not one.id.startswith(("in", "out"))}


def test_a_winding_road_and_a_fork_into_winding_roads_far_apart_have_no_intersection():
    winding = [(20.0 * step, 30.0 * np.sin(step)) for step in np.linspace(0, 12, 60)]
    assert connectors_of([lane("one", *winding)]) == frozenset()
    mirrored = [(x, -y) for x, y in winding]
    fork = [
        lane("before", (-100, 0), (0, 0), after=("one", "other")),
        lane("one", *winding, before=("before",)),
        lane("other", *mirrored, before=("before",)),
    ]
    assert connectors_of(fork) == frozenset()


def test_towns_agree():
    both, alone, missed = sum(agreement(town(number).road_map) for number in NUMBERS)
    assert both / (both + alone) > 0.98
    assert both / (both + missed) > 0.9


def test_real_maps_that_flag_their_connectors_agree(test_data):
    from swerve.data import open_source

    if not (test_data / "av2").is_dir():
        pytest.skip(f"no Argoverse 2 logs at {test_data / 'av2'}")
    source = open_source(f"av2:{test_data / 'av2'}")
    both, alone, missed = sum(agreement(source.load(name).road_map) for name in source.names())
    assert both / (both + alone) > 0.95
    assert both / (both + missed) > 0.9
