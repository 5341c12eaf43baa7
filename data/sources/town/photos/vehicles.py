"""Vehicle bodies: cars, vans, lorries and buses, each within its box.

Cars are lofted over a few cross-sections (`shapes.loft`). Body frame: x forward, y left, z up, origin at the centre of
the box's bottom. Axles lie where `Vehicle.from_box` puts them.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from swerve.data.sources.town.photos.shapes import LoftMaterials, box, loft, tube
from swerve.data.sources.town.photos.solids import Material, Rgb, Solid, joined
from swerve.scenes.vehicle import REAR_OVERHANG_SHARE, WHEELBASE_SHARE

# Car paint in linear colours, with frequencies.
_PAINTS: tuple[tuple[Rgb, float], ...] = (
    ((0.72, 0.72, 0.70), 0.22),
    ((0.022, 0.022, 0.025), 0.19),
    ((0.16, 0.165, 0.17), 0.17),
    ((0.40, 0.41, 0.42), 0.13),
    ((0.03, 0.07, 0.20), 0.09),
    ((0.32, 0.02, 0.02), 0.08),
    ((0.05, 0.11, 0.07), 0.03),
    ((0.40, 0.33, 0.22), 0.04),
    ((0.62, 0.40, 0.03), 0.025),
    ((0.10, 0.27, 0.42), 0.025),
)
_GLASS: Rgb = (0.012, 0.015, 0.017)
_BLACK: Rgb = (0.018, 0.018, 0.019)
_RUBBER: Rgb = (0.022, 0.022, 0.023)
_LACQUER_GLOSS, _GLASS_GLOSS = 0.05, 0.10

# Stations of the silhouettes: x (0 rear bumper, 1 front), sill, belt and top as shares of the height, share of the
# width, and the type of the faces up to the next station: b body, w side windows, p pillar, r rear window or windscreen
# with body beside it, f both windscreen and side windows.
_SEDAN = (
    (0.00, 0.24, 0.58, 0.62, 0.86, "b"),
    (0.04, 0.16, 0.60, 0.65, 0.97, "b"),
    (0.15, 0.13, 0.62, 0.67, 1.00, "r"),
    (0.29, 0.12, 0.63, 0.97, 1.00, "w"),
    (0.43, 0.12, 0.63, 1.00, 1.00, "p"),
    (0.45, 0.12, 0.63, 1.00, 1.00, "w"),
    (0.58, 0.12, 0.62, 0.98, 1.00, "f"),
    (0.73, 0.12, 0.61, 0.65, 1.00, "b"),
    (0.93, 0.14, 0.52, 0.56, 0.96, "b"),
    (1.00, 0.22, 0.44, 0.47, 0.82, "b"),
)
_HATCHBACK = (
    (0.00, 0.22, 0.58, 0.62, 0.88, "b"),
    (0.03, 0.15, 0.60, 0.66, 0.97, "r"),
    (0.12, 0.12, 0.62, 0.96, 1.00, "w"),
    (0.24, 0.12, 0.62, 0.99, 1.00, "p"),
    (0.27, 0.12, 0.62, 0.99, 1.00, "w"),
    (0.42, 0.12, 0.61, 1.00, 1.00, "p"),
    (0.44, 0.12, 0.61, 1.00, 1.00, "w"),
    (0.60, 0.12, 0.60, 0.98, 1.00, "f"),
    (0.76, 0.12, 0.59, 0.63, 1.00, "b"),
    (0.94, 0.14, 0.51, 0.55, 0.96, "b"),
    (1.00, 0.22, 0.44, 0.47, 0.84, "b"),
)
_TALL = (
    (0.00, 0.24, 0.58, 0.64, 0.92, "b"),
    (0.02, 0.17, 0.60, 0.68, 0.98, "r"),
    (0.08, 0.16, 0.61, 0.97, 1.00, "w"),
    (0.25, 0.15, 0.61, 1.00, 1.00, "p"),
    (0.28, 0.15, 0.61, 1.00, 1.00, "w"),
    (0.44, 0.15, 0.61, 1.00, 1.00, "p"),
    (0.46, 0.15, 0.61, 1.00, 1.00, "w"),
    (0.62, 0.15, 0.61, 0.98, 1.00, "f"),
    (0.75, 0.15, 0.61, 0.65, 1.00, "b"),
    (0.95, 0.17, 0.56, 0.61, 0.97, "b"),
    (1.00, 0.24, 0.48, 0.53, 0.88, "b"),
)
_VAN = (
    (0.00, 0.16, 0.50, 0.97, 0.97, "b"),
    (0.03, 0.15, 0.50, 1.00, 1.00, "b"),
    (0.62, 0.15, 0.50, 1.00, 1.00, "w"),
    (0.76, 0.15, 0.50, 0.97, 1.00, "f"),
    (0.88, 0.15, 0.49, 0.53, 1.00, "b"),
    (0.98, 0.16, 0.38, 0.42, 0.96, "b"),
    (1.00, 0.20, 0.34, 0.37, 0.90, "b"),
)
_BUS = (
    (0.00, 0.11, 0.42, 0.99, 0.98, "b"),
    (0.01, 0.11, 0.40, 1.00, 1.00, "p"),
    *(
        station
        for k in range(6)
        for station in (
            (0.03 + 0.155 * k, 0.11, 0.38, 1.00, 1.00, "w"),
            (0.17 + 0.155 * k, 0.11, 0.38, 1.00, 1.00, "p"),
        )
    ),
    (0.96, 0.11, 0.36, 1.00, 1.00, "f"),
    (1.00, 0.12, 0.34, 0.98, 0.98, "f"),
)
_CAB = (
    (0.00, 0.20, 0.55, 0.97, 0.96, "b"),
    (0.30, 0.18, 0.55, 1.00, 1.00, "w"),
    (0.78, 0.18, 0.53, 0.99, 1.00, "f"),
    (0.97, 0.18, 0.45, 0.52, 1.00, "b"),
    (1.00, 0.20, 0.40, 0.46, 0.96, "b"),
)


@dataclass(frozen=True)
class _Shape:
    """Silhouette with the inclination of its upper part.

    Attributes:
        stations: stations as above.
        lean: width of the roof as a share of that at the belt.
        wheel: radius of the wheels, metres.
        axles: positions of the axles as shares of the length, from the rear.
    """

    stations: tuple[tuple[float, float, float, float, float, str], ...]
    lean: float
    wheel: float
    axles: tuple[float, ...] = (REAR_OVERHANG_SHARE, REAR_OVERHANG_SHARE + WHEELBASE_SHARE)


def vehicle_body(size: Float[np.ndarray, "3"], generator: np.random.Generator, lit: bool) -> Solid:
    """Build a vehicle for a box of (length, width, height).

    Args:
        size: size of the box, metres.
        generator: random number generator of colour and, where the size allows several, type.
        lit: whether its lamps are lit.
    """
    length, _, height = size
    paint = _paint(generator)
    if length > 9.8:
        return _whole(_Shape(_BUS, 0.97, 0.48, (0.27, 0.77)), size, paint, lit)
    if length > 6.6:
        return _lorry(size, paint, generator, lit)
    if height > 2.15:
        return _whole(_Shape(_VAN, 0.90, 0.34), size, paint, lit)
    if height > 1.6:
        return _whole(_Shape(_TALL, 0.80, min(0.37, 0.2 * height)), size, paint, lit)
    chosen = _SEDAN if length > 4.2 and generator.random() < 0.6 else _HATCHBACK
    return _whole(_Shape(chosen, 0.74, 0.31), size, paint, lit)


def _paint(generator: np.random.Generator) -> Rgb:
    """Sample a car colour by frequency, slightly varied."""
    shares = np.array([share for _, share in _PAINTS])
    tint = np.array(_PAINTS[int(generator.choice(len(_PAINTS), p=shares / shares.sum()))][0])
    r, g, b = (tint * generator.uniform(0.8, 1.15)).clip(0.0, 0.85).tolist()
    return r, g, b


def _whole(shape: _Shape, size: Float[np.ndarray, "3"], paint: Rgb, lit: bool) -> Solid:
    """Build a one-piece body on its wheels, with lamps and plates."""
    return joined([_shell(shape, size, paint), *_wheels(shape, size), *_details(shape, size, lit)])


def _lorry(size: Float[np.ndarray, "3"], paint: Rgb, generator: np.random.Generator, lit: bool) -> Solid:
    """Build a cab, a cargo box behind it, and a frame with three axles."""
    length, width, height = size
    cab_length = 2.1
    cab = _Shape(_CAB, 0.94, 0.45, (0.5,))
    cab_size = np.array([cab_length, width, 0.86 * height])
    front = np.array([length / 2 - cab_length / 2, 0.0, 0.0])
    load_length = length - cab_length - 0.12
    load_paint = _paint(generator) if generator.random() < 0.4 else (0.62, 0.62, 0.60)
    load = box(
        (-length / 2 + load_length / 2, 0.0, (1.0 + height) / 2),
        (load_length, 0.99 * width, height - 1.0),
        Material.MATT,
        load_paint,
    )
    frame = box((-0.3, 0.0, 0.8), (length - 1.4, 0.6 * width, 0.35), Material.MATT, _BLACK)
    axles = _Shape(_CAB, 0.94, 0.45, (0.14, 0.27, 1.0 - 0.55 * cab_length / length))
    lamps = [
        _lamp(-length / 2 + 0.02, side * 0.42 * width, 0.85, (0.04, 0.12 * width, 0.14), _tail(lit)) for side in (-1, 1)
    ]
    body = joined([_shell(cab, cab_size, paint), *_details(cab, cab_size, lit)[:4]]).moved(0.0, front)
    return joined([body, load, frame, *_wheels(axles, size), *lamps])


def _shell(shape: _Shape, size: Float[np.ndarray, "3"], paint: Rgb) -> Solid:
    """Build the lofted body, slightly shorter than the box, so that lamps may protrude."""
    sections = np.array([_section(station[:5], shape.lean) for station in shape.stations])
    sections[..., 0] = (sections[..., 0] - 0.5) * 0.985
    points = sections * (size * [1.0, 0.482, 1.0])
    return loft(points, _skin([station[5] for station in shape.stations[:-1]], paint))


def _section(station: tuple[float, ...], lean: float) -> Float[np.ndarray, "7 3"]:
    """Return points of the left half: sill, its upper edge, flank, belt, window top, roof edge, roof."""
    x, sill, belt, top, width = station
    cabin = top - belt > 0.15
    roof = lean if cabin else 0.5 + 0.5 * lean
    drop = 0.045 if cabin else 0.004
    half = [0.93, 0.985, 1.0, 0.95, roof, roof - 0.07, 0.0]
    heights = [sill, sill + 0.08, 0.55 * belt + 0.45 * sill, belt, top - drop, top - drop / 4, top]
    return np.stack([np.full(7, x), width * np.array(half), np.minimum(heights, 0.999)], axis=1)


def _skin(kinds: list[str], paint: Rgb) -> LoftMaterials:
    """Return the materials: paint, with dark sills and pillars and with windows."""
    materials = np.full((len(kinds), 6), Material.COATED, np.uint8)
    tints = np.tile(np.array(paint), (len(kinds), 6, 1))
    gloss = np.full((len(kinds), 6), _LACQUER_GLOSS)
    materials[:, 0], tints[:, 0] = Material.MATT, _BLACK
    for row, kind in enumerate(kinds):
        columns = {"b": [], "w": [3], "p": [], "r": [5], "f": [3, 5]}[kind]
        tints[row, columns], gloss[row, columns] = _GLASS, _GLASS_GLOSS
        if kind == "p":
            tints[row, 3] = _BLACK
    return LoftMaterials(materials, tints, gloss)


def _wheels(shape: _Shape, size: Float[np.ndarray, "3"]) -> list[Solid]:
    """Build tyres, rims, and the dark wheel arches."""
    length, width, _ = size
    parts, radius = [], shape.wheel
    for axle in shape.axles:
        for side in (-1.0, 1.0):
            x, rim = (axle - 0.5) * length, side * 0.497 * width
            inner = rim - side * 0.22
            middle = np.array([x, 0.0, radius])
            arch = middle + np.array([0.0, 0.0, 0.05])
            for place, wanted, share, tint in ((arch, 1.16 * radius, 0.487, _BLACK), (middle, radius, 0.495, _RUBBER)):
                start, end = (place + np.array([0.0, y, 0.0]) for y in (inner, side * share * width))
                reach = min(wanted, float(place[2]))
                parts.append(tube(start, end, (reach, reach), Material.MATT, tint, 14))
            hub = middle + np.array([0.0, side * 0.48 * width, 0.0]), middle + np.array([0.0, rim, 0.0])
            parts.append(tube(*hub, (0.66 * radius, 0.58 * radius), Material.COATED, (0.32, 0.33, 0.34), 10))
    return parts


def _details(shape: _Shape, size: Float[np.ndarray, "3"], lit: bool) -> list[Solid]:
    """Build headlamps, tail lamps, grille and plates, half sunk into the body."""
    length, width, height = size
    rear, nose = shape.stations[1], shape.stations[-1]
    front_z, back_z = nose[2] * 0.93 * height, (0.62 * rear[2] + 0.38 * rear[1]) * height + 0.18 * height * rear[2]
    head: Rgb = (1.6, 1.55, 1.4) if lit else (0.55, 0.56, 0.58)
    material = Material.LAMP if lit else Material.COATED
    parts = []
    for side in (-1.0, 1.0):
        place = (0.4685 * length, side * 0.345 * width, front_z)
        parts.append(box(place, (0.05 * length, 0.15 * width, 0.09 * height), material, head))
        parts.append(_lamp(-0.4775 * length, side * 0.39 * width, back_z, (0.044 * length, 0.15, 0.13), _tail(lit)))
    low = (nose[1] + 0.1) * height
    parts.append(box((0.4945 * length, 0.0, low), (0.008 * length, 0.42 * width, 0.1 * height), Material.MATT, _BLACK))
    plates = ((0.4965, low - 0.02), (-0.4965, (rear[1] + 0.16) * height))
    for x, z in plates:
        parts.append(box((x * length, 0.0, z), (0.006 * length, 0.5, 0.11), Material.MATT, (0.7, 0.7, 0.66)))
    return parts


def _tail(lit: bool) -> tuple[Material, Rgb]:
    """Return material and colour of tail lamps."""
    return (Material.LAMP, (0.75, 0.03, 0.02)) if lit else (Material.COATED, (0.30, 0.012, 0.01))


def _lamp(x: float, y: float, z: float, size: tuple[float, float, float], look: tuple[Material, Rgb]) -> Solid:
    """Build one lamp."""
    return box((x, y, z), size, *look)
