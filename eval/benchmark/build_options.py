"""Options of a benchmark."""

from dataclasses import dataclass, field
from typing import Literal, get_args

from swerve.data.dataset.augment_options import RigName, StyleName
from swerve.eval.benchmark.schedule import ENDPOINT, FIRST
from swerve.eval.traffic.policies import Policy
from swerve.scenes import SwerveError
from swerve.scenes.viewpoints.follow_up import FollowUpOptions

ViewKind = Literal["raster", "photo", "splat"]
GateMode = Literal["drop", "flag", "off"]
VIEW_KINDS: tuple[ViewKind, ...] = get_args(ViewKind)


@dataclass(frozen=True)
class BuildOptions:
    """Options that determine a benchmark's content, besides the sources.

    Attributes:
        every: seconds between the scene groups of a log.
        least: scene groups with fewer follow-ups are dropped.
        most: maximum number of follow-ups of a scene group: those with a human's history first, else chosen by `seed`.
        policy: traffic policy over the 8 s after a scene group's step. The default keeps all vehicles on the road;
            "navsim-reactive" is NAVSIM's, whose vehicles brake at the end of their lane, or vanish beside it.
        follow_up: grid and limits of the start points.
        views: kinds of images stored of every camera of every scene, "raster", "photo" (synthetic photos, of towns
            only) and "splat" (of fitted logs); none to render on demand.
        gate: follow-ups with an unfit splat view (`swerve.eval.splat_quality`) are dropped or flagged; "off" skips the
            check.
        style: of rasters, "rap" or "surfaces".
        rig: "own" for each log's cameras, "default" for `swerve.data.sources.default_rigs.default_rig` instead.
        cameras: names of the cameras available to planners; all if empty.
        size: width and height in pixels of all images; the cameras' own if None.
        seed: of the choice among follow-ups; with a log's name also of the weather of synthetic photos.

    Raises:
        SwerveError: an option is out of its range.
    """

    every: float = 2.0
    least: int = 5
    most: int = 20
    policy: Policy = "lane-following"
    follow_up: FollowUpOptions = field(default_factory=FollowUpOptions)
    views: tuple[ViewKind, ...] = ("raster",)
    gate: GateMode = "flag"
    style: StyleName = "rap"
    rig: RigName = "own"
    cameras: tuple[str, ...] = ()
    size: tuple[int, int] | None = (768, 448)
    seed: int = 0

    def __post_init__(self) -> None:
        for name, kind in (("policy", Policy), ("gate", GateMode), ("style", StyleName), ("rig", RigName)):
            if getattr(self, name) not in get_args(kind):
                raise SwerveError(f"{name}: {getattr(self, name)!r} is not known, choose among {get_args(kind)}")
        check_kinds(self.views)
        if not 0.1 <= self.every <= 3600:
            raise SwerveError(f"every: {self.every} must lie between 0.1 and 3600")
        if not 1 <= self.least <= self.most:
            raise SwerveError(f"least: {self.least} must be 1 or more, and not above most, which is {self.most}")
        if self.size is not None and not all(0 < side <= 16384 for side in self.size):
            raise SwerveError(f"size: {self.size[0]}x{self.size[1]} must be 1 to 16384 pixels each way")
        if (self.follow_up.steps, self.follow_up.history_steps) != (ENDPOINT + 1, ENDPOINT - FIRST + 1):
            raise SwerveError("follow-ups of a benchmark begin 4 s on, with 2 s of history")


def check_kinds(kinds: tuple[str, ...]) -> None:
    """Check that kinds of views are known and given once.

    Raises:
        SwerveError: otherwise.
    """
    for kind in kinds:
        if kind not in VIEW_KINDS:
            raise SwerveError(f"views: {kind!r} is not known, choose among {', '.join(VIEW_KINDS)}, or none")
        if kinds.count(kind) > 1:
            raise SwerveError(f"views: {kind!r} is given twice")
