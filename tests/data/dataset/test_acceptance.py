"""Weights and redraws that give accepted recoveries the distribution that was asked for."""

import json
from dataclasses import replace

import numpy as np
import pyarrow.parquet as pq
import pytest

from swerve.data.dataset.acceptance import Acceptance, acceptance_tables
from swerve.data.dataset.augment_options import AugmentOptions
from swerve.data.dataset.manifest import ShardRecord, write_manifest
from swerve.scenes import Scene
from swerve.scenes.viewpoints import RecoveryOptions, Viewpoint, build_log_geometry
from swerve.scenes.viewpoints.recovery import recovery
from swerve.scenes.viewpoints.recovery_offsets import (
    offset_bins,
    offsets_at,
    resample_offsets,
    sample_offsets,
    stratum_of,
)
from tests.support.simple_log import empty_road
from tests.support.simple_source import small_log

SCENES, DRAWS = 400, 6


def options_of(**given):
    return AugmentOptions(recovery=RecoveryOptions(samples_per_scene=DRAWS, **given))


def record_of(log, options, accepts, split="train"):
    """What a job would record if draws were accepted by `accepts(lateral, heading)`; every tenth scene stands."""
    rows, rejections = [], []
    for number in range(SCENES):
        token = str(number)
        for index in range(DRAWS):
            offsets = sample_offsets(options.recovery, options.seed, log, token, index)
            if number % 10 == 0:
                rejections.append((token, "recovery", index, "standing"))
            elif accepts(offsets[0], offsets[2]):
                parameters = json.dumps({"lateral": offsets[0], "heading": offsets[2]})
                row = {"split": split, "token": token, "kind": "recovery", "index": index, "parameters": parameters}
                rows.append(row)
            else:
                rejections.append((token, "recovery", index, "infeasible"))
        rows.append({"split": split, "token": token, "kind": "logged", "index": 0, "parameters": "{}"})
    return ShardRecord(log, 0, 1, split, "", 0, "", tuple(rows), tuple(rejections), ())


def thinned(seed):
    """Large offsets, and those to the right, are seldom accepted."""
    generator = np.random.default_rng(seed)
    return lambda lateral, heading: (
        generator.random() < (0.9 if lateral > 0 else 0.4) * np.exp(-abs(lateral) - 3 * abs(heading))
    )


@pytest.mark.parametrize("distribution", ["uniform", "normal"])
@pytest.mark.parametrize("seed", range(3))
def test_the_weighted_distribution_is_the_one_asked_for(distribution, seed):
    """Histograms over the strata are exact; over finer bins, and of means, within sampling error."""
    options = options_of(distribution=distribution)
    record = record_of("log", options, thinned(seed))
    acceptance = Acceptance(options, [record])
    recoveries = np.array([row["kind"] == "recovery" for row in record.rows])
    weights = np.array(acceptance.weights(record))
    offsets = np.array([list(json.loads(row["parameters"]).values()) for row in record.rows if row["kind"] != "logged"])
    shares = np.linspace(0, 1, 7)[:, None] * np.ones(4)
    edges = offsets_at(options.recovery, shares)[:, 0]
    plain, _ = np.histogram(offsets[:, 0], edges)
    weighted, _ = np.histogram(offsets[:, 0], edges, weights=weights[recoveries])
    assert plain.max() / plain.min() > 2.5
    np.testing.assert_allclose(weighted / weighted.sum(), 1 / 6, rtol=1e-9)
    turns = offsets_at(options.recovery, np.linspace(0, 1, 5)[:, None] * np.ones(4))[:, 2]
    headings, _ = np.histogram(offsets[:, 1], turns, weights=weights[recoveries])
    np.testing.assert_allclose(headings / headings.sum(), 1 / 4, rtol=1e-9)
    np.testing.assert_allclose(np.average(offsets[:, 0], weights=weights[recoveries]), 0.0, atol=0.1)
    np.testing.assert_allclose(weights[recoveries].mean(), 1.0)
    np.testing.assert_array_equal(weights[~recoveries], 1.0)


def test_splits_are_weighted_by_themselves():
    """A validation log with other rejections changes no training weight."""
    options = options_of()
    train, val = record_of("log", options, thinned(0)), record_of("other", options, lambda *_: True, "val")
    alone, both = Acceptance(options, [train]), Acceptance(options, [train, val])
    assert both.weights(train) == alone.weights(train)
    assert both.weights(val) != [1.0] * len(val.rows)
    assert np.mean(both.weights(val)) == pytest.approx(1.0)


def test_counts_by_offset():
    """To the left everything is accepted, to the right nothing: its strata are empty, and nothing makes up for them."""
    options = options_of()
    record = record_of("log", options, lambda lateral, _: lateral > 0)
    acceptance = Acceptance(options, [record])
    found = acceptance.summary()
    tried = SCENES * DRAWS * 9 // 10
    assert sum(one["tried"] for one in found["lateral"]) == sum(one["tried"] for one in found["heading"]) == tried
    assert found["left"]["tried"] + found["right"]["tried"] == tried
    assert found["left"]["accepted"] == found["left"]["tried"] > 0.45 * tried
    assert found["right"]["accepted"] == 0
    assert found["empty_strata"] == 12
    assert (found["lateral"][0]["from"], found["lateral"][-1]["to"]) == (-2.0, 2.0)
    assert found["heading"][0]["from"] == pytest.approx(-15.0)
    (table,) = acceptance_tables({"acceptance": found, "samples_by_kind": {"recovery": 1}})
    assert table.row_count == 6 + 4 + 2
    assert np.mean(acceptance.weights(record)) == pytest.approx(1.0)


def test_the_manifest_holds_weights_and_the_summary_acceptance(tmp_path):
    options = options_of()
    record = record_of("log", options, thinned(0))
    named = [
        {**row, "key": f"log-{number}", "shard": "train/log-00000.tar", "log": "log", "photos": 0, "offset": 0}
        for number, row in enumerate(record.rows)
    ]
    record = replace(record, rows=tuple(named))
    acceptance = Acceptance(options, [record])
    summary = write_manifest(tmp_path, [record], [], acceptance.weights, acceptance.summary())
    assert pq.read_table(tmp_path / "manifest.parquet").column("weight").to_pylist() == acceptance.weights(record)
    assert json.loads((tmp_path / "summary.json").read_text())["acceptance"] == summary["acceptance"]


@pytest.mark.parametrize("distribution", ["uniform", "normal"])
def test_redraws_stay_in_their_stratum(distribution):
    options = RecoveryOptions(distribution=distribution)
    shares = [np.linspace(0, 1, bins + 1)[:, None] * np.ones(4) for bins in offset_bins(options)]
    edges = offsets_at(options, shares[0])[:, 0], offsets_at(options, shares[1])[:, 2]
    for token in range(100):
        key = (0, "log", str(token), 1)
        first = sample_offsets(options, *key)
        for attempt in (1, 2, 3):
            again = resample_offsets(options, *key, attempt)
            assert not np.array_equal(first, again)
            bins = tuple(int(np.searchsorted(one, again[axis])) - 1 for one, axis in zip(edges, (0, 2), strict=True))
            assert bins == stratum_of(options, *key)


def test_redraws_of_all_strata_fill_the_ranges():
    """Uniform draws redrawn are uniform."""
    options = RecoveryOptions()
    draws = np.array([resample_offsets(options, 1, "log", str(token), 0, 2) for token in range(2000)])
    limits = np.array([2.0, 2.0, np.deg2rad(15.0), 0.2])
    np.testing.assert_allclose((draws / limits).std(axis=0), 1 / np.sqrt(3), rtol=0.05)
    np.testing.assert_allclose((draws / limits).mean(axis=0), 0.0, atol=0.05)


def test_more_attempts_accept_more_and_keep_what_was_accepted():
    """A first draw that is accepted stays; a rejected one keeps its reason or is replaced from its own stratum."""
    log = replace(small_log(), road_map=empty_road().road_map)
    scene, geometry = Scene(log, 40, 20, 50), build_log_geometry(log)
    once, often = (RecoveryOptions(lateral=5.0, heading=0.7, attempts=attempts) for attempts in (1, 6))
    counts = [0, 0]
    for index in range(24):
        first, last = (recovery(scene, index, options, 0, geometry) for options in (once, often))
        counts[0] += isinstance(first, Viewpoint)
        counts[1] += isinstance(last, Viewpoint)
        if isinstance(first, Viewpoint):
            assert first.parameters == last.parameters
        elif not isinstance(last, Viewpoint):
            assert first.reason == last.reason
    assert counts[1] > counts[0] > 0
