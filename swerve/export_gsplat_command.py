"""Run `swerve export gsplat`."""

from pathlib import Path

from swerve.consoles import results_console
from swerve.data.export_gsplat.write_npz import GsplatScene, gsplat_scene
from swerve.data.storage.files import make_folder, write_atomically
from swerve.options.export_gsplat import ExportGsplat
from swerve.output import write_output
from swerve.scenes import SwerveError
from swerve.views.of_source import loaded


def run(args: ExportGsplat) -> int:
    """Write a scene for gsplat's trainer, say what is in it and what is not, and return the exit code.

    Raises:
        SwerveError: OUT is no .npz, or see `gsplat_scene`.
    """
    if args.out.suffix != ".npz":
        raise SwerveError(f"OUT: {args.out}: gsplat's trainer reads .npz files")
    log = loaded(args.source, args.log)
    scene = gsplat_scene(log, args.options)
    content = scene.encode()

    def write(path: Path) -> None:
        make_folder(path.parent)
        write_atomically(path, content)

    write_output(args.out, write)
    console = results_console()
    for line in (f"{log.name}: {_summary(scene)}; {len(content) / 1e6:.1f} MB", *_lacks(scene), f"wrote {args.out}"):
        console.print(line, highlight=False, markup=False, soft_wrap=True)
    return 0


def _summary(scene: GsplatScene) -> str:
    frames, cameras, height, width, _ = scene.arrays["images"].shape
    held = int(scene.arrays["is_test"].sum())
    points = len(scene.arrays["lidar_points"])
    return f"{frames} frames ({held} held out), {cameras} cameras, {width}x{height}, {points} LiDAR points"


def _lacks(scene: GsplatScene) -> list[str]:
    """Return a line for what the trainer may miss."""
    found = []
    if scene.frames_left_out:
        found.append(f"{scene.frames_left_out} frames are left out: not all cameras have a photo within 75 ms")
    if scene.frames_without_sweep:
        found.append(f"{scene.frames_without_sweep} frames have no LiDAR sweep within 75 ms")
    if not len(scene.arrays["lidar_points"]):
        found.append("there are no LiDAR points, at which the trainer's Gaussians start: it needs others")
    return found
