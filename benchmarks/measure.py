"""Shared helpers of benchmarks: timing, tables on the screen and as JSON under out/bench."""

import json
import os
import platform
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from statistics import median

import numba
import numpy
from rich.console import Console
from rich.table import Table

ROOT = Path(__file__).parent.parent
OUT = ROOT / "out" / "bench"


@dataclass(frozen=True)
class Timing:
    """Medians over the repeats in milliseconds: CPU time of this process and wall-clock time."""

    cpu_ms: float
    wall_ms: float


def timed(function, repeats=9):
    """Call `function` once to warm up (compile, cache), then `repeats` times; return its timing."""
    function()
    cpu, wall = [], []
    for _ in range(repeats):
        cpu_start, wall_start = time.process_time(), time.perf_counter()
        function()
        cpu.append(time.process_time() - cpu_start)
        wall.append(time.perf_counter() - wall_start)
    return Timing(1e3 * median(cpu), 1e3 * median(wall))


def real_data():
    """Return the folder of real data (env SWERVE_TEST_DATA, else ../shared), or None after printing a message."""
    folder = Path(os.environ.get("SWERVE_TEST_DATA", ROOT.parent / "shared")) / "data"
    if folder.is_dir():
        return folder
    Console().print(f"No real data at {folder}: set SWERVE_TEST_DATA to run this benchmark.")
    return None


def report(name, title, rows, notes=()):
    """Print rows (dicts with the same keys) as a table and write them to out/bench/NAME.json."""
    table = Table(title=title)
    for key in rows[0]:
        table.add_column(key, justify="left" if isinstance(rows[0][key], str) else "right")
    for row in rows:
        table.add_row(*(f"{value:.2f}" if isinstance(value, float) else str(value) for value in row.values()))
    console = Console(width=None if sys.stdout.isatty() else 160)
    console.print(table)
    for note in notes:
        console.print(note, highlight=False)
    OUT.mkdir(parents=True, exist_ok=True)
    path = OUT / f"{name}.json"
    path.write_text(
        json.dumps({"title": title, "machine": _machine(), "rows": rows, "notes": list(notes)}, indent=1) + "\n"
    )
    console.print(f"Written to {path.relative_to(ROOT)}\n", highlight=False)


def _machine():
    return {
        "cpu": _cpu_name(),
        "cores": os.cpu_count(),
        "load": os.getloadavg()[0],
        "python": platform.python_version(),
        "numpy": numpy.__version__,
        "numba": numba.__version__,
    }


def _cpu_name():
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.exists() else []
    return next((line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")), platform.machine())
