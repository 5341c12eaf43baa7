"""CPU seconds of first commands, with no kernel compiled and with all: `python -m experiments.first_run`.

Each command is run as a user types it, in a new process with its own workers, whose CPU time (user and system) counts.
`first` has an empty cache of kernels before each command; `in order` the cache that the commands before it have filled,
as in `make demo`; `warm` is the next run of the same.
"""

import argparse
import os
import resource
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

COMMANDS = {
    "--version": (),
    "warmup": ("towns", "sets"),
    "augment": ("town:2", "dataset", "--size", "960x560", "--scene-interval", "2"),
    "show": ("town:1", "page"),
    "build": ("town:1", "bench", "--scene-interval", "5"),
    "evaluate": ("bench", "results", "--planners", "pdm-closed", "constant-velocity"),
}
OUTPUTS = {"augment": "dataset", "show": "page", "build": "bench", "evaluate": "results"}


def cpu_seconds(command: str, folder: Path, cache: Path) -> float:
    """Run a command in a folder, and return the CPU seconds of its processes; what it wrote before is removed."""
    if command in OUTPUTS:
        shutil.rmtree(folder / OUTPUTS[command], ignore_errors=True)
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run(
        [Path(sys.executable).parent / "swerve", command, *COMMANDS[command]],
        cwd=folder,
        env={**os.environ, "XDG_CACHE_HOME": str(cache)},
        check=True,
        capture_output=True,
    )
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--commands", nargs="+", choices=tuple(COMMANDS), default=list(COMMANDS))
    names = parser.parse_args().commands
    with tempfile.TemporaryDirectory() as made:
        folder = Path(made)
        rows: dict[str, list[float]] = {name: [] for name in names}
        for _ in ("in order", "warm"):
            for name in names:
                rows[name].append(cpu_seconds(name, folder, folder / "cache"))
        for name in names:
            shutil.rmtree(folder / "cache")
            rows[name].insert(0, cpu_seconds(name, folder, folder / "cache"))
            (folder / "cache").mkdir(exist_ok=True)
    print("| command | first | in order | warm |\n|---|---|---|---|")
    for name, seconds in rows.items():
        words = " ".join(("swerve", name, *COMMANDS[name]))
        print(f"| `{words}` | " + " | ".join(f"{one:.1f}" for one in seconds) + " |")


if __name__ == "__main__":
    main()
