"""Auxiliary heads: their targets, their losses, and that they are no part of the planner."""

from dataclasses import replace

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="torch is an extra")
from torch import nn

from swerve.eval import build_context
from swerve.eval.benchmark.benchmark_store import open_benchmark
from swerve.eval.context.context_store import ContextStore
from swerve.eval.scoring.score import prepare_context
from swerve.planners.baselines.ego_mlp_model import EgoMlpConfig
from swerve.planners.learning import load_learned, reduction, save_learned, views_of
from swerve.planners.learning.auxiliary import AuxiliaryHeads, BevOutput, auxiliary_losses, bev_output, cell_overlaps
from swerve.planners.learning.bev_targets import CELL, CORNER, SIZE, agent_targets, bev_targets, drivable_targets
from swerve.planners.learning.train import Process, RunOptions, train
from swerve.planners.learning.train_options import TrainingOptions
from swerve.planners.learning.training_log import METRICS, VALIDATION
from swerve.planners.learning.training_step import Training
from swerve.planners.learning.validation import Validation
from swerve.planners.rap import RapConfig
from swerve.scenes import ObjectClass, Scene, SwerveError
from tests.support.rap_child import CONFIG, stream_of
from tests.support.rap_views import turning_batch
from tests.support.simple_log import simple_log

CPU = torch.device("cpu")
STEPS = 140
BOTH = ("agents", "drivable")
OFF = {"score_weight": 0.0, "spatial_weight": 0.0, "domain_weight": 0.0, "imitation_weight": 0.0}
SMALL = RapConfig.tiny(dim=16, mlp_dim=16, heads=2, proposals=3, auxiliary=BOTH, **OFF)


def context_at(pose, agents, road=((-100.0, -6.0), (100.0, 3.0))):
    """A context whose ego has this pose; agents (x, y, heading, speed, length, width, class) on a straight road."""
    context = build_context(Scene(simple_log(), 40, 15, 50))
    values = np.array([agent[:6] for agent in agents], float).reshape(-1, 6)
    x, y, heading, speed, length, width = values.T
    traffic = replace(
        context.current_traffic,
        ids=tuple(str(row) for row in range(len(agents))),
        classes=np.array([agent[6] for agent in agents], np.uint8),
        poses=np.stack([x, y, heading], axis=1)[None],
        velocities=np.stack([speed * np.cos(heading), speed * np.sin(heading)], axis=1)[None],
        sizes=np.stack([length, width], axis=1),
        present=np.ones((1, len(agents)), bool),
    )
    ego = context.ego.copy()
    ego[:3] = pose
    return replace(context, ego=ego, current_traffic=traffic)


def test_agents_of_a_hand_worked_scene_are_in_their_cells():
    """The ego at (100, 50) looks to the north: what is north of it is ahead, what is west of it is to the left."""
    car, walker = ObjectClass.VEHICLE, ObjectClass.PEDESTRIAN
    context = context_at(
        (100.0, 50.0, np.pi / 2),
        [
            (95.5, 61.0, np.pi, 5.0, 4.0, 2.0, car),  # 11 m ahead, 4.5 m to the left, driving to the left
            (100.5, 60.3, np.pi / 2, 0.0, 1.0, 0.5, walker),  # 10.3 m ahead, 0.5 m to the right
            (100.4, 61.8, 0.0, 0.0, 1.0, 0.5, walker),  # in the same cell, further away: left out
            (100.0, 30.0, 0.0, 1.0, 4.0, 2.0, car),  # 20 m behind: beyond the grid
            (100.0, 70.0, 0.0, 0.0, 1.0, 1.0, ObjectClass.BARRIER),
        ],
    )
    found = agent_targets(context.privileged_input)
    assert np.argwhere(found[0]).tolist() == [[13, 15], [13, 18]]
    # 11 m are 27 m from the grid's back: cell 13, in its middle. 4.5 m to the left are 36.5 m: cell 18, a quarter in.
    log2, log4 = np.log(2.0), np.log(4.0)
    np.testing.assert_allclose(found[1:, 13, 18], [0.0, -0.25, 0.0, 1.0, log4, log2, 0.0, 0.5], atol=1e-6)
    # 10.3 m are 26.3 m, 13.15 cells; 0.5 m to the right are 31.5 m, 15.75 cells.
    np.testing.assert_allclose(found[1:, 13, 15], [-0.35, 0.25, 1.0, 0.0, 0.0, -log2, 0.0, 0.0], atol=1e-6)
    assert not found[1:, ~(found[0] > 0)].any()


def test_drivable_cells_are_those_whose_centre_is_on_a_road_or_crossing(dataset):
    """Compared with point tests of the polygons' rings by shapely."""
    shapely = pytest.importorskip("shapely")
    store = ContextStore(dataset / "contexts", dataset / "set")
    (origin, *_) = stream_of(dataset).batch(0).provenance
    context = store.context(origin)
    surfaces, (x, y, heading) = context.scoring_map.surfaces, context.ego[:3]
    polygons = []
    for row in np.flatnonzero(~np.isin(surfaces.layers, (1, 2))):
        edges = surfaces.edges[surfaces.starts[row] : surfaces.starts[row + 1]]
        polygons.append(shapely.Polygon(edges[:, :2]))
    road = shapely.union_all(polygons)
    cos, sin = np.cos(heading), np.sin(heading)
    found, some = drivable_targets(context.privileged_input), 0
    for i in range(SIZE):
        for j in range(SIZE):
            ahead, left = CORNER[0] + (i + 0.5) * CELL, CORNER[1] + (j + 0.5) * CELL
            point = shapely.Point(x + cos * ahead - sin * left, y + sin * ahead + cos * left)
            if road.boundary.distance(point) > 1e-6:
                assert found[i, j] == road.contains(point), (i, j)
                some += found[i, j]
    assert some > 50


def batch_of(count, config=SMALL):
    """Rasters and photos of stripes, each sample with its own agents and width of road."""
    batch, contexts = turning_batch(config, count), []
    random = np.random.default_rng(0)
    for _ in range(count):
        agents = [
            (*random.uniform((2, -8), (40, 8)), random.uniform(-3, 3), 5.0, 4.5, 2.0, ObjectClass.VEHICLE)
            for _ in range(3)
        ]
        contexts.append(context_at((0.0, 0.0, 0.0), agents))
    agents, drivable, known = bev_targets(contexts)
    drivable = np.abs(np.arange(SIZE) - SIZE / 2)[None, None] < random.integers(2, 12, count)[:, None, None]
    cells = agents, np.broadcast_to(drivable, agents[:, 0].shape), known
    names = ("agent_cells", "drivable_cells", "cells_known")
    twice = {name: torch.as_tensor(np.concatenate([one, one])) for name, one in zip(names, cells, strict=True)}
    return replace(batch, **twice)


@pytest.mark.slow
def test_heads_overfit_sixteen_samples():
    config = replace(SMALL, dim=32, mlp_dim=32, agents_weight=1.0, drivable_weight=4.0)
    batch = batch_of(8, config)  # each a raster and a photo
    assert len(batch) == 16
    training = Training(config, TrainingOptions(STEPS, learning_rate=1e-2, final_learning_rate=1e-4), CPU)
    rows = [training.train_step(batch) for _ in range(STEPS)]
    assert rows[0]["agents"] > 3.0
    assert rows[0]["drivable"] > 0.5
    assert rows[-1]["agents"] < 0.1, rows[-1]
    assert rows[-1]["drivable"] < 0.02, rows[-1]
    assert rows[-1]["agents_iou"] > 0.98
    assert rows[-1]["drivable_iou"] > 0.98
    assert rows[-1]["total"] == pytest.approx(rows[-1]["agents"] + 4 * rows[-1]["drivable"], abs=1e-6)


@pytest.mark.parametrize("head", BOTH)
def test_gradients_reach_the_backbone_from_seen_cells_alone(head):
    config = replace(SMALL, auxiliary=(head,))
    training, batch = Training(config, TrainingOptions(4), CPU), batch_of(2)
    output = training.model(batch.inputs)
    found = bev_output(training.heads, output.placed, batch.inputs)
    assert (found.agents is None) == (head == "drivable")
    # The front camera sees nothing behind the rear axle, and something ahead.
    assert not found.seen[:, :8].any()
    assert found.seen[:, 12:].any()
    losses = auxiliary_losses(found, batch)
    assert set(losses) == {head}
    losses[head].backward()
    gradient = training.model.backbone.body.embed.weight.grad
    assert gradient.abs().sum() > 0
    changed = batch.agent_cells.clone(), batch.drivable_cells.clone()
    changed[0][:, :, :8], changed[1][:, :8] = 1.0, True
    hidden = replace(batch, agent_cells=changed[0], drivable_cells=changed[1])
    assert auxiliary_losses(found, hidden)[head] == losses[head]
    unknown = replace(batch, cells_known=torch.zeros(len(batch), dtype=torch.bool))
    assert auxiliary_losses(found, unknown)[head] == 0


@pytest.mark.parametrize(("elsewhere", "divisor"), [(3.0, 3.0), (0.0, 1.0)])
def test_agents_are_counted_over_all_processes(monkeypatch, elsewhere, divisor):
    """This process sees no agent, the other one some: the loss is divided by those, by 1 only where there is none."""
    batch = batch_of(2)
    batch.agent_cells.zero_()
    views = len(batch.cells_known)
    found = BevOutput(torch.zeros(views, 9, SIZE, SIZE), None, torch.ones(views, SIZE, SIZE, dtype=torch.bool))
    monkeypatch.setattr(reduction, "world_size", lambda: 2)
    monkeypatch.setattr(reduction, "summed", lambda count: count + elsewhere)
    loss = float(auxiliary_losses(found, batch)["agents"])
    cells = float(batch.cells_known.sum()) * SIZE * SIZE
    assert loss == pytest.approx(2 * cells * np.log(2.0) / divisor, rel=1e-5)


def test_overlaps_by_hand():
    """Of three agents two are found, one of them where no camera looks; one is made up. Half of the road is found."""
    agents, drivable, counted = torch.zeros(1, 9, SIZE, SIZE), torch.zeros(1, SIZE, SIZE), torch.ones(1, SIZE, SIZE)
    agents[0, 0, [3, 4, 5], 7], drivable[0, :, :8], counted[0, 5] = 1.0, 1.0, 0.0
    said = torch.full((1, 9, SIZE, SIZE), -2.0)
    said[0, 0, [3, 5, 9], 7] = 2.0
    road = torch.full((1, SIZE, SIZE), -2.0)
    road[0, :, :4] = 2.0
    found = BevOutput(said, road, counted > 0)
    overlaps = {name: (float(a), float(b)) for name, (a, b) in cell_overlaps(found, agents, drivable, counted).items()}
    assert overlaps == {"agents_iou": (1.0, 3.0), "drivable_iou": (31.0 * 4, 31.0 * 8)}


def test_weights_weigh_and_a_network_without_features_is_refused():
    training, batch = Training(SMALL, TrainingOptions(4), CPU), batch_of(2)
    weighted = Training(replace(SMALL, agents_weight=2.0, drivable_weight=3.0), TrainingOptions(4), CPU)
    plain, row = training.train_step(batch), weighted.train_step(batch)
    assert [row[name] for name in BOTH] == [plain[name] for name in BOTH]
    assert row["total"] == pytest.approx(2 * row["agents"] + 3 * row["drivable"], rel=1e-6)
    with pytest.raises(SwerveError, match="has no `placed` features"):
        bev_output(training.heads, None, batch.inputs)
    with pytest.raises(SwerveError, match="no cameras"):
        EgoMlpConfig.tiny(auxiliary=BOTH)


def test_planners_have_no_heads_and_the_rest_begins_the_same(tmp_path):
    plain, aided = (Training(replace(SMALL, auxiliary=some), TrainingOptions(4), CPU) for some in ((), BOTH))
    own, other = plain.model.state_dict(), aided.model.state_dict()
    assert own.keys() == other.keys()
    assert all(torch.equal(own[name], other[name]) for name in own)
    assert isinstance(aided.heads, nn.Module)
    aided.train_step(batch_of(2))
    save_learned(aided.averaged_model(), {}, tmp_path / "planner.safetensors")
    loaded = load_learned(tmp_path / "planner.safetensors", "cpu")
    assert loaded.model.config.auxiliary == BOTH
    assert not [name for name in loaded.model.state_dict() if "heads" in name and "decoder" not in name]


TRAINED = replace(CONFIG, auxiliary=BOTH)


def run(dataset, folder, steps=4, validation=None, told=lambda row: None):
    store, options = ContextStore(dataset / "contexts", dataset / "set"), TrainingOptions(4, learning_rate=1e-3)
    process = Process(0, 1, CPU)
    loop = RunOptions(workers=0, checkpoint_every=2, validation=validation)
    return train(stream_of(dataset, TRAINED), store, TRAINED, options, folder, process, loop, told)


def test_a_stopped_run_goes_on_exactly_and_the_journal_has_their_figures(dataset, tmp_path):
    class Stopped(Exception):
        pass

    def stop(row):
        if row["step"] == 3:
            raise Stopped

    validation = Validation(open_benchmark(dataset / "benchmark", "raster"), 4)
    whole = run(dataset, tmp_path / "whole", validation=validation)
    with pytest.raises(Stopped):
        run(dataset, tmp_path / "stopped", told=stop)
    again = run(dataset, tmp_path / "stopped")
    # The same seed gives the same result, too: these are two runs.
    assert whole.read_bytes() == again.read_bytes()
    columns = {}
    for folder in ("whole", "stopped"):
        names, *rows = [line.split(",") for line in (tmp_path / folder / METRICS).read_text().splitlines()]
        own = [name for name in names if "agents" in name or "drivable" in name]
        columns[folder] = {name: [row[names.index(name)] for row in rows] for name in own}
    assert columns["whole"] == columns["stopped"]
    assert set(columns["whole"]) == {"agents", "drivable", "agents_iou", "drivable_iou"}
    assert all(float(value) > 0 for value in columns["whole"]["agents"] + columns["whole"]["drivable"])
    names, values = [line.split(",") for line in (tmp_path / "whole" / VALIDATION).read_text().splitlines()]
    ious = dict(zip(names, values, strict=True))
    assert 0 <= float(ious["agents_iou"]) <= 1
    assert 0 <= float(ious["drivable_iou"]) <= 1


def test_targets_are_those_of_the_samples_contexts(dataset):
    batch, store = stream_of(dataset, TRAINED).batch(0).to("cpu"), ContextStore(dataset / "contexts", dataset / "set")
    contexts = store.contexts(batch.provenance)
    views = views_of(batch, [prepare_context(one) for one in contexts], TRAINED)
    count = len(batch)
    assert len(views) > count  # some have photos, too
    for row, context in enumerate(contexts):
        assert np.array_equal(views.agent_cells[row].numpy(), agent_targets(context.privileged_input))
        assert np.array_equal(views.drivable_cells[row].numpy(), drivable_targets(context.privileged_input))
    photos = torch.nonzero(views.is_photo & (views.paired_row >= 0))[:, 0]
    assert torch.equal(views.agent_cells[photos], views.agent_cells[views.paired_row[photos]])
    assert views.cells_known.all()
    none = views_of(batch, [None] * count, TRAINED)
    assert not none.cells_known.any()
    config = replace(TRAINED, score_weight=0.0)
    with pytest.raises(SwerveError, match="targets of auxiliary heads are in contexts"):
        train(stream_of(dataset, config), None, config, TrainingOptions(1), "unused", Process(0, 1, CPU))
    assert AuxiliaryHeads(TRAINED).agents is not None
