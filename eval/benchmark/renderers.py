"""Renderers of the kinds of views."""

from pathlib import Path

from swerve.data.dataset.augment_options import StyleName
from swerve.eval.benchmark.build_options import ViewKind
from swerve.eval.benchmark.splat_renderer import SplatRenderer
from swerve.eval.benchmark.view_renderers import PhotoRenderer, RasterRenderer, Renderers, ViewRenderer
from swerve.scenes import SwerveError


def default_renderers(style: StyleName, seed: int, splats: str | Path | None = None) -> Renderers:
    """Return the default renderers by kind: rasters, synthetic photos, and splats of fitted scenes.

    Args:
        style: of rasters.
        seed: of synthetic photos.
        splats: a folder made by `swerve fit`; without it there are no splat views.

    Raises:
        SwerveError: there is no such folder.
    """
    found: dict[ViewKind, ViewRenderer] = {"raster": RasterRenderer(style), "photo": PhotoRenderer(seed)}
    if splats is None:
        return found
    if not Path(splats).is_dir():
        raise SwerveError(f"{splats}: no such folder of splat scenes. swerve fit makes one")
    return {**found, "splat": SplatRenderer(Path(splats))}


def renderer_of(kind: ViewKind, renderers: Renderers) -> ViewRenderer:
    """Return the renderer of a kind of views.

    Raises:
        SwerveError: there is none.
    """
    if kind not in renderers:
        raise SwerveError(f"no renderer for {kind} views. Give --splats FOLDER, made by swerve fit")
    return renderers[kind]
