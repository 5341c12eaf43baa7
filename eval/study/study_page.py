"""The HTML page of a study, and its scatter plot as a file."""

import html
import re
from collections.abc import Mapping, Sequence

import numpy as np
from jaxtyping import Float

from swerve.eval.study.findings import Findings, counterpart_of
from swerve.eval.study.study_records import Study
from swerve.eval.study.study_summary import scene_group_rows
from swerve.eval.study.study_tables import (
    best_lines,
    best_measures,
    closed_loop_name,
    difference_rows,
    interval_head,
    interval_rows,
    main_head,
    main_rows,
    reference_head,
    reference_rows,
    shown,
    undefined_lines,
    verdict_lines,
)
from swerve.eval.study.variants import VARIANCES
from swerve.viz.html_page import html_page
from swerve.viz.svg import Series, element, lines, scatter, standalone

_STYLE = """
table { font-variant-numeric: tabular-nums; margin: 6px 0 14px; } tr.best td { color: var(--best); }
td, th { white-space: nowrap; } small { color: var(--faint); font-size: 12px; }
.wide { overflow-x: auto; } .charts { display: grid; gap: 14px; margin: 14px 0;
  grid-template-columns: repeat(auto-fit, minmax(min(100%, 500px), 1fr)); }
.charts figure { padding: 12px 12px 4px; max-width: 720px; }
.charts h3 { font-size: 14px; font-weight: 500; margin: 0 0 8px; } .answer > b + b { font-weight: 400; }
@media (max-width: 620px) {
  .charts figure { overflow-x: auto; } .charts svg { min-width: 520px; }
  td:first-child, th:first-child { white-space: normal; min-width: 130px; }
}
"""


def study_page(study: Study, findings: Findings, facts: Mapping[str, str]) -> str:
    """Render the page: correlations, planners, and variants.

    Args:
        study: the records.
        findings: the correlations.
        facts: provenance for the end of the page: text by label.
    """
    charts = "".join(
        _figure(title, drawn) for title, drawn in (*_scatters(study, findings), *_variant_charts(findings))
    )
    counts = f"{len(study.planners)} planners, {len(study.tokens)} scene groups of {len(set(study.logs))} logs"
    clusters = findings.clusters
    lead = (
        f"{counts}, {int(study.present.sum())} pairs of follow-up scenes. Each planner's means over the scene groups, "
        f"against the mean of its scores in {closed_loop_name(findings)} on the same. Brackets: 95 % intervals of a "
        f"cluster bootstrap over {clusters.counts[0]} {clusters.planners} and {clusters.counts[1]} "
        f"{clusters.scene_groups} jointly; where there are none, too few were drawn from."
    )
    best = "".join(f"<b>{_coded(line)}.</b> " for line in best_lines(findings))
    lines_said = (*undefined_lines(findings), *verdict_lines(findings))
    said = f'<div class="answer">{best}{"".join(f"<p>{_coded(line)}.</p>" for line in lines_said)}</div>'
    body = (
        f"<h1>Which open-loop measure predicts closed loop?</h1>{said}<p>{_coded(lead)}</p>"
        f"{_table(main_head(findings), main_rows(findings), next(iter(best_measures(findings)), None))}"
        f"{_differences(findings)}<h2>Closed loops</h2>"
        "<p><code>same</code> has the tracker, the scorer and the traffic of pseudo-simulation; <code>replay</code> "
        "and <code>crossed</code> have other traffic; <code>independent</code> shares none of the three. Last row: "
        "how well the closed loops agree.</p>"
        f"{_table(reference_head(findings), reference_rows(findings))}<h2>Planners</h2>"
        "<p>Every point is a planner; hover for its name. Dashed: least squares.</p>"
        f'<div class="charts">{charts}</div><h2>Variants of pseudo-simulation</h2>'
        "<p>Recomputed from the same scene scores; each changes one parameter of NAVSIM's recipe (first row).</p>"
        f"{_variants(findings)}<h2>Intervals</h2>{_table(interval_head(findings), interval_rows(findings))}"
        "<h2>Scene groups</h2>"
        "<p>Correlations over the planners in each scene group. If even the human fails in closed loop, the scene "
        f"group is defective.</p>{_scene_groups(study, findings)}"
        f"<h2>Provenance</h2>{_table([], list(facts.items()))}"
    )
    return html_page("Swerve: study", body, _STYLE)


def scatter_file(study: Study, findings: Findings) -> str:
    """Render an .svg file: pseudo-simulation and the best one-stage measure side by side."""
    size, gap = (620, 470), 20
    drawn = [_scatter(study, findings, name, size) for name in (_chosen(findings), findings.headline.best_one_stage)]
    placed = [one.replace("<svg", f'<svg x="{place * (size[0] + gap)}"', 1) for place, one in enumerate(drawn)]
    return standalone(element((2 * size[0] + gap, size[1]), "".join(placed), "open-loop scores against closed loop"))


def _chosen(findings: Findings) -> str:
    """Return the pseudo-simulation to plot beside the best one-stage measure, with its formula (full for PDMS)."""
    like = (name for name in findings.headline.differences if counterpart_of(name) == findings.headline.best_one_stage)
    return next(like, next(iter(findings.headline.differences)))


def _scatter(study: Study, findings: Findings, name: str, size: tuple[int, int] = (640, 480)) -> str:
    """Plot one measure against closed loop, a point per planner."""
    values, closed = findings.measures[name].mean(axis=1), study.closed_loop_of(study.headline).mean(axis=1)
    labels = [
        f"{planner}: {x:.3f}, closed loop {y:.3f}" for planner, x, y in zip(study.planners, values, closed, strict=True)
    ]
    points = np.column_stack([values, closed])
    return scatter(points, labels, study.families, name, f"score in closed loop, {study.headline}", fit=True, size=size)


def _scatters(study: Study, findings: Findings) -> list[tuple[str, str]]:
    names = (_chosen(findings), findings.headline.best_one_stage, "minus ADE", "open-loop score")
    return [
        (f"{name}: r {shown(findings.headline.agreements[name].pearson['joint'])}", _scatter(study, findings, name))
        for name in names
    ]


def _variant_charts(findings: Findings) -> list[tuple[str, str]]:
    """Plot Pearson r over the kernel's width, and over the density of follow-ups; undefined values are left out."""
    widths, densities = list[Series](), list[Series]()
    for formula, found in findings.variants.items():
        for kind in ("variance, navsim-exact", "variance, stable"):
            values = [found[kind][f"{one:g} m2"].pearson["joint"].value for one in VARIANCES]
            widths += _series(f"{kind}, {formula}", np.log10(VARIANCES), np.array(values))
    for formula, spreads in findings.densities.items():
        whole = findings.headline.agreements[f"pseudo-simulation, {formula}"].pearson["joint"].value
        samples = [*(spreads[one].pearson for one in sorted(spreads)), np.array([whole])]
        bands = np.array([(one.min(), one.max()) for one in samples])
        means = np.array([one.mean() for one in samples])
        densities += _series(f"{formula} EPDMS", 100.0 * np.array([*sorted(spreads), 1.0]), means, bands)
    charts = (
        ("Kernel width", widths, "log10 of the variance in m2"),
        ("Observation density, with the extremes of random subsets", densities, "% of the follow-ups"),
    )
    return [(title, lines(series, x_title, "Pearson r")) for title, series, x_title in charts if series]


def _series(
    name: str, x: Float[np.ndarray, "n"], y: Float[np.ndarray, "n"], band: Float[np.ndarray, "n 2"] | None = None
) -> list[Series]:
    """Return the line through the defined points; empty if there are none."""
    known = np.isfinite(y)
    points = np.column_stack([x, y])[known]
    return [Series(name, points, None if band is None else band[known])] if len(points) else []


def _differences(findings: Findings) -> str:
    head = ["correlation of", "less that of", "Pearson r", "r within families", "Spearman"]
    return _table(head, difference_rows(findings))


def _variants(findings: Findings) -> str:
    formulas = tuple(findings.variants)
    rows = []
    for kind, names in findings.variants[formulas[0]].items():
        for name in names:
            found = [findings.variants[formula][kind][name] for formula in formulas]
            cells = [shown(one.pearson["joint"]) for one in found] + [shown(one.spearman["joint"]) for one in found]
            rows.append((kind, name, *cells))
    head = ["varied", "", *(f"Pearson r, {formula} EPDMS" for formula in formulas)]
    return _table([*head, *(f"Spearman, {formula}" for formula in formulas)], rows)


def _scene_groups(study: Study, findings: Findings) -> str:
    rows = [{key: value for key, value in row.items() if key != "log"} for row in scene_group_rows(study, findings)]
    return _table(
        [key.replace("_", " ") for key in rows[0]], [[_cell(value) for value in row.values()] for row in rows]
    )


def _coded(text: str) -> str:
    """Return a text as HTML, with what stands between backquotes as code."""
    return re.sub("`([^`]*)`", r"<code>\1</code>", html.escape(text))


def _cell(value: str | int | float | None) -> str:
    if value is None:
        return "-"
    return f"{value:.2f}" if isinstance(value, float) else str(value)


def _table(head: Sequence[str], rows: Sequence[Sequence[str]], best: str | None = None) -> str:
    top = "<tr>" + "".join(f"<th>{_coded(one)}</th>" for one in head) + "</tr>" if head else ""
    body = "".join(
        f"<tr{' class=best' if row[0] == best else ''}>" + "".join(f"<td>{_coded(one)}</td>" for one in row) + "</tr>"
        for row in rows
    )
    return f'<div class="wide"><table>{top}{body}</table></div>'


def _figure(title: str, drawn: str) -> str:
    return f"<figure><h3>{html.escape(title)}</h3>{drawn}</figure>"
