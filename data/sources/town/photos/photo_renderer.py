"""Renderer of synthetic photos of a town: the log's scenes with photo-like appearance.

The images are synthetic: use them where a planner, or an alignment of rasters to images, needs images that differ from
the raster as a camera's do, with the raster's geometry. They give no evidence about performance on real images.
Modelled: lens, textures, sun and shadows, haze, exposure, white balance, blur, vignetting, noise. Not modelled:
indirect light, reflections of objects, per-object motion blur, rolling shutter.

Visibility is the rasterizer's, with four samples a pixel; every triangle is its own instance there. All randomness is
determined by the log's name and the seed.
"""

import hashlib
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import scipy
import shapely
from jaxtyping import Bool, Float, Float32, Int32, UInt8

from swerve.data.sources.town.photos import light_kernels, sensor_kernels, sky_kernels
from swerve.data.sources.town.photos.buildings import build_house, draw_plots
from swerve.data.sources.town.photos.figures import AgentBodies
from swerve.data.sources.town.photos.ground import build_ground, paved_area
from swerve.data.sources.town.photos.look import WEATHERS, TownAppearance, draw_look
from swerve.data.sources.town.photos.noise_kernels import NODES
from swerve.data.sources.town.photos.objects import signal_poles
from swerve.data.sources.town.photos.reach import CullingRegion, culling_region
from swerve.data.sources.town.photos.shadows import ShadowMap, shadow_map
from swerve.data.sources.town.photos.solids import Solid, joined, plane_normals
from swerve.data.sources.town.photos.vegetation import build_vegetation
from swerve.rasterizer import Style, render
from swerve.rasterizer.optics import lens_table
from swerve.scenes import Camera, Log, SwerveError, Tracks, TrafficLights, keyed_generator
from swerve.scenes.primitives import Primitives

# Far clipping distance, metres.
_SIGHT = 700.0
# Radius of agents' shadows around the ego, and pixel sizes of the static and dynamic shadow maps, metres.
_NEAR, _STILL_GRAIN, _MOVING_GRAIN = 65.0, 0.2, 0.07
_SKY_SIZE = 1536
# White point relative to the exposure; size of the tone curve; mean tone; strength of its S shape.
_WHITE, _TONES, _MIDDLE, _STEEPER = 4.0, 1 << 14, 0.25, 0.55
_LUMINANCE = np.array([0.2126, 0.7152, 0.0722])


class TexturedSurfaces(NamedTuple):
    """Triangle arrays for the kernels."""

    planes: Float[np.ndarray, "f 4"]
    corners: Float[np.ndarray, "f 3"]
    edges: Float32[np.ndarray, "f 2 3"]
    normals: Float32[np.ndarray, "f 3 3"]
    curved: Bool[np.ndarray, "f"]
    materials: UInt8[np.ndarray, "f"]
    tints: Float32[np.ndarray, "f 3"]
    frames: Float[np.ndarray, "f 8"]


class PhotoScene(NamedTuple):
    """Scene arrays for the kernels; `cover` and `canopy` are ambient occlusion maps of the sky overhead."""

    table: Float32[np.ndarray, "256 256"]
    sky: Float32[np.ndarray, "s s 3"]
    still_shade: Float32[np.ndarray, "h w"]
    still_map: Float[np.ndarray, "3 4"]
    still_grain: float
    moving_shade: Float32[np.ndarray, "h2 w2"]
    moving_map: Float[np.ndarray, "3 4"]
    moving_grain: float
    canopy: Float32[np.ndarray, "h3 w3"]
    canopy_place: Float[np.ndarray, "3"]
    cover: Float32[np.ndarray, "h4 w4"]
    cover_place: Float[np.ndarray, "3"]


class Light(NamedTuple):
    """Light sources; `above` and `below` are the light of sky and ground, `haze` its colour and density."""

    toward: Float[np.ndarray, "3"]
    sun: Float[np.ndarray, "3"]
    above: Float[np.ndarray, "3"]
    below: Float[np.ndarray, "3"]
    haze: Float[np.ndarray, "4"]
    season: Float[np.ndarray, "3"]
    lamps: float


class _Moment(NamedTuple):
    """Scene data of one timestamp."""

    primitives: Primitives
    surfaces: TexturedSurfaces
    world: PhotoScene
    instances: Int32[np.ndarray, "n1"]


class SyntheticImage(NamedTuple):
    """Synthetic photo.

    Attributes:
        rgb: RGB pixels.
        instance: instance ids as in the raster; 0 for what the raster lacks: sky, grass, houses.
    """

    rgb: UInt8[np.ndarray, "h w 3"]
    instance: Int32[np.ndarray, "h w"]


class TownPhotoRenderer:
    """Renderer of one log's photos; static geometry is built once (about a second).

    Args:
        log: log with a map.
        seed: random seed, combined with the log's name.
        weather: a name in `look.WEATHERS`; sampled if None.

    Raises:
        SwerveError: the log has no map, or the weather is unknown.
    """

    def __init__(self, log: Log, seed: int = 0, weather: str | None = None) -> None:
        if log.road_map is None:
            raise SwerveError(f"log {log.name} has no map: there is nothing to render")
        if weather is not None and weather not in WEATHERS:
            raise SwerveError(f"weather {weather!r}: choose among {', '.join(WEATHERS)}")
        self.look = draw_look(log.name, seed, weather)
        self._name, self._seed = log.name, seed
        self._figures = AgentBodies(log.name, seed, self.look.lit)
        ground, standing = _standing(log, self.look, seed)
        still = joined([ground, standing])
        self._still, self._surfaces, self._instances = still.primitives(), _surfaces(still), still.instances
        self._light = _light(self.look)
        self._world = self._world_of(standing, log)
        self._grain = keyed_generator(seed, log.name, "grain").normal(size=1 << 18).astype(np.float32)

    def photograph(
        self,
        cameras: Sequence[Camera],
        world_from_ego: Float[np.ndarray, "4 4"],
        tracks: Tracks,
        lights: TrafficLights,
    ) -> list[SyntheticImage]:
        """Render every camera of a rig from a pose.

        Args:
            cameras: the rig, with the sizes of the images.
            world_from_ego: pose of the vehicle.
            tracks: agents at one step, as in `build_dynamic`; without the ego.
            lights: signals at one step.
        """
        near = world_from_ego[:3, 3] - [_NEAR, _NEAR, 8.0], world_from_ego[:3, 3] + [_NEAR, _NEAR, 10.0]
        reach = culling_region(cameras, world_from_ego, _SIGHT, near, self.look.toward_sun)
        moment = self._moment(tracks, lights, reach)
        finer = [camera.resized(2 * camera.width, 2 * camera.height) for camera in cameras]
        views = render(moment.primitives, finer, world_from_ego[None], Style.rap(_SIGHT), ("instance",))[0]
        photographs = []
        for camera, view in zip(cameras, views, strict=True):
            assert view.instance is not None
            light = self._expose(camera, view.camera, world_from_ego, view.instance, moment)
            rgb = self._developed(light, camera, world_from_ego)
            photographs.append(SyntheticImage(rgb, moment.instances[view.instance[::2, ::2]]))
        return photographs

    def _world_of(self, standing: Solid, log: Log) -> PhotoScene:
        """Build noise, sky, and the shadows of static geometry."""
        table = keyed_generator(self._seed, self._name, "noise").random((NODES, NODES)).astype(np.float32)
        sky = np.empty((_SKY_SIZE, _SKY_SIZE, 3), np.float32)
        look, day = self.look, self.look.weather
        tones = np.array([day.zenith, day.horizon, day.around_sun, *day.cloud, self._light.haze[:3] * 0.55])
        clouds = np.array([look.cover, look.softness, look.skyline])
        sky_kernels.paint(table, look.toward_sun, tones, clouds, sky)
        casters = standing.primitives()
        low, high = _around(log)
        shade = shadow_map(casters, look.toward_sun, low, high, _STILL_GRAIN)
        canopy, canopy_place = _cover(casters, low, high, 0.5, 1.6, 0.5)
        none = np.zeros((2, 2), np.float32)
        return PhotoScene(
            table, sky, *shade, none, np.eye(3, 4), 1.0, canopy, canopy_place, none, np.array([0.0, 0.0, 1.0])
        )

    def _moment(self, tracks: Tracks, lights: TrafficLights, reach: CullingRegion) -> _Moment:
        """Build the scene of one timestamp with all relevant agents."""
        solid, starts = self._figures.at(tracks, lights, reach)
        moving, instances = solid.primitives(starts), np.concatenate([[0], self._instances, solid.instances])
        shifted = Primitives(
            **{**vars(moving), "instances": moving.instances + np.int32(len(self._still))},
        )
        surfaces = TexturedSurfaces(
            *(np.concatenate(pair) for pair in zip(self._surfaces, _surfaces(solid), strict=True))
        )
        shade = shadow_map(moving, reach.toward, reach.low, reach.high, _MOVING_GRAIN)
        cover, place = _cover(moving, reach.low, reach.high, 0.12, 0.3, 0.85)
        world = self._world._replace(
            moving_shade=shade.depths,
            moving_map=shade.pixel_from_world,
            moving_grain=shade.pixel_size,
            cover=cover,
            cover_place=place,
        )
        return _Moment(self._still.concatenate(shifted), surfaces, world, instances.astype(np.int32))

    def _expose(
        self,
        camera: Camera,
        finer: Camera,
        world_from_ego: Float[np.ndarray, "4 4"],
        seen: Int32[np.ndarray, "h2 w2"],
        moment: _Moment,
    ) -> Float32[np.ndarray, "h w 3"]:
        """Compute the light on the sensor, with lens blur."""
        light = np.empty((camera.height, camera.width, 3), np.float32)
        pose = np.ascontiguousarray((world_from_ego @ camera.ego_from_camera)[:3])
        light_kernels.light_image(
            seen, *_rays(finer), pose, 1.0 / camera.fx, moment.surfaces, moment.world, self._light, light
        )
        across, down = (_weights(sigma * camera.width / 960.0) for sigma in self.look.blur)
        sensor_kernels.blur(light, across, down, np.empty_like(light))
        return light

    def _developed(
        self, light: Float32[np.ndarray, "h w 3"], camera: Camera, world_from_ego: Float[np.ndarray, "4 4"]
    ) -> UInt8[np.ndarray, "h w 3"]:
        """Apply vignetting, automatic exposure, noise and the tone curve."""
        look, rgb = self.look, np.empty(light.shape, np.uint8)
        own = keyed_generator(self._seed, self._name, "camera", camera.name)
        gains = (
            look.white
            * own.uniform(0.98, 1.02, 3)
            * 2.0 ** (look.exposure + look.weather.exposure + own.normal(0.0, 0.06))
        )
        bright = np.maximum(light[::8, ::8].reshape(-1, 3) @ _LUMINANCE, 1e-4)
        gains = gains * _MIDDLE / np.exp(np.log(bright).mean()) / _WHITE
        place = hashlib.blake2b(world_from_ego.tobytes(), digest_size=8).hexdigest()
        offsets = keyed_generator(self._seed, self._name, camera.name, place).integers(0, len(self._grain), len(light))
        sensor_kernels.apply_sensor_model(
            light,
            gains.astype(np.float32),
            look.falloff,
            self._grain,
            offsets,
            np.array(look.noise),
            np.float32(look.saturation),
            _tone_curve(look.contrast),
            rgb,
        )
        return rgb


def _standing(log: Log, look: TownAppearance, seed: int) -> tuple[Solid, Solid]:
    """Build the ground, and the static objects on it."""
    assert log.road_map is not None
    road_map, paved = log.road_map, paved_area(log.road_map)
    plots = draw_plots(paved, keyed_generator(seed, log.name, "plots"))
    builder = keyed_generator(seed, log.name, "houses")
    houses = [build_house(plot, road_map.ground, builder) for plot in plots]
    built = shapely.union_all([shapely.Polygon(plot.corners) for plot in plots])
    way, gardener = log.ego.positions[:, :2], keyed_generator(seed, log.name, "garden")
    green = build_vegetation(paved, built, way, road_map.ground, look, gardener)
    return build_ground(road_map, paved, look), joined([*houses, green, signal_poles(log.lights, road_map)])


def _around(log: Log) -> tuple[Float[np.ndarray, "3"], Float[np.ndarray, "3"]]:
    """Return the bounding box of shadows around the ego's path."""
    points = log.ego.positions
    return points.min(axis=0) - np.array([170.0, 170.0, 15.0]), points.max(axis=0) + np.array([170.0, 170.0, 32.0])


def _surfaces(solid: Solid) -> TexturedSurfaces:
    """Convert triangles to kernel arrays."""
    first, second, third = (solid.corners[:, k] for k in range(3))
    normal = plane_normals(solid.corners)
    a, b = second - first, third - first
    cross = np.cross(a, b)
    square = np.maximum((cross**2).sum(axis=1, keepdims=True), 1e-18)
    edges = np.stack([np.cross(b, cross) / square, np.cross(cross, a) / square], axis=1)
    bend = np.abs(solid.normals - normal[:, None]).max(axis=(1, 2), initial=0.0)
    return TexturedSurfaces(
        np.concatenate([normal, (normal * first).sum(axis=1, keepdims=True)], axis=1),
        np.ascontiguousarray(first),
        edges.astype(np.float32),
        solid.normals.astype(np.float32),
        bend > 1e-3,
        solid.materials,
        np.ascontiguousarray(solid.reflectances),
        np.ascontiguousarray(solid.material_frames),
    )


def _light(look: TownAppearance) -> Light:
    """Build the lights of the weather; the ground reflects the light it receives."""
    day = look.weather
    sky = day.ambient * (0.55 * np.array(day.zenith) + 0.45 * np.array(day.horizon))
    cloud = (np.array(day.cloud[0]) + day.cloud[1]) / 2
    above = sky + 0.6 * look.cover * (cloud - sky)
    below = 0.16 * (above + look.sun * look.toward_sun[2])
    season = np.array([day.wetness, look.dryness, 0.5 if look.lit else 0.0])
    brightness = 0.35 if day.sun[0] < 0.2 and day.zenith[2] < 0.3 else 1.0
    haze = np.array([*(0.92 * np.array(day.horizon)), look.haze])
    return Light(look.toward_sun, look.sun, above, below, haze, season, brightness)


def _cover(
    casters: Primitives,
    low: Float[np.ndarray, "3"],
    high: Float[np.ndarray, "3"],
    grain: float,
    spread: float,
    strength: float,
) -> tuple[Float32[np.ndarray, "h w"], Float[np.ndarray, "3"]]:
    """Compute the share of the sky occluded from the ground: geometry straight above, blurred by `spread` metres.

    Returns:
        the map, rows to the north; (x, y) of its first node and metres between nodes.
    """
    found: ShadowMap = shadow_map(casters, np.array([0.0, 0.0, 1.0]), low, high, grain)
    hidden = np.isfinite(found.depths)[::-1].astype(np.float32)
    middle, size = (low + high)[:2] / 2, np.array(hidden.shape)[::-1] * found.pixel_size
    place = np.array([*(middle - size / 2 + found.pixel_size / 2), found.pixel_size])
    return strength * scipy.ndimage.gaussian_filter(hidden, spread / found.pixel_size, truncate=2.5), place


def _rays(camera: Camera) -> tuple[Float32[np.ndarray, "h w"], Float32[np.ndarray, "h w"]]:
    """Return x / z and y / z of the ray through each pixel."""
    table = lens_table(camera)
    if table.rays_x.size:
        return table.rays_x, table.rays_y
    x = (np.arange(camera.width) + 0.5 - camera.cx) / camera.fx
    y = (np.arange(camera.height) + 0.5 - camera.cy) / camera.fy
    columns, rows = np.meshgrid(x.astype(np.float32), y.astype(np.float32))
    return columns, rows


def _weights(sigma: float) -> Float32[np.ndarray, "k"]:
    """Return half of a Gaussian kernel, from its centre on; the full kernel sums to 1."""
    steps = np.arange(max(int(np.ceil(2.5 * sigma)), 1) + 1)
    weights = np.exp(-0.5 * (steps / sigma) ** 2)
    shares: Float32[np.ndarray, "k"] = (weights / (2 * weights.sum() - weights[0])).astype(np.float32)
    return shares


def _tone_curve(contrast: float) -> UInt8[np.ndarray, "m"]:
    """Build the tone curve: Reinhard et al. 2002, equation 4, then sRGB's transfer function and contrast."""
    x = np.linspace(0.0, _WHITE, _TONES)
    y = (x * (1 + x / _WHITE**2) / (1 + x)) ** contrast
    coded = np.where(y <= 0.0031308, 12.92 * y, 1.055 * np.maximum(y, 1e-9) ** (1 / 2.4) - 0.055).clip(0, 1)
    steeper = coded * coded * (3 - 2 * coded)
    curve: UInt8[np.ndarray, "m"] = (255 * (coded + _STEEPER * (steeper - coded))).round().astype(np.uint8)
    return curve
