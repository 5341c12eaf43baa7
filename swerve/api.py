"""High-level functions, which `import swerve` offers; sources, folders and planners may be given as text."""

from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np

from swerve.data import Source, open_source
from swerve.data.dataset import AugmentOptions, AugmentReport
from swerve.data.dataset import augment as run_augment
from swerve.data.jobs import Workers
from swerve.data.storage.mirror import output_folder
from swerve.eval.benchmark.build.build_job import BuildReport
from swerve.eval.benchmark.build.build_job import build as run_build
from swerve.eval.benchmark.build_options import BuildOptions
from swerve.eval.benchmark.evaluate.planner_records import Evaluation
from swerve.eval.benchmark.view_renderers import Renderers
from swerve.evaluation import evaluate_planners
from swerve.options.evaluate import EvaluateOptions
from swerve.scenes import Scene, SwerveError
from swerve.scenes.option_checks import check_list
from swerve.scenes.primitives import Primitives, build_dynamic, build_static
from swerve.scenes.viewpoints import Viewpoint, ViewpointKind, ViewpointOptions, build_log_geometry, build_viewpoints

AnySource = str | Path | Source
_KINDS_OF_SCENES = ("logged", "recovery", "cross_agent")
_AUGMENT, _BUILD, _EVALUATE, _VIEWPOINTS = AugmentOptions(), BuildOptions(), EvaluateOptions(), ViewpointOptions()


def augment(
    sources: Iterable[AnySource], out: str | Path, options: AugmentOptions = _AUGMENT, workers: Workers = None
) -> AugmentReport:
    """Render logs from logged, recovery and cross-agent viewpoints into a training set, as `swerve augment` does.

    Args:
        sources: Sources of logs, or texts as on the command line, such as "town:2".
        out: Output folder or URL (s3://...): new, empty, or of this same job, which is then resumed.
        options: The training set.
        workers: Worker processes; one per core if None.
    """
    with output_folder(out) as folder:
        return run_augment(_opened(sources), folder, options, workers)


def build_benchmark(
    sources: Iterable[AnySource],
    out: str | Path,
    options: BuildOptions = _BUILD,
    workers: Workers = None,
    splats: str | Path | None = None,
    renderers: Renderers | None = None,
) -> BuildReport:
    """Build a two-stage benchmark from logs, as `swerve build` does.

    Args:
        sources: Sources of logs, or texts as on the command line.
        out: Output folder or URL (s3://...): new, empty, or of this same job, which is then resumed.
        options: The benchmark.
        workers: Worker processes; one per core if None.
        splats: Folder that `swerve fit` made, for splat views.
        renderers: Renderers by kind of views, in place of those of Swerve.
    """
    with output_folder(out) as folder:
        return run_build(
            _opened(sources),
            folder,
            options,
            workers,
            splats=None if splats is None else Path(splats),
            renderers=renderers,
        )


def evaluate(
    benchmark: str | Path,
    planners: Sequence[str | type],
    out: str | Path,
    options: EvaluateOptions = _EVALUATE,
    workers: Workers = None,
) -> Evaluation:
    """Evaluate planners on a benchmark by two-stage pseudo-simulation, as `swerve evaluate` does.

    Args:
        benchmark: Folder of the benchmark; navsim:ROOT, with the split in the options; or wod_e2e:PATH.
        planners: Names as on the command line, or classes that worker processes can import, made without arguments.
        out: Output folder or URL: new, empty, or of an evaluation of this benchmark.
        options: The evaluation.
        workers: Worker processes; one per core if None.
    """
    specs = [planner if isinstance(planner, str) else _spec(planner) for planner in planners]
    with output_folder(out) as folder:
        return evaluate_planners(benchmark, specs, folder, options, workers)


def primitives_of(scene: Scene) -> Primitives:
    """Return the map, agents and lights of a scene's current frame as annotated triangles, world frame."""
    return build_static(scene.log.road_map).concatenate(build_dynamic(scene.tracks, scene.lights, scene.history))


def viewpoints_of(
    scene: Scene,
    kinds: Sequence[str] = ("recovery",),
    options: ViewpointOptions = _VIEWPOINTS,
    seed: int = 0,
) -> list[Viewpoint]:
    """Return the feasible viewpoints of a scene.

    Args:
        scene: The scene.
        kinds: "logged", "recovery" and "cross_agent"; the others need a job, see `augment`.
        options: How many, and how far from the log.
        seed: Seed of the recovery viewpoints.

    Raises:
        SwerveError: A kind is none of these.
    """
    check_list("kinds", kinds)
    if unknown := [kind for kind in kinds if getattr(kind, "value", kind) not in _KINDS_OF_SCENES]:
        raise SwerveError(f"kinds: {unknown[0]!r} is none of {', '.join(_KINDS_OF_SCENES)}")
    return build_viewpoints(
        scene, [ViewpointKind(kind) for kind in kinds], options, seed, build_log_geometry(scene.log)
    )[0]


def poses_of(viewpoints: Sequence[Viewpoint]) -> np.ndarray:
    """Return the poses (p, 4, 4) of viewpoints, world_from_ego, as `render` takes them."""
    return np.stack([viewpoint.world_from_ego for viewpoint in viewpoints])


def _opened(sources: Iterable[AnySource]) -> list[Source]:
    """Open the sources that are given as text.

    Raises:
        SwerveError: a text is given instead of a list.
    """
    if isinstance(sources, (str, Path)):
        raise SwerveError(f"sources: give a list, as in [{str(sources)!r}]")
    return [open_source(source) if isinstance(source, (str, Path)) else source for source in sources]


def _spec(planner: type) -> str:
    """Return the text by which worker processes load a class."""
    if planner.__module__ == "__main__":
        raise SwerveError(f"planner {planner.__name__}: move it to a module, which worker processes can import")
    return f"{planner.__module__}:{planner.__qualname__}"
