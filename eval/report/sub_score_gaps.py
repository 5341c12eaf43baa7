"""The sub-scores in which two planners differ most, in a sentence."""

from collections.abc import Sequence
from typing import Final

import numpy as np
from jaxtyping import Float

from swerve.eval.report.sentences import FACTORS, LONG, WEIGHTS

# Differences that change a scene's score by less than this are left out, and at most so many are named.
_LEAST: Final = 0.005
_MOST_HIGHER, _MOST_LOWER = 3, 2
# Change of a scene's score by one of a sub-score that is 1 lower, all others being 1.
_EFFECTS: Final = np.array([*[1.0] * FACTORS, *(np.array(WEIGHTS) / sum(WEIGHTS))])


def gap_sentence(
    first: Float[np.ndarray, "s 9"], second: Float[np.ndarray, "s 9"], label: str, stages: Sequence[str]
) -> str:
    """Return in which sub-scores a planner is higher and lower than another one, the most important first.

    A difference counts by its effect on a scene in which all other sub-scores are 1.

    Args:
        first: the planner's sub-scores by stage, NaN where there are none.
        second: the other one's.
        label: the other one's.
        stages: names of the stages, empty to name none.
    """
    gaps = np.nan_to_num(first - second)
    effects = (gaps * _EFFECTS).ravel()
    order = np.argsort(-np.abs(effects), kind="stable")
    named = [int(place) for place in order if abs(effects[place]) >= _LEAST]
    higher = [place for place in named if effects[place] > 0][:_MOST_HIGHER]
    lower = [place for place in named if effects[place] < 0][:_MOST_LOWER]
    if not named:
        return f"no sub-score differs much from that of {label}."
    texts = {place: _text(place, first, second, stages) for place in (*higher, *lower)}
    parts = [
        f"{word} in {_listed([texts[place] for place in places])}"
        for word, places in (("higher", higher), ("lower", lower))
        if places
    ]
    return f"compared with {label}, its sub-scores are {'; '.join(parts)}."


def _text(place: int, first: Float[np.ndarray, "s 9"], second: Float[np.ndarray, "s 9"], stages: Sequence[str]) -> str:
    stage, column = divmod(place, len(LONG))
    of_stage = f" in {stages[stage]}" if stages else ""
    own, other = float(first[stage, column]), float(second[stage, column])
    digits = 2 if f"{own:.2f}" != f"{other:.2f}" else 3
    return f"{_lowered(LONG[column])}{of_stage} ({own:.{digits}f} against {other:.{digits}f})"


def _lowered(name: str) -> str:
    return name[0].lower() + name[1:]


def _listed(texts: Sequence[str]) -> str:
    return " and ".join([", ".join(texts[:-1]), texts[-1]] if len(texts) > 1 else texts)
