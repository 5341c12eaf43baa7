"""Encoding beside drawing: the same files, one sample ahead and no more, errors where they belong."""

import json
import threading
import time
from functools import partial

import pytest

from swerve.data.dataset import augment_job as run_module
from swerve.data.dataset import augment_worker, sample_encoder
from swerve.data.dataset.augment_job import augment
from swerve.data.dataset.augment_options import AugmentOptions
from swerve.data.dataset.augment_worker import AugmentWork
from swerve.data.dataset.shards import dataset_digest
from swerve.data.jobs.stopwatch import Stopwatch
from tests.support.photographed_source import PhotographedSource
from tests.support.simple_source import SimpleSource

OPTIONS = AugmentOptions(scene_interval=1.5, extra_outputs=("depth", "semantic", "instance"))
SECONDS = 20.0  # Nobody waits so long unless something is wrong.


def make(folder, threads, source=None, name="train-0"):
    """The only part of a log, made in this process: its shard, its record."""
    for kind in ("train", "records"):
        (folder / kind).mkdir(parents=True)
    work = AugmentWork(folder, (source or SimpleSource((name,)),), {name: 0}, OPTIONS, threads)
    work.open(name, Stopwatch()).make(0, lambda *_: None)
    shards, (record,) = list((folder / "train").glob("*.tar")), (folder / "records").iterdir()
    return [shard.read_bytes() for shard in shards], json.loads(record.read_text())


class Course:
    """Notes who draws and who has encoded which sample; encoding goes on when `may` says so of its sample's number."""

    def __init__(self, monkeypatch, may):
        self.events, self._change, self._may, self._numbers = [], threading.Condition(), may, {}
        monkeypatch.setattr(augment_worker, "draw_sample", partial(self._draw, augment_worker.draw_sample))
        monkeypatch.setattr(sample_encoder, "encode_view", partial(self._encode, sample_encoder.encode_view))

    def _note(self, *event):
        with self._change:
            self.events.append(event)
            self._change.notify_all()

    def _draw(self, draw, *arguments):
        number = sum(what == "begun" for what, _ in self.events)
        self._note("begun", number)
        drawn = draw(*arguments)
        self._numbers.update({id(view): number for view in drawn.views})
        self._note("drawn", number)
        return drawn

    def _encode(self, encode, capture, view, options):
        number = self._numbers[id(view)]
        with self._change:
            assert self._change.wait_for(lambda: self._may(self.events, number), SECONDS), f"sample {number} waits"
        files = encode(capture, view, options)
        self._note("encoded", number)
        return files


def test_a_sample_is_encoded_while_the_next_is_drawn_and_keeps_its_images(monkeypatch, tmp_path):
    """Every sample is encoded only after the next is drawn: later than ever without a hand on it."""
    shards, record = make(tmp_path / "one", threads=1)
    last = len(record["rows"]) - 1
    course = Course(monkeypatch, lambda events, number: number == last or ("drawn", number + 1) in events)
    assert make(tmp_path / "three", threads=3) == (shards, record)
    assert last > 5
    for number in range(last - 1):
        ends = [place for place, event in enumerate(course.events) if event == ("encoded", number)]
        assert len(ends) == 2, "cameras"
        assert max(ends) < course.events.index(("begun", number + 2)), "one sample ahead, no more"


def test_a_single_thread_does_one_thing_after_the_other(monkeypatch, tmp_path):
    course = Course(monkeypatch, lambda *_: threading.current_thread() is threading.main_thread())
    _, record = make(tmp_path, threads=1)
    assert course.events == [
        event
        for number in range(len(record["rows"]))
        for event in [("begun", number), ("drawn", number), ("encoded", number), ("encoded", number)]
    ]


@pytest.mark.parametrize("threads", [1, 3])
def test_a_photograph_that_is_missing_fails_its_sample(tmp_path, threads):
    source = PhotographedSource(("train-photos",), str(tmp_path / "nowhere"))
    _, record = make(tmp_path / "set", threads, source, "train-photos")
    scenes = {failure["token"] for failure in record["failures"]}
    assert [failure["item"] for failure in record["failures"]] == ["logged 0"] * len(scenes)
    assert [failure["token"] for failure in record["failures"]] == sorted(scenes)
    assert all("front.jpg" in failure["reason"] for failure in record["failures"])
    assert {row["kind"] for row in record["rows"]} == {"recovery", "cross_agent"}
    assert {row["token"] for row in record["rows"]} == scenes


@pytest.mark.parametrize("threads", [1, 3])
def test_a_fault_of_the_program_ends_the_part_and_its_threads(monkeypatch, tmp_path, threads):
    def fault(*_):
        raise ZeroDivisionError("a fault")

    monkeypatch.setattr(sample_encoder, "encode_view", fault)
    with pytest.raises(ZeroDivisionError, match="a fault"):
        make(tmp_path, threads)
    assert not [one for one in threading.enumerate() if one.name.startswith("encoding")]
    assert not list(tmp_path.glob("*/*.tar"))


@pytest.mark.parametrize(("cores", "workers", "threads"), [(7, 2, 3), (8, 1, 8), (4, None, 1), (2, 5, 1)])
def test_cores_left_over_by_the_workers_encode(monkeypatch, cores, workers, threads):
    monkeypatch.setattr(run_module, "usable_cores", lambda: cores)
    assert run_module._threads(workers) == threads


def test_threads_do_not_show_in_the_set(monkeypatch, tmp_path):
    digests = []
    for cores in (1, 3):
        monkeypatch.setattr(run_module, "usable_cores", lambda cores=cores: cores)
        augment([SimpleSource(("train-0",))], tmp_path / str(cores), OPTIONS, workers=1)
        digests.append(dataset_digest(tmp_path / str(cores)))
    assert digests[0] == digests[1]


def test_the_time_of_threads_adds_up():
    watch, both = Stopwatch(), threading.Barrier(2)

    def work():
        with watch.measure("encoding"):
            both.wait(SECONDS)
            time.sleep(0.05)

    threads = [threading.Thread(target=work) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert watch.take()["encoding"] >= 0.1
    assert watch.take() == {}
