"""Appearance of one log: weather, time of day, colours of the town, and the camera's sensor."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from swerve.scenes import keyed_generator

Rgb = Float[np.ndarray, "3"]


@dataclass(frozen=True)
class Weather:
    """Weather type with ranges of its parameters; colours are linear, brightness relative.

    Attributes:
        share: percentage of logs.
        elevation: least and greatest height of the sun, degrees.
        sun: its irradiance on a facing surface.
        zenith: colour of the sky at the zenith.
        horizon: colour of the sky at the horizon.
        around_sun: colour of the glow around the sun.
        clouds: least and greatest cloud cover.
        cloud: colours of the clouds' bright and dark sides.
        ambient: irradiance of the sky on level ground, in units of the zenith and horizon together.
        visibility: distance in metres with two thirds of haze, least and greatest.
        wetness: wetness of the ground.
        lamps: whether headlamps, street lamps and windows are lit.
        exposure: exposure offset of the whole image in stops.
    """

    share: float
    elevation: tuple[float, float]
    sun: tuple[float, float, float]
    zenith: tuple[float, float, float]
    horizon: tuple[float, float, float]
    around_sun: tuple[float, float, float]
    clouds: tuple[float, float]
    cloud: tuple[tuple[float, float, float], tuple[float, float, float]]
    ambient: float
    visibility: tuple[float, float]
    wetness: float = 0.0
    lamps: bool = False
    exposure: float = 0.0


WEATHERS = {
    "clear": Weather(
        24.0, (32.0, 62.0), (3.4, 3.2, 2.85), (0.13, 0.33, 0.88), (0.62, 0.82, 1.10), (0.5, 0.5, 0.45),
        (0.05, 0.32), ((1.9, 1.9, 1.9), (0.85, 0.90, 1.0)), 1.0, (900.0, 2500.0),
    ),
    "low sun": Weather(
        17.0, (9.0, 20.0), (3.2, 2.35, 1.45), (0.20, 0.34, 0.66), (0.95, 0.80, 0.66), (1.2, 0.85, 0.45),
        (0.1, 0.4), ((1.9, 1.5, 1.15), (0.55, 0.52, 0.58)), 0.85, (500.0, 1500.0),
    ),
    "cumulus": Weather(
        17.0, (25.0, 55.0), (3.0, 2.9, 2.65), (0.15, 0.33, 0.80), (0.80, 0.90, 1.02), (0.5, 0.5, 0.5),
        (0.42, 0.6), ((2.0, 2.0, 2.0), (0.60, 0.64, 0.72)), 1.15, (700.0, 2000.0),
    ),
    "overcast": Weather(
        16.0, (25.0, 50.0), (0.25, 0.25, 0.25), (0.75, 0.79, 0.86), (0.95, 0.97, 1.0), (0.10, 0.10, 0.10),
        (0.85, 1.0), ((1.12, 1.13, 1.16), (0.66, 0.69, 0.75)), 1.0, (400.0, 1200.0),
    ),
    "wet": Weather(
        10.0, (20.0, 40.0), (0.08, 0.08, 0.08), (0.52, 0.56, 0.63), (0.66, 0.69, 0.74), (0.02, 0.02, 0.02),
        (0.9, 1.0), ((0.82, 0.85, 0.90), (0.38, 0.41, 0.47)), 1.0, (160.0, 420.0), 1.0, True, -0.2,
    ),
    "haze": Weather(
        8.0, (18.0, 40.0), (1.5, 1.35, 1.1), (0.62, 0.72, 0.88), (1.05, 1.04, 1.0), (0.6, 0.55, 0.45),
        (0.1, 0.5), ((1.3, 1.3, 1.28), (0.95, 0.97, 1.0)), 1.0, (90.0, 220.0),
    ),
    "dusk": Weather(
        8.0, (4.0, 7.0), (0.10, 0.05, 0.02), (0.055, 0.085, 0.19), (0.36, 0.24, 0.22), (0.30, 0.13, 0.05),
        (0.1, 0.6), ((0.26, 0.19, 0.20), (0.07, 0.08, 0.13)), 1.0, (350.0, 900.0), 0.0, True, -0.9,
    ),
}  # fmt: skip


@dataclass(frozen=True)
class TownAppearance:
    """Sampled appearance of one log's images.

    Attributes:
        name: name of the weather.
        weather: weather type.
        toward_sun: unit vector to the sun.
        sun: irradiance of the sun.
        cover: cloud cover, 0 to 1.
        softness: softness of the clouds' edges.
        haze: extinction per metre.
        skyline: height of the distant skyline as a tangent.
        asphalt: reflectance.
        paving: reflectance.
        grass: reflectance.
        dryness: dryness of the grass.
        leaves: reflectance.
        exposure: offset from automatic exposure, stops.
        white: gains of red, green and blue.
        contrast: exponent of the tone curve.
        saturation: colour saturation, 1 for unchanged.
        noise: read noise variance, and variance per unit of light.
        blur: standard deviations along rows and columns, pixels of an image 960 wide.
        falloff: vignetting at the corners.
    """

    name: str
    weather: Weather
    toward_sun: Rgb
    sun: Rgb
    cover: float
    softness: float
    haze: float
    skyline: float
    asphalt: Rgb
    paving: Rgb
    grass: Rgb
    dryness: float
    leaves: Rgb
    exposure: float
    white: Rgb
    contrast: float
    saturation: float
    noise: tuple[float, float]
    blur: tuple[float, float]
    falloff: float

    @property
    def lit(self) -> bool:
        """True if lamps are lit."""
        return self.weather.lamps


def draw_look(name: str, seed: int, weather: str | None = None) -> TownAppearance:
    """Sample the appearance of a log.

    Args:
        name: name of the log.
        seed: random seed.
        weather: a name in `WEATHERS`; sampled if None.
    """
    rng = keyed_generator(seed, name, "look")
    shares = np.array([kind.share for kind in WEATHERS.values()], np.float64)
    drawn = str(rng.choice(list(WEATHERS), p=shares / shares.sum()))
    chosen = weather or drawn
    day = WEATHERS[chosen]
    elevation, azimuth = np.deg2rad(rng.uniform(*day.elevation)), rng.uniform(0, 2 * np.pi)
    toward = np.array([np.cos(elevation) * np.cos(azimuth), np.cos(elevation) * np.sin(azimuth), np.sin(elevation)])
    grey, green = rng.uniform(0.05, 0.11), rng.uniform(0.7, 1.25)
    gain = float(rng.uniform(0.4, 1.6))
    sharp = rng.uniform(0.3, 0.75)
    return TownAppearance(
        name=chosen,
        weather=day,
        toward_sun=toward,
        sun=np.array(day.sun) * rng.uniform(0.85, 1.15),
        cover=float(rng.uniform(*day.clouds)),
        softness=float(rng.uniform(0.22, 0.42)),
        haze=float(1.0 / rng.uniform(*day.visibility)),
        skyline=float(rng.uniform(0.015, 0.06)),
        asphalt=grey * rng.uniform([0.97, 0.97, 0.94], [1.05, 1.01, 1.04]),
        paving=rng.uniform(0.2, 0.36) * rng.uniform([1.0, 0.95, 0.82], [1.12, 1.0, 0.98]),
        grass=green * np.array([0.055, 0.105, 0.028]) * rng.uniform(0.8, 1.2, 3),
        dryness=float(rng.uniform(-0.1, 0.55)),
        leaves=_leaves(rng),
        exposure=float(rng.normal(0.0, 0.22)),
        white=rng.uniform([0.92, 1.0, 0.90], [1.10, 1.0, 1.10]),
        contrast=float(rng.uniform(0.95, 1.12)),
        saturation=float(rng.uniform(0.95, 1.35)),
        noise=(1.5e-6 * gain * gain, 2.2e-4 * gain * (2.0 if day.lamps else 1.0)),
        blur=(float(sharp * rng.uniform(0.9, 1.35)), float(sharp)),
        falloff=float(rng.uniform(0.12, 0.4)),
    )


def _leaves(rng: np.random.Generator) -> Rgb:
    """Sample the colour of leaves: summer green, or autumn in one of seven logs."""
    if rng.random() < 1 / 7:
        return rng.uniform([0.16, 0.07, 0.012], [0.30, 0.15, 0.03])
    return rng.uniform([0.030, 0.065, 0.012], [0.075, 0.125, 0.030])
