"""Observations that planners are given in a benchmark's scenes."""

import hashlib
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from functools import partial
from typing import Any, Final, Protocol, TypeVar, runtime_checkable

import numpy as np
from jaxtyping import Float, UInt8

from swerve.data.dataset.targets import ego_history, interpolate_poses_at
from swerve.eval.benchmark.evaluate.call_planner import PlannerOutput, format_error
from swerve.eval.benchmark.scene_group import BenchmarkScene, PastViews, SceneViews
from swerve.eval.context.privileged_input import PrivilegedInput
from swerve.eval.context.scene_context import Context
from swerve.eval.scoring.thresholds import FRAMES, POSE_INTERVAL
from swerve.scenes import Camera, SwerveError
from swerve.scenes.camera_roles import HINT, cameras_named, renamed, rig_names
from swerve.scenes.errors import PlannerError
from swerve.scenes.notices import say_once
from swerve.scenes.past_frames import past_camera, split_past_name
from swerve.scenes.planning import CameraChoice, History, Observation, Planner, chosen_names
from swerve.scenes.printable import printable
from swerve.scenes.transforms import relative_poses
from swerve.scenes.viewpoints import Viewpoint

HISTORY_SECONDS = 1.5
Images = Mapping[str, UInt8[np.ndarray, "_ _ 3"]]
PastPlacement = Callable[..., Camera]
_T = TypeVar("_T")
_LONGEST_REASON: Final = 1000


@runtime_checkable
class RecordedViews(Protocol):
    """Views of a data set that also gives its scenes as recorded."""

    def recording(self, benchmark_scene: BenchmarkScene) -> Any:  # noqa: ANN401 of the data set
        """Return a scene as the data set recorded it."""


def observation_of(
    benchmark_scene: BenchmarkScene, context: Context, planner: Planner, views: SceneViews | None
) -> Observation:
    """Return one planner's observation; see `observations_of`.

    Raises:
        SwerveError: the same; or the planner needs images that are not available.
    """
    wanted = required_cameras(benchmark_scene, planner, views)
    return _observations(benchmark_scene, context, [planner], [wanted], views)[0]


def observations_of(
    benchmark_scene: BenchmarkScene, context: Context, planners: Sequence[Planner], views: SceneViews | None
) -> list[Observation | PlannerOutput]:
    """Return the observation of each planner, or its failure where it needs images that are not available.

    Shared arrays are read-only.

    Args:
        benchmark_scene: the scene from the ego's viewpoint.
        context: scoring context of the scene; for planners that declare `privileged`.
        planners: see `Planner` for what they may declare.
        views: images of the scene; None if there are none.

    Raises:
        SwerveError: the scene has less than 1.5 s of history.
    """
    wanted = [_wanted_cameras(benchmark_scene, planner, views) for planner in planners]
    able = [(planner, one) for planner, one in zip(planners, wanted, strict=True) if not isinstance(one, PlannerOutput)]
    made = iter(_observations(benchmark_scene, context, *_unzipped(able), views))
    return [one if isinstance(one, PlannerOutput) else next(made) for one in wanted]


def _unzipped(pairs: Sequence[tuple[Planner, tuple[Camera, ...]]]) -> tuple[list[Planner], list[tuple[Camera, ...]]]:
    return [planner for planner, _ in pairs], [cameras for _, cameras in pairs]


def _wanted_cameras(
    benchmark_scene: BenchmarkScene, planner: Planner, views: SceneViews | None
) -> tuple[Camera, ...] | PlannerOutput:
    try:
        return required_cameras(benchmark_scene, planner, views)
    except SwerveError as error:
        return PlannerOutput(None, str(error), 0.0)


def _observations(
    benchmark_scene: BenchmarkScene,
    context: Context,
    planners: Sequence[Planner],
    wanted: Sequence[tuple[Camera, ...]],
    views: SceneViews | None,
) -> list[Observation]:
    """Return the observation of each planner, given its cameras."""
    viewpoint = benchmark_scene.viewpoint
    observation = Observation(
        token=hash_token(benchmark_scene.token),
        time_us=context.start_us,
        vehicle=viewpoint.vehicle,
        history=_history(benchmark_scene),
        command=viewpoint.command,
    )
    images = _images(benchmark_scene, views, {camera.name for one in wanted for camera in one})
    privileged_input = replace(context.privileged_input, human=_human(context, viewpoint))
    made = [
        _for_planner(observation, planner, one, images, privileged_input)
        for planner, one in zip(planners, wanted, strict=True)
    ]
    return [
        replace(one, recording=views.recording(benchmark_scene))
        if isinstance(views, RecordedViews) and _gets_recording(planner, views)
        else one
        for planner, one in zip(planners, made, strict=True)
    ]


def _gets_recording(planner: Planner, views: SceneViews | None) -> bool:
    """Return whether a planner gets the scene as recorded."""
    return bool(getattr(planner, "recording", False)) and isinstance(views, RecordedViews)


def hash_token(token: str) -> str:
    """Hash a token, because a benchmark's tokens reveal the follow-up's position in its grid."""
    return hashlib.blake2b(token.encode(), digest_size=8).hexdigest()


def _for_planner(
    observation: Observation,
    planner: Planner,
    cameras: tuple[Camera, ...],
    images: Images,
    privileged_input: PrivilegedInput,
) -> Observation:
    privileged = privileged_input if getattr(planner, "privileged", False) else None
    own = {camera.name: images[camera.name] for camera in cameras}
    return replace(observation, cameras=cameras, images=own, privileged=privileged)


def required_cameras(benchmark_scene: BenchmarkScene, planner: Planner, views: SceneViews | None) -> tuple[Camera, ...]:
    """Return the cameras that a planner declares, see `declared_cameras`.

    Raises:
        SwerveError: there are no images, or there is no camera of that name.
    """
    if _gets_recording(planner, views):
        return ()
    cameras = views.cameras(benchmark_scene) if views else ()
    lacking = "this benchmark has none. Build it with views"
    place = partial(past_camera, viewpoint=benchmark_scene.viewpoint) if isinstance(views, PastViews) else None
    return declared_cameras(planner, cameras, benchmark_scene.token, lacking, place)


def uses_images(planner: Planner) -> bool:
    """Return whether a planner declares cameras, or none at all, which means all of them."""
    names = getattr(planner, "cameras", None)
    return names is None or callable(names) or len(names) > 0


def declared_cameras(
    planner: Planner,
    cameras: Sequence[Camera],
    token: str,
    lacking: str,
    place_past: PastPlacement | None = None,
    observation: Observation | None = None,
) -> tuple[Camera, ...]:
    """Return the cameras that a planner declares, in the rig's order; all if it declares nothing.

    They bear the planner's names: those of the rig, or else roles (`swerve.scenes.camera_roles`), of which a notice
    then tells; `rig_names` returns those of the rig. Past frames (`swerve.scenes.past_frames`) follow, in the order in
    which it names them.

    Args:
        planner: see `Planner`.
        cameras: those with images.
        token: of the scene.
        lacking: reason why there are no images, and a remedy.
        place_past: places a camera as it stood some time ago, given it, `seconds` and `name`; None if there are no past
            frames.
        observation: for which the planner may choose (`cameras_at`), without images; None where it is not asked.

    Raises:
        SwerveError: there are no images, there is no camera of that name, or of that time; or the planner refuses.
        PlannerError: the planner raised anything else.
    """
    check = getattr(planner, "check_sensors", None)
    if check is not None:
        _ask(planner, "check_sensors", check)
    if not uses_images(planner):
        return ()
    who = f"scene {token}: {getattr(planner, 'class_name', type(planner).__name__)}"
    if not cameras:
        raise SwerveError(f"{who} needs images, and {lacking}, or declare `cameras = ()`")
    names = _ask(planner, "cameras", lambda: chosen_names(_choice(planner, observation), cameras))
    known = {camera.name: camera for camera in cameras}
    past = {name: split_past_name(name) for name in names if name not in known and split_past_name(name)[1]}
    wanted = [past[name][0] if name in past else name for name in names]
    named = cameras_named(cameras, wanted)
    if missing := [name for name in wanted if name not in named]:
        raise SwerveError(f"{who} needs camera {missing[0]!r}; there are: {', '.join(known)}. {HINT}")
    _tell_roles(planner, named)
    if past and place_past is None:
        raise SwerveError(
            f"{who} needs past frames ({', '.join(past)}), and only images of now are given here. Past frames are "
            "rendered on demand, of the views raster and photo of a benchmark, and in closed loop"
        )
    own = [*renamed({name: named[name] for name in names if name not in past}, cameras)]
    if place_past is not None:
        own += [place_past(named[base], seconds=ago, name=name) for name, (base, ago) in past.items()]
    return tuple(own)


def _tell_roles(planner: Planner, named: Mapping[str, Camera]) -> None:
    """Say which cameras a planner gets that bear other names in the data."""
    others = [f"{name} is {camera.name}" for name, camera in named.items() if camera.name != name]
    if others:
        who = getattr(planner, "class_name", type(planner).__name__)
        say_once(printable(f"cameras of {who}, which are here by other names: {', '.join(others)}"))


def _choice(planner: Planner, observation: Observation | None) -> CameraChoice:
    """Return the cameras that a planner declares, for this observation if it chooses anew for each."""
    choose = getattr(planner, "cameras_at", None)
    choice: CameraChoice = getattr(planner, "cameras", None)
    return choice if choose is None or observation is None else choose(observation)


def check_available(required: Callable[[], object]) -> None:
    """Check before a run that a planner has the images that it needs; one that breaks then fails in its scenes alone.

    Args:
        required: calls `declared_cameras`.

    Raises:
        SwerveError: it needs images that are not available.
    """
    with suppress(PlannerError):
        required()


def _ask(planner: Planner, what: str, ask: Callable[[], _T]) -> _T:
    """Ask a planner what it needs.

    Raises:
        SwerveError: it refuses.
        PlannerError: it raised anything else.
    """
    try:
        return ask()
    except SwerveError:
        raise
    except (Exception, SystemExit) as error:  # Planners may raise anything; KeyboardInterrupt propagates.
        who = getattr(planner, "class_name", type(planner).__name__)
        last = format_error(error).splitlines()[-1][:_LONGEST_REASON]
        raise PlannerError(f"{who}: {what}: {last}") from error


def _images(benchmark_scene: BenchmarkScene, views: SceneViews | None, names: set[str]) -> Images:
    if views is None or not names:
        return {}
    rig, times = views.cameras(benchmark_scene), dict[float, dict[str, str]]()
    own, images = {camera.name for camera in rig}, dict[str, UInt8[np.ndarray, "_ _ 3"]]()
    for name in sorted(names):
        base, seconds = (name, 0.0) if name in own else split_past_name(name)
        times.setdefault(seconds, {})[name] = rig_names([base], rig)[0]
    for seconds, asked in times.items():
        there = list(dict.fromkeys(asked.values()))
        if seconds:
            assert isinstance(views, PastViews)
            found = views.past_images(benchmark_scene, there, seconds)
        else:
            found = views.images(benchmark_scene, there)
        images |= {name: found[source] for name, source in asked.items()}
    for image in images.values():
        image.setflags(write=False)
    return images


def _history(benchmark_scene: BenchmarkScene) -> History:
    """Return the ego history of the last 1.5 s.

    Raises:
        SwerveError: the scene covers less.
    """
    history, valid = ego_history(benchmark_scene.viewpoint, HISTORY_SECONDS)
    if not valid.all():
        raise SwerveError(f"scene {benchmark_scene.token}: has less than {HISTORY_SECONDS} s of history")
    for values in vars(history).values():
        values.setflags(write=False)
    return history


def _human(context: Context, viewpoint: Viewpoint) -> Float[np.ndarray, "8 3"] | None:
    """Return the human's poses at 0.5, 1, ..., 4 s, relative to the current ego pose.

    In the first stage they are the context's. In follow-up scenes they are the viewpoint's, interpolated as in
    `interpolate_poses_at`; None if these end before 4 s.
    """
    if context.human is not None or len(viewpoint.human) < 2:
        return context.human
    scene = viewpoint.scene
    times_us = scene.times_us[scene.history + 1 :][: len(viewpoint.human)]
    seconds = POSE_INTERVAL * np.arange(1, FRAMES)
    poses, valid = interpolate_poses_at(times_us, viewpoint.human, scene.times_us[scene.history], seconds)
    if not valid.all():
        return None
    return relative_poses(viewpoint.world_from_ego, poses)
