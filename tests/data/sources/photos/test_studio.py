"""Photographs of towns: the same bytes again, the raster's geometry, the camera's lens, something to see."""

from dataclasses import replace

import numpy as np
import pytest

from swerve.data.sources.town import TownOptions, generate_town
from swerve.data.sources.town.photos import TownPhotoRenderer, draw_look, light_kernels
from swerve.data.sources.town.photos.reach import CullingRegion, culling_region
from swerve.data.sources.town.photos.shadows import shadow_map
from swerve.data.sources.town.photos.shapes import box
from swerve.data.sources.town.photos.solids import Material
from swerve.rasterizer import Style, render
from swerve.scenes import Lens, SwerveError
from swerve.scenes.primitives import FIRST_MAP_INSTANCE, FIRST_SIGNAL_INSTANCE, agent_cuboids, build_static
from swerve.scenes.transforms import pose_from_yaw

NAME, STEP = "town-000005", 20


@pytest.fixture(scope="module")
def log():
    return generate_town(NAME, options=TownOptions(seconds=4.0))


@pytest.fixture(scope="module")
def studio(log):
    return TownPhotoRenderer(log, weather="cumulus")


def rig_of(log, *names, size=(320, 187)):
    return [camera.resized(*size) for camera in log.cameras if camera.name in names]


def shoot(studio, log, cameras, pose=None, step=STEP):
    now = slice(step, step + 1)
    pose = log.ego.world_from_ego[step] if pose is None else pose
    return studio.photograph(cameras, pose, log.tracks.at(now), log.lights.at(now))


def test_the_same_name_and_seed_give_the_same_bytes(log, studio):
    cameras = rig_of(log, "front", "left")
    first, again = shoot(studio, log, cameras), shoot(TownPhotoRenderer(log, weather="cumulus"), log, cameras)
    assert [a.rgb.tobytes() for a in first] == [b.rgb.tobytes() for b in again]
    assert draw_look(NAME, 0).asphalt[0] != draw_look(NAME, 1).asphalt[0]


def test_a_camera_drawn_alone_gives_the_same_image(log, studio):
    both, alone = shoot(studio, log, rig_of(log, "front", "left")), shoot(studio, log, rig_of(log, "left"))
    assert both[1].rgb.tobytes() == alone[0].rgb.tobytes()


def test_what_is_seen_is_what_the_raster_shows_there(log, studio):
    """Ground to the pixel but for what stands before it; each agent's body within its own box."""
    now = slice(STEP, STEP + 1)
    tracks, pose, agents = log.tracks.at(now), log.ego.world_from_ego[STEP], 0
    cameras = rig_of(log, "front", "left", "back")
    grounds = render(build_static(log.road_map), cameras, pose[None], outputs=("instance", "depth"))[0]
    for camera, photograph, ground in zip(cameras, shoot(studio, log, cameras), grounds, strict=True):
        seen = photograph.instance
        flat = (seen >= FIRST_MAP_INSTANCE) & (ground.depth < 110)
        assert about_equal(seen, ground.instance)[flat].mean() > 0.98
        numbers, counts = np.unique(seen[(seen > 0) & (seen < FIRST_SIGNAL_INSTANCE)], return_counts=True)
        for number in numbers[counts > 30]:
            alone = agent_cuboids(tracks.select_tracks(np.array([number - 1])), 0)
            box = render(alone, [camera], pose[None], Style.rap(400.0), ("instance",))[0][0].instance > 0
            own = seen == number
            assert about_equal(own, box)[own].mean() > 0.97
            agents += 1
    assert agents >= 4


def about_equal(seen, drawn):
    """Return the mask where both agree, with sample points a quarter pixel up and left of the centre."""
    shifted = [np.roll(drawn, shift, axis=(0, 1)) == seen for shift in ((0, 0), (0, 1), (1, 0), (1, 1))]
    return np.any(shifted, axis=0)


def test_the_lens_bends_it(log, studio):
    """A photograph without distortion, looked up through the lens, is the photograph with it."""
    bent = rig_of(log, "front", size=(480, 280))[0]
    straight = replace(bent.undistorted(), fx=0.7 * bent.fx, fy=0.7 * bent.fy)
    with_lens, without = (shoot(studio, log, [camera])[0].instance for camera in (bent, straight))
    rows, columns = np.mgrid[0:280:3, 0:480:3]
    pixels = np.stack([columns.ravel() + 0.25, rows.ravel() + 0.25], axis=1)
    there = straight.project(bent.unproject(pixels))[0]
    i, j = np.floor(there[:, 1]).astype(int), np.floor(there[:, 0]).astype(int)
    assert ((i >= 0) & (i < 280) & (j >= 0) & (j < 480)).all()
    through = (with_lens[rows.ravel(), columns.ravel()] != without[i, j]).mean()
    past = (with_lens[rows.ravel(), columns.ravel()] != without[rows.ravel(), columns.ravel()]).mean()
    assert through < 0.04
    assert through < past / 3
    assert bent.lens != Lens()


def test_another_pose_gives_another_picture_that_fits_its_raster(log, studio):
    pose = log.ego.world_from_ego[STEP] @ pose_from_yaw(np.array([0.5, 1.5, 0.0]), 0.12)
    cameras = rig_of(log, "front")
    there, here = shoot(studio, log, cameras, pose)[0], shoot(studio, log, cameras)[0]
    assert (there.instance != here.instance).mean() > 0.04
    assert np.abs(there.rgb.astype(int) - here.rgb).mean() > 8
    raster = render(build_static(log.road_map), cameras, pose[None], outputs=("instance",))[0][0].instance
    ground = (there.instance >= FIRST_MAP_INSTANCE) & (raster > 0)
    agree, wrong = ((there if right else here).instance[ground] == raster[ground] for right in (True, False))
    assert agree.mean() > 0.97
    assert 1 - agree.mean() < (1 - wrong.mean()) / 2


@pytest.mark.parametrize("weather", ["wet"])
def test_pictures_are_neither_black_nor_white(log, studio, weather):
    cameras = rig_of(log, "front", "back_left", size=(240, 140))
    for taken in (shoot(studio, log, cameras), shoot(TownPhotoRenderer(log, weather=weather), log, cameras)):
        for picture in (photograph.rgb for photograph in taken):
            assert 45 < picture.mean() < 190
            assert picture.std() > 18
            assert max((picture == 0).mean(), (picture == 255).mean()) < 0.05


def test_shadows_fall_where_the_sun_says():
    """A post 3 m high under a sun 45 degrees high in the east: 3 m of shadow to the west."""
    post = box((0.0, 0.0, 1.5), (0.5, 0.5, 3.0), Material.MATT, (0.5, 0.5, 0.5)).primitives()
    toward, reach = np.array([1.0, 0.0, 1.0]) / np.sqrt(2), np.array([20.0, 20.0, 5.0])
    found = shadow_map(post, toward, -reach, reach, 0.05)
    wanted = {-3.1: 0.0, -2.0: 0.0, -0.5: 0.0, -3.5: 1.0, 2.0: 1.0, 0.5: 1.0}
    for x, lit in wanted.items():
        assert light_kernels._unshaded(found.depths, found.pixel_from_world, (x, 0.0, 0.0)) == lit
    assert light_kernels._unshaded(found.depths, found.pixel_from_world, (-2.0, 1.0, 0.0)) == 1.0


def test_logs_differ_in_their_looks():
    looks = [draw_look(f"town-{number:06d}", 0) for number in range(40)]
    assert len({look.name for look in looks}) >= 5
    assert len({look.asphalt[0] for look in looks}) == 40


def test_there_is_one_error_for_what_cannot_be_photographed(log):
    with pytest.raises(SwerveError, match="no map"):
        TownPhotoRenderer(replace(log, road_map=None))
    with pytest.raises(SwerveError, match="snow"):
        TownPhotoRenderer(log, weather="snow")


def test_what_is_out_of_reach_changes_no_pixel(log, studio, monkeypatch):
    cameras, drawn = rig_of(log, "front", "left", size=(160, 94)), {}
    steps = (0, 20, 40)
    for name in ("within reach", "everything"):
        drawn[name] = [photograph for step in steps for photograph in shoot(studio, log, cameras, step=step)]
        monkeypatch.setattr(CullingRegion, "holds", lambda self, centers, radii: np.ones(len(centers), bool))
    for few, many in zip(drawn["within reach"], drawn["everything"], strict=True):
        assert few.rgb.tobytes() == many.rgb.tobytes()
        assert np.array_equal(few.instance, many.instance)


def test_far_things_behind_the_cameras_are_left_out(log, studio):
    now = slice(STEP, STEP + 1)
    pose, tracks, lights = log.ego.world_from_ego[STEP], log.tracks.at(now), log.lights.at(now)
    box = pose[:3, 3] - 65.0, pose[:3, 3] + 65.0
    reach = culling_region(rig_of(log, "front"), pose, 700.0, box, studio.look.toward_sun)
    ahead = (tracks.positions[:, 0] - pose[:3, 3]) @ pose[:3, 0]
    aside = np.abs((tracks.positions[:, 0] - pose[:3, 3]) @ pose[:3, 1])
    kept = reach.holds(tracks.positions[:, 0], np.linalg.norm(tracks.sizes[:, 0], axis=1) / 2)
    assert kept[(ahead > 3.0) & (aside < 0.3 * ahead) & (ahead < 600.0)].all()
    assert not kept[ahead < -300.0].any()
    assert not kept.all()
    assert 0 < reach.holds(lights.positions, np.full(len(lights), 0.6)).sum() < len(lights)
