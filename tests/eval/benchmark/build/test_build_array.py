"""Runs of an array build and evaluate what one run does, and damaged records are made again."""

from dataclasses import asdict, replace

import pyarrow.parquet as pq
import pytest

from swerve.data.dataset.shards import dataset_digest
from swerve.data.jobs import ArrayPart, ArrayPartDone, Execution
from swerve.data.jobs.verify import verify_folder
from swerve.data.storage.files import to_json, write_atomically
from swerve.eval.benchmark.build.build_job import build
from swerve.eval.benchmark.build.build_records import (
    BuildRecord,
    build_record_path,
    finished_parts,
    read_build_records,
    remove_damaged_records,
    write_build_record,
)
from swerve.eval.benchmark.build_options import BuildOptions
from swerve.eval.benchmark.evaluate import result_store
from swerve.eval.benchmark.evaluate.results import SCHEMA
from swerve.evaluation import evaluate_planners
from swerve.options.evaluate import EvaluateOptions
from swerve.scenes import SwerveError
from tests.support.simple_source import SimpleSource

LOGS = ("train-0", "broken-0", "none-0")
OPTIONS = BuildOptions(scene_interval=2.0, views=(), traffic="log-replay", min_follow_ups=2, max_follow_ups=2)
PLANNERS = ("constant-velocity", "human")


def run(folder, workers):
    return build([SimpleSource(LOGS)], folder, OPTIONS, workers)


def part(number):
    return Execution(1, ArrayPart(number, 2))


def scores(folder):
    return {path.name: path.read_bytes() for path in (folder / "scores").glob("*.csv")}


def evaluated(benchmark, folder, workers):
    return evaluate_planners(benchmark, PLANNERS, folder, EvaluateOptions(report=False), workers)


@pytest.mark.slow
def test_runs_of_an_array_build_and_evaluate_what_one_run_does(tmp_path):
    whole, folder = run(tmp_path / "whole", 1), tmp_path / "array"
    with pytest.raises(ArrayPartDone) as done:
        run(folder, part(1))
    assert done.value.again, "the bank lacks the logs of the other run"
    assert not (folder / "benchmark.json").exists()
    for number in (2, 1):
        with pytest.raises(ArrayPartDone) as done:
            run(folder, part(number))
        assert not done.value.again
    report = run(folder, Execution(finish=True))
    assert report.counts == whole.counts
    assert [one.log for one in report.failures] == [one.log for one in whole.failures] == ["broken-0"]
    assert dataset_digest(folder) == dataset_digest(tmp_path / "whole")
    assert not verify_folder(folder).damages
    evaluated(folder, tmp_path / "one", 1)
    with pytest.raises(ArrayPartDone):
        evaluated(folder, tmp_path / "two", part(2))
    with pytest.raises(SwerveError, match=r"Start these runs again: --part 1/2$"):
        evaluated(folder, tmp_path / "two", Execution(finish=True))
    with pytest.raises(ArrayPartDone):
        evaluated(folder, tmp_path / "two", part(1))
    record = sorted((tmp_path / "two" / "job" / "records").iterdir())[0]
    record.write_bytes(record.read_bytes()[:-20])
    with pytest.raises(ArrayPartDone):  # made again
        evaluated(folder, tmp_path / "two", part(1))
    evaluated(folder, tmp_path / "two", Execution(finish=True))
    assert scores(tmp_path / "two") == scores(tmp_path / "one") != {}


def record(chunk=1):
    empty = dict.fromkeys(("drop_reason", "message"), "")
    lists = dict.fromkeys(("rejected", "unfit", "tracks_without_gaussians", "left_out", "scenes"), ())
    numbers = {"chunk": chunk, "chunks": 4, "time_us": 7}
    return BuildRecord(log="a", bank="b", **numbers, **empty, **lists, files={}, sha256={})


def test_damaged_records_of_a_benchmark_are_parts_to_make_again(tmp_path):
    (tmp_path / "records").mkdir()
    for chunk in range(3):
        write_build_record(tmp_path, record(chunk))
    whole, paths = (
        record(),
        [build_record_path(tmp_path, replace(record(), chunk=chunk).scene_group) for chunk in range(3)],
    )
    assert not remove_damaged_records(tmp_path)
    lacking = {name: value for name, value in asdict(whole).items() if name != "files"}
    foreign = [b"", paths[1].read_bytes()[:100], b"[]", to_json({**asdict(whole), "chunk": 2}), to_json(lacking)]
    foreign += [to_json({**asdict(whole), "log": "b"}), to_json({**asdict(whole), "chunks": 1}), b"\xff\xfe"]
    for content in foreign:
        write_atomically(paths[1], content)
        assert remove_damaged_records(tmp_path) == [paths[1]], content
        assert [one.chunk for one in read_build_records(tmp_path)] == [0, 2]
        assert finished_parts(tmp_path, "b") == {"a": ({0, 2}, 4)}


def test_damaged_results_are_parts_to_make_again(tmp_path):
    (tmp_path / "records").mkdir()
    path = result_store.results_path(tmp_path, "a", 0)
    rows = {name: [None] for name in SCHEMA.names} | {"planner": ["x"]}
    result_store.add_to_record(path, result_store.pa.Table.from_pydict(rows, schema=SCHEMA), {"x": "1"})
    whole = path.read_bytes()
    assert not result_store.remove_damaged_records(tmp_path, SCHEMA)
    table = pq.read_table(path)
    unnamed = table.replace_schema_metadata({})
    for content in (b"", whole[:-20], whole[: len(whole) // 2], b"PAR1" + whole[8:], b"{}"):
        path.write_bytes(content)
        assert result_store.remove_damaged_records(tmp_path, SCHEMA) == [path]
    for foreign in (unnamed, table.drop_columns(["token"])):
        pq.write_table(foreign, path)
        assert result_store.remove_damaged_records(tmp_path, SCHEMA) == [path]
