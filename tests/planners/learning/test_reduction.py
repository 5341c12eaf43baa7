"""Losses of several processes are those of one with all samples."""

import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest

torch = pytest.importorskip("torch", reason="torch is an extra")

from swerve.data.jobs.stopwatch import Stopwatch
from swerve.eval import build_context, prepare_context
from swerve.planners.learning.alignment import DomainClassifier, EmaTeacher
from swerve.planners.learning.losses import losses_of
from swerve.planners.rap import RapConfig, RapModel
from swerve.scenes import Scene
from tests.support.rap_views import rows_of, turning_batch
from tests.support.simple_log import simple_log

CONFIG = RapConfig.tiny(dim=16, mlp_dim=16, heads=2, proposals=3, ranking_weight=0.5, spatial_weight=0.1)


class Threads:
    """All-reduce of two threads, in the place of torch's of processes."""

    def __init__(self):
        self.own, self.barrier, self.slots = threading.local(), threading.Barrier(2, timeout=60), [None, None]

    def all_reduce(self, value):
        self.slots[self.own.rank] = value.clone()
        self.barrier.wait()
        value.copy_(self.slots[0] + self.slots[1])
        self.barrier.wait()


def losses(model, teacher, classifier, batch):
    output = model(batch.inputs)
    return losses_of(output, batch, CONFIG, teacher, classifier, 0.5, Stopwatch())


def gradient(model, classifier, total):
    parameters = [*model.parameters(), *classifier.parameters()]
    found = torch.autograd.grad(total, parameters, allow_unused=True)
    return torch.cat(
        [torch.zeros(one.numel()) if own is None else own.flatten() for one, own in zip(parameters, found, strict=True)]
    )


@pytest.mark.parametrize("rows", [([0, 1, 2, 4, 5, 6], [3, 7]), ([0, 4, 5, 6, 7], [1, 2, 3])])
def test_gradients_of_two_processes_are_those_of_one(monkeypatch, rows):
    """However samples, pairs, domains and contexts are spread: here 3 pairs and 1, and 1 pair and photos alone."""
    torch.manual_seed(0)
    model, classifier = RapModel(CONFIG).eval(), DomainClassifier(CONFIG)
    teacher = EmaTeacher(model.neck, 0.9)
    context = prepare_context(build_context(Scene(simple_log(), 40, 15, 50)))
    batch = replace(turning_batch(CONFIG, 4), contexts=(context, None, context, None, context, None, context, context))
    parts = [rows_of(batch, one) for one in rows]
    batch = rows_of(batch, [row for one in rows for row in one], [len(one) for one in rows])
    whole = losses(model, teacher, classifier, batch)
    threads = Threads()
    monkeypatch.setattr(torch.distributed, "is_initialized", lambda: True)
    monkeypatch.setattr(torch.distributed, "get_world_size", lambda: 2)
    monkeypatch.setattr(torch.distributed, "all_reduce", threads.all_reduce)

    def of(rank):
        threads.own.rank = rank
        return losses(model, teacher, classifier, parts[rank])

    with ThreadPoolExecutor(2) as pool:
        found = list(pool.map(of, range(2)))
    for name, expected in whole.parts.items():
        mean = sum(one.parts[name] for one in found) / 2
        torch.testing.assert_close(mean, expected, atol=1e-5, rtol=1e-4, msg=name)
    assert abs(found[0].parts["score"] - whole.parts["score"]) > 1e-4
    mean = sum(gradient(model, classifier, one.total) for one in found) / 2
    torch.testing.assert_close(mean, gradient(model, classifier, whole.total), atol=1e-5, rtol=1e-3)
