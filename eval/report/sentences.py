"""Descriptions of events, in sentences."""

import html

import numpy as np

from swerve.eval.report.replay import Event, Replay
from swerve.eval.scoring.aggregate import COLUMNS
from swerve.eval.scoring.thresholds import (
    EXTENDED_COMFORT_WEIGHT,
    HISTORY_COMFORT_WEIGHT,
    LANE_KEEPING_WEIGHT,
    PROGRESS_WEIGHT,
    STEP,
    TTC_WEIGHT,
)
from swerve.scenes.printable import sentence

# Short and long names of the sub-scores, in the order of `COLUMNS`.
SHORT = ("NC", "DAC", "DDC", "TLC", "EP", "TTC", "LK", "HC", "EC")
LONG = (
    "No at-fault collision",
    "Drivable area",
    "Driving direction",
    "Traffic lights",
    "Ego progress",
    "Time to collision",
    "Lane keeping",
    "Comfort",
    "Extended comfort",
)
FACTORS = 4
WEIGHTS = (PROGRESS_WEIGHT, TTC_WEIGHT, LANE_KEEPING_WEIGHT, HISTORY_COMFORT_WEIGHT, EXTENDED_COMFORT_WEIGHT)
# Losses of the score below this do not show in its two digits.
_INVISIBLE = 0.005 * sum(WEIGHTS)
# Sub-scores from here on show as 1.00.
_SHOWN_AS_ONE = 0.995
# Its description begins with the corner; all others with the vehicle's action.
_OF_A_CORNER = "drivable_area_compliance"
_UNSTEADY = "plans accelerations, jerk or yaw rates that differ too much from those it plans half a second apart"


def scene_summary(replay: Replay) -> str:
    """Return one sentence on a scene, as plain text: its score, and the largest loss."""
    row = replay.row
    if row.failed:
        return f"The planner failed: {sentence(_last_line(row.error))} The scene scores 0."
    factors = [event for event in replay.events if _column(event) < FACTORS and not event.reason.human_filtered]
    if any(event.reason.value == 0.0 for event in factors):
        worst = min((event for event in factors if event.reason.value == 0.0), key=_when)
        return f"Scores 0: {when(worst)}{worst.text}."
    losses = np.array(WEIGHTS) * (1.0 - np.nan_to_num(row.values[FACTORS : FACTORS + len(WEIGHTS)], nan=1.0))
    if factors:
        cause = f"{when(factors[0])}{factors[0].text}"
    elif losses.max() < _INVISIBLE:
        return f"Scores {row.score:.2f}: no violations."
    else:
        cause = _event_text(replay, FACTORS + int(losses.argmax()))
    return f"Scores {row.score:.2f}; largest loss: {cause}."


def sentences(replay: Replay) -> str:
    """Render a list of all losses, as HTML. Numbers are those in the image."""
    if replay.row.failed:
        return f'<pre class="error">{html.escape(replay.row.error)}</pre>'
    numbers = {id(event): number for number, event in replay.numbered.items()}
    visible = [event for event in replay.events if event.reason.value < _SHOWN_AS_ONE]
    items = [_item(event, numbers.get(id(event))) for event in visible]
    if replay.row.values[COLUMNS.index("two_frame_extended_comfort")] < 1.0:
        items.append(_line("", 8, 0.0, f"it {_UNSTEADY}.", ""))
    return f'<ul class="reasons">{"".join(items)}</ul>' if items else ""


def when(event: Event) -> str:
    """Return the time and subject of an event, as the beginning of a sentence."""
    subject = "its" if event.reason.metric == _OF_A_CORNER else "it"
    return f"{subject} " if event.step is None else f"after {event.step * STEP:.1f} s {subject} "


def _item(event: Event, number: int | None) -> str:
    reason = event.reason
    seen = "" if number is None else f'<b class="badge">{number}</b>'
    human_filtered = " The human fails here too: the human filter sets it to 1." if reason.human_filtered else ""
    return _line(seen, _column(event), reason.value, f"{when(event)}{event.text}.", human_filtered)


def _line(badge: str, column: int, value: float, content: str, note: str) -> str:
    content = content[0].upper() + content[1:]
    return (
        f"<li>{badge or '<b></b>'}<span><em>{LONG[column]} {value:.2f}</em> "
        f"{html.escape(content)}<i>{html.escape(note)}</i></span></li>"
    )


def _event_text(replay: Replay, column: int) -> str:
    """Return the description of a sub-score's event."""
    for event in replay.events:
        if _column(event) == column:
            return when(event) + event.text
    return f"it {_UNSTEADY}"


def _column(event: Event) -> int:
    return COLUMNS.index(event.reason.metric)


def _when(event: Event) -> float:
    return float("inf") if event.step is None else float(event.step)


def _last_line(error: str) -> str:
    lines = error.strip().splitlines()
    return (lines[-1] if lines else "no reason given").rstrip(".")
