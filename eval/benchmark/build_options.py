"""Options of a benchmark."""

from dataclasses import dataclass, field
from typing import Literal, get_args

from swerve.data.dataset.augment_options import RigName, StyleName
from swerve.eval.benchmark.frame_steps import ENDPOINT, FIRST
from swerve.eval.traffic.policy import Policy
from swerve.scenes.errors import SwerveError
from swerve.scenes.option_checks import check_list
from swerve.scenes.option_types import ImageSize
from swerve.scenes.resize import Fit, Resize
from swerve.scenes.viewpoints.follow_up.follow_up_options import FollowUpOptions

ViewKind = Literal["raster", "photo", "splat"]
GateMode = Literal["drop", "flag", "off"]
VIEW_KINDS: tuple[ViewKind, ...] = get_args(ViewKind)


@dataclass(frozen=True)
class BuildOptions:
    """Options that determine a benchmark, besides the sources.

    Attributes:
        scene_interval: Time between the initial scenes of a log, in seconds.
        min_follow_ups: Scene groups with fewer follow-up scenes than this are dropped.
        max_follow_ups: Follow-up scenes of a scene group, at most. Those with logged histories come first, then `seed`
            chooses.
        traffic: How annotated agents move in the 8 s after an initial scene. lane-following keeps all vehicles on the
            road; navsim-reactive is NAVSIM's, whose vehicles brake or vanish at the end of their lane.
        follow_up: Start points of follow-up scenes, and their histories.
        views: Images that are stored of every camera: raster, photo (generated towns only: synthetic photos), splat
            (logs with a splat scene of swerve fit). With none, evaluation renders rasters on demand.
        gate: What is done with follow-up scenes whose splat views disagree with their rasters.
        style: Colours of rasters. rap: black ground, as in the paper; surfaces: grey roads.
        rig: own: the cameras of each log; default: eight surround cameras.
        cameras: Cameras that are rendered, by name, or by role where a log has none of that name (front, front_left,
            left, back_left, back, back_right, right, front_right); images bear the names given. With none: all.
        size: Size of all images, in pixels; own: the size of each camera.
        fit: How images of another aspect ratio are brought to the size; the camera model follows. crop: the excess is
            cut off, equally on both sides; pad: the field of view grows to fill the size; stretch: distorted.
        seed: Seed of the choice among follow-up scenes, of the lanes that lane-following vehicles take beyond the log
            (in the benchmark and in its evaluation), and of the weather in synthetic photos.

    Raises:
        SwerveError: an option is out of its range.
    """

    scene_interval: float = 2.0
    min_follow_ups: int = 5
    max_follow_ups: int = 20
    traffic: Policy = "lane-following"
    follow_up: FollowUpOptions = field(default_factory=FollowUpOptions)
    views: tuple[ViewKind, ...] = ("raster",)
    gate: GateMode = "flag"
    style: StyleName = "rap"
    rig: RigName = "own"
    cameras: tuple[str, ...] = ()
    size: ImageSize = (768, 448)
    fit: Fit = "crop"
    seed: int = 0

    def __post_init__(self) -> None:
        for name, kind in (
            ("traffic", Policy),
            ("gate", GateMode),
            ("style", StyleName),
            ("rig", RigName),
            ("fit", Fit),
        ):
            if getattr(self, name) not in get_args(kind):
                raise SwerveError(f"{name}: {getattr(self, name)!r} is not known, choose among {get_args(kind)}")
        check_list("views", self.views)
        check_list("cameras", self.cameras)
        check_kinds(self.views)
        if not 0.1 <= self.scene_interval <= 3600:
            raise SwerveError(f"scene_interval: {self.scene_interval} must lie between 0.1 and 3600")
        if not 1 <= self.min_follow_ups <= self.max_follow_ups:
            raise SwerveError(
                f"min_follow_ups: {self.min_follow_ups} must lie between 1 and max_follow_ups, {self.max_follow_ups}"
            )
        Resize(self.size, self.fit)  # checks the size
        if (self.follow_up.steps, self.follow_up.history_steps) != (ENDPOINT + 1, ENDPOINT - FIRST + 1):
            raise SwerveError("follow_up: the horizon of a benchmark must be 4 s, and the history 2 s")

    @property
    def resize(self) -> Resize:
        """Return the resizing of all cameras."""
        return Resize(self.size, self.fit)


def check_kinds(kinds: tuple[str, ...]) -> None:
    """Check that kinds of views are known and given once.

    Raises:
        SwerveError: otherwise.
    """
    for kind in kinds:
        if kind not in VIEW_KINDS:
            raise SwerveError(f"views: {kind!r} is not known, choose among {', '.join(VIEW_KINDS)}")
        if kinds.count(kind) > 1:
            raise SwerveError(f"views: {kind!r} is given twice")
