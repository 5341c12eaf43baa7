"""What a job needs and no log of a source has is told before any work."""

from dataclasses import dataclass

import pytest

from swerve.data.sources.source import absent_in_all, require_holding
from swerve.scenes import SwerveError


@dataclass(frozen=True)
class Partial:
    """A source whose logs lack what `lacking` says, by name."""

    lacking: dict
    kind: str = "own"
    path: str = "data"

    def names(self):
        return tuple(self.lacking)

    def load(self, name):
        raise AssertionError(f"{name} is read")

    def absent(self, names):
        return absent_in_all(names, lambda name: frozenset(self.lacking[name]))


class Silent:
    """A source that says nothing about its logs."""

    kind = "own"

    def names(self):
        return ("c",)

    def load(self, name):
        raise AssertionError(f"{name} is read")


def check(*sources):
    owners = {name: number for number, source in enumerate(sources) for name in source.names()}
    require_holding(sources, owners, "map", "scores need lanes")


def test_a_source_whose_logs_all_lack_it_is_refused():
    with pytest.raises(SwerveError, match="own:data: there is no map of all of its 2 logs: scores need lanes"):
        check(Silent(), Partial({"a": {"map"}, "b": {"map", "photographs"}}))
    with pytest.raises(SwerveError, match="own:data: there is no map of its log: scores need lanes"):
        check(Partial({"a": {"map"}}))


def test_a_source_of_which_no_log_is_chosen_is_not_asked():
    sources = (Partial({"a": {"map"}}), Silent())
    require_holding(sources, {"c": 1}, "map", "scores need lanes")


def test_logs_that_may_have_it_are_left_to_the_job():
    check(Silent(), Partial({"a": {"map"}, "b": {"photographs"}}))


def test_places_after_one_that_has_everything_are_not_looked_at():
    seen = []

    def absent(place):
        seen.append(place)
        return frozenset() if place == "b" else frozenset({"map"})

    assert absent_in_all("abc", absent) == frozenset()
    assert seen == ["a", "b"]
    assert absent_in_all("", absent) == frozenset()
