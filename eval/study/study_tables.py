"""Tables and sentences of a study's results, for the terminal and the page.

Tables for the terminal are for a console without markup: intervals are in square brackets.
"""

import numpy as np
from rich.table import Table

from swerve.eval.study.cluster_bootstrap import Estimate
from swerve.eval.study.correlation import difference
from swerve.eval.study.findings import Findings, SubsetCorrelations, counterpart_of
from swerve.eval.study.measures import FORMULAS

# The pseudo-simulations that are compared with the best measure of one stage in words.
_COMPARED = tuple(f"pseudo-simulation, {formula}" for formula in FORMULAS)


def main_table(findings: Findings) -> Table:
    """Build the table of the main measures against the headline, see `main_rows`."""
    return _table(main_head(findings), main_rows(findings))


def main_head(findings: Findings) -> tuple[str, ...]:
    """Return the titles of `main_rows`."""
    return (f"against {closed_loop_name(findings)}", "Pearson r", "r within families", "R2", "Spearman")


def main_rows(findings: Findings) -> list[tuple[str, ...]]:
    """Return per measure r, r within families, R2 and rank correlation, with their joint intervals."""
    rows = []
    for name, found in findings.headline.agreements.items():
        cells = (found.pearson["joint"], found.within, found.r2["joint"], found.spearman["joint"])
        rows.append((name, *map(shown, cells)))
    return rows


def references_table(findings: Findings) -> Table:
    """Build the table of the main measures against every closed loop, see `reference_rows`."""
    return _table(reference_head(findings), reference_rows(findings))


def reference_head(findings: Findings) -> tuple[str, ...]:
    """Return the titles of `reference_rows`."""
    return ("r with the closed loop", *findings.references)


def reference_rows(findings: Findings) -> list[tuple[str, ...]]:
    """Return r per measure and closed loop, differences like with like, and r of the closed loops themselves."""
    found = tuple(findings.references.values())
    rows = [
        (name, *(shown(one.agreements[name].pearson["joint"]) for one in found))
        for name in findings.headline.agreements
    ]
    rows += [
        (f"{name}, less {counterpart_of(name)}", *(shown(one.counterparts[name].pearson, sign=True) for one in found))
        for name in findings.headline.counterparts
    ]
    alone = ("", *(shown(one.with_headline) for one in found[1:]))
    return [*rows, (closed_loop_name(findings), *alone)]


def intervals_table(findings: Findings) -> Table:
    """Build the table of the 95 % intervals of r, by what is drawn anew."""
    return _table(interval_head(findings), interval_rows(findings))


def interval_head(findings: Findings) -> tuple[str, ...]:
    """Return the titles of `interval_rows`."""
    clusters = findings.clusters
    return ("95 % intervals of r", "both", f"{clusters.planners} alone", f"{clusters.scene_groups} alone")


def interval_rows(findings: Findings) -> list[tuple[str, ...]]:
    """Return the 95 % intervals of r with the headline, by measure and what is drawn anew."""
    return [
        (name, *(interval(found.pearson[side]) for side in ("joint", "planners", "scene_groups")))
        for name, found in findings.headline.agreements.items()
    ]


def variants_table(findings: Findings) -> Table:
    """Build the table of the variants of pseudo-simulation: r with its joint interval, for both formulas."""
    formulas = tuple(findings.variants)
    head = ("pseudo-simulation, varied", "", *(f"r, {formula} EPDMS" for formula in formulas))
    table = Table(*head, "Spearman", box=None, padding=(0, 2, 0, 0))
    for kind, names in findings.variants[formulas[0]].items():
        for place, name in enumerate(names):
            found = [findings.variants[formula][kind][name] for formula in formulas]
            ranked = ", ".join(number(one.spearman["joint"].value) for one in found)
            cells = (shown(one.pearson["joint"]) for one in found)
            table.add_row("" if place else kind, name, *cells, ranked)
    for place, density in enumerate(findings.densities[formulas[0]]):
        spreads = [findings.densities[formula][density] for formula in formulas]
        ranked = ", ".join(number(float(one.spearman.mean())) for one in spreads)
        name = f"{100 * density:.0f} %, {spreads[0].kept:.1f} pairs per scene group"
        table.add_row("" if place else "density", name, *(_spread(one) for one in spreads), ranked)
    return table


def best_lines(findings: Findings) -> list[str]:
    """Return which measure agrees best with the headline, by how much, and whether that is real, in sentences.

    It is compared with the best of the other kinds of measures. Nothing is returned if no correlation is defined.
    """
    main, ordered = findings.headline.agreements, best_measures(findings)
    if not ordered:
        return []
    best, loop = ordered[0], closed_loop_name(findings)
    told = [f"{best} agrees best with {loop}: r {shown(main[best].pearson['joint'])}"]
    others = [name for name in ordered if _kind(name) != _kind(best)]
    if others:
        gap = difference(main[best], main[others[0]]).pearson
        told.append(f"That is {gap.value:.3f} more than {others[0]}, the best of the other kinds; {_reality(gap)}")
    return told


def best_measures(findings: Findings) -> list[str]:
    """Return the main measures with a defined correlation with the headline, the best first."""
    known = {name: float(found.pearson["joint"].value) for name, found in findings.headline.agreements.items()}
    return sorted((name for name in known if not np.isnan(known[name])), key=lambda name: -known[name])


def _kind(name: str) -> str:
    """Return the kind of a measure: pseudo-simulation, one stage, or distances to the human's path."""
    return next((kind for kind in ("pseudo-simulation", "one stage") if name.startswith(kind)), "distances")


def _reality(gap: Estimate) -> str:
    """Return whether a difference of the best measure from another is real."""
    if np.isnan(gap.low):
        return "whether that is real is unknown: there are too few families of planners, or logs, for an interval"
    if gap.excludes_zero:
        return f"the 95 % interval {interval(gap)} excludes 0, but the pair was chosen after looking, which favours it"
    return f"it may be chance: the 95 % interval {interval(gap)} contains 0"


def verdict_lines(findings: Findings) -> list[str]:
    """Return what the study says on pseudo-simulation against the best measure of one stage, in sentences.

    The paper is named only where the interval of the difference excludes 0.
    """
    return [_verdict(findings, name) for name in _COMPARED]


def _verdict(findings: Findings, name: str) -> str:
    gap, best = findings.headline.differences[name].pearson, findings.headline.best_one_stage
    told = f"r of {name} less that of {best}, the best of one stage: {shown(gap, sign=True)}"
    loop = closed_loop_name(findings)
    if np.isnan(gap.low):
        return f"{told}. Whether it predicts {loop} better is unknown"
    if not gap.excludes_zero:
        return f"{told}. The interval contains 0: this study cannot tell which predicts {loop} better"
    if gap.value > 0:
        return f"{told}. It predicts {loop} better, as in the paper"
    return f"{told}. It predicts {loop} worse, unlike in the paper"


def closed_loop_name(findings: Findings) -> str:
    """Return the headline in words."""
    return f"the closed loop `{next(iter(findings.references))}`"


def difference_lines(findings: Findings) -> list[str]:
    """Return the differences between pseudo-simulation and one stage, in words."""
    return [
        f"r of {name} less that of {other}: {linear}; within families: {within}; Spearman's: {ordered}"
        for name, other, linear, within, ordered in difference_rows(findings)
    ]


def difference_rows(findings: Findings) -> list[tuple[str, str, str, str, str]]:
    """Return the differences of each pseudo-simulation to the best one-stage measure and to its counterpart."""
    headline = findings.headline
    pairs = [(name, headline.best_one_stage, one) for name, one in headline.differences.items()]
    pairs += [(name, counterpart_of(name), one) for name, one in headline.counterparts.items()]
    found = {(name, other): one for name, other, one in pairs}  # the counterpart may be the best
    return [
        (name, other, shown(one.pearson, sign=True), shown(one.within, sign=True), shown(one.spearman, sign=True))
        for (name, other), one in found.items()
    ]


def undefined_lines(findings: Findings) -> list[str]:
    """Return lines on the main measures without a defined correlation, with the reason; empty if all are defined."""
    main = findings.headline.agreements
    names = [name for name, found in main.items() if np.isnan(found.pearson["joint"].value)]
    if len(names) == len(main):
        return [f"No correlation is defined: all planners have the same score in {closed_loop_name(findings)}"]
    return [f"Undefined, because all planners have the same value: r of {', '.join(names)}"] if names else []


def shown(estimate: Estimate, sign: bool = False) -> str:
    """Format a number and its interval, if that is known."""
    if np.isnan(estimate.value):
        return "undefined"
    value = f"{estimate.value:+.3f}" if sign else f"{estimate.value:.3f}"
    return value if np.isnan(estimate.low) else f"{value} {interval(estimate)}"


def interval(estimate: Estimate) -> str:
    """Format the interval."""
    if np.isnan(estimate.low):
        return "[unknown]"
    return f"[{estimate.low:.2f}, {estimate.high:.2f}]"


def number(value: float) -> str:
    """Format a correlation without an interval."""
    return "undefined" if np.isnan(value) else f"{value:.2f}"


def _spread(spread: SubsetCorrelations) -> str:
    if np.isnan(spread.pearson).any():
        return "undefined"
    return f"{spread.pearson.mean():.3f} ({spread.pearson.min():.2f} to {spread.pearson.max():.2f})"


def _table(head: tuple[str, ...], rows: list[tuple[str, ...]]) -> Table:
    table = Table(*head, box=None, padding=(0, 2, 0, 0))
    for row in rows:
        table.add_row(*row)
    return table
