"""Drawings of proposals: on the map from above, and on the ground in a camera image; coloured by score."""

import html
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, UInt8

from swerve.eval.context.scene_context import Context
from swerve.eval.report.replay import ego_footprints, footprint_of
from swerve.eval.report.scene_images import AGENT_COLORS, SIDE, STATIC
from swerve.eval.scoring.trajectories import to_world
from swerve.eval.traffic.traffic import ScoringTraffic
from swerve.planners.rap.proposals import Proposals
from swerve.rasterizer.style import Style
from swerve.scenes import Camera, ObjectClass, RoadMap
from swerve.scenes.polyline import subdivide
from swerve.scenes.primitives import Primitives
from swerve.scenes.transforms import inverse, transform_points
from swerve.viz.birds_eye import BirdsEye
from swerve.viz.html_page import data_url
from swerve.viz.svg import element, text

# Viridis-like colours of increasing lightness, so that the order remains visible in grey and for colour-blind readers.
_STOPS = np.array([[122, 82, 200], [74, 134, 208], [47, 168, 160], [124, 201, 90], [251, 232, 74]])
EDGE, HUMAN, RED = "#ffffff", "#ffffff", "#ff5d6c"
_INK, _PIXELS, _PANEL, _DIMMED = "#0c0e12", 720, (21, 25, 32), 0.45
# Margin around the proposals, and least and greatest extent of the map, metres.
_MARGIN, _NEAREST, _FARTHEST = 8.0, 18.0, 60.0
# Start of ground lines before the camera, and step at which they follow its lens; metres.
_NEAR, _STEP = 0.3, 0.5
_WIDTH = 480


@dataclass(frozen=True)
class Ground:
    """Proposals of a scene in world coordinates.

    Attributes:
        world_from_ego: ego pose.
        lines: line of each proposal on the ground, starting at the ego.
        human: line of the logged human; empty if unknown.
    """

    world_from_ego: Float[np.ndarray, "4 4"]
    lines: Float[np.ndarray, "n k1 3"]
    human: Float[np.ndarray, "_ 3"]


def ground_of(
    proposals: Proposals, context: Context, world_from_ego: Float[np.ndarray, "4 4"], road_map: RoadMap | None
) -> Ground:
    """Place a scene's proposals on the map's ground; without a map, it is level."""

    def laid(poses: Float[np.ndarray, "*b k 3"]) -> Float[np.ndarray, "*b k1 3"]:
        start = np.zeros((*poses.shape[:-2], 1, 3))
        flat = to_world(np.concatenate([start, poses], axis=-2), context.ego[:3])[..., :2]
        height = road_map.ground.at(flat) if road_map else np.full(flat.shape[:-1], world_from_ego[2, 3])
        return np.concatenate([flat, height[..., None]], axis=-1)

    human = np.zeros((0, 3)) if context.human is None else laid(context.human)
    return Ground(world_from_ego, laid(proposals.poses), human)


def map_picture(ground: Ground, context: Context, static: Primitives) -> tuple[str, BirdsEye]:
    """Draw the background of the map view as SVG: map, red lights, agents now and after 4 s.

    Returns:
        SVG, and the mapping from world to image (to be scaled to `SIDE`).
    """
    eye = _eye(ground, float(context.ego[2]))
    eye.primitives(static, Style.surfaces())
    eye.scale_bar()
    image = (np.asarray(_PANEL) * (1 - _DIMMED) + eye.picture() * _DIMMED).round().astype(np.uint8)
    world = ScoringTraffic.of(context.traffic, context.lights)
    parts = [f'<image href="{data_url(image, quality=80)}" width="{SIDE}" height="{SIDE}"/>']
    parts += [_light(eye, world, row) for row in range(len(world.lights.lane_ids)) if world.lights.active[:, row].any()]
    near = np.abs(world.boxes[..., :2] - eye.center).max(axis=-1) < 1.5 * eye.reach
    parts += [_other(eye, world, row) for row in np.flatnonzero((near & world.present).any(axis=0)).tolist()]
    if len(ground.human):
        parts.append(_dashes(_at(eye, ground.human)))
    body = _at(eye, ego_footprints(context.ego[None, :3])[0])
    parts.append(_shape(body, f'fill="#d9dde5" stroke="{_INK}"', "the ego now"))
    return "".join(parts), eye


def on_map(proposals: Proposals, ground: Ground, scores: Float[np.ndarray, "n"], eye: BirdsEye, base: str) -> str:
    """Draw all proposals from above, coloured by scores.

    Args:
        proposals: proposals of the scene.
        ground: proposals in world coordinates.
        scores: score of each proposal.
        eye: see `map_picture`.
        base: id of the background drawing on the same page.
    """
    drawn = [[_at(eye, line)] for line in ground.lines]
    lines = proposal_lines(proposals, drawn, scores)
    return element((SIDE, SIDE), f'<use href="#{base}"/>{lines}', f"proposals of {proposals.token} from above")


def on_image(
    proposals: Proposals,
    ground: Ground,
    scores: Float[np.ndarray, "n"],
    camera: Camera,
    image: UInt8[np.ndarray, "h w 3"],
) -> str:
    """Draw all proposals on the ground in a camera image of any size, coloured by scores."""
    size = (_WIDTH, round(_WIDTH * camera.height / camera.width))
    shown = camera.resized(*size)
    drawn = [lines_in_image(line, shown, ground.world_from_ego) for line in ground.lines]
    human = [_dashes(piece) for piece in lines_in_image(ground.human, shown, ground.world_from_ego)]
    picture = (
        f'<image href="{data_url(image, quality=80)}" width="{size[0]}" height="{size[1]}" preserveAspectRatio="none"/>'
    )
    content = picture + "".join(human) + proposal_lines(proposals, drawn, scores)
    return element(size, content, f"proposals of {proposals.token} in camera {camera.name}")


def lines_in_image(
    points: Float[np.ndarray, "n 3"], camera: Camera, world_from_ego: Float[np.ndarray, "4 4"]
) -> list[Float[np.ndarray, "_ 2"]]:
    """Project a world line to image lines, clipped exactly at the near plane.

    They follow the lens distortion, and may leave the image.
    """
    if len(points) < 2:
        return []
    camera_from_world = inverse(world_from_ego @ camera.ego_from_camera)
    pieces = clipped_ahead(transform_points(camera_from_world, subdivide(points, _STEP)), _NEAR)
    return [camera.project(piece)[0] for piece in pieces]


def clipped_ahead(points: Float[np.ndarray, "n 3"], near: float) -> list[Float[np.ndarray, "_ 3"]]:
    """Return the parts of a line whose third coordinate is not below `near`, with their ends on that plane."""
    pieces, piece = [], list[np.ndarray]()
    for number, point in enumerate(points):
        before = points[number - 1] if number else point
        if (before[2] < near) != (point[2] < near):
            share = (near - before[2]) / (point[2] - before[2])
            piece.append(before + share * (point - before))
        if point[2] >= near:
            piece.append(point)
        elif piece:
            pieces.append(np.array(piece))
            piece = []
    if piece:
        pieces.append(np.array(piece))
    return [one for one in pieces if len(one) > 1]


def proposal_lines(
    proposals: Proposals, drawn: Sequence[Sequence[Float[np.ndarray, "_ 2"]]], scores: Float[np.ndarray, "n"]
) -> str:
    """Draw proposals as SVG, the best-scored on top; a diamond marks the best's end and a ring the chosen's.

    Args:
        proposals: proposals of the scene.
        drawn: lines of each proposal in the drawing.
        scores: score of each proposal, for its colour.
    """
    parts = [_proposal(proposals, row, drawn[row], scores[row]) for row in np.argsort(scores, kind="stable").tolist()]
    for row, mark, name in ((proposals.best, _diamond, "best"), (proposals.chosen, _ring, "chosen")):
        casing = "".join(_line(one, EDGE, 5.5) + _line(one, score_color(scores[row]), 3.0) for one in drawn[row])
        end = mark(*drawn[row][-1][-1].tolist()) if drawn[row] else ""
        title = f"<title>{html.escape(f'{name}: {_said(proposals, row)}')}</title>"
        parts.append(f'<g class="{name}">{title}{casing}{end}</g>')
    return "".join(parts)


def score_color(score: float) -> str:
    """Return the colour of a score between 0 and 1."""
    places = np.linspace(0.0, 1.0, len(_STOPS))
    red, green, blue = (round(float(np.interp(score, places, channel))) for channel in _STOPS.T)
    return f"#{red:02x}{green:02x}{blue:02x}"


def color_bar() -> str:
    """Draw the colour bar of scores from 0 to 1, with numbers."""
    cells = "".join(
        f'<rect x="{10 + 10 * cell}" y="4" width="10.5" height="14" fill="{score_color((cell + 0.5) / 20)}"/>'
        for cell in range(20)
    )
    ticks = "".join(text(10.0 + 200.0 * at, 33.0, f"{at:g}", "middle", "#d9dde5") for at in (0.0, 0.25, 0.5, 0.75, 1.0))
    return element((220, 38), cells + ticks, "colours of scores from 0 to 1")


def mark_swatch(name: str) -> str:
    """Draw a legend sample of the "chosen", the "best" or the "human"."""
    line = np.array([[2.0, 9.0], [30.0, 9.0]])
    if name == "human":
        drawn = _dashes(line)
    else:
        mark = _ring if name == "chosen" else _diamond
        drawn = _line(line, EDGE, 5.5) + _line(line, score_color(0.8), 3.0) + mark(30.0, 9.0)
    return f'<svg viewBox="0 0 42 18" width="42" height="18" class="swatch" aria-hidden="true">{drawn}</svg>'


def _eye(ground: Ground, heading: float) -> BirdsEye:
    points = np.concatenate([ground.lines[..., :2].reshape(-1, 2), ground.human[:, :2]])
    points = points[np.hypot(*(points - ground.world_from_ego[:2, 3]).T) < 2 * _FARTHEST]
    forward = np.array([np.cos(heading), np.sin(heading)])
    axes = np.stack([forward, [-forward[1], forward[0]]])
    along = points @ axes.T
    low, high = along.min(axis=0), along.max(axis=0)
    reach = float(np.clip((high - low).max() / 2 + _MARGIN, _NEAREST, _FARTHEST))
    return BirdsEye((low + high) / 2 @ axes, heading, reach, _PIXELS, _PANEL)


def _at(eye: BirdsEye, points: Float[np.ndarray, "n _"]) -> Float[np.ndarray, "n 2"]:
    return eye.pixels(points[:, :2]) * (SIDE / eye.size)


def _light(eye: BirdsEye, world: ScoringTraffic, row: int) -> str:
    """Draw a connector with a red light at some time."""
    polygons = world.lights.polygons
    edges = polygons.edges[polygons.starts[row] : polygons.starts[row + 1]]
    look = f'fill="{RED}" fill-opacity="0.16" stroke="{RED}" stroke-opacity="0.5"'
    return _shape(_at(eye, edges[:, :2]), look, "red light")


def _other(eye: BirdsEye, world: ScoringTraffic, row: int) -> str:
    """Draw an agent: filled at its current position, outlined after 4 s if it moves."""
    kind = ObjectClass(world.classes[row])
    color = AGENT_COLORS.get(kind, STATIC)
    steps = np.flatnonzero(world.present[:, row])
    first, last = (footprint_of(world.boxes[step, row]) for step in (steps[0], steps[-1]))
    name = kind.name.lower().replace("_", " ")
    later = f'fill="none" stroke="{color}" stroke-opacity="0.6" stroke-dasharray="3 2"'
    moved = _shape(_at(eye, last), later, f"{name}, 4 s later") if np.hypot(*(last - first)[0]) > 1.0 else ""
    return _shape(_at(eye, first), f'fill="{color}" fill-opacity="0.8"', name) + moved


def _proposal(proposals: Proposals, row: int, pieces: Sequence[Float[np.ndarray, "_ 2"]], score: float) -> str:
    lines = "".join(_line(one, _INK, 2.6, 0.5) + _line(one, score_color(score), 1.6) for one in pieces)
    return f'<g class="proposal"><title>{html.escape(_said(proposals, row))}</title>{lines}</g>'


def _said(proposals: Proposals, row: int) -> str:
    return f"proposal {row}: predicted {proposals.predicted_score[row]:.2f}, true {proposals.true_score[row]:.2f}"


def _line(points: Float[np.ndarray, "n 2"], color: str, width: float, opacity: float = 1.0) -> str:
    seen = "" if opacity == 1.0 else f' stroke-opacity="{opacity:g}"'
    look = f'fill="none" stroke="{color}" stroke-width="{width:g}"{seen} stroke-linejoin="round" stroke-linecap="round"'
    return f'<path d="{_path(points)}" {look}/>'


def _dashes(points: Float[np.ndarray, "n 2"]) -> str:
    look = f'fill="none" stroke="{HUMAN}" stroke-width="2" stroke-dasharray="2 5" stroke-linecap="round"'
    return f'<path d="{_path(points)}" {look}><title>human trajectory</title></path>'


def _shape(points: Float[np.ndarray, "n 2"], look: str, title: str) -> str:
    return f'<path d="{_path(points)}z" {look}><title>{html.escape(title)}</title></path>'


def _ring(x: float, y: float) -> str:
    return "".join(
        f'<circle cx="{x:.1f}" cy="{y:.1f}" r="8" fill="none" stroke="{color}" stroke-width="{width}"/>'
        for color, width in ((_INK, 4.5), (EDGE, 2.5))
    )


def _diamond(x: float, y: float) -> str:
    shape = f"M{x:.1f} {y - 5:.1f}l5 5l-5 5l-5 -5z"
    return f'<path d="{shape}" fill="{EDGE}" stroke="{_INK}"/>'


def _path(points: Float[np.ndarray, "n 2"]) -> str:
    return "M" + "L".join(f"{x:.1f} {y:.1f}" for x, y in points.tolist())
