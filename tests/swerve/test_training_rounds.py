"""Training in rounds: killed anywhere, it goes on to the same planner; every round trains on the sets of all before."""

import json
from contextlib import contextmanager
from dataclasses import replace

import numpy as np
import pytest

pytest.importorskip("torch", reason="torch is an extra")

from swerve import train_command, training_rounds
from swerve.data.dataset.augment_job import AugmentReport
from swerve.data.dataset.read_manifest import MANIFEST
from swerve.data.dataset.rigs import with_rig
from swerve.data.dataset.set_config import read_all_options
from swerve.data.dataset.shards import dataset_digest
from swerve.data.jobs.folder_locks import held
from swerve.data.storage.files import file_digest
from swerve.eval.closed_loop.rollout_file import read_index, read_rollouts
from swerve.job_report import open_sources
from swerve.round_options import RoundOptions
from tests.support.command import invoke
from tests.support.town_logs import town

pytestmark = pytest.mark.slow
ROUNDS = 3


@pytest.fixture(scope="module")
def base(tmp_path_factory):
    """A tiny set of a town with its contexts."""
    folder = tmp_path_factory.mktemp("base")
    options = ["--viewpoints", "logged", "recovery", "--cameras", "front", "--size", "72x40", "--scene-interval", "3"]
    assert invoke("augment", "town:1", folder / "set", *options, "--workers", "1").exit_code == 0
    assert invoke("contexts", "town:1", folder / "set", folder / "contexts", "--workers", "1").exit_code == 0
    model = {"dim": 16, "mlp_dim": 16, "heads": 2, "proposals": 3, "image_height": 40, "image_width": 72}
    model |= {"cameras": ["front"]}
    (folder / "model.json").write_text(json.dumps({**tiny(), **model}))
    return folder


def tiny():
    from swerve.planners.rap import RapConfig

    return RapConfig.tiny().to_json()


def command(base, out, *more):
    training = ["--steps", "2", "--batch-size", "4", "--checkpoint-every", "1", "--workers", "0"]
    rounds = ["--rounds", str(ROUNDS), "--round-sources", "town:1", "--round-interval", "6"]
    drive = ["--round-drive.rate", "1", "--round-drive.seconds", "6"]
    contexts = ["--contexts", base / "contexts", "--model", base / "model.json"]
    return ["train", base / "set", out, *contexts, *training, *rounds, *drive, *more]


@pytest.fixture(scope="module")
def undisturbed(base, tmp_path_factory):
    out = tmp_path_factory.mktemp("rounds") / "undisturbed"
    ended = invoke(*command(base, out))
    assert ended.exit_code == 0, ended
    return out


class Killed(BaseException):
    """What a kill is to the program: nothing is caught, nothing is cleaned up."""


def test_each_round_adds_where_its_planner_got_to(base, undisturbed):
    for number in range(ROUNDS - 1):
        place = undisturbed / f"round-{number}"
        summary = json.loads((place / "visited" / "summary.json").read_text())
        assert set(summary["samples_by_kind"]) == {"visited"}
        assert summary["samples_by_split"] == {"train": summary["samples"]}
        (entry,) = read_index(place / "driven")
        recorded, _ = read_rollouts(place / "driven" / "rollouts" / entry.file)
        assert entry.log == "town-000000"
        assert entry.rollouts == len(recorded.rollouts) > 1
        assert json.loads((place / "contexts" / "contexts.json").read_text())["scored"] == summary["samples_by_kind"]
    trained = [json.loads((undisturbed / f"round-{number}" / "trained.json").read_text()) for number in range(ROUNDS)]
    sets = [base / "set", *(undisturbed / f"round-{number}" / "visited" for number in range(ROUNDS - 1))]
    digests = [file_digest(folder / "manifest.parquet") for folder in sets]
    assert [one["sets"] for one in trained] == [digests[: number + 1] for number in range(ROUNDS)]
    assert len({one["sha256"] for one in trained}) == ROUNDS
    assert file_digest(undisturbed / "planner.safetensors") == trained[-1]["sha256"]


def test_killed_before_after_and_within_every_step_it_is_the_same(base, undisturbed, tmp_path, monkeypatch):
    """Of each function a call is refused, then one is made whose result is lost, then the next goes through."""
    kills, out = [], tmp_path / "killed"

    def fragile(owner, name):
        original, calls = getattr(owner, name), []

        def wrapped(*args, **kwargs):
            calls.append(name)
            if len(calls) == 1:
                raise Killed(f"before {name}")
            result = original(*args, **kwargs)
            if len(calls) == 2:
                raise Killed(f"after {name}")
            return result

        monkeypatch.setattr(owner, name, wrapped)

    for name in ("record_rollouts", "augment", "write_contexts", "_trained", "_copied"):
        fragile(training_rounds, name)
    reports = dying_reports(monkeypatch)
    while len(kills) < 50:
        try:
            ended = invoke(*command(base, out))
        except Killed as error:
            kills.append(str(error))
            continue
        break
    assert ended.exit_code == 0, ended
    assert {kill.split()[0] for kill in kills} == {"before", "after", "within"}
    assert len(kills) == 10
    assert reports
    assert file_digest(out / "planner.safetensors") == file_digest(undisturbed / "planner.safetensors")
    for number in range(ROUNDS - 1):
        folders = [place / f"round-{number}" / "visited" for place in (out, undisturbed)]
        assert len({dataset_digest(folder) for folder in folders}) == 1


def dying_reports(monkeypatch):
    """Kill the first training after its first step, whose checkpoint is written."""
    original, seen = train_command._progress, []

    @contextmanager
    def fragile(*args):
        with original(*args) as (report, report_validation):

            def dying(metrics):
                report(metrics)
                seen.append(metrics["step"])
                if seen == [1]:
                    raise Killed("within training")

            yield dying, report_validation

    monkeypatch.setattr(train_command, "_progress", fragile)
    return seen


def test_two_processes_do_not_share_a_folder(base, undisturbed):
    with held(undisturbed):
        refused = invoke(*command(base, undisturbed))
    assert refused.exit_code == 2
    assert "another job is writing to this folder" in str(refused.exception)


def test_what_is_done_is_not_done_again(base, undisturbed):
    before = file_digest(undisturbed / "round-2" / "run" / "planner.safetensors")
    ended = invoke(*command(base, undisturbed))
    assert ended.exit_code == 0, ended
    assert "round 2: trained on 3 sets" in ended.output
    assert file_digest(undisturbed / "round-2" / "run" / "planner.safetensors") == before


def test_mistakes(base, undisturbed, tmp_path, monkeypatch):
    def problem(*arguments):
        return str(invoke(*command(base, *arguments)).exception)

    assert "begun with another round_interval" in problem(undisturbed, "--round-interval", "5")
    assert "begun with another model.dim" in problem(undisturbed, "--fields", "dim=32")
    assert "begun with another learning_rate" in problem(undisturbed, "--learning-rate", "0.01")
    assert "multiple of 0.1 s" in problem(tmp_path / "interval", "--visited-interval", "0.25")
    assert "no renderer for splat" in problem(tmp_path / "splats", "--round-views", "splat")
    assert not list(tmp_path.iterdir())
    assert "town-000000 is in none of --round-sources" in problem(tmp_path / "lost", "--round-sources", "town:1-1")
    plain = [one for one in command(base, tmp_path / "none") if one not in ("--round-sources", "town:1")]
    assert "needs --round-sources" in str(invoke(*plain).exception)
    monkeypatch.setenv("WORLD_SIZE", "2")
    assert "one training process" in problem(tmp_path / "two")


def test_a_set_with_failures_is_drawn_again(base, undisturbed, tmp_path, monkeypatch):
    calls = []

    def failing(sources, folder, *more):
        calls.append(folder)
        folder.mkdir(exist_ok=True)
        (folder / MANIFEST).write_bytes(b"")
        (folder / "summary.json").write_text('{"failures": 1, "samples": 3}')
        return replace(report, summary={"failures": 1})

    report = AugmentReport({}, {})
    monkeypatch.setattr(training_rounds, "augment", failing)
    monkeypatch.setattr(training_rounds, "_trained", lambda *args: undisturbed / "round-0/run/planner.safetensors")
    for _ in range(2):
        assert "1 parts failed" in str(invoke(*command(base, tmp_path / "failing")).exception)
    assert len(calls) == 2


def test_a_planner_that_fails_ends_the_round(base, undisturbed, tmp_path, monkeypatch):
    class Failing:
        cameras = ()

        def plan(self, observation):
            raise ValueError("no plan")

    opened = training_rounds.open_planner
    monkeypatch.setattr(training_rounds, "open_planner", lambda *args: replace(opened(*args), planner=Failing()))
    monkeypatch.setattr(training_rounds, "_trained", lambda *args: undisturbed / "round-0/run/planner.safetensors")
    message = str(invoke(*command(base, tmp_path / "failing")).exception)
    assert "fails in log town-000000" in message
    assert "no plan" in message
    assert not list((tmp_path / "failing").rglob("*.npz"))


def test_a_planner_is_driven_with_the_cameras_of_the_set(base, undisturbed, tmp_path, monkeypatch):
    seen = {}
    monkeypatch.setattr(training_rounds, "record_rollouts", lambda *args, **more: seen.update(more))
    drawn = replace(read_all_options(base / "set"), rig="default", cameras=("front",))
    planner, sources = undisturbed / "round-0" / "run" / "planner.safetensors", open_sources(["town:1"])
    training_rounds._drive(
        sources, planner, training_rounds.RoundSet(base / "set", None), drawn, RoundOptions(), tmp_path, None
    )
    (found,) = seen["prepare"](town(0)).cameras
    (expected,) = with_rig(town(0), "default", ("front",)).cameras
    assert found.name == expected.name
    assert np.array_equal(found.ego_from_camera, expected.ego_from_camera)
