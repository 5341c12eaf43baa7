"""Scores in notebooks."""

import html
from collections.abc import Sequence

import numpy as np
from jaxtyping import Float

# Rows that are shown.
_MOST = 50


def scores_html(names: Sequence[str], metrics: Float[np.ndarray, "n m"], score: Float[np.ndarray, "n"]) -> str:
    """Return a table of trajectories with their scores and sub-scores, losses shaded, as HTML.

    Args:
        names: of the sub-scores.
        metrics: sub-scores.
        score: of each trajectory.
    """
    heads = ("trajectory", "score", *(name.replace("_", " ") for name in names))
    head = "".join(f"<th>{html.escape(name)}</th>" for name in heads)
    rows = "".join(
        f"<tr><td>{row}</td><td><b>{score[row]:.3f}</b></td>"
        + "".join(f"<td{_shade(value)}>{value:.2f}</td>" for value in metrics[row].tolist())
        + "</tr>"
        for row in range(min(len(score), _MOST))
    )
    more = f"<p>and {len(score) - _MOST} more</p>" if len(score) > _MOST else ""
    return f"<table><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table>{more}"


def _shade(value: float) -> str:
    """Return a style that shows how much is lost."""
    return f' style="background:rgba(230,60,80,{0.6 * (1.0 - value):.2f})"' if value < 1.0 else ""
