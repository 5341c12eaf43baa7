from dataclasses import replace

import numpy as np
import pytest

from swerve.eval import GroupTokens, ScoredScenes, epdms, two_stage
from swerve.eval.scoring.aggregate import proximity_weights
from swerve.eval.scoring.comfort import extended_comfort
from swerve.eval.study.measures import (
    displacement_errors,
    frame_scores,
    gates,
    imitation_measures,
    one_stage_measures,
    open_loop_scores,
    quality,
)
from swerve.eval.study.study_records import StudyRecord, stack
from swerve.eval.study.variants import (
    Kernel,
    Recipe,
    effective_counts,
    offsets_of,
    pseudo_simulation,
    recipes,
    subset,
    weights_of,
)
from swerve.scenes import SwerveError
from tests.support.study_samples import FOLLOW_UPS, families_of, records


@pytest.fixture(scope="module")
def study():
    made = records(np.random.default_rng(0))
    return stack(made, families_of(made[0].planners))[0]


@pytest.fixture(scope="module")
def offsets(study):
    return offsets_of(study)


def frames_and_groups(study, planner):
    """One planner's study as the scorer's own frames, with states made so that extended comfort is as stored."""
    rows, groups = [], []
    for case, token in enumerate(study.tokens):
        names = [(f"{token} {i} now", f"{token} {i} before") for i in range(int(study.present[case].sum()) + 1)]
        groups.append(GroupTokens(*names[0], tuple(names[1:])))
        for i, pair in enumerate(names):
            comfortable = study.comfort_one[planner, case] if i == 0 else study.comfort_two[planner, case, i - 1]
            for chain, name in enumerate(pair):
                metrics = (
                    study.stage_one[planner, case, chain] if i == 0 else study.stage_two[planner, case, i - 1, chain]
                )
                start = np.zeros(2) if i == 0 else study.starts[case, i - 1, chain, :2]
                end = study.ends[planner, case, chain, :2] if i == 0 else np.zeros(2)
                rows.append((name, 500_000 * (1 - chain), metrics, states(comfortable, chain), start, end))
    names, times, metrics, moved, starts, ends = zip(*rows, strict=True)
    arrays = (np.array(v) for v in (times, metrics, moved, starts, ends))
    return ScoredScenes(names, ("log",) * len(names), *arrays), groups


def states(comfortable, chain):
    made = np.zeros((41, 11))
    made[:, 5] = 0.0 if comfortable or chain else 3.0 * np.sin(np.arange(41))
    return made


@pytest.mark.parametrize("weighting", ["navsim-exact", "stable"])
def test_the_standard_recipe_is_the_scorers_own(study, offsets, weighting):
    assert extended_comfort(states(0.0, 0)[None], states(0.0, 1)[None], 5)[0] == 0.0
    ours = pseudo_simulation(study, offsets, recipes("full")["weights"][weighting]).mean(axis=1)
    for planner in range(len(study.planners)):
        table = two_stage(*frames_and_groups(study, planner), weighting)
        assert ours[planner] == pytest.approx(table.score, abs=1e-12)


@pytest.mark.parametrize(("kernel", "weighting"), [(Kernel(), "navsim-exact"), (Kernel(fallback=False), "stable")])
def test_weights_are_the_scorers_own(study, offsets, kernel, weighting):
    weights = weights_of(offsets, study.present, kernel)
    np.testing.assert_allclose(weights.sum(axis=2), 1.0)
    for case, present in enumerate(study.present):
        for chain in (0, 1):
            starts = study.starts[case, present, chain, :2]
            expected = proximity_weights(study.ends[2, case, chain, :2], starts, weighting)
            np.testing.assert_allclose(weights[2, case, present, chain], expected, atol=1e-12)
            assert (weights[2, case, ~present, chain] == 0).all()


def test_some_plans_end_where_the_shipped_weights_are_uniform(study, offsets):
    """Otherwise the test above would not see the fall back."""
    effective = effective_counts(weights_of(offsets, study.present, Kernel()))
    assert np.isclose(effective, study.present.sum(axis=1)[None, :, None]).any()
    assert (effective < 1.5).any()


def test_wide_kernels_and_many_neighbours_are_plain_means(study, offsets):
    plain = pseudo_simulation(study, offsets, Recipe(Kernel(np.inf)))
    for kernel in (Kernel(1e9, fallback=False), Kernel(np.inf, nearest=99), Kernel(np.inf, heading=1e9, speed=1e9)):
        np.testing.assert_allclose(pseudo_simulation(study, offsets, Recipe(kernel)), plain, rtol=1e-6)
    case, count = 1, int(study.present[1].sum())
    one = epdms(study.stage_one[0, case], np.repeat(study.comfort_one[0, case], 2))
    two = epdms(study.stage_two[0, case, :count], np.repeat(study.comfort_two[0, case, :count, None], 2, axis=1))
    assert plain[0, case] == pytest.approx((one * two.mean(axis=0)).mean())


def test_narrow_kernels_are_the_nearest_frame(study, offsets):
    narrow = pseudo_simulation(study, offsets, Recipe(Kernel(1e-9, fallback=False)))
    np.testing.assert_allclose(narrow, pseudo_simulation(study, offsets, Recipe(Kernel(np.inf, nearest=1))))


def test_kernels_that_know_speed_prefer_the_frame_that_begins_as_the_plan_ends():
    made = records(np.random.default_rng(1), cases=1)
    starts = made[0].starts.copy()
    starts[..., :3] = 0.0
    starts[..., 3] = np.arange(len(starts))[:, None]
    ends = np.zeros_like(made[0].ends)
    ends[..., 3] = 2.0
    known = stack([replace(made[0], starts=starts, ends=ends)], families_of(made[0].planners))[0]
    weights = weights_of(offsets_of(known), known.present, Kernel(speed=1.0, fallback=False))
    gaussian = np.exp(-0.5 * (np.arange(len(starts)) - 2.0) ** 2)
    np.testing.assert_allclose(weights[0, 0, :, 0], gaussian / gaussian.sum())
    weights = weights_of(offsets_of(known), known.present, Kernel(heading=0.1, fallback=False))
    np.testing.assert_allclose(weights[0, 0, :, 0], 1.0 / len(starts))


def test_headings_differ_by_the_shorter_way():
    made = records(np.random.default_rng(1), cases=1)
    starts, ends = np.zeros_like(made[0].starts), np.zeros_like(made[0].ends)
    starts[..., 2], ends[..., 2] = np.pi - 0.1, -np.pi + 0.1
    turned = stack([replace(made[0], starts=starts, ends=ends)], families_of(made[0].planners))[0]
    np.testing.assert_allclose(offsets_of(turned).heading, 0.04)


def test_rules_by_hand(study, offsets):
    def score(rule):
        return pseudo_simulation(study, offsets, Recipe(Kernel(np.inf), rule, "reduced"))

    one, two, mean = score("only stage one"), score("only stage two"), score("mean")
    np.testing.assert_allclose(one, one_stage_measures(study)["one stage, reduced"])
    np.testing.assert_allclose(mean, (one + two) / 2)
    case, count = 0, int(study.present[0].sum())
    frames = [study.stage_two[3, case, :count, chain] for chain in (0, 1)]
    expected = []
    for chain, follow in enumerate(frames):
        first = study.stage_one[3, case, chain]
        gate = first[:3].prod() * follow[:, :3].prod(axis=1).mean()
        good = [(5 * m[..., 4] + 5 * m[..., 5] + 2 * m[..., 7]) / 12 for m in (first, follow)]
        expected.append(gate * (good[0] + good[1].mean()) / 2)
    assert score("gates and quality apart")[3, case] == pytest.approx(np.mean(expected))


def test_every_variant_is_a_score(study, offsets):
    for formula in ("full", "reduced"):
        for kind in recipes(formula).values():
            for recipe in kind.values():
                values = pseudo_simulation(study, offsets, recipe)
                assert ((values >= 0) & (values <= 1)).all()


def test_subsets_keep_the_share_and_at_least_one(study):
    generator = np.random.default_rng(0)
    kept = subset(study.present, 0.25, generator)
    assert not (kept & ~study.present).any()
    assert kept.sum(axis=1).tolist() == [max(round(0.25 * n), 1) for n in study.present.sum(axis=1)]
    assert (subset(study.present, 1.0, generator) == study.present).all()
    counts = sum(subset(study.present, 0.5, generator).astype(int) for _ in range(400)) / 400
    width = int(study.present[0].sum())
    np.testing.assert_allclose(counts[0, :width], round(0.5 * width) / width, atol=0.12)


def test_reduced_scores_forget_lights_lanes_and_extended_comfort():
    metrics = np.array([1, 1, 0.5, 0.0, 0.5, 1.0, 0.0, 1.0])
    for comfort in (0.0, 1.0):
        assert frame_scores(metrics, np.array(comfort), "reduced") == pytest.approx(0.5 * (2.5 + 5 + 2) / 12)
    for formula in ("full", "reduced"):
        metrics[3] = 1.0
        whole = gates(metrics, np.array(1.0), formula) * quality(metrics, np.array(1.0), formula)
        assert frame_scores(metrics, np.array(1.0), formula) == pytest.approx(whole)


def test_displacements_by_hand():
    human = np.column_stack([np.arange(1.0, 9.0), np.zeros(8), np.zeros(8)])
    shifted = human + np.array([0.0, 3.0, 0.0])
    late = human.copy()
    late[-1, 0] += 8.0
    ade, fde = displacement_errors(np.stack([human, shifted, late]), human)
    assert ade.tolist() == [0.0, 3.0, 1.0]
    assert fde.tolist() == [0.0, 3.0, 8.0]


def test_open_loop_scores_by_hand():
    human = np.column_stack([np.arange(1.0, 9.0), np.zeros(8), np.zeros(8)])
    shifted, missed, turned, late = (human.copy() for _ in range(4))
    shifted[:, 1] += 4.0
    missed[3, 1] += 6.1
    turned[:, 2] += 0.4
    late[6:, 0] += 50.0  # after 3 s: not compared
    between = human + np.array([0.0, 50.0, 0.0]) * (np.arange(8) % 2 == 0)[:, None]  # half seconds: not compared
    plans = np.stack([human, shifted, missed, turned, late, between])
    assert open_loop_scores(plans, human) == pytest.approx([1.0, 5.0 / 6.0, 0.0, 4.0 / 6.0, 1.0, 1.0])


def test_measures_are_oriented(study):
    ade = imitation_measures(study)["minus ADE"]
    assert (ade <= 0).all()
    for values in one_stage_measures(study).values():
        assert values.shape == study.closed_loop.shape[:2]


def test_records_survive_the_disk_and_planners_that_failed_are_left_out():
    made = records(np.random.default_rng(2))
    again = StudyRecord.from_bytes(made[0].to_bytes())
    assert again.planners == made[0].planners
    np.testing.assert_array_equal(again.stage_two, made[0].stage_two)
    assert again.to_bytes() == made[0].to_bytes()
    errors = tuple("ValueError: no way" if row == 2 else "" for row in range(len(made[1].planners)))
    assert StudyRecord.from_bytes(replace(made[1], errors=errors).to_bytes()).errors == errors
    families = families_of(made[0].planners)
    study, failed = stack([made[0], replace(made[1], errors=errors)], families)
    assert failed == (made[0].planners[2],)
    assert study.planners == made[0].planners[:2] + made[0].planners[3:]
    np.testing.assert_array_equal(study.ends[2, 0], made[0].ends[3])
    assert study.present.sum(axis=1).tolist() == list(FOLLOW_UPS[:2])
    with pytest.raises(SwerveError, match="different planners"):
        stack([made[0], replace(made[1], planners=made[1].planners[::-1])], families)
    with pytest.raises(SwerveError, match="no scene group"):
        stack([], families)
    with pytest.raises(SwerveError, match="not a record"):
        StudyRecord.from_bytes(b"rubbish")
