"""Differentiable rendering: gradients with respect to geometry, camera pose and colours."""

import numpy as np
import torch
from jaxtyping import Float, Int32

from swerve.rasterizer.nvdiffrast.nvdiffrast_library import NvdiffrastLibrary, load_library
from swerve.rasterizer.optics import NEAR
from swerve.scenes import Camera, LensModel, SwerveError


def differentiable_render(
    vertices: Float[torch.Tensor, "v 3"],
    triangles: Int32[torch.Tensor, "f 3"],
    colors: Float[torch.Tensor, "v c"],
    camera: Camera,
    camera_from_world: Float[torch.Tensor, "4 4"],
    using: NvdiffrastLibrary | None = None,
) -> Float[torch.Tensor, "h w c"]:
    """Render one image with colours interpolated between vertices, differentiable in vertices, colours and pose.

    Occlusion and coverage are step functions without a gradient; nvdiffrast's antialiasing blends pixels across
    silhouettes and gives the edges one (Laine et al. 2020, arXiv 2011.03277). Triangles are two-sided, colours do not
    fade, uncovered pixels are 0, and the near plane is at 5 cm.

    Args:
        vertices: world frame, metres; neighbouring triangles should share vertices, or every edge counts as a
            silhouette.
        triangles: rows of vertices.
        colors: of the vertices; for flat-coloured faces, give each face its own vertices.
        camera: a pinhole; `Camera.undistorted` makes one. Its mounting is not used.
        camera_from_world: a rigid transform, camera axes as in `Camera`.
        using: library handle; nvdiffrast on the current device if None, which takes float32 tensors there.

    Returns:
        colours from the top row down.

    Raises:
        SwerveError: the camera has lens distortion.
    """
    if camera.lens.model != LensModel.PINHOLE:
        raise SwerveError(f"camera {camera.name!r}: gradients need a pinhole camera: pass camera.undistorted()")
    library = using or load_library()
    clip = clip_positions(vertices, camera, camera_from_world)[None]
    seen, _ = library.dr.rasterize(library.context, clip, triangles, (camera.height, camera.width))
    image, _ = library.dr.interpolate(colors[None].contiguous(), seen, triangles)
    smooth: Float[torch.Tensor, "h w c"] = library.dr.antialias(image, seen, clip, triangles)[0]
    return smooth


def clip_positions(
    vertices: Float[torch.Tensor, "v 3"], camera: Camera, camera_from_world: Float[torch.Tensor, "4 4"]
) -> Float[torch.Tensor, "v 4"]:
    """Map vertices to clip space: x / w and y / w from -1 to 1 in the image, y down; z / w = 1 - 0.1 m / depth."""
    width, height = camera.width, camera.height
    intrinsics = np.array(
        [
            [2 * camera.fx / width, 0, 2 * camera.cx / width - 1, 0],
            [0, 2 * camera.fy / height, 2 * camera.cy / height - 1, 0],
            [0, 0, 1, -2 * NEAR],
            [0, 0, 1, 0],
        ]
    )
    clip_from_world = torch.as_tensor(intrinsics).to(vertices) @ camera_from_world
    return (vertices @ clip_from_world[:, :3].T + clip_from_world[:, 3]).contiguous()
