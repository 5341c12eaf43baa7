"""Find out what a source or a folder is, and describe it."""

import sys
from dataclasses import dataclass, replace
from pathlib import Path

import yaml

from swerve.data import open_source
from swerve.data.sources.default_rigs import default_rig
from swerve.data.sources.source import require_scenes
from swerve.options.shared import Shown
from swerve.scene_sheet import pick_scene, scene_viewpoints
from swerve.scenes import Log, SwerveError
from swerve.viz.scene_view import SceneView3D

# Recovery and cross-agent viewpoints that are shown.
_VIEWPOINTS = 16
WORST, RESULTS = "worst", "results.parquet"


@dataclass(frozen=True)
class _Options:
    """Options that belong to some things alone, with the things."""

    given: dict[str, bool]

    def only(self, source: str, *names: str) -> None:
        """Check that no other option is given.

        Raises:
            SwerveError: one is.
        """
        if wrong := [name for name, is_given in self.given.items() if is_given and name not in names]:
            raise SwerveError(f"{source}: --{wrong[0]} has no meaning for this: leave it out")


def view_of(source: str, shown: Shown) -> SceneView3D:
    """Describe a source of logs, or an output of Swerve.

    Raises:
        SwerveError: it cannot be opened, is not finished, or has no such log or scene; or an option does not fit it.
    """
    options = _Options(
        {
            "log": shown.log is not None,
            "at": shown.at is not None,
            "scene": shown.scene != 0,
            "planner": shown.planner is not None,
            "splats": shown.splats is not None,
        }
    )
    folder = Path(source)
    if folder.is_file() and folder.suffix == ".npz":
        options.only(source, "at")
        return _rollout(folder, shown)
    if folder.is_dir() and (found := _of_folder(folder, shown, options)) is not None:
        return found
    options.only(source, "log", "at", "splats")
    return _of_log(source, shown)


def _of_folder(folder: Path, shown: Shown, options: _Options) -> SceneView3D | None:
    """Describe an output of Swerve; None if the folder is none."""
    if (folder / RESULTS).is_file():
        options.only(str(folder), "scene", "planner")
        return _evaluation(folder, shown)
    if (folder / "benchmark.json").is_file():
        options.only(str(folder), "log", "scene", "planner")
        return _benchmark(folder, shown)
    if (folder / "manifest.parquet").is_file():
        from swerve.views.set_view import set_view

        options.only(str(folder), "log")
        return set_view(folder, shown.log)
    if (folder / WORST).is_dir():
        options.only(str(folder), "at", "scene", "planner")
        return _rollout(pick_rollout(folder, shown), shown)
    from swerve.views.splat_view import fitted_scene, is_splat_scene, splat_scene_view

    if is_splat_scene(folder) or any(folder.glob("*/graph.json")):
        options.only(str(folder), "log")
        return splat_scene_view(folder if is_splat_scene(folder) else fitted_scene(folder, shown.log))
    if (folder / "job.json").is_file():
        raise SwerveError(f"{folder}: this job is not finished, or its output cannot be shown. Run it to its end")
    return None


def _benchmark(folder: Path, shown: Shown) -> SceneView3D:
    from swerve.eval.benchmark.benchmark_store import open_benchmark
    from swerve.views.benchmark_view import benchmark_view, pick_group

    opened = open_benchmark(folder)
    name = pick_group(opened, shown.log, shown.scene)
    if shown.planner is None:
        return benchmark_view(opened, name)
    if not shown.planner.endswith(".safetensors"):
        raise SwerveError(f"--planner {shown.planner}: of a benchmark, a FILE.safetensors of swerve train is needed")
    from swerve.views.proposals_view import proposal_plans

    return benchmark_view(opened, name, proposal_plans(opened.scene_group(name), name, shown.planner))


def _evaluation(folder: Path, shown: Shown) -> SceneView3D:
    from swerve.eval.benchmark.benchmark_store import open_benchmark
    from swerve.eval.benchmark.evaluate.results import read_results
    from swerve.views.benchmark_view import evaluation_view

    benchmark = benchmark_of(folder)
    if benchmark is None or not (benchmark / "benchmark.json").is_file():
        raise SwerveError(f"{folder}: its benchmark {benchmark or ''} is not there, which has the scenes")
    return evaluation_view(open_benchmark(benchmark), read_results(folder), shown.scene, shown.planner)


def benchmark_of(folder: Path) -> Path | None:
    """Return the benchmark's folder as the options of an evaluation name it; None if they do not."""
    try:
        options = yaml.safe_load((folder / "config.yaml").read_text())
        return Path(str(options["benchmark"]))
    except (OSError, UnicodeDecodeError, yaml.YAMLError, LookupError, TypeError):
        return None


def pick_rollout(folder: Path, shown: Shown) -> Path:
    """Return the file of a rollout of an output of `swerve drive`.

    Raises:
        SwerveError: there is none of this planner or number.
    """
    from swerve.data.storage.files import safe_name

    prefix = "*" if shown.planner is None else safe_name(shown.planner)
    files = sorted((folder / WORST).glob(f"{prefix}-{shown.scene}.npz"))
    if not files:
        known = ", ".join(path.stem for path in sorted((folder / WORST).glob("*.npz"))[:6])
        raise SwerveError(f"{folder}: no rollout {shown.scene} of {shown.planner or 'any planner'}; it has {known}")
    return files[0]


def _rollout(path: Path, shown: Shown) -> SceneView3D:
    from swerve.views.rollout_view import rollout_view

    return started_at(rollout_view(path), shown.at)


def started_at(view: SceneView3D, at: float | None) -> SceneView3D:
    """Return a view that starts at a time, in seconds.

    Raises:
        SwerveError: the time is outside.
    """
    if at is None:
        return view
    if not view.times[0] <= at <= view.times[-1]:
        raise SwerveError(f"--at {at:g}: the view lasts from {view.times[0]:.1f} to {view.times[-1]:.1f} s")
    return replace(view, start=int(abs(view.times - at).argmin()))


def _of_log(source: str, shown: Shown) -> SceneView3D:
    from swerve.views.log_view import log_view

    log = loaded(source, shown.log)
    scene = pick_scene(log, shown.at)
    viewpoints, _ = scene_viewpoints(scene, shown.seed)
    window = (scene.now - scene.history, scene.now + scene.future)
    view = log_view(log, source, scene.now, viewpoints[:_VIEWPOINTS], window)
    if shown.splats is None:
        return view
    from swerve.views.splat_view import with_splats

    return with_splats(view, log, shown.splats)


def loaded(source: str, name: str | None) -> Log:
    """Return a log of a source, the first if no name is given; one without cameras gets the default rig.

    Raises:
        SwerveError: the source has no such log.
    """
    opened = open_source(source)
    require_scenes(opened)
    names = opened.names()
    if name and name not in names:
        more = ", ..." if len(names) > 5 else ""
        raise SwerveError(f"{source}: no log {name!r}; it has {', '.join(names[:5])}{more}")
    log = opened.load(name or names[0])
    if log.cameras:
        return log
    print(f"{log.name} has no cameras: rendered with the default rig of eight", file=sys.stderr)
    return replace(log, cameras=default_rig())
