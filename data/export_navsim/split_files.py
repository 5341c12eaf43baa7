"""NAVSIM's YAML files of a two-stage split. Tokens are quoted: some would else be read as numbers."""

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Final

from swerve.data.export_navsim.synthetic_scene import FUTURE_FRAMES, HISTORY_FRAMES
from swerve.data.sources.navsim.scene_filter import SceneMapping

# As in NAVSIM's checkout, below navsim/planning/script.
SPLITS: Final = Path("config", "common", "train_test_split")
DATA_SPLIT: Final = "test"


def split_files(name: str, logs: Sequence[str], groups: Sequence[SceneMapping]) -> dict[Path, str]:
    """Return the contents of a split's file and of its scene filter, by path below the folder of splits."""
    first = [token for group in groups for token in (group.now, group.before)]
    second = [token for group in groups for pair in group.follow_ups for token in pair]
    lines = [
        "_target_: navsim.common.dataclasses.SceneFilter",
        "_convert_: all",
        f"num_history_frames: {HISTORY_FRAMES}",
        f"num_future_frames: {FUTURE_FRAMES}",
        "frame_interval: 1",
        "has_route: true",
        "max_scenes: null",
        "include_synthetic_scenes: true",
        *_listed("log_names", logs),
        *_listed("tokens", first),
        *_listed("reactive_synthetic_initial_tokens", second),
    ]
    return {Path(f"{name}.yaml"): _split(name, groups), Path("scene_filter", f"{name}.yaml"): _text(lines)}


def _split(name: str, groups: Sequence[SceneMapping]) -> str:
    mapping = [
        f'- ["{group.now}", "{group.before}", [{", ".join(f"""["{a}", "{b}"]""" for a, b in group.follow_ups)}]]'
        for group in groups
    ]
    head = ["defaults:", f"- scene_filter: {name}", f"data_split: {DATA_SPLIT}", "reactive_all_mapping:"]
    return _text([*head, *mapping])


def _listed(key: str, values: Iterable[str]) -> list[str]:
    return [f"{key}:", *(f'- "{value}"' for value in dict.fromkeys(values))]


def _text(lines: Sequence[str]) -> str:
    return "\n".join(lines) + "\n"
