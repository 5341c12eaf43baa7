"""Picture of a 3D view without a browser or a GPU: the project's rasterizer draws it.

Every triangle, of the map, of boxes and of lines that face the eye, is an instance of its own, so that the rasterizer's
instance image gives each pixel the colour of its triangle, and its depth image hides points behind.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np
from jaxtyping import Float, UInt8
from PIL import Image, ImageDraw, ImageFont

from swerve.rasterizer.render import render
from swerve.rasterizer.style import Style
from swerve.scenes.camera import Camera
from swerve.scenes.primitives import Primitives
from swerve.scenes.transforms import rigid_transform
from swerve.viz.picture_parts import camera_strip, curve_strip, heading
from swerve.viz.scene_view import AGENT_COLORS, EGO_COLOR, OTHER_COLOR, SceneView3D, ego_box, track_colors
from swerve.viz.solids import Corners, boxes, frustum_edges, outline, ribbon_to

_SKY_TOP, _SKY_FOOT = np.array([10, 13, 20]), np.array([34, 41, 54])
# Supersampling; field of view, degrees; distance at which colours reach the sky's, metres.
_SAMPLES, _FIELD, _FOG = 2, 58.0, 260.0
_SUN = np.array([0.35, -0.25, 0.9]) / np.linalg.norm([0.35, -0.25, 0.9])
_FRUSTUM, _FRUSTUM_COLOR = 1.6, (210, 216, 226)
_NOTHING: Final = np.zeros((0, 3, 3))


@dataclass(frozen=True)
class Eye:
    """Place from which a view is seen, in the frame of the ego: x forward, y left, z up, metres.

    Attributes:
        position: of the eye.
        target: point in the middle of the picture.
    """

    position: tuple[float, float, float] = (-15.0, 3.0, 10.0)
    target: tuple[float, float, float] = (11.0, 0.0, 0.5)

    def world_from_camera(self, world_from_ego: Float[np.ndarray, "4 4"]) -> Float[np.ndarray, "4 4"]:
        """Return the pose of the camera (x right, y down, z forward)."""
        level = world_from_ego[:3, 0] * [1.0, 1.0, 0.0]
        ahead = level / max(float(np.linalg.norm(level)), 1e-9)
        axes = np.stack([ahead, np.cross([0.0, 0.0, 1.0], ahead), [0.0, 0.0, 1.0]], axis=1)
        place, target = (axes @ np.array(one) + world_from_ego[:3, 3] for one in (self.position, self.target))
        forward = (target - place) / np.linalg.norm(target - place)
        right = np.cross(forward, [0.0, 0.0, 1.0])
        right /= np.linalg.norm(right)
        return rigid_transform(np.stack([right, np.cross(forward, right), forward], axis=1), place)


def scene_picture(
    view: SceneView3D, step: int | None = None, size: tuple[int, int] = (1280, 720), eye: Eye | None = None
) -> UInt8[np.ndarray, "h w 3"]:
    """Draw a view at a step: the scene in 3D under its title, the cameras' images and the curves under it.

    Args:
        view: the view.
        step: None for the one that it starts with.
        size: width and height of the 3D part in pixels.
        eye: where from; None: behind and above the ego.
    """
    step = view.start if step is None else step
    width = size[0]
    moment = view.moment(step)
    parts = [
        heading(view.title, f"{moment}. {view.text}", width),
        draw_scene(view, step, size, eye or Eye()),
        *camera_strip([(one.camera.name, one.image(step)) for one in view.cameras], width),
        *curve_strip(view.times, view.curves, step, width),
    ]
    return np.concatenate(parts)


def draw_scene(view: SceneView3D, step: int, size: tuple[int, int], eye: Eye) -> UInt8[np.ndarray, "h w 3"]:
    """Draw the 3D part of a view."""
    width, height = size[0] * _SAMPLES, size[1] * _SAMPLES
    focal = 0.5 * width / np.tan(np.deg2rad(_FIELD / 2))
    camera = Camera("eye", width, height, focal, focal, width / 2, height / 2, np.eye(4))
    pose = eye.world_from_camera(view.world_from_ego[step])
    corners, colors = _triangles(view, step, pose[:3, 3], 1.6 / focal * _SAMPLES)
    drawn = render(_primitives(corners), [camera], pose[None], _style(), ("depth", "instance"))[0][0]
    assert drawn.depth is not None
    assert drawn.instance is not None
    sky = _sky(height)[:, None, :]
    fog = np.clip(np.where(np.isfinite(drawn.depth), drawn.depth, _FOG) / _FOG, 0.0, 1.0)[..., None] ** 1.5
    table = np.concatenate([np.zeros((1, 3)), colors])
    image = np.where(drawn.instance[..., None] > 0, (1 - fog) * table[drawn.instance] + fog * sky, sky)
    depth = drawn.depth
    for points, tints, radius in _clouds(view, step, pose):
        _add_points(image, depth, camera, pose, points, tints, radius)
    picture = Image.fromarray(image.round().astype(np.uint8)).resize(size, Image.Resampling.BOX)
    return np.asarray(_labelled(picture))


def _style() -> Style:
    return Style(background=(0, 0, 0), palette=Style.rap().palette, depth_limit=2000.0)


def _sky(height: int) -> Float[np.ndarray, "h 3"]:
    share = np.linspace(0.0, 1.0, height)[:, None]
    return _SKY_TOP * (1 - share) + _SKY_FOOT * share


def _primitives(corners: Corners) -> Primitives:
    """Return triangles as primitives, two-sided; instance n is triangle n - 1."""
    count = len(corners)
    vertices = corners.reshape(-1, 3)
    triangles = np.arange(3 * count, dtype=np.int32).reshape(-1, 3)
    numbers = np.arange(1, count + 1, dtype=np.int32)
    both = np.concatenate([triangles, triangles[:, ::-1]])
    nothing = np.zeros(2 * count, np.uint8)
    return Primitives.from_triangles(vertices, both, nothing + 1, nothing, np.concatenate([numbers, numbers]))


def _triangles(
    view: SceneView3D, step: int, eye: Float[np.ndarray, "3"], pixel: float
) -> tuple[Corners, Float[np.ndarray, "f 3"]]:
    """Return all triangles of a step, and their shaded colours; `pixel` is the width of a line per distance."""
    tracks, seen = view.tracks, np.flatnonzero(view.tracks.valid[:, step])
    tints = track_colors(tracks)[seen]
    solid = [(mesh.vertices[mesh.triangles], mesh.colors) for mesh in view.meshes]
    solid.append(boxes(tracks.positions[seen, step], tracks.headings[seen, step], tracks.sizes[seen, step], tints))
    center, size = ego_box(view.world_from_ego[step], view.vehicle)
    yaw = np.arctan2(view.world_from_ego[step, 1, 0], view.world_from_ego[step, 0, 0])
    solid.append(boxes(center[None], np.array([yaw]), size[None], np.array([EGO_COLOR], np.uint8)))
    if view.signals is not None:
        heads = view.signals(step)
        solid.append((heads.vertices[heads.triangles], heads.colors))
    lines = [(ribbon_to(one.points, one.width, eye, pixel), one.color) for one in view.paths if one.shown_at(step)]
    lines += [
        (ribbon_to(outline(one.center, one.heading, one.size), 0.06, eye, pixel), one.color)
        for one in view.markers
        if one.shown_at(step)
    ]
    for one in view.cameras:
        edges = frustum_edges(one.camera, view.world_from_ego[step], _FRUSTUM)
        lines += [(ribbon_to(edge, 0.02, eye, pixel), _FRUSTUM_COLOR) for edge in edges]
    shaded = [(corners, _shade(corners, colors)) for corners, colors in solid]
    shaded += [(corners, np.tile(np.array(color, float), (len(corners), 1))) for corners, color in lines]
    return np.concatenate([_NOTHING, *(one for one, _ in shaded)]), np.concatenate(
        [np.zeros((0, 3)), *(colors for _, colors in shaded)]
    )


def _shade(corners: Corners, colors: UInt8[np.ndarray, "f 3"]) -> Float[np.ndarray, "f 3"]:
    """Darken triangles that are turned away from the sun."""
    normals = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    normals /= np.maximum(np.linalg.norm(normals, axis=1, keepdims=True), 1e-12)
    shaded: Float[np.ndarray, "f 3"] = colors * (0.72 + 0.28 * np.clip(normals @ _SUN, 0.0, 1.0))[:, None]
    return shaded


def _clouds(
    view: SceneView3D, step: int, pose: Float[np.ndarray, "4 4"]
) -> list[tuple[Float[np.ndarray, "n 3"], Float[np.ndarray, "n 3"], int]]:
    """Return points, colours and half sizes in pixels of LiDAR and splats, the farthest first."""
    found = []
    if view.splats is not None:
        clear = view.splats.opacities > 0.25
        found.append((view.splats.centers[clear].astype(float), 255.0 * view.splats.colors[clear], 2))
    if view.points is not None and (points := view.points(step)) is not None:
        found.append((points.astype(float), height_colors(points, view.world_from_ego[step, 2, 3]), 1))
    return found


def height_colors(points: Float[np.ndarray, "n 3"], ground: float) -> Float[np.ndarray, "n 3"]:
    """Return colours of points by height above the ego's ground: teal on it, yellow 3 m above."""
    share = np.clip((points[:, 2:] - ground) / 3.0, 0.0, 1.0)
    low, high = np.array([60.0, 140.0, 160.0]), np.array([250.0, 225.0, 110.0])
    colors: Float[np.ndarray, "n 3"] = (1 - share) * low + share * high
    return colors


def _add_points(
    image: Float[np.ndarray, "h w 3"],
    depth: Float[np.ndarray, "h w"],
    camera: Camera,
    pose: Float[np.ndarray, "4 4"],
    points: Float[np.ndarray, "n 3"],
    colors: Float[np.ndarray, "n 3"],
    radius: int,
) -> None:
    """Draw points that are not hidden into an image, as squares, the farthest first."""
    pixels, away, visible = camera.project_world(points, pose)
    rows = np.flatnonzero(visible)
    rows = rows[np.argsort(-away[rows], kind="stable")]
    u, v = np.floor(pixels[rows]).astype(int).T
    before = away[rows] < depth[v, u] + 0.3
    u, v, rows = u[before], v[before], rows[before]
    for across in range(-radius + 1, radius + 1):
        for down in range(-radius + 1, radius + 1):
            x, y = np.clip(u + across, 0, camera.width - 1), np.clip(v + down, 0, camera.height - 1)
            image[y, x] = colors[rows]


def _labelled(picture: Image.Image) -> Image.Image:
    """Write what the colours of boxes mean into the lower left corner."""
    draw, font, left = ImageDraw.Draw(picture), ImageFont.load_default(12), 12
    draw.rectangle([0, picture.height - 27, picture.width, picture.height], fill=(12, 14, 18))
    names = {"ego": EGO_COLOR, **{kind.name.lower(): color for kind, color in AGENT_COLORS.items()}}
    for name, color in {**names, "other": OTHER_COLOR}.items():
        draw.rectangle([left, picture.height - 20, left + 10, picture.height - 10], fill=color)
        draw.text((left + 15, picture.height - 23), name, fill=(217, 221, 229), font=font)
        left += 32 + round(font.getlength(name))
    return picture
