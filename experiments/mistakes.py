"""Plausible mistakes on the command line, each with what it should say: `python -m experiments.mistakes`.

Every mistake should end in one line on stderr and exit code 2 (1 where work began and failed), without a traceback.
The commands run in one process. To run the table with another checkout: `PYTHON experiments/mistakes.py`, with PYTHON
of an environment in which that checkout is installed.
"""

import json
import os
import re
import shlex
import shutil
import sys
import tempfile
import traceback
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout, suppress
from dataclasses import dataclass
from io import StringIO
from pathlib import Path

from swerve.cli import main


@dataclass(frozen=True)
class Mistake:
    """A mistake.

    Attributes:
        command: what is typed after `swerve`, in a folder that `prepare` made.
        says: what the error has to mention.
        exit_code: of the process.
    """

    command: str
    says: str
    exit_code: int = 2


@dataclass(frozen=True)
class Outcome:
    """Outcome of a mistake; `fault` is empty if it is as it should be."""

    exit_code: int
    error: str
    fault: str


EVALUATE = "evaluate bench out --planners"
RAP = "train set out --model tiny --steps 2 --workers 0"
MISTAKES = (
    # The command and its options
    Mistake("bild town:1 out", "build"),
    Mistake("train rap set out", "swerve train SET OUT --family rap"),
    Mistake("--verbose", "--help"),
    Mistake("--print-completion tcsh", "bash"),
    Mistake("augment town:1 out --vewpoints recovery", "--viewpoints"),
    Mistake("build town:1 out --sede 3 --vews raster", "--seed"),
    Mistake("build town:1 out --rate 2", "--rate"),
    Mistake("augment town:1 out --viewpoints recovry", "recovery"),
    Mistake("augment town:1 out --size big", "960x560"),
    Mistake("augment town:1 out --size 960", "960x560"),
    Mistake("augment town:1 out --seed three", "--seed"),
    Mistake("augment town:1 out --seed", "--seed"),
    Mistake("augment town:1 out --recovery.lateral -1", "--recovery.lateral"),
    Mistake("augment town:1 out --lateral -1", "--recovery.lateral"),
    Mistake("augment town:1 out --scene-interval -1", "scene-interval"),
    Mistake("augment town:1 out --jpeg-quality 900", "jpeg-quality"),
    Mistake("build town:1 out --scene-interval 0", "scene-interval"),
    Mistake("drive town:1 out --planners human --scene-interval 0", "scene-interval"),
    Mistake("build town:1 out --workers 0", "workers"),
    Mistake("build town:1 out --workers two", "--workers"),
    Mistake("info town:1 --logs 0", "logs"),
    # What a command is given
    Mistake("build town:1", "OUT"),
    Mistake("augment town:1 --size 96x56", "OUT"),
    Mistake("build", "SOURCE"),
    Mistake("evaluate bench --planners human", "OUT"),
    Mistake("evaluate bench out", "--planners"),
    Mistake("drive town:1 --planners human", "OUT"),
    Mistake("score town:1 plans.json", "OUT"),
    Mistake("probe planner.safetensors --on set", "OUT"),
    Mistake("build towns:3 out", "town:"),
    Mistake("build town:0 out", "town:"),
    Mistake("build town:three out", "town:"),
    Mistake("build av2:/nowhere/at/all out", "/nowhere/at/all"),
    Mistake("build emptyfolder out", "emptyfolder"),
    Mistake("build town:1 town:1 out", "town-000000"),
    Mistake("show town:1 out --log town-9", "town-000000"),
    Mistake("show town:1 out --at 99", "20.0 s"),
    Mistake("evaluate set out --planners human", "swerve build"),
    Mistake("evaluate nowhere out --planners human", "nowhere"),
    Mistake("evaluate town:1 out --planners human", "a source of logs, not a benchmark"),
    Mistake("evaluate bench/benchmark.json out --planners human", "give its folder, bench"),
    Mistake("evaluate navsim:emptyfolder out --planners human", "--split"),
    Mistake("evaluate bench out --planners human --split navtest", "navsim:"),
    Mistake("evaluate navsim:data out train_test_split=navtest agent=human_agent", "--split"),
    Mistake("evaluate navsim:data out --planners human traffic_agents=reactive", "--traffic"),
    Mistake(f"{EVALUATE} navsim:nowhere.yaml", "No such file"),
    Mistake("evaluate bench out --planners human --views splat", "--splats"),
    Mistake("contexts town:1 bench out", "bench"),
    Mistake("contexts town:2-2 set out", "town-0000"),
    Mistake("study bench out --population 2", "population"),
    Mistake("quality town:1 emptyfolder out", "swerve fit"),
    Mistake("export navsim set out", "swerve build"),
    Mistake("submit check nowhere.pkl --split navtest", "nowhere.pkl"),
    Mistake("submit navsim emptyfolder out --split navtest --planner human", "--team-name"),
    Mistake("augment out town:1", "town:1 is a source"),
    Mistake("augment town:1 --viewpoints logged out", "options come after it"),
    Mistake("augment town:1 out --cameras front,left", "separated by spaces"),
    Mistake("augment town:1 out --config half.yaml", "half.yaml: not a YAML file of options (line 3"),
    Mistake("augment town:1 out --viewpoints logged,recovery", "separated by spaces"),
    Mistake("augment waymo:emptyfolder out", ".tfrecord"),
    Mistake("augment set out", "swerve train"),
    Mistake("show bench out --at 5", "--at"),
    Mistake("verify nowhere", "no such folder"),
    Mistake("verify emptyfolder", "job.json"),
    Mistake("status afile", "is a file, not a folder"),
    Mistake("submit check emptyfolder --split navtest", "is a folder"),
    Mistake("contexts town:1 emptyfolder out", "swerve augment"),
    Mistake("compare bench out", "swerve evaluate"),
    Mistake("compare bench", "EVALUATION"),
    Mistake("drive bench out --planners human", "a benchmark"),
    Mistake("proposals bench planner.safetensors out.html", "planner.safetensors"),
    # Where it writes
    Mistake("augment town:1 afile", "afile"),
    Mistake("build town:1 afile/out", "afile"),
    Mistake("build town:1 notes", "notes"),
    Mistake("evaluate bench afile --planners human", "afile"),
    Mistake("drive town:1 afile --planners human --rate 1 --seconds 4 --scene-interval 7", "afile"),
    Mistake("show town:1 afile", "afile"),
    Mistake("score town:1 plans.json emptyfolder", "emptyfolder"),
    Mistake("score town:1 plans.json scores.txt", ".csv"),
    Mistake("score town:1 plans.json /proc/nowhere/scores.csv", "/proc/nowhere"),
    Mistake("probe planner.safetensors emptyfolder --on set", "emptyfolder"),
    Mistake("probe planner.safetensors afile/probe.json --on set", "afile"),
    Mistake("proposals planner.safetensors bench emptyfolder", "emptyfolder"),
    Mistake("proposals planner.safetensors bench afile/page.html", "afile"),
    Mistake("quality town:1 emptyfolder afile", "afile"),
    Mistake("study bench afile", "afile"),
    Mistake("fit town:1 afile", "afile"),
    Mistake("contexts town:1 set afile", "afile"),
    Mistake("export navsim bench set", "set"),
    Mistake("train set afile", "afile"),
    Mistake("augment town:1 set --seed 7", "seed"),
    # Planners
    Mistake(f"{EVALUATE} humann", "human"),
    Mistake(f"{EVALUATE} my_planner.py", "my_planner:"),
    Mistake(f"{EVALUATE} my_planner", "my_planner:"),
    Mistake(f"{EVALUATE} my_planner:Mein", "Mine"),
    Mistake(f"{EVALUATE} my_planner.py:Mine", "perhaps my_planner:Mine"),
    Mistake(f"{EVALUATE} my_planner:Mine label=mine", "after a comma"),
    Mistake(f"{EVALUATE} your_planner:Mine", "your_planner"),
    Mistake(f"{EVALUATE} my_planner:Breaks", "no weights"),
    Mistake(f"{EVALUATE} my_planner:NoPlan", "plan"),
    Mistake(f"{EVALUATE} human,speed=3", "speed"),
    Mistake(f"{EVALUATE} human human", "label"),
    Mistake(f"{EVALUATE} Human", "perhaps human"),
    Mistake(f"{EVALUATE} human, idm", "separated by spaces"),
    Mistake(f"{EVALUATE} 'human idm'", "without quotes"),
    Mistake(f"{EVALUATE} my_planner.Mine", "perhaps my_planner:Mine"),
    Mistake(f"{EVALUATE} my_planner:straight", "straight plans itself"),
    Mistake(f"{EVALUATE} emptyfolder", "is a folder"),
    Mistake(f"{EVALUATE} my_planner:Lettered", "declare a tuple"),
    Mistake(f"{EVALUATE} agent.yaml", "navsim:agent.yaml"),
    Mistake(f"{EVALUATE} human --plan-timeout 0", "--plan-timeout"),
    Mistake(f"{EVALUATE} nowhere.safetensors", "nowhere.safetensors"),
    Mistake("drive town:1 out --planners human --seconds 60", "--seconds"),
    Mistake("drive town:1 out --planners human --rate 3", "rate"),
    Mistake("drive town:1 out --planners human --logs town-9", "town-000000"),
    # Files
    Mistake("score town:1 array.json out.csv", "token"),
    Mistake("score town:1 short.json out.csv", "pose"),
    Mistake("score town:1 text.json out.csv", "text.json"),
    Mistake("score town:1 empty.json out.csv", "empty.json"),
    Mistake("score town:1 nowhere.json out.csv", "nowhere.json"),
    Mistake("score town:1 unknown.json out.csv", "12345"),
    Mistake("score town:1 plans.json out.csv --log town-9", "town-000000"),
    Mistake("score town:1 plans.json out.csv --benchmark bench.json", "neutral"),
    Mistake("augment town:1 out --config nowhere.yaml", "nowhere.yaml"),
    Mistake("augment town:1 out --config unknown.yaml", "vewpoints"),
    Mistake("augment town:1 out --config wrong.yaml", "seed"),
    Mistake("augment town:1 out --config", "--config"),
    # What is not in the data
    Mistake("build town:1 out --min-follow-ups 999 --max-follow-ups 999 --views", "follow-ups", 1),
    Mistake("probe planner.safetensors out.json --on set", "there are of train"),
    Mistake("probe planner.safetensors out.json --on set --split train", "photos"),
    Mistake("probe planner.safetensors out.json --on set --split val", "train"),
    Mistake("probe afile out.json --on set", "afile"),
    Mistake("proposals planner.safetensors bench out.html --groups 0", "groups"),
    Mistake("proposals afile bench out.html", "afile"),
    Mistake("train bench out", "bench"),
    Mistake(f"{RAP} --parts paired:1:both", "photo"),
    Mistake(f"{RAP} --model huge", "tiny"),
    Mistake(f"{RAP} --contexts emptyfolder", "swerve contexts"),
    Mistake(f"{RAP} --validate set", "swerve build"),
    Mistake("train set out --steps 0", "--steps"),
    Mistake("fit av2:av2log out", "no photographs"),
    Mistake("build kitti:sequence out", "no map"),
    Mistake("drive kitti:sequence out --planners human", "no map"),
    Mistake("fit town:1 out --cameras nowhere", "nowhere"),
    Mistake("fit town:1 out --steps 0", "--steps"),
)

# Lines of progress, which go to stderr, too.
_PROGRESS = re.compile(r"\d+ %  |compiling kernels")
_PLANNERS = """
import numpy as np
class Mine:
    cameras = ()
    def plan(self, observation):
        return np.zeros((8, 3))
class Breaks(Mine):
    def __init__(self):
        raise RuntimeError("no weights")
class NoPlan:
    pass
class Lettered(Mine):
    cameras = "front"
def straight(observation):
    return np.zeros((8, 3))
"""


def prepare(folder: Path) -> None:
    """Make the files that the mistakes name: a small benchmark, a small set, planners, trajectories."""
    from swerve.data import open_source
    from swerve.data.dataset import AugmentOptions, augment
    from swerve.eval.benchmark.build.build_job import build
    from swerve.eval.benchmark.build_options import BuildOptions
    from swerve.scenes import extract_scenes

    town = open_source("town:1")
    build(
        [town],
        folder / "bench",
        BuildOptions(scene_interval=9.0, views=(), min_follow_ups=1, max_follow_ups=3),
        workers=1,
    )
    options = AugmentOptions(viewpoints=("logged", "recovery"), size=(96, 56), cameras=("front",), scene_interval=5.0)
    augment([town], folder / "set", options, workers=1)
    (folder / "emptyfolder").mkdir()
    (folder / "notes").mkdir()
    for place in ("av2log/map", "sequence/image_0"):
        (folder / place).mkdir(parents=True)
    for place in ("av2log/annotations.feather", "sequence/calib.txt"):
        (folder / place).touch()
    (folder / "notes" / "diary.txt").write_text("dear diary")
    (folder / "afile").write_text("text")
    (folder / "my_planner.py").write_text(_PLANNERS)
    token = extract_scenes(town.load("town-000000"), history=1.5, future=4.0, interval=4.0)[1].token
    straight = [[2.0 * step, 0.0, 0.0] for step in range(1, 9)]
    contents = {
        "plans": {token: straight},
        "array": [straight],
        "short": {token: [1.0, 2.0]},
        "empty": {},
        "unknown": {"12345": straight},
        "bench": {},
    }
    for name, content in contents.items():
        (folder / f"{name}.json").write_text(json.dumps(content))
    (folder / "text.json").write_text("token: poses")
    (folder / "half.yaml").write_text("seed: 1\nviewpoints: [logged\n")
    (folder / "unknown.yaml").write_text("vewpoints: [recovery]\n")
    (folder / "wrong.yaml").write_text("seed: three\n")
    with suppress(ImportError):
        _write_rap_planner(folder / "planner.safetensors")


def try_mistake(mistake: Mistake, folder: Path) -> Outcome:
    """Run a mistake in a prepared folder; what it writes to `out*` is removed."""
    written, unexpected = StringIO(), ""
    with _inside(folder), redirect_stdout(StringIO()), redirect_stderr(written), _typed(mistake.command):
        code = 0
        try:
            main()
        except SystemExit as ended:
            code = ended.code if isinstance(ended.code, int) else int(ended.code is not None)
        except Exception as error:
            code, unexpected = 1, f"traceback: {type(error).__name__}: {error}"
            if os.environ.get("SHOW_TRACEBACKS"):
                traceback.print_exc(file=sys.__stderr__)
    for path in folder.glob("out*"):
        shutil.rmtree(path) if path.is_dir() else path.unlink()
    error = written.getvalue()
    return Outcome(code, unexpected or error, unexpected[:60] or _fault(mistake, code, error))


def table(folder: Path) -> Iterator[tuple[Mistake, Outcome]]:
    """Yield every mistake with its outcome."""
    for mistake in MISTAKES:
        yield mistake, try_mistake(mistake, folder)


def _fault(mistake: Mistake, code: int, error: str) -> str:
    """Return what is wrong with an outcome, or nothing."""
    lines = [line for line in error.splitlines() if line.strip() and not _PROGRESS.match(line)]
    if code != mistake.exit_code:
        return f"exit code {code}"
    if "Traceback" in error:
        return "traceback"
    if len(lines) != 1:
        return f"{len(lines)} lines"
    return "" if mistake.says in error else f"does not say {mistake.says!r}"


def _write_rap_planner(path: Path) -> None:
    """Write a planner with its initial weights."""
    from swerve.planners.learning.learned_planner import save_learned
    from swerve.planners.rap import RapConfig, RapModel

    save_learned(RapModel(RapConfig.tiny(cameras=("front",))), {"steps": 0, "seed": 0}, path)


@contextmanager
def _inside(folder: Path) -> Iterator[None]:
    before = Path.cwd()
    os.chdir(folder)
    try:
        yield
    finally:
        os.chdir(before)


@contextmanager
def _typed(command: str) -> Iterator[None]:
    """Let the command line find a command in `sys.argv`, and nothing that another command left behind."""
    before = sys.argv
    sys.argv = ["swerve", *shlex.split(command)]
    with suppress(ImportError, AttributeError):  # tyro collects unknown options until a process ends
        from tyro._backends import _argparse_formatter

        _argparse_formatter.global_unrecognized_arg_and_prog.clear()
    try:
        yield
    finally:
        sys.argv = before


def _run() -> None:
    sys.path.insert(0, "")
    with tempfile.TemporaryDirectory() as name:
        prepare(Path(name))
        outcomes = list(table(Path(name)))
    print("| swerve ... | exit code | says | as it should be |")
    print("|---|---|---|---|")
    for mistake, outcome in outcomes:
        said = " ".join(outcome.error.split())[:160].replace("|", "/")
        print(f"| `{mistake.command}` | {outcome.exit_code} | {said} | {outcome.fault or 'yes'} |")
    good = sum(not outcome.fault for _, outcome in outcomes)
    print(f"\n{good} of {len(outcomes)} mistakes end in one line that helps, with the right exit code.")


if __name__ == "__main__":
    _run()
