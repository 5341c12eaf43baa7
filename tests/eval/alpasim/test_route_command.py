"""Driving commands of routes."""

import numpy as np
import pytest

from swerve.eval.alpasim.protocol import protocol
from swerve.eval.alpasim.route_command import (
    SPACING,
    command_bytes,
    command_route,
    route_command,
    route_message,
    told_command,
    waypoints_of,
)
from swerve.scenes.viewpoints import Command, driving_command

REACHED = SPACING * np.arange(20)


def arc(radius, start=0.0):
    """Return waypoints of a left turn, from a distance on it on."""
    angles = (start + REACHED) / radius
    return np.column_stack([radius * np.sin(angles), radius * (1 - np.cos(angles))])


def test_a_straight_route_is_straight_wherever_the_car_heads():
    line = np.column_stack([REACHED, 0.3 * REACHED])
    assert route_command(line) is Command.STRAIGHT
    assert route_command(line + np.array([0.0, 3.0])) is Command.STRAIGHT


@pytest.mark.parametrize("radius", [15.0, 30.0, 60.0, 95.0, 105.0, 150.0, 400.0])
def test_turns_are_those_of_the_smooth_path(radius):
    """2 m to the side after 20 m: an arc of 100 m radius, 20^2 / (2 * 100). Waypoints 4.2 m apart tell it as well."""
    fine = np.arange(0.0, 60.0, 0.25) / radius
    smooth = radius * np.column_stack([np.sin(fine), 1 - np.cos(fine)])
    expected = driving_command(smooth, 0.0, None)
    assert expected is (Command.LEFT if radius < 99 else Command.STRAIGHT)
    assert route_command(arc(radius)) is expected
    assert route_command(arc(radius) * [1, -1]) is (Command.RIGHT if radius < 99 else Command.STRAIGHT)


@pytest.mark.parametrize("command", list(Command))
def test_routes_of_commands_have_them(command):
    route = command_route(command)
    assert route_command(route) is command
    assert route_command(waypoints_of(route_message(route, 5))) is command


def test_a_route_that_begins_ahead_is_joined_to_the_car():
    """The challenge's routes begin 40 m ahead (route_start_offset_m)."""
    far = 40.0
    assert route_command(arc(1e6, far)) is Command.STRAIGHT
    assert route_command(arc(60.0, far)[:12]) is Command.LEFT
    assert route_command(arc(60.0, far)[:12] * [1, -1]) is Command.RIGHT


def test_routes_that_tell_nothing_are_unknown():
    assert route_command(np.zeros((0, 2))) is Command.UNKNOWN
    assert route_command(np.array([[1.0, 2.0]])) is Command.UNKNOWN
    assert route_command(np.zeros((5, 2))) is Command.UNKNOWN
    padded = route_message(np.array([[0.0, 0.0], [4.2, 0.0]]), 5)
    assert len(padded.waypoints) == 20
    assert np.isnan(padded.waypoints[2].x)
    assert waypoints_of(padded).shape == (2, 2)
    assert waypoints_of(protocol().Route()).shape == (0, 2)


def test_waypoints_anywhere_are_answered_at_once():
    """A route is looked at up to 120 m, wherever its points are: 1e8 m of it would take minutes and gigabytes."""
    far = 1e8
    assert route_command(np.array([[0.0, 0.0], [far, 0.0]])) is Command.STRAIGHT
    assert route_command(np.array([[0.0, 0.0], [far, far], [far, 0.0]])) is Command.STRAIGHT
    assert route_command(np.array([[-far, 0.0], [far, 1.0]])) is Command.UNKNOWN
    assert route_command(np.array([[far, 0.0], [far + 4.0, 1.0]])) is Command.UNKNOWN
    assert route_command(np.array([[10.0, 0.0], [far, 0.0]])) is Command.STRAIGHT


def test_commands_travel_as_renderer_data():
    for command in Command:
        assert told_command(command_bytes(command)) is command
    for other in (b"", b"{", b"\x00\xff", b'{"swerve_command": "UP"}', b"[1]", b'{"a": 1}', b"{" * 150, b'{"' * 5000):
        assert told_command(other) is None
