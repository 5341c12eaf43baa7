"""Planners of specs as commands use them: those of users in processes of their own."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from swerve.eval.planner_process import PlannerLimits, ProcessPlanner
from swerve.planners.fingerprint import fingerprint
from swerve.planners.load_planner import BUILT_INS, REMOTE, TRAINED, load_planner
from swerve.scenes.planning import Planner


@dataclass(frozen=True)
class OpenedPlanner:
    """Planner that is ready to plan.

    Attributes:
        label: name in tables, see `LoadedPlanner`.
        spec: its spec.
        identity: changes with the spec and the planner's known files, see `fingerprint`.
        planner: the planner, or its `ProcessPlanner`.
    """

    label: str
    spec: str
    identity: str
    planner: Planner


def open_planner(spec: str, limits: PlannerLimits, threads: int | None = None) -> OpenedPlanner:
    """Open the planner of a spec: in this process if it ships with Swerve, else in one of its own.

    A planner that ends its process or takes too long while it is loaded is opened nonetheless: it fails in every scene.

    Args:
        spec: of the planner.
        limits: of its process.
        threads: of a process of its own, see `ProcessPlanner`.

    Raises:
        SwerveError: the planner is unknown or cannot be created, see `load_planner`.
    """
    if limits.in_process or ships_with_swerve(spec):
        planner, metadata = load_with_identity(spec)
        return OpenedPlanner(metadata["label"], spec, metadata["identity"], planner)
    planner = ProcessPlanner(load_with_identity, spec, limits, threads)
    metadata = planner.info.metadata
    unknown = hashlib.sha256(f"{spec} {planner.info.failure}".encode()).hexdigest()
    # A planner that failed for a limit is run again under another one.
    identity = f"{metadata.get('identity', unknown)} within {limits.plan_timeout:g} s, {limits.planner_memory:g} GB"
    return OpenedPlanner(metadata.get("label", _label(spec)), spec, identity, planner)


class PlannerLoader:
    """Function that returns the planner of a spec: one that is open already, or, in a worker, one opened anew.

    Args:
        limits: of the planners.
        opened: planners that are open in this process.
    """

    def __init__(self, limits: PlannerLimits, opened: Sequence[OpenedPlanner] = ()) -> None:
        self.limits = limits
        self._planners = {one.spec: one.planner for one in opened}

    def __call__(self, spec: str) -> Planner:
        """Return the planner of a spec.

        Raises:
            SwerveError: see `open_planner`.
        """
        if spec not in self._planners:
            self._planners[spec] = open_planner(spec, self.limits).planner
        return self._planners[spec]

    def __reduce__(self) -> tuple[type["PlannerLoader"], tuple[PlannerLimits]]:
        """Pickle the limits alone: processes are not shared with workers."""
        return PlannerLoader, (self.limits,)


def ships_with_swerve(spec: str) -> bool:
    """Return whether a planner is Swerve's own code, as the client of a driver is."""
    head = spec.split(",")[0].strip()
    return head in BUILT_INS or head.endswith(TRAINED) or head.startswith(REMOTE)


def load_with_identity(spec: str) -> tuple[Planner, Mapping[str, str]]:
    """Load a planner; also return its label and identity.

    Raises:
        SwerveError: see `load_planner`.
    """
    named = load_planner(spec)
    return named.planner, {"label": named.label, "identity": fingerprint(named)}


def _label(spec: str) -> str:
    """Return the label of a planner that could not be loaded."""
    options = (part.strip().partition("=") for part in spec.split(",")[1:])
    return next((text for key, _, text in options if key == "label"), spec)
