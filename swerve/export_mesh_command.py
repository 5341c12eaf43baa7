"""Run `swerve export mesh`."""

from pathlib import Path

from swerve.data.storage.files import make_folder, write_atomically
from swerve.options.export_mesh import ExportMesh
from swerve.output import write_output
from swerve.scene_sheet import pick_scene
from swerve.scenes import Scene, SwerveError
from swerve.scenes.printable import printable
from swerve.views.log_view import log_view
from swerve.views.of_source import loaded
from swerve.viz.glb import encode_glb, encode_mesh_ply
from swerve.viz.scene_view import ColoredMesh, step_meshes

_ENCODERS = {".glb": encode_glb, ".ply": encode_mesh_ply}


def run(args: ExportMesh) -> int:
    """Write a mesh of a scene, and return the exit code."""
    ending = args.out.suffix.lower()
    if ending not in _ENCODERS:
        raise SwerveError(f"OUT: {args.out}: meshes are written as {' or '.join(_ENCODERS)}")
    scene = pick_scene(loaded(args.source, args.log), args.at)
    meshes = scene_meshes(scene)
    content = _ENCODERS[ending](meshes)

    def write(path: Path) -> None:
        make_folder(path.parent)
        write_atomically(path, content)

    write_output(args.out, write)
    counts = ", ".join(f"{mesh.name} {len(mesh.triangles)}" for mesh in meshes)
    print(f"{printable(scene.log.name)}: triangles: {counts}; {len(content) / 1e6:.1f} MB\nwrote {args.out}")
    return 0


def scene_meshes(scene: Scene) -> tuple[ColoredMesh, ...]:
    """Return what a scene is made of at its moment, as meshes in the log's world frame."""
    return step_meshes(log_view(scene.log, scene.log.source, scene.now), scene.now)
