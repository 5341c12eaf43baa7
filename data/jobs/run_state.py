"""States of running jobs in their folders: written every two seconds, read by `swerve status` from anywhere."""

import os
import platform
import time
from collections.abc import Collection, Iterator
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Final, Literal

from swerve.data.jobs.execution import ArrayPart
from swerve.data.storage.checked_json import fields, integer, number, one_of, optional, read_json, text
from swerve.data.storage.files import to_json, write_atomically
from swerve.scenes import LogError

Phase = Literal["starting", "running", "completing", "ended", "stopped"]
PHASES: Final = ("starting", "running", "completing", "ended", "stopped")
# Names of a run that is the whole job, and of one that completes an array.
WHOLE: Final = "whole"
FINISHING: Final = "finish"
# A run that has not written for so long is dead, on whatever machine it was; one that reads the records at its start,
# or completes a job, writes nothing meanwhile.
SILENCE: Final = 60.0
_READING: Final = 3600.0
# Of the names of states' files.
ENDING: Final = ".state.json"


@dataclass(frozen=True)
class RunState:
    """State of a run.

    Attributes:
        phase: "starting" while it reads the records, "running", "completing" the job after its last part, "ended", or
            "stopped" by a signal or an error, or since it has to wait for other runs of an array.
        noun: plural name of the items.
        count: items made by this run.
        share: finished share of what it has to make, 0 to 1.
        failures: failures so far.
        seconds: since its start.
        per_second: items in a second.
        seconds_left: estimate; None if there is none.
    """

    phase: Phase
    noun: str
    count: int
    share: float
    failures: int
    seconds: float
    per_second: float
    seconds_left: float | None


@dataclass(frozen=True)
class WrittenState:
    """A state as it was written.

    Attributes:
        run: "whole", the run of an array as K/N, or "finish".
        state: the state.
        host: machine of the run.
        pid: its process.
        time: of writing, seconds since 1970.
    """

    run: str
    state: RunState
    host: str
    pid: int
    time: float

    @property
    def is_alive(self) -> bool:
        """Return whether the run goes on: it says so, wrote lately, and its process exists if it is of this machine."""
        limits = {"running": SILENCE, "starting": _READING, "completing": _READING}
        if time.time() - self.time > limits.get(self.state.phase, -1.0):
            return False
        return self.host != platform.node() or _exists(self.pid)


@dataclass(frozen=True)
class StateFile:
    """File of a run's state.

    Attributes:
        path: of the file.
        run: "whole", the run of an array as K/N, or "finish".
    """

    path: Path
    run: str = WHOLE

    @classmethod
    def of(cls, runs: Path, part: ArrayPart | None, finish: bool = False) -> "StateFile":
        """Return the file of a run in the folder of runs."""
        if part is not None:
            return cls(runs / f"{part.stem}{ENDING}", str(part))
        run = FINISHING if finish else WHOLE
        return cls(runs / f"{run}{ENDING}", run)

    def begin(self) -> None:
        """Write that the run has begun: it reads the records, or completes an array."""
        phase: Phase = "completing" if self.run == FINISHING else "starting"
        self.write(RunState(phase, "items", 0, 0.0, 0, 0.0, 0.0, None))

    def write(self, state: RunState) -> None:
        """Write a state; that it cannot be written stops no job, whose records tell the same later."""
        content = {**asdict(state), "run": self.run, "host": platform.node(), "pid": os.getpid(), "time": time.time()}
        with suppress(OSError):
            write_atomically(self.path, to_json(content))

    def settle(self, phase: Phase, among: Collection[str] = ("starting", "completing")) -> None:
        """Write how a run in one of these phases has ended; one in another has written that itself."""
        for there in read_states(self.path.parent, self.path.name):
            if there.state.phase in among:
                self.write(replace(there.state, phase=phase))


_STATE: Final = fields(
    {
        **{"phase": one_of(PHASES), "noun": text, "count": integer(0), "share": number(), "failures": integer(0)},
        **{"seconds": number(), "per_second": number(), "seconds_left": optional(number())},
        **{"run": text, "host": text, "pid": integer(), "time": number()},
    }
)


def read_states(folder: Path, pattern: str) -> Iterator[WrittenState]:
    """Yield the states in files of a folder whose names fit a pattern, without those that cannot be read."""
    for path in sorted(folder.glob(pattern)):
        try:
            found = read_json(path, _STATE)
        except LogError:
            continue  # it is written again within seconds
        own = {name: found[name] for name in RunState.__dataclass_fields__}
        yield WrittenState(found["run"], RunState(**own), found["host"], found["pid"], found["time"])


def _exists(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
