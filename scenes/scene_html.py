"""Small drawing of a scene from above for notebooks, as SVG."""

import html
from collections.abc import Sequence

import numpy as np
from jaxtyping import Float

from swerve.scenes.road_map import Lane
from swerve.scenes.tracks import Ego, ObjectClass, Tracks

# Metres from the ego to an edge, and pixels of a side.
_REACH, _SIDE = 45.0, 380
_COLORS = {ObjectClass.VEHICLE: "#7fa6d6", ObjectClass.PEDESTRIAN: "#e879b9", ObjectClass.BICYCLE: "#f4d35e"}
_OTHER, _EGO, _LANE, _GROUND, _AREA = "#8f949e", "#ffffff", "#5d6676", "#151920", "#262b34"


def scene_html(
    title: str, lanes: Sequence[Lane], ego: Ego, tracks: Tracks, now: int, footprint: Float[np.ndarray, "4 2"]
) -> str:
    """Return a scene from above, its heading up, over a line of text; as HTML.

    Args:
        title: the line.
        lanes: of the map.
        ego: states of the ego over the scene.
        tracks: of the other agents at the same steps.
        now: the step that is drawn.
        footprint: of the ego in its own frame.
    """
    view = _View(ego, now)
    near = [lane for lane in lanes if _is_near(lane.centerline, view.center)]
    areas = "".join(view.shape(lane.polygon, f'fill="{_AREA}"') for lane in near)
    lines = "".join(view.line(lane.centerline, _LANE, 1.0) for lane in near)
    pose = ego.world_from_ego[now]
    body = view.shape(footprint @ pose[:2, :2].T + pose[:2, 3], f'fill="{_EGO}"')
    drawn = f"{areas}{lines}{''.join(_agents(tracks, now, view))}{view.line(ego.positions, _EGO, 2.0)}{body}"
    return (
        f'<figure style="margin:0"><svg viewBox="0 0 {_SIDE} {_SIDE}" width="{_SIDE}" height="{_SIDE}" role="img" '
        f'style="max-width:100%;height:auto;background:{_GROUND}">{drawn}</svg>'
        f"<figcaption>{html.escape(title)}</figcaption></figure>"
    )


class _View:
    """World on the drawing: the ego in the middle, its heading up.

    Args:
        ego: states of the ego.
        now: the step that is drawn.
    """

    def __init__(self, ego: Ego, now: int) -> None:
        self.center = ego.positions[now, :2]
        heading = float(ego.headings[now])
        ahead = np.array([np.cos(heading), np.sin(heading)])
        self._axes = np.stack([[ahead[1], -ahead[0]], -ahead], axis=1)

    def _path(self, points: Float[np.ndarray, "k d"]) -> str:
        pixels = ((points[:, :2] - self.center) @ self._axes / _REACH + 1.0) * _SIDE / 2
        return "M" + "L".join(f"{u:.1f} {v:.1f}" for u, v in pixels.tolist())

    def line(self, points: Float[np.ndarray, "k d"], color: str, width: float) -> str:
        """Return a line."""
        return f'<path d="{self._path(points)}" fill="none" stroke="{color}" stroke-width="{width}"/>'

    def shape(self, points: Float[np.ndarray, "k d"], look: str, title: str = "") -> str:
        """Return a polygon, with a tooltip."""
        told = f"<title>{html.escape(title)}</title>" if title else ""
        return f'<path d="{self._path(points)}z" {look}>{told}</path>'


def _is_near(points: Float[np.ndarray, "k d"], center: Float[np.ndarray, "2"]) -> bool:
    return bool((np.abs(points[:, :2] - center).max(axis=1) < 1.5 * _REACH).any())


def _agents(tracks: Tracks, now: int, view: _View) -> list[str]:
    corners = tracks.at(np.array([now])).footprints()[:, 0]
    found = []
    for row in np.flatnonzero(tracks.valid[:, now]).tolist():
        if _is_near(corners[row], view.center):
            kind = ObjectClass(tracks.classes[row])
            title = f"{kind.name.lower()} {tracks.ids[row]}"
            found.append(view.shape(corners[row], f'fill="{_COLORS.get(kind, _OTHER)}"', title))
    return found
