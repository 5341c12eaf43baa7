"""Measure what grows with a set and with the runs of a job, without drawing: `python -m experiments.scale`.

`set` makes up the records of a set of many samples, and times how the job resumes, completes and opens it, with the
most memory that each step takes. `runs` times what one run of an array of N does besides its parts.
"""

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict
from functools import cache
from pathlib import Path

from swerve.data.dataset.acceptance import Acceptance
from swerve.data.dataset.augment_options import AugmentOptions
from swerve.data.dataset.manifest import ShardRecord, write_manifest
from swerve.data.dataset.set_layout import read_progress, read_records
from swerve.data.jobs import ArrayPart, part_stem, record_path
from swerve.data.jobs.array_runs import ArrayResult, array_results, write_array_result
from swerve.data.jobs.job_status import job_status
from swerve.data.jobs.lease import leased
from swerve.data.jobs.run_state import RunState, StateFile
from swerve.data.jobs.schedule import FinishedParts, Schedule
from swerve.data.storage.files import make_folder, to_json, write_atomically
from swerve.data.storage.fsspec_store import open_store
from swerve.data.storage.mirror import output_folder
from swerve.data.stream.catalogue import read_catalogue

_ROWS, _PARTS, _SHARD_SIZE = 3200, 8, 10**8
# Name that stands for that of a log.
_LOG = "log-xxxxxx"


def make_records(folder: Path, samples: int) -> None:
    """Write made-up records of a set, and shards of the right sizes that take no space."""
    for name in ("records", "train", "val", "test", "runs"):
        make_folder(folder / name)
    logs = [["made up", f"log-{number:06d}"] for number in range(-(-samples // (_ROWS * _PARTS)))]
    write_atomically(folder / "job.json", to_json({"options": {}, "logs": logs, "versions": {}, "kind": "augment"}))
    template = cache(_record_text)
    for number in range(-(-samples // _ROWS)):
        log, part, rows = f"log-{number // _PARTS:06d}", number % _PARTS, min(_ROWS, samples - number * _ROWS)
        record_path(folder, log, part, ".json").write_text(template(part, rows).replace(_LOG, log))
        with open(folder / _shard(log, part), "wb") as file:
            file.truncate(_SHARD_SIZE)


def _record_text(part: int, rows: int) -> str:
    """Return the record of a part of the log `_LOG`, whose name stands in each row: logs differ by it alone."""
    shard = _shard(_LOG, part)
    own = tuple(_row(_LOG, part, row, shard) for row in range(rows))
    record = ShardRecord(_LOG, part, _PARTS, "train", shard, _SHARD_SIZE, "0" * 64, own, (), ())
    return json.dumps(asdict(record), sort_keys=True)


def _shard(log: str, part: int) -> str:
    return f"train/{part_stem(log, part)}.tar"


def _row(log: str, part: int, row: int, shard: str) -> dict[str, object]:
    key = f"{log}-{part:02d}{row:06d}-recovery-00"
    own = {"key": key, "shard": shard, "split": "train", "source": "made up", "log": log, "token": key[:18]}
    own |= {"time_us": row * 100_000, "kind": "recovery", "index": row % 50, "command": "straight", "speed": 7.5}
    own |= {"coverage": 0.4, "boxes": 12, "photos": 0, "relaxed": "", "relaxation": 0.0, "parameters": "{}"}
    return {**own, "offset": row * 30_720}


def plan(folder: Path) -> object:
    """Take all parts of a new job from its schedule; return their number."""
    return _drained(_logs(folder), {}, ArrayPart(1, 1))


def resume(folder: Path) -> object:
    """Do what a job does before its first part; return the number of logs with parts."""
    finished, _ = read_progress(folder, AugmentOptions(), alone=True)
    _drained(_logs(folder), finished, ArrayPart(1, 1))
    return len(finished)


def _logs(folder: Path) -> list[str]:
    return [name for _, name in json.loads((folder / "job.json").read_text())["logs"]]


def finish(folder: Path) -> object:
    """Write the manifest and the summary."""
    acceptance = Acceptance(AugmentOptions(), read_records(folder))
    summary = write_manifest(folder, read_records(folder), (), acceptance.weights, acceptance.summary())
    return summary["samples"]


def read_status(folder: Path) -> object:
    """Read the state of the job; return the number of its records."""
    return job_status(folder).records


def open_set(folder: Path) -> object:
    """Open a set for training."""
    return len(read_catalogue(folder, "train"))


STEPS: dict[str, Callable[[Path], object]] = {
    **{"plan": plan, "resume": resume, "status": read_status, "finish": finish},
    **{"open": open_set},
}


def measure_set(samples: int) -> None:
    """Print time and memory of each step, each in a process of its own."""
    with tempfile.TemporaryDirectory(prefix="swerve-scale-") as folder:
        start = time.perf_counter()
        make_records(Path(folder), samples)
        print(f"{samples} samples made up in {time.perf_counter() - start:.1f} s", flush=True)
        for step in STEPS:
            command = [sys.executable, "-m", "experiments.scale", "step", step, folder]
            told = json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout)
            print(
                f"{samples:>9} {step:<7} {told['seconds']:>8.2f} s, {told['cpu']:>8.2f} s of a core, "
                f"{told['memory'] / 1e6:>7.0f} MB at most ({told['before'] / 1e6:.0f} MB before), {told['result']}",
                flush=True,
            )


def run_step(name: str, folder: Path) -> None:
    """Run a step, and print its time and memory as JSON."""
    before, start, cpu = _memory(), time.perf_counter(), time.process_time()
    result = STEPS[name](folder)
    seconds, cpu = time.perf_counter() - start, time.process_time() - cpu
    told = {"seconds": seconds, "cpu": cpu, "memory": _memory(), "before": before, "result": result}
    print(json.dumps(told))


def _memory() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def measure_runs(parts: int, runs: Sequence[int]) -> None:
    """Print what one run of an array does besides its parts, for arrays of several sizes."""
    print(f"{parts} parts of {parts // _PARTS} logs")
    names = ("schedule", "lease", "state", "results", "status")
    print(f"{'runs':>6} {'parts':>7} " + " ".join(f"{name:>10}" for name in names) + "   ms of one run")
    for count in runs:
        with tempfile.TemporaryDirectory(prefix="swerve-scale-") as folder:
            own, figures = _one_run(Path(folder), parts, count)
            print(f"{count:>6} {own:>7} " + " ".join(f"{1e3 * figures[name]:>10.2f}" for name in names), flush=True)


def _one_run(folder: Path, parts: int, count: int) -> tuple[int, dict[str, float]]:
    logs, part = [f"log-{number:06d}" for number in range(parts // _PARTS)], ArrayPart((count + 1) // 2, count)
    figures = dict[str, float]()
    made, figures["schedule"] = _timed(lambda: _drained(logs, {}, part))
    url = f"memory://scale-{count}/set"
    store, state = open_store(url), RunState("running", "samples", 1, 0.5, 0, 1.0, 1.0, 1.0)
    for number in range(1, count + 1):
        if number != part.number:
            store.write(f"runs/{number}-of-{count}.{number:016x}.lease", b"{}")
    with output_folder(url) as mirrored:
        _, figures["lease"] = _timed(lambda: leased(mirrored, part).__enter__())
    _, figures["state"] = _timed(lambda: _write_state(folder, part, state))
    for number in range(1, count + 1):
        write_array_result(folder, ArrayResult(ArrayPart(number, count), "samples", 1, 1.0, {}, ()))
        _write_state(folder, ArrayPart(number, count), state)
    _, figures["results"] = _timed(lambda: array_results(folder, "samples"))
    write_atomically(folder / "job.json", to_json({"logs": [], "kind": "augment"}))
    _, figures["status"] = _timed(lambda: job_status(folder))
    return made, figures


def _write_state(folder: Path, part: ArrayPart, state: RunState) -> None:
    make_folder(folder / "runs")
    StateFile(folder / "runs" / f"{part.stem}.state.json", str(part)).write(state)


def _drained(logs: Sequence[str], finished: FinishedParts, part: ArrayPart) -> int:
    """Take all tasks of a run from its schedule; return their number."""
    schedule, made, held = Schedule(logs, finished, part.owns(logs), part.count), 0, None
    while (task := schedule.next(held)) is not None:
        if task.log != held:
            schedule.opened(task.log, _PARTS)
        held = task.log
        made += task.chunk < _PARTS
    return made


def _timed(call: Callable[[], object]) -> tuple[int, float]:
    start = time.perf_counter()
    result = call()
    return int(result) if isinstance(result, int) else 0, time.perf_counter() - start


def main(arguments: Sequence[str]) -> None:
    """Run a measurement."""
    parser = argparse.ArgumentParser(prog="python -m experiments.scale", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("set").add_argument("--samples", type=int, default=10_000_000)
    of_runs = commands.add_parser("runs")
    of_runs.add_argument("--parts", type=int, default=100_000)
    of_runs.add_argument("--runs", type=int, nargs="+", default=[1, 10, 100, 1000])
    step = commands.add_parser("step")
    step.add_argument("name", choices=STEPS)
    step.add_argument("folder", type=Path)
    args = parser.parse_args(arguments)
    if args.command == "set":
        measure_set(args.samples)
    elif args.command == "runs":
        measure_runs(args.parts, args.runs)
    else:
        run_step(args.name, args.folder)


if __name__ == "__main__":
    main(sys.argv[1:])
