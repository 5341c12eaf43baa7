"""Bird's-eye view images."""

from dataclasses import dataclass, field

import numpy as np
from jaxtyping import Float, UInt8
from PIL import Image, ImageDraw, ImageFont

from swerve.rasterizer.style import Style
from swerve.scenes.primitives import Face, Primitives, Semantic
from swerve.scenes.transforms import inverse, pose_from_yaw, transform_points
from swerve.scenes.vehicle import Vehicle

Color = tuple[int, int, int]
# Supersampling factor for smooth edges.
_OVERSAMPLING = 2


@dataclass
class BirdsEye:
    """Bird's-eye view image onto which objects are drawn in order.

    Attributes:
        center: world (x, y) of the image centre.
        up: world heading that points up in the image, radians.
        reach: metres from the centre to the image's edges.
        size: width and height in pixels.
        background: colour of empty pixels.
    """

    center: Float[np.ndarray, "2"]
    up: float
    reach: float
    size: int = 800
    background: Color = (0, 0, 0)
    _image: Image.Image = field(init=False, repr=False)
    _draw: ImageDraw.ImageDraw = field(init=False, repr=False)

    def __post_init__(self) -> None:
        side = self.size * _OVERSAMPLING
        self._image = Image.new("RGB", (side, side), self.background)
        self._draw = ImageDraw.Draw(self._image)

    def pixels(self, points: Float[np.ndarray, "n d"]) -> Float[np.ndarray, "n 2"]:
        """Return the pixels (right, down) of world points in the finished image."""
        return self._pixels(points) / _OVERSAMPLING

    @property
    def _pixels_per_metre(self) -> float:
        return self.size * _OVERSAMPLING / (2 * self.reach)

    def _pixels(self, points: Float[np.ndarray, "n d"]) -> Float[np.ndarray, "n 2"]:
        """Return the pixels of world points in the supersampled image; the direction `up` is -v."""
        view_from_world = inverse(pose_from_yaw(np.array([*self.center, 0.0]), self.up))
        flat = np.concatenate([points[:, :2], np.zeros((len(points), 1))], axis=1)
        forward, left = transform_points(view_from_world, flat)[:, :2].T
        return np.stack([self.reach - left, self.reach - forward], axis=-1) * self._pixels_per_metre

    def primitives(self, primitives: Primitives, style: Style) -> None:
        """Draw triangles that face up: the ground's layers in order, then objects, the lowest first."""
        corners = primitives.vertices[primitives.triangles]
        near = np.abs(corners[..., :2] - self.center).min(axis=1).max(axis=1) < self.reach * 1.5
        side = corners[:, 1:] - corners[:, :1]
        upward = side[:, 0, 0] * side[:, 1, 1] - side[:, 0, 1] * side[:, 1, 0] > 1e-9
        rows = np.flatnonzero(near & upward)
        layers = np.minimum(primitives.semantics[rows], Semantic.SIGNAL_UNKNOWN)
        rows = rows[np.lexsort((corners[rows, :, 2].max(axis=1), layers))]
        pixels = self._pixels(corners[rows].reshape(-1, 3)).reshape(-1, 6)
        colors = style.palette[primitives.semantics[rows], primitives.faces[rows]]
        for triangle, color in zip(pixels.tolist(), colors.tolist(), strict=True):
            self._draw.polygon(triangle, fill=tuple(color))

    def sides(self, boxes: Primitives, style: Style) -> None:
        """Draw the upper edges of boxes in the style's colours of their sides: the front shows the heading."""
        is_side = (boxes.faces >= Face.FRONT) & (boxes.faces <= Face.RIGHT)
        corners = boxes.vertices[boxes.triangles[is_side]]
        top = np.argsort(-corners[..., 2], axis=1, kind="stable")[:, :2]
        edges = np.take_along_axis(corners, top[..., None], axis=1)
        colors = style.palette[boxes.semantics[is_side], boxes.faces[is_side]]
        level = np.ptp(edges[..., 2], axis=1) < 1e-6
        width = max(round(0.3 * self._pixels_per_metre), 2)
        pixels = self._pixels(edges[level].reshape(-1, 3)).reshape(-1, 4)
        for edge, color in zip(pixels.tolist(), colors[level].tolist(), strict=True):
            self._draw.line(edge, fill=tuple(color), width=width)

    def path(self, points: Float[np.ndarray, "n d"], color: Color, width: float = 0.3, dots: int = 0) -> None:
        """Draw a polyline, `width` metres wide; every `dots`-th point gets a dot."""
        pixels = self._pixels(points)
        thick = max(round(width * self._pixels_per_metre), 2)
        self._draw.line(pixels.ravel().tolist(), fill=color, width=thick, joint="curve")
        for u, v in pixels[::dots] if dots else ():
            self._draw.ellipse([u - thick, v - thick, u + thick, v + thick], fill=color)

    def vehicle(self, pose: Float[np.ndarray, "4 4"], vehicle: Vehicle, color: Color, filled: bool = True) -> None:
        """Draw the footprint at a pose, with a notch that shows the front."""
        corners = vehicle.footprint()
        nose = np.array([[vehicle.length - vehicle.rear_overhang - vehicle.width / 2, 0.0]])
        outline = np.concatenate([corners, corners[:1]])
        arrow = np.concatenate([corners[:1], nose, corners[3:]])
        lines = [np.concatenate([line, np.zeros((len(line), 1))], axis=1) for line in (outline, arrow)]
        body, front = (self._pixels(transform_points(pose, line)).ravel().tolist() for line in lines)
        if filled:
            self._draw.polygon(body, fill=color)
        ink = tuple(channel // 3 for channel in color) if filled else color
        width = max(round(0.12 * self._pixels_per_metre), 2)
        self._draw.line(body, fill=ink, width=width, joint="curve")
        self._draw.line(front, fill=ink, width=width, joint="curve")

    def scale_bar(self) -> None:
        """Draw a scale bar of a round number of metres in the lower left corner, to be read at a third of the size."""
        length = next(metres for metres in (50, 20, 10, 5, 2, 1) if metres <= self.reach / 2 or metres == 1)
        side = self.size * _OVERSAMPLING
        letter = max(side / 26, 13 * _OVERSAMPLING)
        end, base = letter + length * self._pixels_per_metre, side - letter
        self._draw.line([letter, base, end, base], fill=(235, 235, 235), width=max(round(letter / 6), 1))
        font = ImageFont.load_default(letter)
        self._draw.text((letter, base - 1.5 * letter), f"{length} m", fill=(235, 235, 235), font=font)

    def picture(self) -> UInt8[np.ndarray, "h w 3"]:
        """Return the finished image."""
        return np.asarray(self._image.resize((self.size, self.size), Image.Resampling.BOX))
