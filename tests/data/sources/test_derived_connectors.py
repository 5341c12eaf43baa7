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
