"""Benchmark of views per second of every available back end: 1, 8 and 96 views of a real snapshot and of a town."""

import os
import time

import numpy as np

from benchmarks.bench_rasterizer import LENSES, LOG, eight_cameras, moment
from benchmarks.measure import real_data, report, timed
from swerve.data import open_source
from swerve.rasterizer import Style, render
from swerve.rasterizer.backends import device_name, unavailable_reason
from swerve.scenes.primitives import build_dynamic, build_static
from swerve.scenes.transforms import pose_from_yaw

OUTPUTS = ("rgb", "depth", "instance")
SIZES, COUNTS = ((1920, 1120), (768, 432)), (1, 8, 96)
# RAP's published method on the real snapshot, milliseconds per image of 1920x1120, RGB only.
ORIGINAL_VIEWS_PER_SECOND = (1000 / 42.0, 1000 / 38.0)
GOAL = 2000.0


def run():
    """Print and write the table: all cores for numba; on a GPU, images left there and copied to the host."""
    cameras = eight_cameras(LENSES["distorted"])
    rows = []
    for scene, (primitives, pose) in scenes().items():
        for width, height in SIZES:
            rig = [camera.resized(width, height) for camera in cameras]
            for count in COUNTS:
                rows += rates(scene, primitives, rig[: min(count, 8)], poses(pose, max(count // 8, 1)))
    low, high = ORIGINAL_VIEWS_PER_SECOND
    notes = [
        f"{' '.join(OUTPUTS)} with lens distortion. Floor: the same bytes written by numpy's fill on one core.",
        f"The original: {low:.0f}-{high:.0f} full-size views per second and core on the real snapshot, rgb alone.",
        *(f"{name}: {unavailable_reason(name) or device_name(name)}" for name in ("cuda", "nvdiffrast")),
    ]
    report("views", "Views per second", rows, notes)


def scenes():
    """Return primitives and a pose by name."""
    source = open_source("town:1")
    log = source.load(source.names()[0])
    step = len(log.times_us) // 2
    found = {}
    if folder := real_data():
        primitives, pose = moment(folder / "av2" / LOG)
        found["av2 moment"] = (primitives, pose[0])
    town = build_static(log.road_map).concatenate(build_dynamic(log.tracks, log.lights, step))
    return {**found, "town": (town, log.ego.world_from_ego[step])}


def poses(pose, count):
    """Return recovery-like poses around one."""
    shifts = [pose_from_yaw(np.array([0.2 * k, 0.3 * (k % 5 - 2), 0.0]), 0.02 * (k % 7 - 3)) for k in range(count)]
    return np.stack([pose @ shift for shift in shifts])


def rates(scene, primitives, cameras, at):
    """Measure the lines of one scene, size and number of views."""
    count, cores = len(cameras) * len(at), len(os.sched_getaffinity(0))
    views = render(primitives, cameras, at, outputs=OUTPUTS)
    images = [getattr(view, name) for row in views for view in row for name in OUTPUTS]
    floor = timed(lambda: [image.fill(1) for image in images], repeats=3)
    head = {
        "scene": scene,
        "size": f"{cameras[0].width}x{cameras[0].height}",
        "views": count,
        "triangles": len(primitives),
        "MB": sum(image.nbytes for image in images) / 1e6,
        "floor views/s": 1e3 * count / floor.wall_ms,
    }
    rows = []
    for threads in sorted({1, cores}):
        drawn = timed(
            lambda threads=threads: render(primitives, cameras, at, outputs=OUTPUTS, out=views, threads=threads),
            repeats=3,
        )
        rows.append({**head, "back end": f"numba, {threads} cores", "views/s": 1e3 * count / drawn.wall_ms})
    if not unavailable_reason("cuda"):
        rows += [{**head, **line} for line in on_the_gpu(primitives, cameras, at)]
    if not unavailable_reason("nvdiffrast"):
        rows += [{**head, **line} for line in with_nvdiffrast(primitives, cameras, at)]
    return rows


def on_the_gpu(primitives, cameras, at):
    """Measure rates with images left on the device, and copied to the host; milliseconds by stage in the name."""
    from numba import cuda

    from swerve.rasterizer.cuda import DeviceMesh, DeviceRenderer, RenderRequest

    mesh, drawer = DeviceMesh(), TimedDrawer.of(DeviceRenderer)
    start = time.perf_counter()
    mesh.add(primitives)
    cuda.synchronize()
    upload = 1e3 * (time.perf_counter() - start)
    requests = [RenderRequest(camera, pose) for pose in at for camera in cameras]

    def draw():
        images = drawer.draw(mesh, requests, Style.rap(), OUTPUTS)
        cuda.synchronize()
        return images

    left, copied = timed(draw, repeats=5), timed(lambda: draw().to_host(), repeats=3)
    stages = drawer.stages(mesh, requests)
    count = len(requests)
    shares = ", ".join(f"{name} {value:.2f}" for name, value in {"upload": upload, **stages}.items())
    verdict = "met" if 1e3 * count / left.wall_ms >= GOAL else "missed"
    return [
        {"back end": f"cuda, left there (goal {verdict}; ms: {shares})", "views/s": 1e3 * count / left.wall_ms},
        {"back end": "cuda, to the host", "views/s": 1e3 * count / copied.wall_ms},
    ]


class TimedDrawer:
    """Wrapper that times a renderer's stages one by one, with device synchronization after each."""

    @staticmethod
    def of(base):
        """Return an instance of a timed subclass."""
        from numba import cuda

        class Timed(base):
            spent: dict = {}  # noqa: RUF012 one per bench

            def _polygons(self, *args):
                return self._timed("geometry", super()._polygons, args)

            def _lines(self, *args):
                return self._timed("raster", super()._lines, args)

            def _timed(self, name, function, args):
                cuda.synchronize()
                start = time.perf_counter()
                result = function(*args)
                cuda.synchronize()
                self.spent[name] = 1e3 * (time.perf_counter() - start)
                return result

            def stages(self, mesh, requests):
                """Measure the milliseconds by stage of one pass."""
                self.spent.clear()
                start = time.perf_counter()
                self.draw(mesh, requests, Style.rap(), OUTPUTS)
                cuda.synchronize()
                total = 1e3 * (time.perf_counter() - start)
                return {**self.spent, "shade and the rest": total - sum(self.spent.values())}

        return Timed()


def with_nvdiffrast(primitives, cameras, at):
    """Measure rates as `on_the_gpu` does; geometry is the CPU's share, `rasterize` only the library's part."""
    import torch

    from swerve.rasterizer.mesh import validate_mesh
    from swerve.rasterizer.nvdiffrast import NvdiffrastLibrary, NvdiffrastView, load_library, render_views
    from swerve.rasterizer.nvdiffrast.facets import facets_of

    mesh, real, spent = validate_mesh(primitives), load_library(), []
    shots = [NvdiffrastView(camera, pose) for pose in at for camera in cameras]

    class Timed:
        """nvdiffrast.torch with a timed rasterizer."""

        @staticmethod
        def rasterize(*args, **options):
            torch.cuda.synchronize()
            start = time.perf_counter()
            seen = real.dr.rasterize(*args, **options)
            torch.cuda.synchronize()
            spent.append(1e3 * (time.perf_counter() - start))
            return seen

    def left_there(using=real):
        images = render_views(mesh, shots, Style.rap(), OUTPUTS, using)
        torch.cuda.synchronize()
        return images

    left = timed(left_there, repeats=3)
    copied = timed(lambda: [tensor.cpu() for image in left_there() for tensor in image.values()], repeats=3)
    geometry = timed(lambda: [facets_of(mesh, shot.camera, shot.world_from_ego, 120.0) for shot in shots], repeats=3)
    left_there(NvdiffrastLibrary(Timed, real.context, real.device))
    count, raster = len(shots), sum(spent)
    stages = f"ms: geometry on the CPU {geometry.wall_ms:.2f}, raster {raster:.2f}"
    return [
        {"back end": f"nvdiffrast, left there ({stages})", "views/s": 1e3 * count / left.wall_ms},
        {"back end": "nvdiffrast, rasterize alone", "views/s": 1e3 * count / raster},
        {"back end": "nvdiffrast, to the host", "views/s": 1e3 * count / copied.wall_ms},
    ]
