"""Marks for planners that are told more than a car knows: the recorded drive, or the simulator's exact state."""

import html
from collections.abc import Mapping, Sequence
from typing import Final, TypeVar

from swerve.eval.report.comparison_tables import Ranked
from swerve.scenes.planning import Planner

# By label, see `privileged_input_of`; planners that are told neither are not in it.
PrivilegedInputs = Mapping[str, str]
_TAGS: Final = {"recorded drive": "told the recorded drive", "simulator": "told traffic, lights and map exactly"}
_R = TypeVar("_R", bound=Ranked)


def privileged_input_of(planner: Planner) -> str:
    """Return what a planner declares to be told: "recorded drive", "simulator", or nothing."""
    if not getattr(planner, "privileged", False):
        return ""
    return "recorded drive" if getattr(planner, "future_only", False) else "simulator"


def contenders(ranked: Sequence[_R], known: PrivilegedInputs) -> Sequence[_R]:
    """Return the planners that are not told the recorded drive; all where there are no others."""
    return [one for one in ranked if known.get(one.label) != "recorded drive"] or ranked


def privileged_tag(label: str, known: PrivilegedInputs) -> str:
    """Render what a planner is told, to stand below its name; empty if that is nothing."""
    return f"<small>{_TAGS[known[label]]}</small>" if known.get(label) in _TAGS else ""


def privileged_aside(best: Sequence[Ranked], known: PrivilegedInputs) -> str:
    """Return what the first planner is told, to follow its score in a sentence; empty without one, or if nothing."""
    told = [_TAGS[known[one.label]] for one in best[:1] if known.get(one.label) in _TAGS]
    return "".join(f" ({one})" for one in told)


def privileged_note(ranked: Sequence[Ranked], known: PrivilegedInputs) -> str:
    """Render which planners are no fair competitors, for `answer`; empty if all are told the same."""
    references = [one for one in ranked if known.get(one.label) == "recorded drive"]
    exact = [one.label for one in ranked if known.get(one.label) == "simulator"]
    told = [
        f"{one.label} is told the recorded drive and scores {float(one.scene_group_scores.mean()):.3f}: a reference, "
        "not a planner to ship."
        for one in references
        if len(references) < len(ranked)
    ]
    if exact:
        verb = "is" if len(exact) == 1 else "are"
        names = " and ".join(filter(None, (", ".join(exact[:-1]), exact[-1])))
        told.append(
            f"{names} {verb} told traffic, lights and map by the simulator, without error: on a car, sensors give less."
        )
        told += [
            f"The best that is told neither is {one.label}, with {float(one.scene_group_scores.mean()):.3f}."
            for one in [one for one in ranked if one.label not in known][:1]
            if contenders(ranked, known)[0].label in exact
        ]
    return f"<p>{html.escape(' '.join(told))}</p>" if told else ""
