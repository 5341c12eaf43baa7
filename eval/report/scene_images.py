"""Bird's-eye views of scenes: the map as an image, overlaid with vector graphics."""

import html
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from functools import cache

import numpy as np
from jaxtyping import Float, Int

from swerve.eval.report.ranking import SceneRow
from swerve.eval.report.replay import Event, Replay, ego_footprints, footprint_of
from swerve.eval.scoring.thresholds import STEP, STEPS
from swerve.rasterizer.style import Style
from swerve.scenes import ObjectClass
from swerve.scenes.primitives import Primitives, Semantic
from swerve.viz.birds_eye import BirdsEye
from swerve.viz.html_page import data_url
from swerve.viz.svg import element, text

# Size in units of the drawing, and in pixels of the map image.
SIDE, _PIXELS = 480, 720
HUMAN, PLAN, PATH, WRONG = "#ffffff", "#5cd6a3", "#f6a54c", "#ff5d6c"
AGENT_COLORS = {
    ObjectClass.VEHICLE: "#7fa6d6",
    ObjectClass.PEDESTRIAN: "#e879b9",
    ObjectClass.BICYCLE: "#f4d35e",
}
STATIC = "#8f949e"
_FILLED = 'fill="{color}" fill-opacity="0.85"'
_OUTLINED = 'fill="none" stroke="{color}" stroke-opacity="{opacity}"'
# Events at which the ego's box is drawn.
_BODILY = ("no_at_fault_collisions", "drivable_area_compliance", "traffic_light_compliance")
# Margin around the content, and minimum and maximum distance from the centre to an edge, metres.
_MARGIN, _NEAREST, _FARTHEST = 9.0, 20.0, 60.0
_GROUND = {
    Semantic.ROAD: (38, 43, 52),
    Semantic.INTERSECTION: (43, 48, 58),
    Semantic.CAR_PARK: (35, 40, 50),
    Semantic.WALKWAY: (27, 31, 38),
    Semantic.CROSSING: (58, 62, 70),
    Semantic.SPEED_BUMP: (62, 58, 54),
    Semantic.LINE_WHITE: (92, 99, 112),
    Semantic.LINE_YELLOW: (112, 102, 70),
    Semantic.LINE_BLUE: (70, 84, 122),
    Semantic.ROAD_EDGE: (74, 81, 94),
    Semantic.STOP_LINE: (128, 134, 144),
}
_PANEL = (21, 25, 32)


@dataclass(frozen=True)
class MapView:
    """A square of the world on a square of `SIDE` units.

    Attributes:
        eye: the map's image.
    """

    eye: BirdsEye

    def at(self, points: Float[np.ndarray, "n c"]) -> Float[np.ndarray, "n 2"]:
        """Transform world points (x, y, ...) to drawing coordinates (right, down)."""
        return self.eye.pixels(np.asarray(points[:, :2], dtype=float)) * (SIDE / self.eye.size)

    @property
    def unit(self) -> float:
        """Return units of the drawing per metre."""
        return SIDE / (2 * self.eye.reach)


def scene_svg(replay: Replay, static: Primitives, follow_ups: Sequence[SceneRow] = ()) -> str:
    """Draw a scored scene as SVG.

    The initial heading is up. Other agents are filled boxes now and outlines after 2 and 4 s; numbers mark the events
    of `replay.numbered`.

    Args:
        replay: the scene.
        static: the map.
        follow_ups: starts of follow-up scenes to draw, coloured by weight.
    """
    view = view_of(replay)
    view.eye.primitives(static, _style())
    url = data_url(view.eye.picture(), quality=80)
    parts = [
        f'<image href="{url}" width="{SIDE}" height="{SIDE}"/>',
        _lights(view, replay),
        _agents(view, replay),
        _polyline(view, human_path(replay), HUMAN, "where the human drove", dashes="5 4"),
        _ego(view, replay),
        "".join(follow_up_dot(view.at(row.start[None])[0], row, 4.0, follow_ups) for row in _light_first(follow_ups)),
        "".join(_event(view, replay, number, event) for number, event in replay.numbered.items()),
        _scale_bar(view),
    ]
    return element((SIDE, SIDE), "".join(parts), f"{replay.row.token} from above")


def view_of(replay: Replay) -> MapView:
    """Return the view that contains all paths and events within range."""
    context = replay.context
    ways = [context.ego[None, :2], replay.plan[:, :2], replay.path[:, :2], human_path(replay)]
    ways += [event.place[None] for event in replay.events if event.place is not None]
    points = np.concatenate(ways)
    points = points[np.hypot(*(points - context.ego[:2]).T) < 2 * _FARTHEST]
    heading = float(context.ego[2])
    forward = np.array([np.cos(heading), np.sin(heading)])
    axes = np.stack([forward, [-forward[1], forward[0]]])
    along = points @ axes.T
    low, high = along.min(axis=0), along.max(axis=0)
    reach = float(np.clip((high - low).max() / 2 + _MARGIN, _NEAREST, _FARTHEST))
    return MapView(BirdsEye((low + high) / 2 @ axes, heading, reach, _PIXELS, _PANEL))


def human_path(replay: Replay) -> Float[np.ndarray, "k 2"]:
    """Return the human's positions (x, y) over the 4 s that are scored."""
    viewpoint = replay.benchmark_scene.viewpoint
    times_us = viewpoint.scene.times_us[viewpoint.scene.history + 1 :]
    inside = times_us <= replay.context.start_us + round(STEP * (STEPS - 1) * 1e6)
    return viewpoint.human[: len(times_us)][inside[: len(viewpoint.human)], :2, 3]


def weight_color(share: float) -> str:
    """Return the colour of a weight, as a share of the largest: slate, violet, lavender."""
    stops = np.array([[62, 74, 99], [150, 118, 240], [222, 202, 255]])
    red, green, blue = (np.interp(share, [0.0, 0.5, 1.0], channel) for channel in stops.T)
    return f"#{round(red):02x}{round(green):02x}{round(blue):02x}"


def follow_up_dot(place: Float[np.ndarray, "2"], row: SceneRow, radius: float, among: Sequence[SceneRow]) -> str:
    """Draw a follow-up start at its position in a drawing."""
    x, y = place.tolist()
    color = weight_color(row.weight / max(other.weight for other in among))
    title = f"follow-up {row.token}: weight {row.weight:.3f}, score {row.score:.3f}"
    return (
        f'<circle class="follow-up" cx="{x:.1f}" cy="{y:.1f}" r="{radius:g}" fill="{color}" stroke="#0c0e12">'
        f"<title>{html.escape(title)}</title></circle>"
    )


def ground_color(semantic: Semantic) -> str:
    """Return the color of a part of the map."""
    return "#" + "".join(f"{channel:02x}" for channel in _GROUND[semantic])


def swatch(kind: str, color: str) -> str:
    """Draw a legend symbol: "line", "dashes", "dots", "box", "outline", "ring" or "area"."""
    shapes = {
        "line": f'<path d="M1 7h24" stroke="{color}" stroke-width="3"/>',
        "dashes": f'<path d="M1 7h24" stroke="{color}" stroke-width="2" stroke-dasharray="5 4"/>',
        "dots": f'<path d="M1 7h24" stroke="{color}"/><circle cx="7" cy="7" r="3" fill="{color}"/>'
        f'<circle cx="19" cy="7" r="3" fill="{color}"/>',
        "box": f'<rect x="3" y="2" width="20" height="10" fill="{color}"/>',
        "outline": f'<rect x="3" y="2" width="20" height="10" fill="none" stroke="{color}" stroke-width="1.5"/>',
        "ring": f'<circle cx="13" cy="7" r="6" fill="{color}"/>',
        "area": f'<rect x="3" y="2" width="20" height="10" fill="{color}" fill-opacity="0.3"/>',
    }
    return f'<svg class="swatch" viewBox="0 0 26 14" width="26" height="14" aria-hidden="true">{shapes[kind]}</svg>'


@cache
def _style() -> Style:
    """Return the raster style with a subdued palette."""
    plain = Style.surfaces()
    palette = plain.palette.copy()
    for semantic, color in _GROUND.items():
        palette[semantic] = color
    return replace(plain, palette=palette)


def _light_first(rows: Iterable[SceneRow]) -> list[SceneRow]:
    return sorted(rows, key=lambda row: row.weight)


def _from_now(replay: Replay, poses: Float[np.ndarray, "k 3"]) -> Float[np.ndarray, "k1 3"]:
    return np.concatenate([replay.context.ego[None, :3], poses])


def _lights(view: MapView, replay: Replay) -> str:
    """Draw the connectors that are red at some step."""
    lights, drawn = replay.scoring_traffic.lights, []
    for number, lane in enumerate(lights.lane_ids):
        edges = lights.polygons.edges[lights.polygons.starts[number] : lights.polygons.starts[number + 1]]
        steps = np.flatnonzero(lights.active[:, number])
        title = f"{lane}: red from {steps[0] * STEP:.1f} s to {steps[-1] * STEP:.1f} s"
        shape = f'fill="{WRONG}" fill-opacity="0.16" stroke="{WRONG}" stroke-opacity="0.5"'
        drawn.append(_polygon(view.at(edges[:, :2]), shape, title))
    return "".join(drawn)


def _agents(view: MapView, replay: Replay) -> str:
    scoring_traffic = replay.scoring_traffic
    centers, reach = scoring_traffic.boxes[..., :2], view.eye.reach * 1.5
    near = (np.abs(centers - view.eye.center).max(axis=-1) < reach) & scoring_traffic.present
    return "".join(_agent(view, replay, track) for track in np.flatnonzero(near.any(axis=0)).tolist())


def _agent(view: MapView, replay: Replay, track: int) -> str:
    """Draw one track: its path, a filled box now, outlines after 2 and 4 s."""
    scoring_traffic = replay.scoring_traffic
    boxes, steps = scoring_traffic.boxes[:, track], np.flatnonzero(scoring_traffic.present[:, track])
    kind = ObjectClass(scoring_traffic.classes[track])
    color = AGENT_COLORS.get(kind, STATIC)
    parts = []
    moves = float(np.hypot(*(boxes[steps[-1], :2] - boxes[steps[0], :2]))) > 1.0
    if moves:
        way = f'fill="none" stroke="{color}" stroke-opacity="0.45" stroke-width="1.5"'
        parts.append(f'<path d="{_path(view.at(boxes[_every_fifth(steps), :2]))}" {way}/>')
    looks = {0: _FILLED, 20: _OUTLINED.replace("{opacity}", "0.7"), 40: _OUTLINED.replace("{opacity}", "0.4")}
    for step, look in looks.items():
        if scoring_traffic.present[step, track] and (moves or step == 0):
            parts.append(_polygon(view.at(footprint_of(boxes[step])), look.format(color=color)))
    return f"<g><title>{kind.name.lower()} {html.escape(scoring_traffic.ids[track])}</title>{''.join(parts)}</g>"


def _every_fifth(steps: Int[np.ndarray, "k"]) -> Int[np.ndarray, "j"]:
    """Return every fifth step, and the last."""
    return np.append(steps[:-1:5], steps[-1:])


def _ego(view: MapView, replay: Replay) -> str:
    """Draw the ego now; as planned; as simulated, also after 2 and 4 s."""
    now = replay.context.ego[None, :3]
    parts = []
    if len(replay.plan):
        dots = [f'<circle cx="{x:.1f}" cy="{y:.1f}" r="2.6" fill="{PLAN}"/>' for x, y in view.at(replay.plan).tolist()]
        parts.append(_polyline(view, replay.path, PATH, "the simulated car", width=2.6))
        parts.append(_polyline(view, _from_now(replay, replay.plan), PLAN, "the plan", width=1.0) + "".join(dots))
        parts += [_later(view, replay, step) for step in (20, 40)]
    corners = view.at(ego_footprints(now)[0])
    nose = (corners[0] + corners[3]) / 2
    parts.append(_polygon(corners, f'fill="{PATH}" stroke="#0c0e12"', "the ego now"))
    parts.append(f'<path d="{_path(np.stack([corners[1], nose, corners[2]]))}" fill="none" stroke="#0c0e12"/>')
    return "".join(parts)


def _later(view: MapView, replay: Replay, step: int) -> str:
    """Draw the simulated vehicle at a step, labelled with the time."""
    corners = view.at(ego_footprints(replay.path[step : step + 1])[0])
    x, y = corners.mean(axis=0).tolist()
    seconds = f"{step * STEP:.0f} s"
    outline = _polygon(corners, f'fill="{PATH}" fill-opacity="0.12" stroke="{PATH}"')
    return outline + text(x, y + 4, seconds, "middle", PATH, ' font-size="11"')


def _polyline(
    view: MapView, points: Float[np.ndarray, "n c"], color: str, title: str, width: float = 2.0, dashes: str = "none"
) -> str:
    return (
        f'<path d="{_path(view.at(points))}" fill="none" stroke="{color}" stroke-width="{width}" '
        f'stroke-dasharray="{dashes}" stroke-linejoin="round"><title>{title}</title></path>'
    )


def _event(view: MapView, replay: Replay, number: int, event: Event) -> str:
    """Draw an event's number, and the boxes involved at its step."""
    assert event.place is not None
    assert event.step is not None
    parts = []
    if event.reason.metric in _BODILY:
        body = ego_footprints(replay.path[event.step : event.step + 1])[0]
        parts.append(_polygon(view.at(body), f'fill="none" stroke="{WRONG}" stroke-width="2"'))
    if event.track is not None:
        box = footprint_of(replay.scoring_traffic.boxes[event.track_step, event.track])
        parts.append(_polygon(view.at(box), f'fill="{WRONG}" fill-opacity="0.35" stroke="{WRONG}" stroke-width="2"'))
    x, y = view.at(event.place[None])[0].tolist()
    parts.append(badge(x, y, number))
    when = f"{number}: after {event.step * STEP:.1f} s {event.text}"
    return f'<g class="event"><title>{html.escape(when)}</title>{"".join(parts)}</g>'


def badge(x: float, y: float, number: int) -> str:
    """Draw the number of an event beside its position, each in a different direction."""
    turn = np.deg2rad(-40.0 + 75.0 * (number - 1))
    u, v = (float(np.clip(at + 26.0 * out, 12.0, SIDE - 12.0)) for at, out in ((x, np.cos(turn)), (y, np.sin(turn))))
    return (
        f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3.5" fill="{WRONG}" stroke="#0c0e12"/>'
        f'<path d="M{x:.1f} {y:.1f}L{u:.1f} {v:.1f}" stroke="{WRONG}" stroke-width="1.5"/>'
        f'<circle cx="{u:.1f}" cy="{v:.1f}" r="10" fill="{WRONG}" stroke="#0c0e12"/>'
        + text(u, v + 4.5, str(number), "middle", "#ffffff", ' font-weight="700" font-size="13"')
    )


def _scale_bar(view: MapView) -> str:
    metres = next(length for length in (20, 10, 5) if length * view.unit < SIDE / 3)
    foot = SIDE - 14.0
    line = f'<path d="M14 {foot}v-5m0 5h{metres * view.unit:.1f}v-5" fill="none" stroke="#ebebeb" stroke-width="1.5"/>'
    return line + text(18.0, foot - 6, f"{metres} m", color="#ebebeb", extra=' font-size="13"')


def _polygon(points: Float[np.ndarray, "n 2"], look: str, title: str = "") -> str:
    said = f"<title>{html.escape(title)}</title>" if title else ""
    return f'<path d="{_path(points)}z" {look}>{said}</path>'


def _path(points: Float[np.ndarray, "n 2"]) -> str:
    return "M" + "L".join(f"{x:.1f} {y:.1f}" for x, y in points.tolist())
