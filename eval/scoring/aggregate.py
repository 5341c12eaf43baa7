"""Aggregation of scene scores: single-stage averages, and the two-stage score of pseudo-simulation.

`navsim-exact` weights follow-up scenes as NAVSIM does, including its fallback to uniform weights, which applies as soon
as the plan ends 1.92 m from the nearest follow-up scene. `stable` normalises the same kernel in the log domain, so that
weights always follow the distances, and reports the effective number of scenes.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int

from swerve.eval.scoring.comfort import extended_comfort
from swerve.eval.scoring.score import epdms
from swerve.eval.scoring.sub_scores import METRIC_NAMES
from swerve.eval.scoring.thresholds import EXTENDED_MAX_INTERVAL, PROXIMITY_VARIANCE, STEP, UNIFORM_BELOW
from swerve.eval.scoring.weighting import Weighting
from swerve.scenes import SwerveError

COLUMNS = (*METRIC_NAMES, "two_frame_extended_comfort", "score")


@dataclass(frozen=True)
class ScoredScenes:
    """Scored scenes, one trajectory each.

    Attributes:
        tokens: unique names.
        logs: names of their logs.
        times_us: their timestamps.
        metrics: filtered sub-scores, columns as in Metric.
        states: simulated states.
        starts: start positions (rear axle, world).
        ends: end positions of the trajectories as planned, not as simulated (rear axle, world).
    """

    tokens: tuple[str, ...]
    logs: tuple[str, ...]
    times_us: Int[np.ndarray, "n"]
    metrics: Float[np.ndarray, "n 8"]
    states: Float[np.ndarray, "n t 11"]
    starts: Float[np.ndarray, "n 2"]
    ends: Float[np.ndarray, "n 2"]

    def rows(self, tokens: Sequence[str]) -> Int[np.ndarray, "k"]:
        """Return the rows of the given tokens.

        Raises:
            SwerveError: a token was not scored, or its scores are not finite; the message lists the tokens.
        """
        rows = _rows_of(self.tokens, tokens)
        invalid = [self.tokens[row] for row in rows if not np.isfinite(self.metrics[row]).all()]
        if invalid:
            raise SwerveError(_complaint(invalid, "have sub-scores that are not finite"))
        return rows


@dataclass(frozen=True)
class SceneScores:
    """Scores and positions of scenes, as needed for weighting.

    Attributes:
        tokens: unique names.
        values: columns as in `COLUMNS`.
        starts: start positions (rear axle, world).
        ends: end positions of the trajectories as planned, not as simulated (rear axle, world).
    """

    tokens: tuple[str, ...]
    values: Float[np.ndarray, "n 10"]
    starts: Float[np.ndarray, "n 2"]
    ends: Float[np.ndarray, "n 2"]


@dataclass(frozen=True)
class GroupTokens:
    """Tokens of a stage-one scene, the scene 0.5 s before it, and the pairs of follow-up scenes of both."""

    now: str
    before: str
    follow_ups: tuple[tuple[str, str], ...]

    @property
    def tokens(self) -> tuple[str, ...]:
        """Return all tokens, stage one first."""
        return tuple(token for pair in self.pairs for token in pair)

    @property
    def pairs(self) -> tuple[tuple[str, str], ...]:
        """Return the pairs of scenes 0.5 s apart, stage one first."""
        return ((self.now, self.before), *self.follow_ups)


@dataclass(frozen=True)
class AggregatedScores:
    """Aggregated scores; values are columns as in `COLUMNS`.

    Attributes:
        tokens: the scenes, in the order of their first use.
        values: per scene; extended comfort is NaN if there is no scene to compare with.
        weights: of each scene within its set.
        stage_one: mean of the first stage.
        stage_two: mean of the second stage; NaN in a single-stage table.
        combined: mean over groups of stage one times weighted stage two; in a single-stage table, stage_one.
        effective_sample_sizes: effective number of follow-up scenes per group and chain (now, before): 1 / sum of
            squared weights.
    """

    tokens: tuple[str, ...]
    values: Float[np.ndarray, "n 10"]
    weights: Float[np.ndarray, "n"]
    stage_one: Float[np.ndarray, "10"]
    stage_two: Float[np.ndarray, "10"]
    combined: Float[np.ndarray, "10"]
    effective_sample_sizes: Float[np.ndarray, "g 2"]

    @property
    def score(self) -> float:
        """Return the final score: extended_pdm_score_combined, or average_all_frames."""
        return float(self.combined[COLUMNS.index("score")])


def two_stage(
    scenes: ScoredScenes, groups: Sequence[GroupTokens], weighting: Weighting = "navsim-exact"
) -> AggregatedScores:
    """Compute the two-stage score.

    Raises:
        SwerveError: scenes are missing, used twice or not finite, or a pair is not 0 to 0.55 s apart; it lists the
            tokens.
    """
    return aggregate_two_stage(pair_scores(scenes, groups), groups, weighting)


def pair_scores(scenes: ScoredScenes, groups: Sequence[GroupTokens]) -> SceneScores:
    """Compute the scores of the groups' scenes, with extended comfort between the two of each pair.

    Raises:
        SwerveError: see `two_stage`.
    """
    tokens = _tokens_of(groups)
    chosen = scenes_at(scenes, scenes.rows(tokens))
    row = {token: index for index, token in enumerate(tokens)}
    comfort = np.full(len(tokens), np.nan)
    for pair in (pair for group in groups for pair in group.pairs):
        both = [row[token] for token in pair]
        comfort[both] = _pair_comfort(chosen, *both)
    return SceneScores(chosen.tokens, _values(chosen, comfort), chosen.starts, chosen.ends)


def aggregate_two_stage(
    scores: SceneScores, groups: Sequence[GroupTokens], weighting: Weighting = "navsim-exact"
) -> AggregatedScores:
    """Compute the two-stage score of scenes that are already scored.

    Raises:
        SwerveError: scenes are missing or used twice; the message lists the tokens.
    """
    tokens = _tokens_of(groups)
    rows = dict(zip(tokens, _rows_of(scores.tokens, tokens), strict=True))
    weights, parts, effective = np.ones(len(scores.tokens)), [], np.zeros((len(groups), 2))
    for index, group in enumerate(groups):
        for chain, start in enumerate((group.now, group.before)):
            follow = [rows[pair[chain]] for pair in group.follow_ups]
            here = proximity_weights(scores.ends[rows[start]], scores.starts[follow], weighting)
            parts.append((scores.values[rows[start]], here @ scores.values[follow] / here.sum()))
            weights[follow], effective[index, chain] = here, 1.0 / (here**2).sum()
    one, two = (np.array([part[stage] for part in parts]) for stage in (0, 1))
    combined, order = (one * two).mean(axis=0), list(rows.values())
    values, means = scores.values[order], (one.mean(axis=0), two.mean(axis=0))
    return AggregatedScores(tuple(tokens), values, weights[order], *means, combined, effective)


def one_stage(scenes: ScoredScenes) -> AggregatedScores:
    """Average over single scenes; extended comfort compares each with the scene at most 0.55 s before it, if any.

    Raises:
        SwerveError: a scene's scores are not finite, or there are none.
    """
    if not scenes.tokens:
        raise SwerveError("no scenes to aggregate")
    chosen = scenes_at(scenes, scenes.rows(scenes.tokens))
    comfort = np.full(len(chosen.tokens), np.nan)
    for now, before in consecutive_pairs(chosen):
        comfort[now] = _pair_comfort(chosen, now, before)
    values = _values(chosen, comfort)
    known = np.isfinite(values)
    sums, counts = np.where(known, values, 0.0).sum(axis=0), known.sum(axis=0)
    mean = np.divide(sums, counts, out=np.full(len(COLUMNS), np.nan), where=counts > 0)
    nothing = np.full(len(COLUMNS), np.nan)
    return AggregatedScores(chosen.tokens, values, np.ones(len(values)), mean, nothing, mean, np.zeros((0, 2)))


def consecutive_pairs(scenes: ScoredScenes) -> list[tuple[int, int]]:
    """Return pairs (now, before) of rows: consecutive scenes of a log that are at most 0.55 s apart."""
    order = sorted(range(len(scenes.tokens)), key=lambda row: (scenes.logs[row], scenes.times_us[row]))
    return [
        (now, before)
        for now, before in zip(order[1:], order, strict=False)
        if scenes.logs[now] == scenes.logs[before] and _are_comparable(scenes, now, before)
    ]


def _are_comparable(scenes: ScoredScenes, now: int, before: int) -> bool:
    """Test whether a scene is later than another one, and at most 0.55 s."""
    return 0 < int(scenes.times_us[now] - scenes.times_us[before]) <= EXTENDED_MAX_INTERVAL * 1e6


def proximity_weights(
    end: Float[np.ndarray, "2"], starts: Float[np.ndarray, "k 2"], weighting: Weighting
) -> Float[np.ndarray, "k"]:
    """Compute Gaussian weights of follow-up scenes by distance of their starts from the end of the stage-one plan."""
    log_weights = -((starts - end) ** 2).sum(axis=1) / (2.0 * PROXIMITY_VARIANCE)
    if weighting == "stable":
        weights = np.exp(log_weights - log_weights.max())
        shares: Float[np.ndarray, "k"] = weights / weights.sum()
        return shares
    weights = np.exp(log_weights)
    total = weights.sum()
    if not total > UNIFORM_BELOW:
        return np.full(len(starts), 1.0 / len(starts))
    weighted: Float[np.ndarray, "k"] = weights / total
    return weighted


def scenes_at(scenes: ScoredScenes, rows: Int[np.ndarray, "k"]) -> ScoredScenes:
    """Select the given rows."""
    return ScoredScenes(
        tuple(scenes.tokens[row] for row in rows),
        tuple(scenes.logs[row] for row in rows),
        scenes.times_us[rows],
        scenes.metrics[rows],
        scenes.states[rows],
        scenes.starts[rows],
        scenes.ends[rows],
    )


def _tokens_of(groups: Sequence[GroupTokens]) -> list[str]:
    tokens = [token for group in groups for token in group.tokens]
    repeated = sorted(token for token, count in Counter(tokens).items() if count > 1)
    if repeated or not tokens:
        raise SwerveError(_complaint(repeated, "are used more than once") if repeated else "no groups to aggregate")
    return tokens


def _rows_of(known: Sequence[str], wanted: Sequence[str]) -> Int[np.ndarray, "k"]:
    row = {token: index for index, token in enumerate(known)}
    if missing := [token for token in wanted if token not in row]:
        raise SwerveError(_complaint(missing, "have no scores"))
    return np.array([row[token] for token in wanted], dtype=int)


def _values(scenes: ScoredScenes, comfort: Float[np.ndarray, "n"]) -> Float[np.ndarray, "n 10"]:
    return np.column_stack([scenes.metrics, comfort, epdms(scenes.metrics, comfort)])


def _pair_comfort(scenes: ScoredScenes, now: int, before: int) -> float:
    seconds = (scenes.times_us[now] - scenes.times_us[before]) * 1e-6
    if not _are_comparable(scenes, now, before):
        raise SwerveError(
            f"scenes {scenes.tokens[before]} and {scenes.tokens[now]} are {seconds:.3f} s apart: extended comfort "
            f"needs more than 0 and at most {EXTENDED_MAX_INTERVAL} s"
        )
    steps = round(seconds / STEP)
    return float(extended_comfort(scenes.states[now][None], scenes.states[before][None], steps)[0])


def _complaint(tokens: Sequence[str], problem: str) -> str:
    shown = ", ".join(tokens[:10]) + (", ..." if len(tokens) > 10 else "")
    return f"{len(tokens)} scenes {problem}: {shown}"
