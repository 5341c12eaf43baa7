"""Source registry: `KIND:PATH`, `town:COUNT`, or a path whose kind is detected."""

import re
from collections.abc import Callable
from pathlib import Path

from swerve.data.sources.source import Source
from swerve.data.storage.store import local_of, url_of
from swerve.data.storage.stored_folder import source_files
from swerve.scenes import SwerveError


def open_source(text: str | Path) -> Source:
    """Open the source named by a text or path: `KIND:PATH`, `town:COUNT`, or a path whose kind is detected.

    Raises:
        SwerveError: nothing of the kind exists, or a path's kind is not recognised.
    """
    text = str(text)
    if names_source(text):
        kind, _, rest = text.partition(":")
        return _OPENERS[kind](rest)
    path = source_files(text) if url_of(text) else local_of(text).expanduser()
    if not path.exists():
        raise SwerveError(f"{text}: no such file or folder, and not one of {', '.join(_FORMS)}")
    for name, recognised in _RECOGNISERS.items():
        if recognised(path):
            return _OPENERS[name](str(path))
    if (path / "benchmark.json").is_file():
        raise SwerveError(f"{text}: a benchmark, not a source of logs: swerve evaluate and swerve show take it")
    if (path / "provenance.json").is_file():
        raise SwerveError(f"{text}: an evaluation, not a source of logs: swerve view and swerve compare take it")
    if (path / "manifest.parquet").is_file() or (path.parent / "manifest.parquet").is_file():
        raise SwerveError(f"{text}: a training set, not a source of logs: swerve train and swerve show take its folder")
    raise SwerveError(
        f"{text}: kind of source not recognised. Looked for an Argoverse 2 log folder (annotations, poses or map), a "
        f"folder of them or of train, val, test folders of them; for KITTI sequences (odometry: calib.txt, image_0; "
        f"tracking: label_02, oxts; raw: DATE/DATE_drive_NNNN_sync) or a folder of them; for DGP scenes (DDAD's "
        f"scene_*.json); for 123D's logs (sync.arrow); for nuPlan's .db files; for nuScenes' tables (v1.0-mini, ...); "
        f"for OpenScene's navsim_logs; for .tfrecord files (Waymo's motion, perception and end-to-end data); and a "
        f"neutral .json log. "
        f"Or say which: {', '.join(_FORMS)}"
    )


def names_source(text: str) -> bool:
    """Return whether a text has the form KIND:PATH or town:COUNT; whether it exists is not looked at."""
    kind, colon, _ = text.partition(":")
    return bool(colon) and kind in _OPENERS


def _open_av2(text: str) -> Source:
    from swerve.data.sources.av2.av2_source import av2_source

    return av2_source(_existing(text))


def _open_dgp(text: str) -> Source:
    from swerve.data.sources.dgp.dgp_source import dgp_source

    return dgp_source(_existing(text))


def _open_123d(text: str) -> Source:
    from swerve.data.sources.py123d.py123d_source import py123d_source

    return py123d_source(_existing(text))


def _open_kitti(text: str) -> Source:
    from swerve.data.sources.kitti.kitti_source import kitti_source

    return kitti_source(_existing(text))


def _open_nuplan(text: str) -> Source:
    from swerve.data.sources.nuplan.nuplan_source import nuplan_source

    return nuplan_source(text)


def _open_navsim(text: str) -> Source:
    from swerve.data.sources.navsim.navsim_source import navsim_source

    return navsim_source(text)


def _open_nuscenes(text: str) -> Source:
    from swerve.data.sources.nuscenes.nuscenes_source import NuscenesSource

    return NuscenesSource(_existing(text))


def _open_waymo(text: str) -> Source:
    from swerve.data.sources.waymo.waymo_source import WaymoSource

    return WaymoSource(_existing(text))


def _open_wod_e2e(text: str) -> Source:
    from swerve.data.sources.wod_e2e.wod_e2e_source import WodE2eSource

    return WodE2eSource(_existing(text))


def _open_town(text: str) -> Source:
    from swerve.data.sources.town.town_source import TownSource

    if found := re.fullmatch(r"(\d{1,6})-(\d{1,6})", text):
        first, last = int(found[1]), int(found[2])
        return TownSource(last - first + 1, first=first)
    if not text.isdecimal() or int(text) < 1:
        raise SwerveError(
            f"town:{text}: give the number of logs to make, one or more, as in town:4, or the first and the last "
            "number, as in town:50-61"
        )
    return TownSource(int(text))


def _open_neutral(text: str) -> Source:
    from swerve.data.sources.neutral.neutral_source import NeutralSource

    return NeutralSource(_existing(text))


def _existing(text: str) -> Path:
    path = source_files(text) if url_of(text) else local_of(text).expanduser()
    if not text or not path.exists():
        raise SwerveError(f"{text or '(no path)'}: no such file or folder")
    return path


def _is_av2(path: Path) -> bool:
    from swerve.data.sources.av2.av2_source import log_folders

    return path.is_dir() and bool(log_folders(path))


def _is_dgp(path: Path) -> bool:
    from swerve.data.sources.dgp.dgp_source import scene_folders

    return path.is_dir() and bool(scene_folders(path))


def _is_123d(path: Path) -> bool:
    from swerve.data.sources.py123d.py123d_source import log_folders_123d

    return path.is_dir() and bool(log_folders_123d(path))


def _is_kitti(path: Path) -> bool:
    from swerve.data.sources.kitti.kitti_source import kitti_logs

    return path.is_dir() and bool(kitti_logs(path))


def _is_nuplan(path: Path) -> bool:
    from swerve.data.sources.nuplan.nuplan_folders import log_files

    return bool(log_files(path))


def _is_nuscenes(path: Path) -> bool:
    from swerve.data.sources.nuscenes.nuscenes_source import version_folders

    return bool(version_folders(path))


def _is_navsim(path: Path) -> bool:
    from swerve.data.sources.navsim.folders import is_navsim

    return is_navsim(path)


def _is_waymo(path: Path) -> bool:
    from swerve.data.sources.waymo.waymo_source import record_files

    return bool(record_files(path))


def _is_wod_e2e(path: Path) -> bool:
    from swerve.data.sources.wod_e2e.frame_index import is_wod_e2e

    return is_wod_e2e(path)


def _is_neutral(path: Path) -> bool:
    return path.is_file() and path.name.endswith((".json", ".json.gz"))


# The readers are imported only when used, so that `import swerve` stays quick.
_OPENERS: dict[str, Callable[[str], Source]] = {
    "av2": _open_av2,
    "123d": _open_123d,
    "dgp": _open_dgp,
    "kitti": _open_kitti,
    "navsim": _open_navsim,
    "neutral": _open_neutral,
    "nuplan": _open_nuplan,
    "nuscenes": _open_nuscenes,
    "waymo": _open_waymo,
    "wod_e2e": _open_wod_e2e,
    "town": _open_town,
}
_RECOGNISERS: dict[str, Callable[[Path], bool]] = {
    "av2": _is_av2,
    "123d": _is_123d,
    "dgp": _is_dgp,
    "kitti": _is_kitti,
    "nuplan": _is_nuplan,
    "nuscenes": _is_nuscenes,
    "wod_e2e": _is_wod_e2e,
    "waymo": _is_waymo,
    "navsim": _is_navsim,
    "neutral": _is_neutral,
}
_FORMS = (
    "av2:PATH",
    "123d:ROOT",
    "dgp:PATH",
    "kitti:PATH",
    "navsim:ROOT",
    "neutral:PATH",
    "nuplan:PATH",
    "nuscenes:ROOT",
    "waymo:PATH",
    "wod_e2e:PATH",
    "town:COUNT",
)
