"""Leases: locks of a job's folder in a store, among runs on any machines.

A lease is an object that its run writes anew every 20 seconds. It needs of the store that an object is listed as soon
as it was put, and the time of its last change by the store's own clock. A run puts its lease, then lists the others: of
two that begin at once, at least one sees the other, and one of them gives up. So at most one of two runs that exclude
each other goes on, as long as both write their leases.

A run whose lease is 90 seconds old is taken for dead; one of this machine as soon as its process is gone. If it was
only cut off from the store for that long, two runs write the same objects for a while: with the same bytes, since a
part depends on the logs and the options alone, and those are in job.json, which is put where there is none.
"""

import os
import platform
import secrets
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Final, Literal

from swerve.data.jobs.array_runs import RUNS
from swerve.data.jobs.execution import ArrayPart
from swerve.data.storage.checked_json import fields, integer, one_of, parse_json, text
from swerve.data.storage.files import to_json
from swerve.data.storage.mirror import LEASE, mirror_of
from swerve.data.storage.store import Store, StoredObject
from swerve.scenes import LogError, SwerveError

# Seconds between two writings of a lease, and age of one whose run is dead.
RENEWAL: Final = 20.0
EXPIRY: Final = 90.0
_CLAIM: Final = 0.3
_WHOLE: Final = "whole"
# Leases of this process: what it could not delete from a store that did not answer is nobody's.
_OWN: Final = set[str]()
_SHAPE: Final = fields(
    {
        **{"run": text, "number": text, "host": text, "pid": integer(1), "started": text},
        "phase": one_of(("claimed", "held")),
    }
)


@dataclass(frozen=True)
class Holder:
    """Run that holds or claims a lease.

    Attributes:
        run: "whole", or "3-of-16".
        number: random text.
        host: its machine, and what tells apart containers of one machine.
        pid: its process.
        started: time when the process started, as the system states it.
        phase: "claimed" until it is known that no other run holds a lease.
    """

    run: str
    number: str
    host: str
    pid: int
    started: str
    phase: Literal["claimed", "held"] = "claimed"

    @property
    def is_gone(self) -> bool:
        """Return whether the process is of this machine and gone, or is this one, which has ended that run."""
        if self.host != _host():
            return False
        return _started(self.pid) != self.started or (self.pid == os.getpid() and self.number not in _OWN)


@contextmanager
def leased(folder: Path, part: ArrayPart | None) -> Iterator[None]:
    """Hold the lease of a job's folder in a store; nothing happens for a folder of this machine.

    Args:
        folder: of the job.
        part: the run of an array, which excludes the same run, runs of arrays of another size, and the whole job.

    Raises:
        SwerveError: a run goes on that excludes this one.
        StoreError: the store does not answer.
    """
    mirror = mirror_of(folder)
    if mirror is None:
        yield
        return
    place = (folder.absolute().relative_to(mirror.folder) / RUNS).as_posix()
    own = Holder(part.stem if part else _WHOLE, secrets.token_hex(8), _host(), os.getpid(), _started(os.getpid()))
    lease, ended = _Lease(mirror.store, place, own), threading.Event()
    thread = threading.Thread(target=lease.renew, args=(ended,), daemon=True)
    _OWN.add(own.number)
    try:
        lease.claim(folder)
        thread.start()
        yield
    finally:
        ended.set()
        if thread.is_alive():
            thread.join()
        _OWN.remove(own.number)
        with suppress(OSError):  # it expires
            lease.drop()


class _Lease:
    """A lease in a store."""

    def __init__(self, store: Store, place: str, own: Holder) -> None:
        self._store, self._place, self._own = store, place, own

    def _name(self) -> str:
        return f"{self._place}/{self._own.run}.{self._own.number}{LEASE}"

    def _write(self) -> None:
        self._store.write(self._name(), to_json(asdict(self._own)))

    def claim(self, folder: Path) -> None:
        """Write the lease, and wait until no other run claims one that excludes it.

        Raises:
            SwerveError: another run holds one.
        """
        self._write()
        while other := self._first_other():
            if other.phase == "held" or other.number < self._own.number:
                raise SwerveError(_refusal(folder, other))
            time.sleep(_CLAIM)
        self._own = replace(self._own, phase="held")
        self._write()

    def _first_other(self) -> Holder | None:
        """Return a living run that excludes this one: one that holds its lease, or else the first by number."""
        found = [one for one in self._store.list(self._place, deep=False) if one.name.endswith(LEASE)]
        now = max((one.seconds for one in found if one.name == self._name()), default=0.0)
        others = [one for one in found if one.name != self._name() and self._excludes(one)]
        living = [holder for one in others if (holder := self._living(one, now))]
        return min(living, key=lambda one: (one.phase != "held", one.number), default=None)

    def _excludes(self, other: StoredObject) -> bool:
        run = other.name.rpartition("/")[2].partition(".")[0]
        if _WHOLE in (run, self._own.run):
            return True
        return run == self._own.run or run.partition("-of-")[2] != self._own.run.partition("-of-")[2]

    def _living(self, other: StoredObject, now: float) -> Holder | None:
        """Read a lease; remove that of a dead run."""
        try:
            content = self._store.read(other.name)
            holder = Holder(**parse_json(content, other.name, _SHAPE))
        except FileNotFoundError:
            return None
        except LogError:
            holder = None
        if holder is None or holder.is_gone or now - other.seconds > EXPIRY:
            self._store.delete(other.name)
            return None
        return holder

    def renew(self, ended: threading.Event) -> None:
        """Write the lease until the run ends. A store that does not answer ends the run where it writes its parts."""
        while not ended.wait(RENEWAL):
            with suppress(OSError):
                self._write()

    def drop(self) -> None:
        """Delete the lease."""
        self._store.delete(self._name())


def _refusal(folder: Path, other: Holder) -> str:
    who = "another job is" if other.run == _WHOLE else f"--part {other.run.replace('-of-', '/')} of this job is"
    return (
        f"{folder}: {who} writing to this folder (process {other.pid} on {other.host.partition(' ')[0]}); wait for it "
        f"or end it. If it was killed on another machine, it is forgotten after {EXPIRY:.0f} seconds"
    )


def _host() -> str:
    """Return the name of this machine, its boot, and the namespace of its processes."""
    boot, space = "", ""
    with suppress(OSError):
        boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
        space = os.readlink("/proc/self/ns/pid")
    return f"{platform.node()} {boot} {space}"


def _started(pid: int) -> str:
    """Return when a process started; empty if there is none, or the system does not say."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[19]
    except OSError:
        with suppress(ProcessLookupError, PermissionError):
            os.kill(pid, 0)
            return "unknown"
        return ""
