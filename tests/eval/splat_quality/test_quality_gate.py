"""Agreement with rasters computed by hand, and the gate's results."""

import math
from dataclasses import replace

import numpy as np
import pytest

from swerve.data.splats.photo_poses import PhotoPose
from swerve.eval.splat_quality import (
    Extrapolation,
    FittedPhotos,
    GateOptions,
    GateResult,
    RasterAgreement,
    agreement,
    check_numbers,
    check_view,
)
from swerve.eval.splat_quality.quality_page import gate_in_words
from swerve.rasterizer import Style, View, render
from swerve.rasterizer.splats import SplatView
from swerve.scenes import FORWARD, Camera, SwerveError
from swerve.scenes.primitives import Semantic, build_dynamic, build_static
from swerve.scenes.transforms import rigid_transform
from tests.support.simple_log import simple_log

GOOD = RasterAgreement(depth_error=0.02, depth_within=0.9, vehicle_iou=0.8, covered=1.0)
NEAR = Extrapolation(distance=1.0, seen=1.0)


def checked(numbers: RasterAgreement, options: GateOptions) -> GateResult:
    """Check agreement at a pose among the photos."""
    return check_numbers(numbers, NEAR, options)


def camera(lens=None, size=(20, 10), pitch=0.0):
    cos, sin = np.cos(pitch), np.sin(pitch)
    down = np.array([[cos, 0, sin], [0, 1, 0], [-sin, 0, cos]])
    width, height = size
    return Camera(
        "c", width, height, 10.0, 10.0, width / 2, height / 2, rigid_transform(down @ FORWARD, np.array([0, 0, 1.5]))
    )


def made(depth=10.0, alpha=1.0):
    """A wall at 10 m in both views, 10 rows of 20 pixels."""
    flat = np.full((10, 20), 10.0, np.float32)
    nothing, own = np.zeros((10, 20), np.int32), camera()
    raster = View(own, np.eye(4), depth=flat, semantic=np.full((10, 20), Semantic.ROAD, np.uint8), instance=nothing)
    mine = np.full_like(flat, depth)
    splat = SplatView(own, np.eye(4), depth=mine, instance=nothing.copy(), alpha=np.full_like(flat, alpha))
    return splat, raster


def test_depth_by_hand():
    splat, raster = made()
    splat.depth[:3] = 10.9  # 30 % of the pixels are off by 9 %,
    splat.depth[3:6] = 15.0  # 30 % by 50 %,
    splat.depth[6:8] = np.inf  # 20 % see through.
    found = agreement(splat, raster)
    assert found.depth_error == pytest.approx(0.295)  # Of 200 pixels, the 100th is off by 0.09, the 101st by 0.5.
    assert found.depth_within == pytest.approx(0.5)
    splat.depth[:7] = np.inf
    assert agreement(splat, raster).depth_error == 1.0
    raster.depth[:, :18] = 60.0  # Beyond reach: two columns are left.
    splat.depth[:] = 11.5
    assert agreement(splat, raster).depth_error == pytest.approx(0.15)
    assert agreement(splat, raster).depth_within == 0.0
    raster.depth[:] = np.inf
    assert np.isnan(agreement(splat, raster).depth_error)


def test_vehicles_by_hand():
    splat, raster = made()
    raster.semantic[:, :10] = Semantic.VEHICLE
    raster.instance[:, :10], splat.instance[:, 2:12] = 7, 7
    assert agreement(splat, raster).vehicle_iou == pytest.approx(80 / 120)
    # Another vehicle's number is as wrong as none; that vehicle is beyond reach and does not count by itself.
    splat.instance[:, 2:4] = 9
    raster.semantic[:, 18:], raster.instance[:, 18:], raster.depth[:, 18:] = Semantic.VEHICLE, 9, 70.0
    assert agreement(splat, raster).vehicle_iou == pytest.approx(60 / 120)
    assert agreement(splat, raster, nodes={7}).vehicle_iou == pytest.approx(60 / 120)
    assert np.isnan(agreement(splat, raster, nodes={0, 9}).vehicle_iou)
    raster.semantic[raster.instance == 7] = Semantic.PEDESTRIAN
    assert np.isnan(agreement(splat, raster).vehicle_iou)


def test_holes_by_hand():
    splat, raster = made()
    # Row v looks down by (v + 0.5 - 5) / 10 a metre ahead: rows 6 to 9 drop enough, and the middle of row 5 does not.
    splat.alpha[:6] = 0.0
    assert agreement(splat, raster).covered == 1.0
    splat.alpha[6:, :5] = 0.04
    assert agreement(splat, raster).covered == pytest.approx(0.75)
    up = camera(pitch=-1.0)
    blind = replace(raster, camera=up), replace(splat, camera=up)
    assert np.isnan(agreement(blind[1], blind[0]).covered)


def test_holes_turn_with_the_vehicle():
    splat, raster = made()
    # The vehicle lies on its right side: right in the image is down.
    lying = rigid_transform(np.array([[1, 0, 0], [0, 0, -1], [0, 1, 0.0]]), np.zeros(3))
    raster, splat = replace(raster, world_from_ego=lying), replace(splat, world_from_ego=lying)
    splat.alpha[:, :10] = 0.0
    assert agreement(splat, raster).covered == 1.0
    splat.alpha[:] = 1.0 - splat.alpha
    assert agreement(splat, raster).covered == 0.0


def test_views_that_cannot_be_compared_are_refused():
    splat, raster = made()
    with pytest.raises(ValueError, match="camera c was rendered without alpha"):
        agreement(replace(splat, alpha=None), raster)
    lower = np.ones((9, 20), np.float32)
    with pytest.raises(ValueError, match=r"\(9, 20\) and \(10, 20\)"):
        agreement(
            SplatView(camera(), np.eye(4), depth=lower, alpha=lower, instance=np.zeros((9, 20), np.int32)), raster
        )


def test_a_raster_agrees_with_itself():
    log = simple_log()
    primitives = build_static(log.road_map).concatenate(build_dynamic(log.tracks, log.lights, 40))
    outputs = ("depth", "semantic", "instance")
    pose = log.ego.world_from_ego[40:41]
    front = log.cameras[0].resized(160, 90)
    raster = render(primitives, [front], pose, Style.rap(), outputs)[0][0]
    splat = SplatView(
        front, pose[0], depth=raster.depth, instance=raster.instance, alpha=np.ones((90, 160), np.float32)
    )
    photos = FittedPhotos([PhotoPose(front, 0, pose[0])])
    found = check_view(splat, raster, GateOptions(), photos)
    assert found.fit
    assert found.numbers == RasterAgreement(0.0, 1.0, 1.0, 1.0)
    assert found.extrapolation.distance == 0.0
    # The same drawing, from 2 m beside: labels and depths are those of another place.
    moved = pose.copy()
    moved[0, 1, 3] += 2.0
    off = render(primitives, [front], moved, Style.rap(), outputs)[0][0]
    gate_result = check_view(replace(splat, depth=off.depth, instance=off.instance), raster, GateOptions(), photos)
    assert gate_result.numbers.vehicle_iou < 0.5
    assert not checked(gate_result.numbers, GateOptions(vehicle_iou=0.5)).fit


def test_the_gate_names_what_misses_a_threshold():
    assert checked(GOOD, GateOptions()).reasons == ()
    bad = replace(GOOD, depth_error=0.31, vehicle_iou=0.1, covered=0.5)
    gate_result = checked(bad, GateOptions(depth_error=0.1, depth_within=0.5, vehicle_iou=0.4, covered=0.9))
    assert not gate_result.fit
    assert gate_result.numbers is bad
    assert gate_result.reasons == (
        "depth is off by 31 %, allowed 10 %",
        "IoU of vehicles 10 %, needed 40 %",
        "ground without holes 50 %, needed 90 %",
    )


def test_what_the_gate_asks_for_is_told():
    text = gate_in_words(GateOptions(depth_error=0.2, depth_within=0.0, vehicle_iou=0.25, covered=0.9, seen=0.8))
    assert text == (
        "A view is fit if its depth is off by 20 % at most, 25 % of its vehicles overlap the raster's, 90 % of the "
        "ground is covered, 80 % of its static pixels lie in some fitted photo, a fitted camera passed within 3 m of "
        "it, turned by 30 degrees at most; quantities with too few pixels are not checked."
    )
    lax = GateOptions(1.0, 0.0, 0.0, 0.0, distance=math.inf, seen=0.0)
    assert gate_in_words(lax).startswith("A view is fit; ")


def test_views_far_from_all_photos_are_unfit():
    options = GateOptions()
    far = check_numbers(GOOD, Extrapolation(distance=3.4, seen=0.5), options)
    assert far.missed == ("distance", "seen")
    assert far.reasons == (
        "the nearest fitted camera that looked within 30 degrees of its direction is 3.4 m away, allowed 3 m",
        "seen by fitted photos 50 %, needed 90 %",
    )
    (reason,) = check_numbers(GOOD, Extrapolation(np.inf, np.nan), options).reasons
    assert reason == "no fitted camera looked within 30 degrees of its direction, allowed 3 m"
    assert check_numbers(GOOD, Extrapolation(3.0, 0.9), options).fit
    for wrong in ({"distance": 0.0}, {"distance": np.nan}, {"turn": 4.0}, {"seen": 2.0}):
        with pytest.raises(SwerveError, match=next(iter(wrong))):
            GateOptions(**wrong)


def test_each_threshold_works_alone_and_is_met_by_equality():
    lax = GateOptions(depth_error=1.0, depth_within=0.0, vehicle_iou=0.0, covered=0.0)
    for name in vars(GOOD):
        at = replace(lax, **{name: getattr(GOOD, name)})
        assert checked(GOOD, at).fit
        step = -1e-6 if name == "depth_error" else 1e-6
        if name != "covered":
            assert len(checked(GOOD, replace(at, **{name: getattr(GOOD, name) + step})).reasons) == 1
    assert checked(RasterAgreement(*[np.nan] * 4), GateOptions()).fit
    with pytest.raises(SwerveError, match=r"covered must lie in 0..1, got 95.0"):
        GateOptions(covered=95.0)
