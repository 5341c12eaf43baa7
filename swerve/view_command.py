"""Run `swerve view`."""

from pathlib import Path

from PIL import Image

from swerve.data.storage.files import make_folder
from swerve.options.view import View
from swerve.output import check_writable, write_output
from swerve.scenes import SwerveError
from swerve.scenes.printable import printable
from swerve.views.of_source import view_of
from swerve.viz.scene_picture import scene_picture
from swerve.viz.scene_view import SceneView3D


def run(args: View) -> int:
    """Show something in 3D until Ctrl-C, or write a picture of it, and return the exit code."""
    if args.once is not None:
        return _once(args, args.once)
    from swerve.viz.viser_view import import_viser

    import_viser()
    serve(view_of(args.source, args.shown), args.host, args.port)
    return 0


def _once(args: View, path: Path) -> int:
    """Write one picture."""
    if path.suffix.lower() != ".png":
        raise SwerveError(f"--once {path}: pictures are written as .png")
    check_writable(path, is_file=True)
    view = view_of(args.source, args.shown)
    picture = Image.fromarray(scene_picture(view, size=args.size))

    def write(out: Path) -> None:
        make_folder(out.parent)
        picture.save(out, optimize=True)

    write_output(path, write)
    print(f"{printable(view.title)}. {printable(view.text)}\nwrote {path}")
    return 0


def serve(view: SceneView3D, host: str, port: int) -> None:
    """Serve a view until Ctrl-C, and print where it is."""
    from swerve.viz.viser_view import ViserView, import_viser

    server = import_viser().ViserServer(host, port, "Swerve", verbose=False)
    shown = ViserView(server, view)
    address = "localhost" if host in ("127.0.0.1", "0.0.0.0") else host
    print(f"{printable(view.title)}: open http://{address}:{server.get_port()}. Ctrl-C ends it.", flush=True)
    try:
        shown.play()
    finally:
        server.stop()
