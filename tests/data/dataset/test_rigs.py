"""Cameras of a job's logs, chosen and compared before it begins."""

import shutil
from dataclasses import replace

import numpy as np
import pytest
from rich.console import Console

from swerve.data import open_source
from swerve.data.dataset.augment_job import augment
from swerve.data.dataset.augment_options import AugmentOptions
from swerve.data.dataset.rigs import check_rigs, with_rig
from swerve.data.jobs import log_names
from swerve.data.sources.source import RigSource
from swerve.eval.benchmark.build.build_job import build
from swerve.eval.benchmark.build_options import BuildOptions
from swerve.scenes import Photo, SwerveError
from tests.support.av2_log import write_av2_log
from tests.support.simple_source import SimpleSource, small_log


def mixed(tmp_path):
    """Return an uncalibrated log of Argoverse 2, a calibrated one, and a town."""
    write_av2_log(tmp_path / "logs" / "bare")
    write_av2_log(tmp_path / "logs" / "calibrated", with_calibration=True)
    return [open_source(f"av2:{tmp_path / 'logs'}"), open_source("town:1")]


def told(sources, rig="own", names=()):
    return check_rigs(sources, log_names(sources), rig, names)


def test_differing_rigs_are_told_with_the_roles_that_all_have(tmp_path):
    uncalibrated, *lines = told(mixed(tmp_path))
    assert uncalibrated == ("log bare has no calibration: its images are of the default rig, and there are no photos")
    assert lines[0] == "The logs have different cameras:"
    assert lines[1].startswith("2 logs (the first: bare): back, back_left, back_right, front, front_left")
    assert lines[2] == "log calibrated: ring_front_center"
    assert lines[3].startswith("--cameras front takes those that look the same way, under these names")
    assert told(mixed(tmp_path / "again"), "default") == []
    assert told([open_source("town:3")]) == []


def test_cameras_chosen_by_role_are_told(tmp_path):
    assert told(mixed(tmp_path), names=("front",))[1:] == ["log calibrated: front is ring_front_center"]


def test_a_missing_camera_is_told_once_for_all_logs(tmp_path):
    with pytest.raises(SwerveError, match="2 of 2 logs have no camera 'roof', the first town-000000, which has front"):
        told([open_source("town:2")], names=("front", "roof"))
    with pytest.raises(SwerveError, match="1 of 3 logs has no camera 'back', the first calibrated"):
        told(mixed(tmp_path), names=("back",))
    with pytest.raises(SwerveError, match="no camera 'roof', the first the default rig"):
        told([open_source("town:2")], "default", ("roof",))


@pytest.mark.parametrize(("job", "options"), [(augment, AugmentOptions), (build, BuildOptions)])
def test_a_missing_camera_ends_a_job_before_it_begins(tmp_path, job, options):
    with pytest.raises(SwerveError, match="2 of 2 logs have no camera 'roof'"):
        job([open_source("town:2")], tmp_path / "out", options(cameras=("roof",)))
    assert not (tmp_path / "out").exists()


def test_sources_that_know_no_rig_are_left_to_the_job():
    source = SimpleSource(("broken-0", "train-0"))
    assert not isinstance(source, RigSource)
    assert told([source], names=("roof",)) == []


def test_the_rig_of_a_source_is_that_of_its_logs(tmp_path):
    for source in mixed(tmp_path):
        assert isinstance(source, RigSource)
        for name in source.names():
            assert [(one.name, one.width, one.fx) for one in source.rigs({name})[name]] == [
                (one.name, one.width, one.fx) for one in source.load(name).cameras
            ]


def test_images_bear_the_names_that_were_asked_for(tmp_path):
    log = small_log()
    photos = tuple(
        Photo(camera.name, int(log.times_us[30]), np.eye(4), tmp_path / f"{camera.name}.png") for camera in log.cameras
    )
    other = tuple(replace(camera, name=f"cam_{camera.name}") for camera in log.cameras)
    renamed_photos = tuple(replace(photo, camera=f"cam_{photo.camera}") for photo in photos)
    log = replace(log, cameras=other, photos=renamed_photos)
    chosen = with_rig(log, "own", ("front",))
    assert [camera.name for camera in chosen.cameras] == ["front"]
    assert [(photo.camera, photo.file.name) for photo in chosen.photos] == [("front", "front.png")]
    assert with_rig(log, "own", ()) is log
    with pytest.raises(SwerveError, match=r"no camera 'left'; it has cam_front, cam_back\. Names are those of the log"):
        with_rig(log, "own", ("left",))


def test_a_job_warns_of_differing_rigs(tmp_path, capsys):
    sources = mixed(tmp_path)
    options = AugmentOptions(viewpoints=("logged",), size=(32, 20), history=0.0, future=0.5, scene_interval=3600.0)
    augment(sources, tmp_path / "out", options, 1, Console(width=500))
    assert "The logs have different cameras" in capsys.readouterr().out
    shutil.rmtree(tmp_path / "out")
