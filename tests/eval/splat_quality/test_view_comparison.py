"""Views compared at a pose match the scene there."""

from dataclasses import replace

import numpy as np

from swerve.data.splats.photo_poses import PhotoPose
from swerve.eval.splat_quality.evaluation_poses import ON_PATH, EvaluationPose
from swerve.eval.splat_quality.extrapolation import FittedPhotos
from swerve.eval.splat_quality.gate_options import GateOptions
from swerve.eval.splat_quality.image_metrics import compare_images
from swerve.eval.splat_quality.reference_images import ReferenceImages
from swerve.eval.splat_quality.view_comparison import ComparisonSetup, compare
from swerve.rasterizer import StaticLayer
from swerve.rasterizer.splats import PoseCorrections, render_splats
from swerve.scenes.primitives import build_static
from tests.support.simple_source import small_log
from tests.support.splat_fits import blobs, scene_of


def test_a_place_is_seen_from_its_mended_pose_and_judged_without_what_is_ignored():
    log = small_log()
    ahead = np.array([(12.0, y, z) for y in (-3, 0, 2) for z in (0, 2)]) + log.ego.positions[50] - log.ego.positions[0]
    correction = np.eye(4)
    correction[:3, 3] = 0.0, 0.8, 0.3
    scene = replace(
        scene_of(log), background=blobs(ahead, 0.4), corrections=PoseCorrections(log.times_us[50:51], correction[None])
    )
    camera, pose, time = log.cameras[0].resized(64, 36), log.ego.world_from_ego[50], int(log.times_us[50])
    frame = scene.at(time)
    ((expected,),) = render_splats(frame, [camera], (correction @ pose)[None], ("rgb",))
    ((other,),) = render_splats(frame, [camera], pose[None], ("rgb",))
    assert not np.array_equal(expected.rgb, other.rgb)
    ignored = np.zeros((36, 64), bool)
    ignored[20:] = True
    photograph = other.rgb.copy()
    place = EvaluationPose(50, "on the path", ON_PATH, camera, time, pose, photograph, ignored)
    photos = FittedPhotos([PhotoPose(camera, time, pose)])
    static_layer = StaticLayer(build_static(log.road_map))
    bench = ComparisonSetup(scene, log, static_layer, ReferenceImages(log), GateOptions(), photos, _difference)
    found = compare(bench, place)
    np.testing.assert_array_equal(found.splat, expected.rgb)
    assert found.image_metrics == compare_images(expected.rgb, photograph, ignored)
    assert found.lpips == _difference(expected.rgb[:20], photograph[:20])
    assert compare(bench, replace(place, ignored=None)).lpips == _difference(expected.rgb, photograph)


def _difference(image, truth):
    """In the place of LPIPS: a sum, in which equal pixels count nothing."""
    return float(np.abs(image.astype(int) - truth).sum())
