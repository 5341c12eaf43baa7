"""Contact sheets of scenes, training sets and benchmarks: they show what is there, and nothing else."""

import re
from html import unescape

import pytest

from swerve.data.dataset import AugmentOptions, augment
from swerve.data.storage.checked_image import decode_pixels
from swerve.eval.benchmark.build.build_job import build
from swerve.eval.benchmark.build_options import BuildOptions
from swerve.scenes import SwerveError
from swerve.sheet_images import evenly
from tests.support.command import invoke
from tests.support.dgp_scene import HEIGHT, WIDTH, write_dgp
from tests.support.kitti_sequence import write_kitti
from tests.support.photographed_source import PhotographedSource, write_photo
from tests.support.simple_source import SimpleSource


def page_of(*arguments):
    """Run `swerve show`, and return the page's text without tags, and its captions."""
    done = invoke("show", *arguments)
    assert done.exit_code == 0, (done.output, done.exception)
    page = (arguments[1] / "index.html").read_text()
    captions = re.findall(r"<figcaption>(.*?)</figcaption>", page)
    assert page.count("<img") == len(captions)
    assert (arguments[1] / "sheet.png").is_file()
    return " ".join(unescape(re.sub(r"<style>.*?</style>|<[^>]+>", " ", page)).split()), captions


def images_of(folder):
    return re.findall(r'<img src="([^"]+)"', (folder / "index.html").read_text())


@pytest.fixture(scope="module")
def dataset(tmp_path_factory):
    folder = tmp_path_factory.mktemp("sets")
    write_photo(folder)
    options = AugmentOptions(scene_interval=2.0, extra_outputs=("depth", "semantic"))
    augment([PhotographedSource(("train-0-photos", "train-<1>"), str(folder))], folder / "set", options, workers=1)
    return folder / "set"


def test_a_set_shows_what_is_in_it(dataset, tmp_path):
    text, captions = page_of(dataset, tmp_path / "out")
    assert "Training set set" in text
    assert re.search(r"(\d+) samples of 2 logs in \d+ shards?, [\d.]+ MB\. RGB, depth, semantic at the cameras", text)
    assert re.search(r"viewpoint train all logged (\d+) \1 recovery (\d+) \2 cross-agent (\d+) \3", text)
    assert re.search(r"source logs samples first log simple 2 \d+ train-0-photos", text)
    assert "front front 64x36 65 pinhole yes 1" in text
    assert "front front 64x36 65 pinhole no 1" in text
    assert "The names of cameras are the same in all." in text
    assert any("train-<1>" in unescape(caption) for caption in captions)
    assert "its photo" in captions
    assert captions[-2:] == ["front: depth", "front: semantic"]


def test_cameras_of_several_sources_are_told_apart(tmp_path):
    sources = [SimpleSource(("train-0", "train-1")), SimpleSource(("train-2",), kind="other")]
    options = AugmentOptions(viewpoints=("logged",), scene_interval=8.0)
    augment(sources, tmp_path / "set", options, workers=1)
    text, _ = page_of(tmp_path / "set", tmp_path / "out")
    assert "source camera role pixels degrees across lens photo logs" in text
    assert "other front front 64x36 65 pinhole no 1 simple back back 64x36 65 pinhole no 2" in text


def test_a_set_that_stores_primitives_is_rendered(tmp_path):
    options = AugmentOptions(viewpoints=("logged",), scene_interval=3.0, rasters="primitives")
    augment([SimpleSource(("val-0",))], tmp_path / "set", options, workers=1)
    text, captions = page_of(tmp_path / "set", tmp_path / "out")
    assert "rasters primitives" in text
    assert captions[-2:] == ["front", "back"]


def test_a_benchmark_shows_what_is_in_it(tmp_path):
    options = BuildOptions(scene_interval=30.0, size=(64, 36), min_follow_ups=1, max_follow_ups=3)
    build([SimpleSource(("val-0",))], tmp_path / "bench", options, workers=1)
    text, captions = page_of(tmp_path / "bench", tmp_path / "out")
    assert re.search(r"1 scene groups of 1 logs: 8 scenes, [\d.]+ MB, with raster views of all cameras at 64x36", text)
    assert re.search(r"initial scenes, and those 0\.5 s before 2 follow-up scenes \(.*\) 6 ", text)
    assert "front front 64x36 back back 64x36" in text
    assert captions[:3] == ["front", "back", "100 m across; 3 follow-up scenes"]
    assert captions[3] == "front: initial scene"
    assert re.match(r"front: follow-up, \d\.\d m (left|right), \d+\.\d m (on|back), turned \d+°", captions[4])


def test_a_log_of_photos_alone_shows_no_empty_pictures(tmp_path):
    """There were black panels, and each photo twice."""
    write_kitti(tmp_path / "sequence", count=12)
    text, captions = page_of(f"kitti:{tmp_path / 'sequence'}", tmp_path / "out")
    assert "This log has no map and no boxes." in text
    assert captions[:2] == ["left: photo", "right: photo"]
    assert len(captions) == 3
    assert len(set(images_of(tmp_path / "out"))) == 3


def test_the_choice_of_a_scene_is_refused_where_there_is_none_to_choose(dataset, tmp_path):
    done = invoke("show", dataset, tmp_path / "out", "--at", "3")
    assert isinstance(done.exception, SwerveError)
    assert "--log and --at choose a scene of a source" in str(done.exception)


def test_an_unfinished_job_is_said_so(tmp_path):
    (tmp_path / "job.json").write_text('{"kind": "augment", "logs": [], "completion": "summary.json"}')
    told = str(invoke("show", tmp_path, tmp_path / "out").exception)
    assert "0 % of this job is done" in told
    assert "has stopped: start it again to resume" in told


@pytest.mark.parametrize(("count", "wanted"), [(1, [0]), (3, [0, 4, 9]), (20, list(range(10)))])
def test_items_are_taken_evenly(count, wanted):
    assert evenly(list(range(10)), count) == wanted


def test_every_photo_is_written_with_what_the_log_says_of_it(tmp_path):
    scene = write_dgp(tmp_path / "scene", steps=3)
    _, captions = page_of(f"dgp:{scene}", tmp_path / "out", "--photos")
    files = sorted((tmp_path / "out" / "photos").iterdir())
    assert [file.name for file in files] == [
        f"CAMERA_{number}-{time:07d}.jpg" for number in ("01", "05") for time in (0, 100, 200)
    ]
    sizes = {file.name[:9]: decode_pixels(file.read_bytes(), "RGB").shape[1::-1] for file in files}
    # The parked car is ahead: boxes above, the raster below; the camera to the left does not see it.
    assert sizes == {"CAMERA_01": (WIDTH, 2 * HEIGHT), "CAMERA_05": (WIDTH, HEIGHT)}
    assert "CAMERA_01: photo with projected boxes" in captions


def test_photos_are_those_of_a_log(dataset, tmp_path):
    for source, problem in ((str(dataset), "a folder of many"), ("town:1", "log town-000000 has no photos")):
        assert problem in str(invoke("show", source, tmp_path / "out", "--photos").exception)
    assert not (tmp_path / "out").exists()
