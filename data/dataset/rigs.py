"""Cameras of a job's logs: chosen by name or role, and compared before the job begins."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

from rich.console import Console

from swerve.data.dataset.augment_options import RigName
from swerve.data.sources.default_rigs import default_rig, is_default_rig
from swerve.data.sources.source import FileSource, RigSource, Source
from swerve.scenes import Camera, Log, SwerveError
from swerve.scenes.camera_roles import HINT, ROLES, cameras_by_role, cameras_named, renamed


def with_rig(log: Log, rig: RigName, names: Sequence[str]) -> Log:
    """Return the log with the cameras of a job, and with their photos.

    Args:
        log: log.
        rig: own: its cameras; default: `default_rig`, without photos.
        names: names or roles (`cameras_named`) of the cameras, which then bear them; all, with their own names, if
            empty.

    Raises:
        SwerveError: there are no cameras, or none of one of the names.
    """
    if rig == "default":
        log = replace(log, cameras=default_rig(), photos=())
    if not log.cameras:
        raise SwerveError(f"log {log.name} has no cameras: there is nothing to render. Use --rig default")
    if not names:
        return log
    chosen = cameras_named(log.cameras, names)
    if missing := [name for name in names if name not in chosen]:
        known = ", ".join(camera.name for camera in log.cameras)
        raise SwerveError(f"log {log.name} has no camera {missing[0]!r}; it has {known}. {HINT}")
    name_of = {camera.name: name for name, camera in chosen.items()}
    photos = tuple(replace(photo, camera=name_of[photo.camera]) for photo in log.photos if photo.camera in name_of)
    return replace(log, cameras=renamed(chosen, log.cameras), photos=photos)


def report_rigs(
    sources: Sequence[Source],
    owners: Mapping[str, int],
    rig: RigName,
    names: Sequence[str],
    console: Console | None,
) -> None:
    """Print how the cameras of a job's logs differ, see `check_rigs`.

    Raises:
        SwerveError: see `check_rigs`.
    """
    for line in check_rigs(sources, owners, rig, names):
        if console is not None:
            console.print(line, style="yellow", markup=False, highlight=False, soft_wrap=True)


def check_rigs(sources: Sequence[Source], owners: Mapping[str, int], rig: RigName, names: Sequence[str]) -> list[str]:
    """Compare the cameras of all logs whose source is a `RigSource`; return lines on how they differ.

    Logs that cannot be read are left to the job, which reports them.

    Args:
        sources: of the logs.
        owners: index of the source of each log.
        rig: see `with_rig`.
        names: see `with_rig`.

    Raises:
        SwerveError: a log has no cameras, or none of one of the names.
    """
    if rig == "default":
        _check(names, {"the default rig": default_rig()})
        return []
    rigs = _known_rigs(sources, owners)
    if blind := [log for log, cameras in rigs.items() if not cameras]:
        raise SwerveError(
            f"{_of(blind, len(owners))} no cameras, the first {blind[0]}: there is nothing to render. Use "
            "--rig default where the command has it"
        )
    _check(names, rigs)
    differences = _other_names(rigs, names) if names else _differences(rigs)
    return _without_calibration(sources, owners, rigs) + differences


def _known_rigs(sources: Sequence[Source], owners: Mapping[str, int]) -> dict[str, tuple[Camera, ...]]:
    """Return the cameras of the logs in which they can be read without the rest, in the order of the logs."""
    found = dict[str, tuple[Camera, ...]]()
    for number, source in enumerate(sources):
        if isinstance(source, RigSource):
            found.update(source.rigs({log for log, owner in owners.items() if owner == number}))
    return {log: found[log] for log in owners if log in found}


def _without_calibration(
    sources: Sequence[Source], owners: Mapping[str, int], rigs: Mapping[str, tuple[Camera, ...]]
) -> list[str]:
    """Return a line on the logs that are read from files without cameras, and are given the default rig."""
    logs = [log for log, rig in rigs.items() if isinstance(sources[owners[log]], FileSource) and is_default_rig(rig)]
    if not logs:
        return []
    told = "has no calibration: its images are" if len(logs) == 1 else "have no calibration: their images are"
    return [f"{_logs(logs)} {told} of the default rig, and there are no photos"]


def _check(names: Sequence[str], rigs: Mapping[str, tuple[Camera, ...]]) -> None:
    """Check that every log has every camera asked for.

    Raises:
        SwerveError: otherwise, in one sentence on all logs.
    """
    lacking = {log: set(names) - cameras_named(rig, names).keys() for log, rig in rigs.items()}
    if affected := [log for log, names_of_log in lacking.items() if names_of_log]:
        first = affected[0]
        missing = next(name for name in names if name in lacking[first])
        hint = "Lists are separated by spaces. " if "," in missing else ""
        known = ", ".join(camera.name for camera in rigs[first])
        count = _of(affected, len(rigs)) if len(rigs) > 1 else "the log has"
        raise SwerveError(
            f"cameras: {count} no camera {missing!r}, the first {first}, which has {known}. {hint}{HINT}. Choose "
            "cameras that all logs have, or --rig default where the command has it"
        )


def _differences(rigs: Mapping[str, tuple[Camera, ...]]) -> list[str]:
    """Return lines on logs whose cameras bear other names."""
    logs_of = dict[tuple[str, ...], list[str]]()
    for log, rig in rigs.items():
        logs_of.setdefault(tuple(sorted(camera.name for camera in rig)), []).append(log)
    if len(logs_of) < 2:
        return []
    lines = [f"{_logs(logs)}: {', '.join(names)}" for names, logs in logs_of.items()]
    shared = set(ROLES).intersection(*(cameras_by_role(rig) for rig in rigs.values()))
    roles = " ".join(role for role in ROLES if role in shared)
    advice = (
        f"--cameras {roles} takes those that look the same way, under these names" if roles else "No role is in all"
    )
    return ["The logs have different cameras:", *lines, f"{advice}; --rig default gives all logs the same rig."]


def _other_names(rigs: Mapping[str, tuple[Camera, ...]], names: Sequence[str]) -> list[str]:
    """Return lines on cameras that are chosen by their role."""
    logs_of = dict[str, list[str]]()
    for log, rig in rigs.items():
        others = [f"{name} is {own.name}" for name, own in cameras_named(rig, names).items() if own.name != name]
        if others:
            logs_of.setdefault(", ".join(others), []).append(log)
    return [f"{_logs(logs)}: {others}" for others, logs in logs_of.items()]


def _of(logs: Sequence[str], all_logs: int) -> str:
    return f"{len(logs)} of {all_logs} logs {'has' if len(logs) == 1 else 'have'}"


def _logs(logs: Sequence[str]) -> str:
    return f"{len(logs)} logs (the first: {logs[0]})" if len(logs) > 1 else f"log {logs[0]}"
