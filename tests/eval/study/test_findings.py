import io
import json
import re
import time
from dataclasses import replace

import numpy as np
import pytest
from rich.console import Console
from scipy import stats

from swerve.eval.study.findings import findings_of
from swerve.eval.study.measures import OPEN_LOOP
from swerve.eval.study.study_page import study_page
from swerve.eval.study.study_records import stack
from swerve.eval.study.study_tables import (
    difference_lines,
    intervals_table,
    main_table,
    planner_rows,
    scene_group_rows,
    summary_of,
    undefined_lines,
    variants_table,
)
from swerve.eval.study.variants import navsim_recipe, offsets_of, pseudo_simulation
from tests.support.study_samples import families_of, records


@pytest.fixture(scope="module")
def study():
    made = records(np.random.default_rng(0), planners=20, cases=12)
    return stack(made, families_of(made[0].planners))[0]


@pytest.fixture(scope="module")
def findings(study):
    return findings_of(study, count=200)


def test_good_planners_are_found_good_and_noise_is_not(findings):
    """The samples' planners differ by skill; their displacement errors are noise."""
    assert findings.main["pseudo-simulation, reduced"].pearson["joint"].value > 0.8
    noise = findings.main["minus ADE"].pearson["joint"]
    assert noise.low < 0 < noise.high
    assert findings.best_one_stage.startswith("one stage, ")
    best = max(one.pearson["joint"].value for name, one in findings.main.items() if name.startswith("one stage"))
    assert findings.main[findings.best_one_stage].pearson["joint"].value == best
    gap = findings.differences["pseudo-simulation, full"].pearson.estimate.value
    assert gap == pytest.approx(findings.main["pseudo-simulation, full"].pearson["joint"].value - best)
    assert findings.units == "logs"


def test_like_is_compared_with_like(study, findings):
    """Closed loop has no human filter: each pseudo-simulation is compared with one stage with the same filter
    setting."""
    assert (
        set(findings.counterparts)
        == set(findings.differences)
        == {f"pseudo-simulation, {kind}" for kind in ("full", "full, unfiltered", "reduced", "reduced, unfiltered")}
    )
    for name, gap in findings.counterparts.items():
        other = findings.main[name.replace("pseudo-simulation", "one stage")]
        ours = findings.main[name]
        assert gap.pearson.estimate.value == ours.pearson["joint"].value - other.pearson["joint"].value
        assert gap.spearman.estimate.value == ours.spearman["joint"].value - other.spearman["joint"].value
    raw = replace(study, stage_one=study.stage_one_raw)
    expected = pseudo_simulation(raw, offsets_of(raw), navsim_recipe("reduced"))
    np.testing.assert_array_equal(findings.measures["pseudo-simulation, reduced, unfiltered"], expected)
    assert (expected <= findings.measures["pseudo-simulation, reduced"]).all()
    assert (expected < findings.measures["pseudo-simulation, reduced"]).any()


@pytest.mark.parametrize("case", ["same in closed loop", "same open-loop score"])
def test_what_is_undefined_is_said(study, case):
    """Not nan in a table, and no chart of it."""
    if case == "same in closed loop":
        made = replace(study, closed_loop=np.full_like(study.closed_loop, 0.5))
        said = "No correlation is defined: all planners have the same closed-loop score"
    else:
        alike = study.open_loop.copy()
        alike[..., OPEN_LOOP.index("ols")] = 0.25
        made, said = replace(study, open_loop=alike), "all planners have the same value: r of open-loop score"
    found, console = findings_of(made, count=20), Console(file=io.StringIO(), width=160, markup=False)
    for table in (main_table(found), intervals_table(found), variants_table(found)):
        console.print(table)
    text = console.file.getvalue() + "\n".join((*undefined_lines(found), *difference_lines(found)))
    page = study_page(made, found, {})
    for told in (text, page):
        assert said in told
        assert "undefined" in told
        assert not re.search(r"\bnan\b", told)
    assert ("Kernel width" in page) == (case == "same open-loop score")
    json.dumps(summary_of(made, found), allow_nan=False)


def test_the_standard_recipe_reappears_among_the_variants(findings):
    for formula, kinds in findings.variants.items():
        main = findings.main[f"pseudo-simulation, {formula}"]
        for kind, name in (
            ("weights", "navsim-exact"),
            ("variance, navsim-exact", "0.1 m2"),
            ("aggregation", "product"),
        ):
            assert kinds[kind][name].pearson["joint"] == main.pearson["joint"]
        one = findings.main[f"one stage, {formula}"].pearson["joint"]
        assert kinds["aggregation"]["only stage one"].pearson["joint"].value == pytest.approx(one.value)


def test_less_dense_observations_scatter_more(findings):
    half, quarter = findings.densities["reduced"].values()
    assert half.kept == pytest.approx(2 * quarter.kept, rel=0.2)
    assert 0 < half.pearson.std() < quarter.pearson.std()


def test_findings_do_not_depend_on_chance(study, findings):
    again = findings_of(study, count=200)
    assert again.main["one stage, full"].pearson == findings.main["one stage, full"].pearson
    np.testing.assert_array_equal(again.densities["full"][0.25].pearson, findings.densities["full"][0.25].pearson)


def test_tables_say_what_was_found(study, findings):
    console = Console(file=io.StringIO(), width=160, markup=False)
    for table in (main_table(findings), intervals_table(findings), variants_table(findings)):
        console.print(table)
    for line in difference_lines(findings):
        console.print(line, soft_wrap=True)
    text = console.file.getvalue()
    r = findings.main["one stage, PDMS"].pearson["joint"]
    assert f"{r.value:.3f} [{r.low:.2f}, {r.high:.2f}]" in text
    for word in ("navsim-exact", "5 nearest", "25 %", "gates and quality apart", "both, 1 m2", "larger in"):
        assert word in text


def test_summaries_are_json_and_rows_hold_every_measure(study, findings):
    summary = json.loads(json.dumps(summary_of(study, findings), allow_nan=False))
    assert summary["measures"]["minus FDE"]["spearman"].keys() == {"value", "joint", "planners", "scene_groups"}
    assert summary["families"] == {"fixed": 6, "idm": 7, "pdm": 7}
    rows = planner_rows(study, findings)
    assert [row["planner"] for row in rows] == list(study.planners)
    assert rows[3]["pseudo-simulation, full"] == findings.measures["pseudo-simulation, full"][3].mean()
    assert rows[3]["closed_loop"] == pytest.approx(study.closed_loop[3].mean())


def test_rows_of_cases_tell_where_measures_disagree(study, findings):
    rows = scene_group_rows(study, findings)
    assert [row["scene_group"] for row in rows] == list(study.tokens)
    expected = stats.pearsonr(findings.measures["pseudo-simulation, full"][:, 4], study.closed_loop[:, 4]).statistic
    assert rows[4]["r of pseudo-simulation, full"] == pytest.approx(expected)
    assert rows[4]["closed_loop_human"] is None
    assert rows[4]["follow_up_pairs"] == study.present[4].sum()


def test_a_whole_study_is_analysed_in_seconds():
    """Some 110 measures and variants of 86 planners in 60 scene groups; some 4 s on a core with all 2000 resamples."""
    made = records(np.random.default_rng(1), planners=86, cases=60)
    large = stack(made, families_of(made[0].planners))[0]
    started = time.perf_counter()
    findings_of(large, count=100)
    assert time.perf_counter() - started < 60.0
