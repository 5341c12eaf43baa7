"""Options of an augmentation job."""

from dataclasses import dataclass, field
from typing import Literal, get_args

from swerve.data.dataset.image_format import ImageFormat
from swerve.rasterizer.backends import BACKENDS, Backend
from swerve.scenes.errors import SwerveError
from swerve.scenes.option_checks import check_list, check_range
from swerve.scenes.option_types import ImageSize
from swerve.scenes.resize import Fit, Resize
from swerve.scenes.split import Split
from swerve.scenes.viewpoints.cross_agent_options import CrossAgentOptions
from swerve.scenes.viewpoints.follow_up.start_draw_options import StartDrawOptions
from swerve.scenes.viewpoints.recovery_options import RecoveryOptions
from swerve.scenes.viewpoints.viewpoint_options import ViewpointOptions

StyleName = Literal["rap", "surfaces"]
RigName = Literal["own", "default"]
Rasters = Literal["images", "primitives"]
SampleKind = Literal["logged", "recovery", "cross_agent", "follow_up", "visited"]
Extra = Literal["depth", "semantic", "instance"]
KINDS: tuple[SampleKind, ...] = get_args(SampleKind)
# Those of the log alone; the others need simulated traffic, or rollouts.
LOGGED_KINDS: tuple[SampleKind, ...] = KINDS[:3]
EXTRAS: tuple[Extra, ...] = get_args(Extra)


@dataclass(frozen=True)
class AugmentOptions:
    """Options that determine a training set, besides the sources.

    Attributes:
        viewpoints: Kinds of viewpoints: logged, recovery (off the path and back), cross_agent (another vehicle's),
            follow_up (as in the second stage of a benchmark, in traffic that moved on for 4 s), visited (where a
            planner got to, see --visited).
        seed: Seed of the recovery viewpoints.
        image_format: Format of RGB images. png is lossless, and smaller for rasters.
        jpeg_quality: JPEG quality, 1 to 100.
        extra_outputs: Images that are stored of each camera in addition to RGB.
        size: Size of all images, in pixels; own: the size of each camera.
        fit: How images of another aspect ratio are brought to the size; the camera model follows. crop: the excess is
            cut off, equally on both sides; pad: the field of view grows to fill the size; stretch: distorted.
        rig: own: the cameras of each log; default: eight surround cameras, without photos.
        cameras: Cameras that are rendered, by name, or by role where a log has none of that name (front, front_left,
            left, back_left, back, back_right, right, front_right); images bear the names given. With none: all.
        photos: Generated towns only: also render synthetic photos for every viewpoint.
        past_frames: Past frames of each camera that are stored beside the present one, as images of cameras such as
            front@0.5, which stand where the camera was; 0 for none.
        past_interval: Time between them, in seconds; the steps of the log that are nearest are taken.
        rasters: images: rasters are stored; primitives: what they show is stored, and training renders them, with
            the same pixels.
        scene_interval: Time between the scenes of a log, in seconds.
        history: Length of a scene before its current frame, in seconds.
        future: Length of a scene after its current frame, in seconds.
        style: Colours of rasters. rap: black ground, as in the paper; surfaces: grey roads.
        supersampling: Antialiasing: colours are means over this many points per pixel along each axis. 2 doubles the
            time.
        backend: Rasterizer: numba runs on the CPU, cuda and nvdiffrast on an NVIDIA GPU; see swerve info.
        split: Split of logs whose source has none.
        shard_scenes: Scenes per shard, at most.
        recovery: Recovery viewpoints.
        cross_agent: Cross-agent viewpoints.
        follow_up: Follow-up viewpoints.

    Raises:
        SwerveError: an option is out of its range.
    """

    viewpoints: tuple[SampleKind, ...] = LOGGED_KINDS
    seed: int = 0
    image_format: ImageFormat = "png"
    jpeg_quality: int = 90
    extra_outputs: tuple[Extra, ...] = ()
    size: ImageSize = None
    fit: Fit = "crop"
    rig: RigName = "own"
    cameras: tuple[str, ...] = ()
    photos: bool = False
    past_frames: int = 0
    past_interval: float = 0.5
    rasters: Rasters = "images"
    scene_interval: float = 0.5
    history: float = 2.0
    future: float = 5.0
    style: StyleName = "rap"
    supersampling: int = 1
    backend: Backend = "numba"
    split: Split = "train"
    shard_scenes: int = 64
    recovery: RecoveryOptions = field(default_factory=RecoveryOptions)
    cross_agent: CrossAgentOptions = field(default_factory=CrossAgentOptions)
    follow_up: StartDrawOptions = field(default_factory=StartDrawOptions)

    def __post_init__(self) -> None:
        for name in ("viewpoints", "extra_outputs", "cameras"):
            check_list(name, getattr(self, name))
        _check_names("viewpoints", self.viewpoints, KINDS)
        _check_names("extra_outputs", self.extra_outputs, EXTRAS)
        _check_names("image_format", (self.image_format,), ("jpeg", "png"))
        _check_names("fit", (self.fit,), get_args(Fit))
        _check_names("rasters", (self.rasters,), ("images", "primitives"))
        _check_names("style", (self.style,), ("rap", "surfaces"))
        _check_names("rig", (self.rig,), ("own", "default"))
        _check_names("backend", (self.backend,), ("auto", *BACKENDS))
        _check_names("split", (self.split,), ("train", "val", "test"))
        check_range("jpeg_quality", self.jpeg_quality, 1, 100)
        check_range("scene_interval", self.scene_interval, 0.01, 3600)
        check_range("history", self.history, 0, 60)
        check_range("past_frames", self.past_frames, 0, 16)
        check_range("past_interval", self.past_interval, 0.01, 10)
        if self.past_frames and self.past_seconds[-1] > self.history + 1e-6:
            raise SwerveError(
                f"past_frames: the last is {self.past_seconds[-1]:g} s ago, the history is of {self.history:g} s. Make "
                "history longer"
            )
        check_range("future", self.future, 0.5, 60)
        check_range("supersampling", self.supersampling, 1, 8)
        check_range("shard_scenes", self.shard_scenes, 1, 100_000)
        if self.rasters == "primitives" and self.extra_outputs:
            raise SwerveError(
                f"extra_outputs: {self.extra_outputs[0]} needs stored rasters: leave it out, or set rasters to 'images'"
            )
        if not self.viewpoints:
            raise SwerveError(f"viewpoints: none given, choose among {', '.join(KINDS)}")
        Resize(self.size, self.fit)  # checks the size

    @property
    def resize(self) -> Resize:
        """Return the resizing of all cameras."""
        return Resize(self.size, self.fit)

    @property
    def past_seconds(self) -> tuple[float, ...]:
        """Return how many seconds ago the past frames are, the latest first."""
        return tuple(round(self.past_interval * (1 + number), 6) for number in range(self.past_frames))

    @property
    def viewpoint_options(self) -> ViewpointOptions:
        """Return the options of all viewpoints."""
        return ViewpointOptions(self.recovery, self.cross_agent)


def _check_names(option: str, given: tuple[str, ...], known: tuple[str, ...]) -> None:
    """Check that every name is known and given once."""
    for name in given:
        if name not in known:
            raise SwerveError(f"{option}: {name!r} is not known, choose among {', '.join(known)}")
    if len(set(given)) < len(given):
        raise SwerveError(f"{option}: a name is given twice in {','.join(given)}")
