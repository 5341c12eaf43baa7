import html
import io
import json
import re
import time
from dataclasses import replace

import numpy as np
import pytest
from rich.console import Console
from scipy import stats

from swerve.eval.study.cluster_bootstrap import Estimate
from swerve.eval.study.findings import findings_of
from swerve.eval.study.measures import OPEN_LOOP
from swerve.eval.study.study_options import StudyOptions
from swerve.eval.study.study_page import study_page
from swerve.eval.study.study_records import stack
from swerve.eval.study.study_summary import planner_rows, scene_group_rows, summary_of
from swerve.eval.study.study_tables import (
    best_lines,
    difference_lines,
    intervals_table,
    main_table,
    references_table,
    undefined_lines,
    variants_table,
    verdict_lines,
)
from swerve.eval.study.variants import navsim_recipe, offsets_of, pseudo_simulation
from tests.support.study_samples import families_of, records

OPTIONS = StudyOptions("lane-following", ("independent", "same"))


@pytest.fixture(scope="module")
def study():
    made = records(np.random.default_rng(0), planners=20, cases=12)
    return stack(made, families_of(made[0].planners))[0]


@pytest.fixture(scope="module")
def findings(study):
    return findings_of(study, count=200)


def test_good_planners_are_found_good_and_noise_is_not(findings):
    """The samples' planners differ by skill; their displacement errors are noise."""
    assert findings.headline.agreements["pseudo-simulation, reduced"].pearson["joint"].value > 0.8
    noise = findings.headline.agreements["minus ADE"].pearson["joint"]
    assert noise.low < 0 < noise.high
    assert findings.headline.best_one_stage.startswith("one stage, ")
    best = max(
        one.pearson["joint"].value for name, one in findings.headline.agreements.items() if name.startswith("one stage")
    )
    assert findings.headline.agreements[findings.headline.best_one_stage].pearson["joint"].value == best
    gap = findings.headline.differences["pseudo-simulation, full"].pearson.value
    assert gap == pytest.approx(findings.headline.agreements["pseudo-simulation, full"].pearson["joint"].value - best)
    assert (findings.clusters.planners, findings.clusters.scene_groups) == ("families", "logs")
    assert findings.clusters.counts == (3, 12)


def test_like_is_compared_with_like(study, findings):
    """Closed loop has no human filter: each pseudo-simulation is compared with one stage with the same filter
    setting."""
    assert (
        set(findings.headline.counterparts)
        == set(findings.headline.differences)
        == {f"pseudo-simulation, {kind}" for kind in ("full", "full, unfiltered", "reduced", "reduced, unfiltered")}
    )
    for name, gap in findings.headline.counterparts.items():
        other = findings.headline.agreements[name.replace("pseudo-simulation", "one stage")]
        ours = findings.headline.agreements[name]
        assert gap.pearson.value == ours.pearson["joint"].value - other.pearson["joint"].value
        assert gap.spearman.value == ours.spearman["joint"].value - other.spearman["joint"].value
        assert gap.within.value == ours.within.value - other.within.value
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
        said = "No correlation is defined: all planners have the same score in the closed loop `independent`"
    else:
        alike = study.open_loop.copy()
        alike[..., OPEN_LOOP.index("ols")] = 0.25
        made, said = replace(study, open_loop=alike), "all planners have the same value: r of open-loop score"
    found, console = findings_of(made, count=20), Console(file=io.StringIO(), width=160, markup=False)
    for table in (main_table(found), references_table(found), intervals_table(found), variants_table(found)):
        console.print(table)
    text = console.file.getvalue() + "\n".join(
        (*undefined_lines(found), *difference_lines(found), *verdict_lines(found), *best_lines(found))
    )
    page = study_page(made, found, {})
    assert re.sub("`([^`]*)`", r"<code>\1</code>", said) in page
    assert said in text
    for told in (text, page):
        assert "undefined" in told
        assert not re.search(r"\bnan\b", told)
    assert ("Kernel width" in page) == (case == "same open-loop score")
    json.dumps(summary_of(made, found), allow_nan=False)


def test_the_standard_recipe_reappears_among_the_variants(findings):
    for formula, kinds in findings.variants.items():
        main = findings.headline.agreements[f"pseudo-simulation, {formula}"]
        for kind, name in (
            ("weights", "navsim-exact"),
            ("variance, navsim-exact", "0.1 m2"),
            ("aggregation", "product"),
        ):
            assert kinds[kind][name].pearson["joint"] == main.pearson["joint"]
        one = findings.headline.agreements[f"one stage, {formula}"].pearson["joint"]
        assert kinds["aggregation"]["only stage one"].pearson["joint"].value == pytest.approx(one.value)


def test_every_closed_loop_has_its_findings(study, findings):
    """The samples' "same" follows skill more closely than the headline does."""
    assert list(findings.references) == ["independent", "same"]
    headline, same = findings.references.values()
    assert headline.with_headline.value == pytest.approx(1.0)
    x, y = (study.closed_loop[..., place].mean(axis=1) for place in (0, 1))
    assert same.with_headline.value == pytest.approx(stats.pearsonr(x, y).statistic)
    values = findings.measures["one stage, PDMS"].mean(axis=1)
    for found, closed in ((headline, x), (same, y)):
        r = found.agreements["one stage, PDMS"].pearson["joint"].value
        assert r == pytest.approx(stats.pearsonr(values, closed).statistic)
    assert set(headline.agreements["minus FDE"].pearson) == {"joint", "planners", "scene_groups"}
    assert set(same.agreements["minus FDE"].pearson) == {"joint"}


def test_order_chooses_the_headline(study):
    turned = replace(study, references=study.references[::-1], closed_loop=study.closed_loop[..., ::-1])
    found = findings_of(turned, count=20)
    assert found.headline is found.references["same"]
    kept = findings_of(study, count=20).references["same"].agreements["one stage, full"]
    assert found.headline.agreements["one stage, full"].pearson["joint"] == kept.pearson["joint"]


@pytest.mark.parametrize(
    ("value", "low", "high", "said"),
    [
        (0.2, 0.1, 0.3, "better, as in the paper"),
        (-0.2, -0.3, -0.1, "worse, unlike in the paper"),
        (0.2, -0.01, 0.4, "cannot tell which predicts"),
        (0.2, np.nan, np.nan, "is unknown"),
    ],
)
def test_the_paper_is_named_only_where_the_interval_excludes_zero(study, findings, value, low, high, said):
    gap = Estimate(value, low, high)
    headline = findings.headline
    differences = {name: replace(one, pearson=gap) for name, one in headline.differences.items()}
    told = replace(findings, references={"independent": replace(headline, differences=differences)})
    lines = verdict_lines(told)
    assert len(lines) == 2
    assert all(said in line and "the closed loop `independent`" in line for line in lines)
    assert all(("paper" in line) == (low > 0 or high < 0) for line in lines)
    assert html.escape(said) in study_page(study, told, {})


def test_the_answer_names_the_measure_that_agrees_best_and_the_best_of_the_other_kinds(study, findings):
    main = findings.headline.agreements
    ordered = sorted(main, key=lambda name: -main[name].pearson["joint"].value)
    kinds = [next((kind for kind in ("pseudo", "one stage") if name.startswith(kind)), "") for name in ordered]
    other = next(name for name, kind in zip(ordered, kinds, strict=True) if kind != kinds[0])
    first, second = best_lines(findings)
    assert first.startswith(f"{ordered[0]} agrees best with the closed loop `independent`: r ")
    gap = main[ordered[0]].pearson["joint"].value - main[other].pearson["joint"].value
    assert second.startswith(f"That is {gap:.3f} more than {other}, the best of the other kinds; ")
    page = study_page(study, findings, {})
    assert f'</h1><div class="answer"><b>{ordered[0]} agrees best with the closed loop <code>independent</code>' in page


def test_less_dense_observations_scatter_more(findings):
    half, quarter = findings.densities["reduced"].values()
    assert half.kept == pytest.approx(2 * quarter.kept, rel=0.2)
    assert 0 < half.pearson.std() < quarter.pearson.std()


def test_findings_do_not_depend_on_chance(study, findings):
    again = findings_of(study, count=200)
    assert (
        again.headline.agreements["one stage, full"].pearson == findings.headline.agreements["one stage, full"].pearson
    )
    np.testing.assert_array_equal(again.densities["full"][0.25].pearson, findings.densities["full"][0.25].pearson)


def test_tables_say_what_was_found(study, findings):
    console = Console(file=io.StringIO(), width=160, markup=False)
    for table in (
        main_table(findings),
        references_table(findings),
        intervals_table(findings),
        variants_table(findings),
    ):
        console.print(table)
    for line in difference_lines(findings):
        console.print(line, soft_wrap=True)
    text = console.file.getvalue()
    r = findings.headline.agreements["one stage, PDMS"].pearson["joint"]
    assert f"{r.value:.3f} [{r.low:.2f}, {r.high:.2f}]" in text
    for word in (
        "navsim-exact",
        "5 nearest",
        "25 %",
        "gates and quality apart",
        "both, 1 m2",
        "families alone",
        "independent",
        "same",
    ):
        assert word in text


def test_summaries_are_json_and_rows_hold_every_measure(study, findings):
    summary = json.loads(json.dumps(summary_of(study, findings), allow_nan=False))
    assert summary["references"]["independent"]["measures"]["minus FDE"]["spearman"].keys() == {
        "value",
        "joint",
        "planners",
        "scene_groups",
    }
    assert summary["families"] == {"fixed": 6, "idm": 7, "pdm": 7}
    assert summary["headline"] == "independent"
    assert summary["references"]["same"]["measures"]["minus FDE"]["spearman"].keys() == {"value", "joint"}
    rows = planner_rows(study, findings, OPTIONS)
    assert [row["planner"] for row in rows] == list(study.planners)
    assert rows[3]["pseudo-simulation, full"] == findings.measures["pseudo-simulation, full"][3].mean()
    for place, name in enumerate(("independent", "same")):
        assert rows[3][f"closed_loop {name}"] == pytest.approx(study.closed_loop[3, :, place].mean())
    assert "closed_loop independent ego_is_comfortable" in rows[3]
    assert "closed_loop same history_comfort" in rows[3]


def test_rows_of_cases_tell_where_measures_disagree(study, findings):
    rows = scene_group_rows(study, findings)
    assert [row["group_token"] for row in rows] == list(study.tokens)
    expected = stats.pearsonr(findings.measures["pseudo-simulation, full"][:, 4], study.closed_loop[:, 4, 0]).statistic
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
