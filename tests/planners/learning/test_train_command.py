"""From a training set to a planner that plans."""

import json
import re
import shutil
import time
from dataclasses import replace
from importlib import import_module

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="torch is an extra")
import safetensors.torch

from swerve.data.dataset import AugmentOptions, augment
from swerve.data.jobs.folder_locks import held
from swerve.data.stream import StreamLoader
from swerve.data.stream.merged_sets import MergedSets
from swerve.eval.context.context_store import ContextStore
from swerve.eval.scoring.score import prepare_context
from swerve.planners import load_planner
from swerve.planners.learning import views_of
from swerve.planners.learning.checkpoint import load_checkpoint
from swerve.planners.learning.run_outputs import CHECKPOINT
from swerve.planners.learning.score_store import ScoreStore
from swerve.planners.learning.train import Process, RunOptions, train
from swerve.planners.learning.train_options import TrainingOptions
from swerve.planners.learning.training_log import METRICS, VALIDATION
from swerve.planners.learning.training_step import Training
from swerve.planners.rap import RapConfig
from swerve.planners.trained_file import read_tensors
from swerve.scenes import SwerveError, Vehicle
from swerve.train_command import default_parts
from tests.support.command import invoke
from tests.support.rap_child import CONFIG, stream_of
from tests.support.simple_source import SimpleSource

ALONE = Process(0, 1, torch.device("cpu"))


def run(dataset, folder, steps=4, every=2, told=lambda noted: None, config=CONFIG, prefetch=2):
    store = ContextStore(dataset / "contexts", dataset / "set")
    options = TrainingOptions(steps, learning_rate=1e-3)
    return train(
        stream_of(dataset, config),
        store,
        config,
        options,
        folder,
        ALONE,
        RunOptions(workers=0, prefetch=prefetch, checkpoint_every=every),
        told,
    )


def test_float32_products_are_the_runs_while_it_runs(dataset, tmp_path):
    """The setting is the process's: a program that trains gets its own back."""
    before, seen = torch.get_float32_matmul_precision(), []
    torch.set_float32_matmul_precision("medium")
    try:
        run(dataset, tmp_path, told=lambda noted: seen.append(torch.get_float32_matmul_precision()))
        assert torch.get_float32_matmul_precision() == "medium"
    finally:
        torch.set_float32_matmul_precision(before)
    assert seen == ["highest"] * 4


def test_a_set_makes_a_planner(dataset, tmp_path):
    path = run(dataset, tmp_path / "new" / "run")
    named = load_planner(str(path))
    assert named.planner.record == {"steps": 4, "seed": 0}
    assert named.planner.cameras == ("front",)
    lines = (tmp_path / "new" / "run" / METRICS).read_text().splitlines()
    names = lines[0].split(",")
    rows = np.array([[float(value) for value in line.split(",")] for line in lines[1:]])
    assert rows[:, 0].tolist() == [1, 2, 3, 4]
    for column in (
        "imitation",
        "score",
        "spatial",
        "domain",
        "ade_best",
        "grad_norm",
        "step_seconds",
        "scoring_wait_seconds",
    ):
        assert (rows[:, names.index(column)] > 0).all(), column


def test_two_processes_do_not_train_in_one_folder(dataset, tmp_path):
    with held(tmp_path), pytest.raises(SwerveError, match="another job is writing to this folder"):
        run(dataset, tmp_path)


def test_the_planner_does_not_depend_on_prefetching(dataset, tmp_path):
    one, several = (run(dataset, tmp_path / str(ahead), prefetch=ahead).read_bytes() for ahead in (1, 5))
    assert one == several


def test_batches_are_prepared_at_the_same_time_and_stay_in_order(dataset, monkeypatch):
    """Each thread waits until all are at work: with fewer than asked for they would wait in vain."""
    import threading

    module = import_module("swerve.planners.learning.prepared_batches")
    together, steps = threading.Barrier(3, timeout=20), {}

    def slow(batch, contexts, config, hidden=None):
        if batch.step < 3:
            together.wait()
            time.sleep(0.02 * (2 - batch.step))
        views = views_of(batch, contexts, config)
        steps[id(views)] = batch.step
        return views

    monkeypatch.setattr(module, "views_of", slow)
    training = Training(CONFIG, TrainingOptions(6), ALONE.device)
    loader = StreamLoader(stream_of(dataset), 6)
    made = list(module.prepared_batches(loader, None, None, training, 3))
    assert [steps[id(one)] for one in made] == list(range(6))


def test_a_pinned_batch_is_pinned_whole(dataset, monkeypatch):
    pinned = []
    monkeypatch.setattr(torch.Tensor, "pin_memory", lambda own: (pinned.append(own), own)[1])
    views = views_of(stream_of(dataset).batch(0).to(), [None] * 4, CONFIG)
    views.pinned()
    own = (views.inputs.images, views.inputs.status, views.inputs.rig.rays, views.targets, views.pairs)
    for tensor in own:
        assert any(tensor is one for one in pinned)


def test_a_pseudo_expert_is_imitated_beside_a_way_back(dataset):
    batch = stream_of(dataset, batch_size=4).batch(0).to()
    expert = torch.full_like(batch.expert_2hz, 7.0)
    score = torch.tensor([float("nan"), 0.5, float("nan"), 1.0])
    batch = replace(
        batch, expert_2hz=expert, expert_2hz_valid=torch.ones_like(batch.expert_2hz_valid), expert_score=score
    )
    stored, asked = (
        views_of(batch, [None] * 4, replace(CONFIG, target=target)).targets[:4] for target in ("stored", "expert")
    )
    assert torch.equal(asked[[0, 2]], stored[[0, 2]])
    assert (asked[[1, 3]] == 7.0).all()
    with pytest.raises(SwerveError, match="rap: target is 'best', it must be"):
        RapConfig.from_json({"target": "best"})


def test_a_finished_run_is_lengthened(dataset, tmp_path):
    run(dataset, tmp_path, steps=2)
    path = run(dataset, tmp_path, steps=3)
    assert load_planner(str(path)).planner.record == {"steps": 3, "seed": 0}
    steps = [line.split(",")[0] for line in (tmp_path / METRICS).read_text().splitlines()[1:]]
    assert steps == ["1", "2", "3"]
    with pytest.raises(SwerveError, match="started with steps 3, not 2"):
        run(dataset, tmp_path, steps=2)


def test_an_unfinished_run_keeps_its_length(dataset, tmp_path):
    def stop(noted):
        if noted["step"] == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run(dataset, tmp_path, steps=4, told=stop)
    with pytest.raises(SwerveError, match="can be lengthened when it is finished, and is at step 2"):
        run(dataset, tmp_path, steps=6)


def test_parts_follow_from_the_set(dataset, tmp_path):
    names = [str(part) for part in default_parts(dataset / "set")]
    assert names == ["paired:0.5:both", "recovery:0.25", "cross_agent:0.25"]
    options = AugmentOptions(viewpoints=("logged", "recovery"), scene_interval=4.0)
    augment([SimpleSource(("train-2",))], tmp_path / "set", options, workers=1)
    assert [str(part) for part in default_parts(tmp_path / "set")] == ["raster_only:0.5", "recovery:0.25"]


def test_the_split_is_chosen(dataset, tmp_path):
    options = AugmentOptions(viewpoints=("logged",), scene_interval=4.0)
    augment([SimpleSource(("test-2",))], tmp_path / "set", options, workers=1)
    refused = invoke("train", tmp_path / "set", tmp_path / "run", "--model", "tiny")
    assert "no samples of split 'train'; there are of test. Choose one with --split" in str(refused.exception)
    done = invoke("train", tmp_path / "set", tmp_path / "run", "--model", "tiny", "--steps", 1, "--split", "test")
    assert done.exit_code == 0, done.output
    rounds = invoke(
        "train", tmp_path / "set", tmp_path / "more", "--split", "test", "--rounds", 2, "--round-sources", "town:1"
    )
    assert "rounds of training make and use samples of split train" in str(rounds.exception)


def test_a_run_that_was_stopped_goes_on_to_the_same_planner(dataset, tmp_path):
    whole = run(dataset, tmp_path / "whole").read_bytes()

    def stop(noted):
        if noted["step"] == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run(dataset, tmp_path / "halves", told=stop)
    resumed = []
    path = run(dataset, tmp_path / "halves", told=lambda noted: resumed.append(noted["step"]))
    assert resumed == [3, 4]
    assert path.read_bytes() == whole
    steps = [line.split(",")[0] for line in (tmp_path / "halves" / METRICS).read_text().splitlines()[1:]]
    assert steps == ["1", "2", "3", "4"]
    first = (tmp_path / "halves" / CHECKPOINT).read_bytes()
    assert run(dataset, tmp_path / "halves").read_bytes() == whole
    assert (tmp_path / "halves" / CHECKPOINT).read_bytes() == first


def test_views_are_the_batchs_samples(dataset):
    stream = stream_of(dataset, batch_size=8)
    batch = stream.batch(0).to()
    contexts = ContextStore(dataset / "contexts", dataset / "set").contexts(batch.provenance)
    yardsticks = [prepare_context(one) for one in contexts]
    views = views_of(batch, yardsticks, CONFIG)
    # Two samples of each part; those with photographs are seen twice.
    assert len(views) == 10
    assert views.is_photo.tolist() == [False] * 8 + [True] * 2
    assert views.paired_row.tolist() == [8, 9, -1, -1, -1, -1, -1, -1, 0, 1]
    assert views.cross_agent.tolist() == [False] * 6 + [True] * 2 + [False] * 2
    assert torch.equal(views.inputs.images[8:], batch.photo[:2])
    assert torch.equal(views.inputs.images[:8], batch.raster)
    assert views.contexts[8] is views.contexts[0] is yardsticks[0]
    np.testing.assert_allclose(views.targets[8].numpy(), batch.target_2hz[0, :8].numpy())
    vehicle = Vehicle("any", *batch.vehicle[6].double().tolist())
    np.testing.assert_allclose(views.inputs.footprint[6].numpy(), vehicle.footprint(), atol=1e-5)
    assert not np.allclose(views.inputs.footprint[6].numpy(), Vehicle.pacifica().footprint())
    long = views_of(batch, yardsticks, RapConfig.tiny(poses=12))
    assert long.valid[0].tolist() == [True] * 10 + [False] * 2


def test_what_does_not_fit_is_named(dataset, tmp_path):
    other = RapConfig.tiny(cameras=("front",), image_height=48, image_width=80)
    with pytest.raises(SwerveError, match=r"has cameras front at 80x48 .* stream has front at 72x40"):
        train(stream_of(dataset), None, other, TrainingOptions(2), tmp_path, ALONE)
    with pytest.raises(SwerveError, match=r"sub-scores need contexts \(see `swerve contexts`\)"):
        train(stream_of(dataset), None, CONFIG, TrainingOptions(2), tmp_path, ALONE)
    batch = stream_of(dataset).batch(0).to()
    with pytest.raises(SwerveError, match=r"poses are 1.0 s apart, the set's targets are at \[0.5"):
        views_of(batch, [None] * 4, RapConfig.tiny(interval=1.0))
    assert not list(tmp_path.iterdir())


def command(dataset, out, *more):
    return invoke("train", dataset / "set", out, "--workers", 0, "--steps", 2, "--batch-size", 4, *more)


def test_the_command_mixes_sets(dataset, tmp_path):
    for name in ("set", "contexts"):
        shutil.copytree(dataset / name, tmp_path / name)
    model = tmp_path / "small.json"
    model.write_text(json.dumps(CONFIG.to_json()))
    both = ["--more-sets", tmp_path / "set", "--contexts", dataset / "contexts"]
    done = command(dataset, tmp_path / "run", "--model", model, *both, tmp_path / "contexts")
    assert done.exit_code == 0, done.output
    stored = read_tensors(tmp_path / "run" / CHECKPOINT, "a checkpoint", "pt")[0]
    merged = MergedSets([dataset / "set", tmp_path / "set"], "train")
    assert merged.digest in json.dumps(stored)
    refused = command(dataset, tmp_path / "run", "--model", model, *both)
    assert refused.exit_code == 2
    assert "contexts: 1 are given for 2 sets" in str(refused.exception)


def test_the_command_trains(dataset, tmp_path):
    chosen = {
        "cameras": ["front"],
        "backbone": "tiny",
        "backbone_weights": None,
        "freeze_backbone": False,
        "image_height": 40,
    }
    small = {
        "image_width": 72,
        "dim": 16,
        "mlp_dim": 16,
        "heads": 2,
        "proposals": 2,
        "refinement_rounds": 1,
        "refinement_layers": 1,
    }
    (tmp_path / "small.json").write_text(json.dumps({**chosen, **small}))
    given = ("--model", tmp_path / "small.json", "--contexts", dataset / "contexts")
    result = command(dataset, tmp_path / "run", *given)
    assert result.exit_code == 0, result.output
    assert f"wrote {tmp_path / 'run' / 'planner.safetensors'}" in result.output
    config = load_planner(str(tmp_path / "run" / "planner.safetensors")).planner.model.config
    assert (config.poses, config.proposals, config.score_weight) == (10, 2, 1.0)
    judged = ("--validate", dataset / "benchmark", "--validate-views", "raster", "--validate-every", 1)
    unscored = command(dataset, tmp_path / "blind", *given[:2], "--parts", "paired:1:photo", *judged)
    assert unscored.exit_code == 0, unscored.output
    steps = [line.split(",")[0] for line in (tmp_path / "blind" / VALIDATION).read_text().splitlines()]
    assert steps == ["step", "1", "2"]
    said = re.findall(r"step (\d): validation score ([\d.]+) \(stage one", unscored.output)
    table = [line.split(",") for line in (tmp_path / "blind" / VALIDATION).read_text().splitlines()]
    scores = [float(row[table[0].index("score")]) for row in table[1:]]
    assert said == [(step, f"{score:.3f}") for step, score in zip("12", scores, strict=True)]
    names, row = ((tmp_path / "blind" / METRICS).read_text().splitlines()[line].split(",") for line in (0, 1))
    assert (float(row[names.index("score")]), float(row[names.index("spatial")])) == (0.0, 0.0)


@pytest.mark.parametrize(
    ("more", "complaint"),
    [
        (("--model", "none.json"), "model none.json: neither paper nor tiny"),
        (("--model", "list.json"), "no config of RapConfig"),
        (("--model", "wings.json"), "unknown fields"),
        (("--model", "dims.json"), "; perhaps dim"),
        (("--model", "tiny", "--parts", "paired:much"), "'paired:much' is not NAME:SHARE"),
        (("--model", "tiny", "--parts", "shrubs:1"), "'shrubs:1' is not NAME:SHARE or NAME:SHARE:IMAGES with NAME of"),
    ],
)
def test_mistakes_of_the_command_are_named(more, complaint, dataset, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "list.json").write_text("[]")
    (tmp_path / "wings.json").write_text('{"wings": 2}')
    (tmp_path / "dims.json").write_text('{"dims": 2}')
    error = command(dataset, tmp_path / "run", *more).exception
    assert isinstance(error, SwerveError), error
    assert complaint in str(error).replace("[", ".")


def ranks(dataset, batch, world, config=CONFIG):
    return [stream_of(dataset, config, batch_size=batch, rank=rank, world=world) for rank in range(world)]


def test_one_process_goes_on_where_two_stopped(dataset, tmp_path):
    """The order of samples is continued; as many are in a step of all processes together, or it is refused."""
    two, (one,) = ranks(dataset, 4, 2), ranks(dataset, 8, 1)
    state = StreamLoader(two[0], 9).state_at(3)
    loader = StreamLoader(one, 9)
    loader.load_state_dict(state)
    (whole,) = ranks(dataset, 8, 1)
    for step in (3, 4):
        rows, _ = one.rows(step)
        assert sorted(rows) == sorted(row for stream in two for row in stream.rows(step)[0])
        assert rows == whole.rows(step)[0]
    with pytest.raises(SwerveError, match="batch_size was 8, is 4"):
        StreamLoader(ranks(dataset, 4, 1)[0], 9).load_state_dict(state)


def test_checkpoints_leave_frozen_weights_out(dataset, tmp_path):
    """And a run whose frozen weights have changed is not resumed."""
    config = replace(CONFIG, freeze_backbone=True)
    run(dataset, tmp_path, steps=2, config=config)
    header, tensors = read_tensors(tmp_path / CHECKPOINT, "a checkpoint", "pt")
    assert not [name for name in tensors if name.startswith("model.backbone")]
    assert [name for name in tensors if name.startswith("model.neck")]
    training = Training(config, TrainingOptions(2, learning_rate=1e-3), torch.device("cpu"))
    assert header["frozen"] == training.frozen_digest
    load_checkpoint(tmp_path / CHECKPOINT, training)
    assert training.step == 2
    other = Training(config, TrainingOptions(2, learning_rate=1e-3), torch.device("cpu"))
    next(other.model.backbone.parameters()).data.add_(1.0)
    with pytest.raises(SwerveError, match="started with other frozen weights"):
        load_checkpoint(tmp_path / CHECKPOINT, other)


def test_a_checkpoint_that_is_older_than_an_option_is_resumed(dataset, tmp_path):
    """A field that it lacks had its default; another value is refused."""
    run(dataset, tmp_path, steps=2)
    path = tmp_path / CHECKPOINT
    header, tensors = read_tensors(path, "a checkpoint", "pt")
    del header["options"]["gradient_accumulation_steps"], header["config"]["status_dropout"]
    path.write_bytes(safetensors.torch.save(tensors, {"swerve": json.dumps(header)}))
    options = TrainingOptions(2, learning_rate=1e-3)
    load_checkpoint(path, Training(CONFIG, options, torch.device("cpu")))
    with pytest.raises(SwerveError, match="started with gradient_accumulation_steps 1, not 2"):
        load_checkpoint(path, Training(CONFIG, replace(options, gradient_accumulation_steps=2), torch.device("cpu")))


def test_a_set_trains_a_vocabulary_whose_scores_are_stored(dataset, tmp_path, monkeypatch):
    """Killed and resumed, no sample is scored twice, and the planner is that of an undisturbed run."""
    config = replace(CONFIG, proposals=0, anchors=4, profiles=True, scorer_layers=1, ranking_weight=0.5)
    scored = []
    add = ScoreStore.add
    monkeypatch.setattr(ScoreStore, "add", lambda store, keys, *rest: (scored.extend(keys), add(store, keys, *rest))[1])
    whole = run(dataset, tmp_path / "whole", steps=6, config=config).read_bytes()
    assert len(scored) == len(set(scored)) > 4
    scored.clear()

    def stop(noted):
        if noted["step"] == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run(dataset, tmp_path / "halves", steps=6, told=stop, config=config)
    path = run(dataset, tmp_path / "halves", steps=6, config=config)
    assert len(scored) == len(set(scored))
    assert path.read_bytes() == whole
    anchors = load_planner(str(path)).planner.model.vocabulary.anchors
    assert len(anchors) == 4
    assert anchors[:, -1, 0].max() > 5.0


def test_the_command_trains_any_family(dataset, tmp_path):
    given = ["train", dataset / "set", tmp_path / "run", "--contexts", dataset / "contexts", "--steps", 1]
    given += ["--batch-size", 4, "--workers", 0, "--model", "tiny", "--fields", "image_width=72", "image_height=40"]
    words = ["proposals=0", "anchors=2", "profiles=true", "scorer_layers=1", "dim=16", "heads=2"]
    done = invoke(*map(str, [*given, *words]))
    assert done.exit_code == 0, done.output
    config = load_planner(str(tmp_path / "run" / "planner.safetensors")).planner.model.config
    assert (config.proposals, config.anchors, config.profiles, config.image_width) == (0, 2, True, 72)
    given[2] = tmp_path / "blind"
    done = invoke(*map(str, [*given[:-2], "--family", "ego-mlp"]))
    assert done.exit_code == 0, done.output
    assert load_planner(str(tmp_path / "blind" / "planner.safetensors")).planner.model.family == "ego-mlp"
    done = invoke(*map(str, [*given, "wings"]))
    assert done.exit_code != 0
    assert "'wings' is not NAME=VALUE" in str(done.exception)
