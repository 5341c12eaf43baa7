"""Findings of a study: every measure against every closed loop, and every variant of pseudo-simulation."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Float

from swerve.eval.study.cluster_bootstrap import SIDES, Clusters, Estimate, Side, clusters_of, pearson, ranks
from swerve.eval.study.correlation import RESAMPLES, Agreement, Difference, agreements, difference
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
class ReferenceFindings:
    """Correlations with one closed loop.

    Attributes:
        agreements: of the main measures, pseudo-simulation first.
        best_one_stage: name of the one-stage measure with the largest r.
        differences: correlations of each main pseudo-simulation minus those of the best one-stage measure.
        counterparts: the same minus those of the one-stage measure with the same formula and filter.
        with_headline: r of this closed loop and the headline over the planners, joint interval.
    """

    agreements: Mapping[str, Agreement]
    best_one_stage: str
    differences: Mapping[str, Difference]
    counterparts: Mapping[str, Difference]
    with_headline: Estimate


@dataclass(frozen=True)
class Findings:
    """Results of a study.

    Attributes:
        measures: planners x scene groups, by name; the main ones, then the variants as "formula: kind: name".
        references: by closed loop, the headline first, which alone has intervals over each side.
        variants: by formula, by varied parameter, by name; against the headline, joint intervals only.
        densities: by formula and share of the follow-up pairs; against the headline.
        effective: median over planners, scene groups and chains of the effective number of follow-up scenes.
        uniform: share of them with uniform weights because the plan ends too far away.
        clusters: that are drawn anew for intervals.
    """

    measures: Mapping[str, Float[np.ndarray, "p c"]]
    references: Mapping[str, ReferenceFindings]
    variants: Mapping[str, Mapping[str, Mapping[str, Agreement]]]
    densities: Mapping[str, Mapping[float, SubsetCorrelations]]
    effective: float
    uniform: float
    clusters: Clusters

    @property
    def headline(self) -> ReferenceFindings:
        """Return the findings against the first closed loop."""
        return next(iter(self.references.values()))


def findings_of(study: Study, count: int = RESAMPLES, seed: int = 0) -> Findings:
    """Compute all correlations; takes seconds.

    Args:
        study: the records.
        count: of bootstrap resamples.
        seed: of resamples and of the subsets of follow-up scenes.
    """
    offsets = offsets_of(study)
    measured = {**_pseudo_simulations(study, offsets), **one_stage_measures(study), **imitation_measures(study)}
    references = {name: _against(study, measured, name, count, seed) for name in study.references}
    made = {formula: _varied(study, offsets, formula) for formula in FORMULAS}
    variants: dict[str, dict[str, dict[str, Agreement]]] = {formula: {} for formula in FORMULAS}
    closed = study.closed_loop_of(study.headline)
    for formula, kind in ((formula, kind) for formula, kinds in made.items() for kind in kinds):
        named = made[formula][kind]
        measured.update({f"{formula}: {kind}: {name}": values for name, values in named.items()})
        variants[formula][kind] = agreements(
            named, closed, study.families, study.logs, sides=("joint",), count=count, seed=seed
        )
    return Findings(
        measures=measured,
        references=references,
        variants=variants,
        densities={formula: _densities(study, offsets, formula, seed) for formula in FORMULAS},
        effective=float(np.median(effective_counts(weights_of(offsets, study.present, Kernel())))),
        uniform=float(out_of_reach(offsets, study.present).mean()),
        clusters=clusters_of(study.families, study.logs),
    )


def _against(
    study: Study, measured: Mapping[str, Float[np.ndarray, "p c"]], reference: str, count: int, seed: int
) -> ReferenceFindings:
    """Correlate all measures, and the headline's scores, with one closed loop."""
    sides: tuple[Side, ...] = SIDES if reference == study.headline else ("joint",)
    headline = {"headline": study.closed_loop_of(study.headline)}
    found = agreements(
        {**measured, **headline},
        study.closed_loop_of(reference),
        study.families,
        study.logs,
        sides=sides,
        count=count,
        seed=seed,
    )
    with_headline = found.pop("headline").pearson["joint"]
    ones, twos = ([name for name in found if name.startswith(kind)] for kind in ("one stage", "pseudo-simulation"))
    best = max(ones, key=lambda name: np.nan_to_num(found[name].pearson["joint"].value, nan=-2.0))
    return ReferenceFindings(
        agreements=found,
        best_one_stage=best,
        differences={name: difference(found[name], found[best]) for name in twos},
        counterparts={name: difference(found[name], found[counterpart_of(name)]) for name in twos},
        with_headline=with_headline,
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
    closed = study.closed_loop_of(study.headline).mean(axis=1)
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
