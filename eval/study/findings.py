"""Findings of a study: every measure and every variant of pseudo-simulation against closed loop."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Float

from swerve.eval.study.correlation import (
    RESAMPLES,
    Agreement,
    Difference,
    agreements,
    difference,
    pearson,
    ranks,
    resampled_unit,
)
from swerve.eval.study.measures import FORMULAS, Formula, imitation_measures, one_stage_measures
from swerve.eval.study.study_records import Study
from swerve.eval.study.variants import (
    DENSITIES,
    Kernel,
    Offsets,
    effective_counts,
    navsim_recipe,
    offsets_of,
    out_of_reach,
    pseudo_simulation,
    recipes,
    subset,
    weights_of,
)

SUBSETS = 20


@dataclass(frozen=True)
class SubsetCorrelations:
    """Correlations over random subsets of the follow-up scenes.

    Attributes:
        kept: mean number of follow-up pairs of a scene group.
        pearson: r of each subset.
        spearman: the same of ranks.
    """

    kept: float
    pearson: Float[np.ndarray, "s"]
    spearman: Float[np.ndarray, "s"]


@dataclass(frozen=True)
class Findings:
    """Results of a study.

    Attributes:
        measures: planners x scene groups, by name; the main ones, then the variants as "formula: kind: name".
        main: agreement of the main measures, pseudo-simulation first.
        variants: by formula, by varied parameter, by name; joint intervals only.
        densities: by formula and share of the follow-up pairs.
        best_one_stage: name of the one-stage measure with the largest r.
        differences: correlations of each main pseudo-simulation minus those of the best one-stage measure.
        counterparts: the same minus those of the one-stage measure with the same formula and filter.
        effective: median over planners, scene groups and chains of the effective number of follow-up scenes.
        uniform: share of them with uniform weights because the plan ends too far away.
        units: resampled units: "logs" or "scene_groups".
    """

    measures: Mapping[str, Float[np.ndarray, "p c"]]
    main: Mapping[str, Agreement]
    variants: Mapping[str, Mapping[str, Mapping[str, Agreement]]]
    densities: Mapping[str, Mapping[float, SubsetCorrelations]]
    best_one_stage: str
    differences: Mapping[str, Difference]
    counterparts: Mapping[str, Difference]
    effective: float
    uniform: float
    units: str


def findings_of(study: Study, count: int = RESAMPLES, seed: int = 0) -> Findings:
    """Compute all correlations; takes seconds.

    Args:
        study: the records.
        count: of bootstrap resamples.
        seed: of resamples and of the subsets of follow-up scenes.
    """
    offsets = offsets_of(study)
    two, one = _pseudo_simulations(study, offsets), one_stage_measures(study)
    measured = {**two, **one, **imitation_measures(study)}
    main = agreements(measured, study.closed_loop, study.families, study.logs, count=count, seed=seed)
    best = max(one, key=lambda name: np.nan_to_num(main[name].pearson["joint"].value, nan=-2.0))
    made = {formula: _varied(study, offsets, formula) for formula in FORMULAS}
    variants: dict[str, dict[str, dict[str, Agreement]]] = {formula: {} for formula in FORMULAS}
    for formula, kind in ((formula, kind) for formula, kinds in made.items() for kind in kinds):
        named = made[formula][kind]
        measured.update({f"{formula}: {kind}: {name}": values for name, values in named.items()})
        variants[formula][kind] = agreements(
            named, study.closed_loop, study.families, study.logs, resampled=("joint",), count=count, seed=seed
        )
    weights = weights_of(offsets, study.present, Kernel())
    return Findings(
        measures=measured,
        main=main,
        variants=variants,
        densities={formula: _densities(study, offsets, formula, seed) for formula in FORMULAS},
        best_one_stage=best,
        differences={name: difference(main[name], main[best]) for name in two},
        counterparts={name: difference(main[name], main[counterpart_of(name)]) for name in two},
        effective=float(np.median(effective_counts(weights))),
        uniform=float(out_of_reach(offsets, study.present).mean()),
        units=resampled_unit(study.logs),
    )


def counterpart_of(name: str) -> str:
    """Return the one-stage measure with the formula and the filter of a main pseudo-simulation."""
    return name.replace("pseudo-simulation", "one stage")


def _pseudo_simulations(study: Study, offsets: Offsets) -> dict[str, Float[np.ndarray, "p c"]]:
    """Compute NAVSIM's two-stage score with both formulas, with and without the human filter."""
    return {
        f"pseudo-simulation, {formula}{words}": pseudo_simulation(
            study, offsets, replace(navsim_recipe(formula), human_filter=human_filter)
        )
        for formula in FORMULAS
        for words, human_filter in (("", True), (", unfiltered", False))
    }


def _varied(study: Study, offsets: Offsets, formula: Formula) -> dict[str, dict[str, Float[np.ndarray, "p c"]]]:
    """Compute all variants, by varied parameter and name."""
    return {
        kind: {name: pseudo_simulation(study, offsets, recipe) for name, recipe in named.items()}
        for kind, named in recipes(formula).items()
    }


def _densities(study: Study, offsets: Offsets, formula: Formula, seed: int) -> dict[float, SubsetCorrelations]:
    closed = study.closed_loop.mean(axis=1)
    found = {}
    for density in DENSITIES:
        generator = np.random.Generator(np.random.Philox(key=[seed, round(1000 * density)]))
        kept = [subset(study.present, density, generator) for _ in range(SUBSETS)]
        values = np.stack(
            [pseudo_simulation(study, offsets, navsim_recipe(formula).restricted_to(one)).mean(axis=1) for one in kept]
        )
        truth = np.broadcast_to(closed, values.shape)
        spearman = pearson(ranks(values), ranks(truth))
        found[density] = SubsetCorrelations(
            float(np.mean([one.sum(axis=1).mean() for one in kept])), pearson(values, truth), spearman
        )
    return found
