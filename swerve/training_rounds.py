"""Training in rounds: train, drive, draw where the planner got to, train again (DAgger, Ross et al., 2011).

Every step resumes by itself, and is marked as done by its own files, so that a run that is killed at any time goes on
where it was. Sets of all rounds stay, and every round trains on all of them.
"""

import json
import os
import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, Final

from rich.console import Console

from swerve.data import Source
from swerve.data.dataset.augment_job import augment
from swerve.data.dataset.augment_options import AugmentOptions
from swerve.data.dataset.read_manifest import MANIFEST
from swerve.data.dataset.rigs import with_rig
from swerve.data.dataset.set_config import read_all_options
from swerve.data.jobs import log_names
from swerve.data.jobs.folder_locks import held
from swerve.data.storage.checked_json import anything, mapping_of, read_json
from swerve.data.storage.files import (
    commit,
    file_digest,
    make_folder,
    os_errors_as_swerve_errors,
    temporary_path,
    to_json,
    write_atomically,
)
from swerve.data.stream.catalogue import read_catalogue
from swerve.eval.benchmark.renderers import default_renderers, renderer_of
from swerve.eval.benchmark.view_renderers import ViewRenderer
from swerve.eval.closed_loop.rollout_file import FOLDER, INDEX
from swerve.eval.context.context_job import write_contexts
from swerve.eval.context.context_store import CONTEXTS
from swerve.eval.planner_process.planner_limits import PlannerLimits
from swerve.eval.training_viewpoints import TrainingViewpointOptions, maker_of
from swerve.job_report import open_sources
from swerve.planners.open_planner import open_planner
from swerve.record_rollouts import record_rollouts
from swerve.round_options import RoundOptions
from swerve.scene_rollouts import ViewSettings
from swerve.scenes import SwerveError
from swerve.scenes.resize import Resize

ROUNDS: Final = "rounds.json"
PLANNER: Final = "planner.safetensors"
_TRAINED: Final = "trained.json"
_MARK: Final = mapping_of(anything)


@dataclass(frozen=True)
class RoundSet:
    """A training set, and its contexts if there are any."""

    dataset: Path
    contexts: Path | None


# Trains on sets in a folder, resuming what is there, and returns the planner's file.
TrainRound = Callable[[Sequence[RoundSet], Path], Path]
Report = Callable[[str], None]


def train_in_rounds(
    base: Sequence[RoundSet],
    folder: Path,
    options: RoundOptions,
    train: TrainRound,
    recipe: Mapping[str, Any],
    workers: int | None = None,
    console: Console | None = None,
    report: Report = lambda line: None,
) -> Path:
    """Train in rounds; return the planner of the last, OUT/planner.safetensors.

    Round k has a folder OUT/round-k with `run` (training), `driven` (rollouts on the training logs), `visited` (the
    set of the states that were visited, with the options of the first set), and `contexts` if that has them.

    Args:
        base: sets of the first round; the first one's logs of split train are driven.
        folder: of all rounds: new, or of this same run, which is then resumed.
        options: of the rounds.
        train: trains on the sets of a round.
        recipe: what determines the planners beside the sets, as JSON values by name: the same in all rounds.
        workers: processes; one per usable core if None.
        console: where progress is shown; nowhere if None.
        report: called with a line about each step.

    Raises:
        SwerveError: the folder is another run's, another process trains in it, the sources lack a log of the set, or a
            step fails.
    """
    if int(os.environ.get("WORLD_SIZE", "1")) > 1:
        raise SwerveError("rounds: are for one training process. With several, run the commands of a round in turn")
    if options.rounds > 1:
        _check_driving(base[0], options)
    with held(folder):
        _begin(folder, base, options, recipe)
        planner = _last_planner(base, folder, options, train, workers, console, report)
        _copied(planner, folder / PLANNER)
    return folder / PLANNER


def _last_planner(
    base: Sequence[RoundSet],
    folder: Path,
    options: RoundOptions,
    train: TrainRound,
    workers: int | None,
    console: Console | None,
    report: Report,
) -> Path:
    """Run the rounds; return the planner of the last."""
    sets = list(base)
    for number in range(options.rounds):
        place = folder / f"round-{number}"
        planner = _trained(place, sets, train)
        report(f"round {number}: trained on {len(sets)} sets, {planner}")
        if number + 1 < options.rounds:
            added = draw_visited(place, planner, base[0], options, workers, console)
            samples = read_json(added.dataset / "summary.json", _MARK)["samples"]
            report(f"round {number}: {samples} visited states in {added.dataset}")
            sets += [added] if samples else []
    return planner


def _check_driving(base: RoundSet, options: RoundOptions) -> None:
    """Check before the first training that its planner can be driven.

    Raises:
        SwerveError: a log of split train is in none of the sources, or the views need splats.
    """
    _training_logs(open_sources(options.round_sources), base)
    _renderer(options, read_all_options(base.dataset))


def _begin(folder: Path, base: Sequence[RoundSet], options: RoundOptions, recipe: Mapping[str, Any]) -> None:
    """Write rounds.json, or check that it is of the same run; more rounds may be asked for.

    Raises:
        SwerveError: it is of another set or of other options.
    """
    make_folder(folder)
    path = folder / ROUNDS
    plain: dict[str, Any] = {**asdict(options), "set": file_digest(base[0].dataset / MANIFEST)}
    plain |= {"round_sources": list(options.round_sources), "contexts": base[0].contexts is not None, **recipe}
    plain["more_sets"] = [file_digest(one.dataset / MANIFEST) for one in base[1:]]
    plain = json.loads(to_json(plain))
    if path.is_file():
        known = read_json(path, _MARK)
        differing = [name for name in plain if name != "rounds" and known.get(name, plain[name]) != plain[name]]
        if differing:
            raise SwerveError(f"{folder}: was begun with another {differing[0]}. Choose another folder")
    write_atomically(path, to_json(plain))


def _trained(place: Path, sets: Sequence[RoundSet], train: TrainRound) -> Path:
    """Return the planner of a round; train it unless trained.json says that it is."""
    mark, run = place / _TRAINED, place / "run"
    digests = [file_digest(one.dataset / MANIFEST) for one in sets]
    if mark.is_file():
        known = read_json(mark, _MARK)
        path = run / str(known.get("planner"))
        if known.get("sets") == digests and path.is_file() and file_digest(path) == known.get("sha256"):
            return path
        raise SwerveError(f"{place}: its planner or its sets have changed since it was trained. Choose another folder")
    path = train(sets, run)
    write_atomically(mark, to_json({"planner": path.name, "sha256": file_digest(path), "sets": digests}))
    return path


def draw_visited(
    place: Path, planner: Path, base: RoundSet, options: RoundOptions, workers: int | None, console: Console | None
) -> RoundSet:
    """Drive a planner on a set's training logs and draw where it got to; steps that are done are left as they are.

    Args:
        place: folder, which gets `driven`, `visited` and, if the base set has contexts, `contexts`.
        planner: file of the planner.
        base: set whose options the drawn set has.
        options: of the rounds.
        workers: processes; one per usable core if None.
        console: where progress is shown; nowhere if None.

    Raises:
        SwerveError: the sources lack a log of the set, the planner fails, or a part of the drawn set does.
    """
    sources, drawn = (
        open_sources(options.round_sources),
        replace(read_all_options(base.dataset), viewpoints=("visited",)),
    )
    driven = place / "driven"
    if not (driven / FOLDER / INDEX).is_file():
        _drive(sources, planner, base, drawn, options, driven / FOLDER, console)
    training = TrainingViewpointOptions(visited=driven, visited_interval=options.visited_interval)
    dataset, contexts = place / "visited", place / "contexts" if base.contexts else None
    maker = maker_of(drawn, training)
    if not _is_drawn(dataset):
        report = augment(sources, dataset, drawn, workers, console, maker)
        if report.summary["failures"]:
            raise SwerveError(f"{dataset}: {report.summary['failures']} parts failed, see failures.json. Run it again")
    if contexts and not (contexts / CONTEXTS).is_file():
        made = write_contexts(sources, dataset, contexts, workers, console, maker)
        if made.failures:
            raise SwerveError(f"{contexts}: {len(made.failures)} parts failed, see failures.json. Run it again")
    return RoundSet(dataset, contexts)


def _is_drawn(dataset: Path) -> bool:
    """Return whether a set is finished without failures; a set with failures has a manifest, too."""
    return (dataset / MANIFEST).is_file() and not read_json(dataset / "summary.json", _MARK)["failures"]


def _training_logs(sources: Sequence[Source], base: RoundSet) -> list[tuple[Source, str]]:
    """Return the logs of a set's split train, with their sources.

    Raises:
        SwerveError: one of them is in none of the sources.
    """
    owners, wanted = log_names(sources), sorted(read_catalogue(base.dataset, "train").logs)
    if lost := [name for name in wanted if name not in owners]:
        raise SwerveError(f"{base.dataset}: its log {lost[0]} is in none of --round-sources")
    return [(sources[owners[name]], name) for name in wanted]


def _renderer(options: RoundOptions, drawn: AugmentOptions) -> ViewRenderer:
    return renderer_of(options.round_views, default_renderers(drawn.style, drawn.seed, None))


def _drive(
    sources: Sequence[Source],
    planner: Path,
    base: RoundSet,
    drawn: AugmentOptions,
    options: RoundOptions,
    folder: Path,
    console: Console | None,
) -> None:
    """Drive a planner on the logs of split train, with the cameras of the set.

    Raises:
        SwerveError: one of them is in none of the sources, or the planner fails.
    """
    settings = ViewSettings(_renderer(options, drawn), Resize(drawn.size, drawn.fit))
    opened = open_planner(str(planner), PlannerLimits())
    # Whatever the folder of the rounds, so that sets and planners do not depend on it.
    opened = replace(opened, label=planner.parent.parent.name, identity=file_digest(planner))
    logs, quiet = _training_logs(sources, base), console or Console(quiet=True)
    rigged = partial(with_rig, rig=drawn.rig, names=drawn.cameras)
    drive, every = options.round_drive, options.round_interval
    record_rollouts(logs, opened, settings, drive, every, folder, quiet, prepare=rigged)


def _copied(planner: Path, out: Path) -> None:
    """Copy the planner of the last round atomically."""
    with os_errors_as_swerve_errors(out.parent):
        shutil.copyfile(planner, temporary_path(out))
        commit(out)
