import numpy as np
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st

from swerve.eval.context.map_polygons import pack
from swerve.eval.context.planar_geometry_kernels import (
    box_box_distance,
    box_edges,
    boxes_touch,
    inside,
    polygon_box_distance,
    polygon_touches_box,
    project,
)
from swerve.eval.context.polygon_grid_kernels import build_grid, polygons_under
from swerve.eval.context.polygon_kernels import bound, shapes_distance, shapes_touch
from swerve.eval.traffic.path_buffer_kernels import bends_of, write_strip
from swerve.scenes.polyline import arc_lengths, headings

numbers = st.floats(-20, 20)
boxes = st.tuples(numbers, numbers, st.floats(-4, 4), st.floats(0.1, 6), st.floats(0.1, 3)).map(
    lambda box: np.array([box[0], box[1], np.cos(box[2]), np.sin(box[2]), box[3], box[4]])
)


def polygon_of(box):
    return shapely.Polygon(box_edges(box)[:, :2])


def star(seed, corners=9):
    """A polygon that is simple but not convex."""
    random = np.random.default_rng(seed)
    angle = np.sort(random.uniform(0, 2 * np.pi, corners))
    return np.stack([np.cos(angle), np.sin(angle)], axis=1) * random.uniform(3, 18, corners)[:, None]


@given(boxes, boxes)
def test_boxes_against_shapely(a, b):
    distance = polygon_of(a).distance(polygon_of(b))
    assert abs(box_box_distance(a, b) - distance) < 1e-9
    if distance > 1e-9 or distance == 0.0:
        assert boxes_touch(a, b) == polygon_of(a).intersects(polygon_of(b))


@given(st.integers(0, 2**31), boxes)
def test_polygons_against_shapely(seed, box):
    ring = star(seed)
    shape, edges = shapely.Polygon(ring), pack([(ring,)]).edges
    distance = shape.distance(polygon_of(box))
    assert abs(polygon_box_distance(edges, 0, len(edges), box) - distance) < 1e-9
    if distance > 1e-9 or distance == 0.0:
        assert polygon_touches_box(edges, 0, len(edges), box) == shape.intersects(polygon_of(box))
    assert inside(edges, 0, len(edges), box[0], box[1]) == shape.contains(shapely.Point(box[0], box[1]))


def test_points_on_an_outline_are_outside():
    edges = pack([(np.array([[0.0, 0], [4, 0], [4, 4], [0, 4]]),)]).edges
    for x, y in ((0, 0), (2, 0), (4, 2), (4, 4), (0, 1)):
        assert not inside(edges, 0, 4, float(x), float(y))
    assert inside(edges, 0, 4, 2.0, 2.0)


def test_touching_boxes_intersect():
    a, b = np.array([0.0, 0, 1, 0, 1, 1]), np.array([2.0, 0, 1, 0, 1, 1])
    assert boxes_touch(a, b)
    b[0] = 2.0 + 1e-9
    assert not boxes_touch(a, b)


@given(st.integers(0, 2**31))
def test_grid_finds_what_shapely_finds(seed):
    random = np.random.default_rng(seed)
    shift = random.uniform(-500, 500, 2)
    rings = [star(seed + k) * random.uniform(0.2, 8) + random.uniform(-90, 90, 2) + shift for k in range(12)]
    hole = star(seed, 5) * 0.1 + rings[0].mean(axis=0)
    outlines = [(rings[0], hole), *((ring,) for ring in rings[1:])]
    packed, corner, size = pack(outlines), shift - 100.0, int(random.integers(20, 120))
    grid = (packed.edges, packed.starts, corner, *build_grid(packed.edges, packed.starts, corner, size))
    shapes = [shapely.Polygon(ring, [hole] if k == 0 else []) for k, ring in enumerate(rings)]
    valid = shapes[0].is_valid
    points = shift + np.concatenate([random.uniform(-130, 130, (60, 2)), random.uniform(-5, 5, (60, 2))])
    found, ends = polygons_under(grid, points)
    for point, first, last in zip(points, ends[:-1], ends[1:], strict=True):
        mine = set(found[first:last])
        known = {k for k, shape in enumerate(shapes) if shape.contains(shapely.Point(point))}
        assert mine - ({0} if not valid else set()) == known - ({0} if not valid else set())


@given(st.integers(0, 2**31), st.sampled_from([1, 1000]))
@settings(max_examples=12)
def test_the_edges_that_are_kept_decide_as_all_do(seed, copies):
    """On vertices, on edges, level with vertices; also where there is no room to keep more."""
    random = np.random.default_rng(seed)
    rings = [np.round(star(seed + k) * random.uniform(0.2, 8) + random.uniform(-20, 20, 2), 1) for k in range(4)]
    packed, corner, size = (
        pack([(rings[0], np.round(rings[0].mean(axis=0) + star(seed, 5) * 0.1, 1)), *((one,) for one in rings[1:])]),
        np.array([-30.0, -30.0]),
        30,
    )
    grid = (packed.edges, packed.starts, corner, *build_grid(packed.edges, packed.starts, corner, size))
    vertices, ends = packed.edges[:, :2], packed.edges[:, 2:]
    level = np.column_stack([random.uniform(-30, 30, len(vertices)), vertices[:, 1]])
    some = np.concatenate([vertices, (vertices + ends) / 2, level, random.uniform(-31, 31, (copies, 2))])
    found, last = polygons_under(grid, some)
    for i, (x, y) in enumerate(some):
        known = [p for p in range(4) if inside(packed.edges, packed.starts[p], packed.starts[p + 1], x, y)]
        assert found[last[i] : last[i + 1]].tolist() == known


@given(st.integers(0, 2**31))
def test_project_against_shapely(seed):
    random = np.random.default_rng(seed)
    line = np.cumsum(random.uniform(-1, 5, (20, 2)), axis=0)
    point = random.uniform(-10, 60, 2)
    along, squared = project(line, arc_lengths(line), *point)
    string = shapely.LineString(line)
    assert abs(np.sqrt(squared) - string.distance(shapely.Point(point))) < 1e-9
    assert abs(along - string.project(shapely.Point(point))) < 1e-6


def winding(seed, scale):
    """A road that bends to and fro."""
    random = np.random.default_rng(seed)
    turn = np.cumsum(random.uniform(-scale, scale, 30))
    return np.cumsum(random.uniform(0.3, 1.5, (30, 1)) * np.stack([np.cos(turn), np.sin(turn)], axis=1), axis=0)


def outline(line, first, last, width):
    lengths = arc_lengths(line)
    paths = (np.column_stack([line, np.unwrap(headings(line))]), lengths, np.array([0, len(line)]))
    shape, limits = np.full((400, 4), np.inf), np.empty(4)
    bends = bends_of(paths, np.array([[0.0, 0.0, 1.0, 0.0, 2.0, width / 2]]))
    count = write_strip(paths, bends, 0, first, last, width / 2, shape)
    bound(shape, 4, count, limits)
    inner = lengths[(lengths > first) & (lengths < last)]
    cut = np.array([[np.interp(a, lengths, line[:, axis]) for axis in (0, 1)] for a in (first, *inner, last)])
    return (shape[:count], limits), shapely.LineString(cut).buffer(width / 2, cap_style="flat")


@given(st.integers(0, 2**31), st.integers(0, 2**31), st.floats(0, 6), st.floats(7, 20))
def test_strips_are_geos_buffers(seed, other, first, last):
    (mine, known), (second, buffered) = (
        outline(winding(seed, 0.15), first, last, 2.1),
        outline(winding(other, 0.15), 0.0, last, 1.7),
    )
    distance = known.distance(buffered)
    assert abs(shapes_distance(mine, second) - distance) < 2e-3
    if distance > 1e-6:
        assert not shapes_touch(mine, second)
    ring = shapely.Polygon(mine[0][4:, :2])
    assert ring.buffer(0).symmetric_difference(known).area < 2e-3


def hairpin_apart(seed):
    """How far the distances of points to a strip with sharp turns are from those of GEOS, at most."""
    random = np.random.default_rng(seed)
    turn, steps = random.uniform(-3, 3, 4), random.uniform(0.05, 2.0, (4, 1))
    line = np.cumsum(np.concatenate([np.zeros((1, 2)), steps * np.stack([np.cos(turn), np.sin(turn)], 1)]), axis=0)
    (edges, _), known = outline(line, 0.0, arc_lengths(line)[-1], 2.0)
    points = random.uniform(*np.reshape(known.buffer(0.5).bounds, (2, 2)), (40, 2))
    shapes = [(np.array([[x, y, x, y]]), np.array([x, y, x, y])) for x, y in points]
    limits = np.array(known.buffer(1).bounds)
    mine = np.array([shapes_distance(shape, (edges, limits)) for shape in shapes])
    return np.abs(mine - shapely.distance(known, shapely.points(points))).max()


def test_sharp_turns_of_strips_are_those_of_geos():
    assert max(hairpin_apart(seed) for seed in (*range(200), 1640, 2163, 2275)) < 1e-9
