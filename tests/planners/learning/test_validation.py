"""Validation of a network during training."""

import json
import sys
from dataclasses import replace
from types import ModuleType, SimpleNamespace

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="torch is an extra")

from swerve.eval.benchmark.benchmark_store import open_benchmark
from swerve.eval.benchmark.evaluate.evaluate_job import evaluate
from swerve.eval.benchmark.evaluate.planner_records import PlannerSpec
from swerve.eval.benchmark.evaluate.results import read_results
from swerve.eval.context.context_store import ContextStore
from swerve.eval.planner_process import PlannerLimits
from swerve.planners.learning import LearnedPlanner, load_learned, save_learned
from swerve.planners.learning.run_outputs import BEST, CHECKPOINT
from swerve.planners.learning.train import Process, RunOptions, train
from swerve.planners.learning.training_log import METRICS, VALIDATION
from swerve.planners.learning.validation import Validation, validate
from swerve.planners.open_planner import PlannerLoader
from swerve.planners.rap import RapConfig, RapModel
from swerve.scenes import MissingExtraError, SwerveError
from tests.support.rap_child import CONFIG, OPTIONS, stream_of

ALONE = Process(0, 1, torch.device("cpu"))


@pytest.fixture(scope="module")
def benchmark(dataset):
    return open_benchmark(dataset / "benchmark")


@pytest.fixture(scope="module")
def planner():
    torch.manual_seed(3)
    return LearnedPlanner(RapModel(CONFIG).eval(), {})


def run(dataset, folder, told=lambda noted: None, **more):
    store = ContextStore(dataset / "contexts", dataset / "set")
    options = RunOptions(workers=0, checkpoint_every=2, **more)
    return train(stream_of(dataset), store, CONFIG, OPTIONS, folder, ALONE, options, told)


def rows_of(path):
    names, *rows = (line.split(",") for line in path.read_text().splitlines())
    return [dict(zip(names, map(float, row), strict=True)) for row in rows]


def test_it_is_what_an_evaluation_says(benchmark, planner, tmp_path):
    found = validate(planner, benchmark)
    path = tmp_path / "rap.safetensors"
    save_learned(planner.model, {}, path)
    entry = PlannerSpec("rap", str(path), "1")
    summary = evaluate(
        benchmark, [entry], PlannerLoader(PlannerLimits()), tmp_path / "out", benchmark.traffic, "navsim-exact", 1
    ).summary
    said = summary["planners"]["rap"]
    assert summary["scene_groups"] > 1
    assert found["score"] == pytest.approx(said["score"], abs=1e-9)
    assert found["stage_one"] == pytest.approx(said["stage_one"]["score"], abs=1e-9)
    assert found["stage_two"] == pytest.approx(said["stage_two"]["score"], abs=1e-9)
    errors = []
    for row in read_results(tmp_path / "out").of("rap").to_pylist():
        if row["stage"] == 1:
            log = benchmark.log(row["log"])
            now = int(np.searchsorted(log.times_us, row["time_us"]))
            driven = log.ego.positions[now + 5 : now + 41 : 5, :2] - log.ego.positions[now, :2]
            cos, sin = np.cos(row["start_heading"]), np.sin(row["start_heading"])
            driven = driven @ np.array([[cos, -sin], [sin, cos]])
            errors.append(np.linalg.norm(np.reshape(row["plan"], (-1, 3))[:8, :2] - driven, axis=1).mean())
    assert found["ade"] == pytest.approx(np.mean(errors), abs=1e-6)
    assert validate(planner, benchmark) == found


def test_training_does_not_notice(dataset, benchmark, tmp_path):
    """The planner is the same, byte for byte; the best weights of the validations are kept beside it."""
    plain = run(dataset, tmp_path / "plain").read_bytes()
    assert not (tmp_path / "plain" / VALIDATION).exists()
    judged = run(dataset, tmp_path / "judged", validation=Validation(benchmark, 3))
    assert judged.read_bytes() == plain
    assert [name for name in (BEST, VALIDATION) if not (tmp_path / "judged" / name).is_file()] == []
    rows = rows_of(tmp_path / "judged" / VALIDATION)
    assert [row["step"] for row in rows] == [3, 4]
    last = validate(load_learned(judged, "cpu"), benchmark)
    assert rows[1] == pytest.approx({"step": 4, **last}, rel=1e-5)
    best = load_learned(tmp_path / "judged" / BEST, "cpu")
    winner = max(rows, key=lambda row: (row["score"], -row["step"]))
    assert best.record["steps"] == winner["step"]
    assert best.record["validation"]["score"] == pytest.approx(winner["score"], rel=1e-5)
    assert validate(best, benchmark) == best.record["validation"]


def test_validations_are_told_when_they_begin_and_end(dataset, benchmark, tmp_path):
    store, told = ContextStore(dataset / "contexts", dataset / "set"), []
    options = RunOptions(workers=0, checkpoint_every=2, validation=Validation(benchmark, 2))
    train(
        stream_of(dataset),
        store,
        CONFIG,
        OPTIONS,
        tmp_path,
        ALONE,
        options,
        lambda row: told.append(row["step"]),
        lambda step, found: told.append((step, sorted(found))),
    )
    scores = ["ade", "score", "stage_one", "stage_two"]
    assert told[:4] == [1, (2, []), (2, scores), 2]


def test_a_stopped_run_validates_as_if_it_had_not_been(dataset, benchmark, tmp_path):
    """It is stopped after a validation that the checkpoint does not know."""

    def stop(noted):
        if noted["step"] == 3:
            raise KeyboardInterrupt

    judged = {"validation": Validation(benchmark, 1)}
    run(dataset, tmp_path / "whole", **judged)
    with pytest.raises(KeyboardInterrupt):
        run(dataset, tmp_path / "halves", stop, **judged)
    run(dataset, tmp_path / "halves", **judged)
    for name in (VALIDATION, BEST, CHECKPOINT):
        assert (tmp_path / "halves" / name).read_bytes() == (tmp_path / "whole" / name).read_bytes(), name


def test_metrics_go_to_tensorboard(dataset, benchmark, tmp_path):
    events = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator", reason="an extra")
    run(dataset, tmp_path, validation=Validation(benchmark, 2), tensorboard=True)
    read = events.EventAccumulator(str(tmp_path / "tensorboard")).Reload()
    losses = [(one.step, one.value) for one in read.Scalars("train/total")]
    np.testing.assert_allclose(losses, [(row["step"], row["total"]) for row in rows_of(tmp_path / METRICS)], rtol=1e-4)
    scores = [(one.step, one.value) for one in read.Scalars("validation/score")]
    expected = [(row["step"], row["score"]) for row in rows_of(tmp_path / VALIDATION)]
    np.testing.assert_allclose(scores, expected, rtol=1e-4)


def test_missing_tensorboard_is_named(dataset, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", None)
    with pytest.raises(MissingExtraError, match=r"tensorboard is not installed.*\[tensorboard\]"):
        run(dataset, tmp_path, tensorboard=True)


class FakeWandb(ModuleType):
    """Keeps what it is told, as wandb would: by run, which is resumed by its id."""

    def __init__(self):
        super().__init__("wandb")
        self.runs, self.opened, self.finished = {}, [], 0

    def init(self, **given):
        self.opened.append(given)
        rows = self.runs.setdefault(given["id"], [])

        def finish():
            self.finished += 1

        return SimpleNamespace(log=lambda values, step: rows.append((step, values)), finish=finish)


def test_metrics_go_to_wandb_and_a_resumed_run_is_the_same_there(dataset, benchmark, tmp_path, monkeypatch):
    wandb = FakeWandb()
    monkeypatch.setitem(sys.modules, "wandb", wandb)

    def stop(noted):
        if noted["step"] == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run(dataset, tmp_path, stop, validation=Validation(benchmark, 2), wandb="cars")
    run(dataset, tmp_path, validation=Validation(benchmark, 2), wandb="cars")
    ((_, rows),) = wandb.runs.items()
    assert [one["project"] for one in wandb.opened] == ["cars", "cars"]
    assert wandb.opened[0]["config"]["model"]["dim"] == CONFIG.dim
    json.dumps(wandb.opened[0]["config"])
    assert wandb.finished == 1
    totals = {step: values["train/total"] for step, values in rows if "train/total" in values}
    np.testing.assert_allclose(list(totals.values()), [row["total"] for row in rows_of(tmp_path / METRICS)], rtol=1e-4)
    scores = [(step, values["validation/score"]) for step, values in rows if "validation/score" in values]
    expected = [(row["step"], row["score"]) for row in rows_of(tmp_path / VALIDATION)]
    np.testing.assert_allclose(scores[-len(expected) :], expected, rtol=1e-4)


def test_missing_wandb_is_named(dataset, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "wandb", None)
    with pytest.raises(MissingExtraError, match=r"wandb is not installed.*\[wandb\]"):
        run(dataset, tmp_path, wandb="cars")


def test_what_would_say_nothing_is_refused(dataset, benchmark, planner, tmp_path):
    with pytest.raises(SwerveError, match="validate-every is 0"):
        Validation(benchmark, 0)
    blind = LearnedPlanner(RapModel(RapConfig.tiny(cameras=("roof",))), {})
    with pytest.raises(SwerveError, match="needs camera 'roof'; there are: front, back"):
        validate(blind, benchmark)
    broken = replace(benchmark, info=json.loads(json.dumps(benchmark.info).replace("val-a", "train-1")))
    with pytest.raises(SwerveError, match="log train-1 of the benchmark is in the training set, too"):
        run(dataset, tmp_path, validation=Validation(broken, 1))
    state = planner.model.state_dict()
    lost = LearnedPlanner(RapModel(CONFIG).eval(), {})
    lost.model.load_state_dict(
        {name: one * torch.nan if one.is_floating_point() else one for name, one in state.items()}
    )
    with pytest.raises(SwerveError, match="validation: the planner fails in scene"):
        validate(lost, benchmark)
