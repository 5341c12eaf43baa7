"""`import swerve`: quick, and all that a first script needs."""

import ast
import subprocess
import sys
from importlib import import_module
from pathlib import Path

import numpy as np
import pytest

import swerve

HEAVY = ("numpy", "numba", "scipy", "shapely", "torch", "pyarrow", "PIL", "tyro", "jaxtyping", "rich")


def in_a_process(code):
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()


def test_importing_it_imports_nothing_else():
    loaded = in_a_process("import sys, swerve; print(*sys.modules)")
    assert not set(HEAVY) & set(loaded)
    assert {name for name in loaded if name.startswith("swerve.")} == {
        "swerve.scenes",
        "swerve.scenes.kernel_cache",
        "swerve.scenes.lazy_package",
        "swerve.scenes.source_digest",
    }


def test_a_name_imports_its_own_module_alone():
    loaded = in_a_process("import sys, swerve; swerve.SwerveError; print(*sys.modules)")
    assert not set(HEAVY) & set(loaded)


@pytest.mark.parametrize("name", swerve.__all__)
def test_every_name_is_there(name):
    if name in ("score_tensor", "StreamLoader"):
        pytest.importorskip("torch")
    assert getattr(swerve, name) is not None
    assert name in dir(swerve)


def test_names_are_those_that_type_checkers_see():
    tree = ast.parse(Path(swerve.__file__).read_text())
    (block,) = [node for node in tree.body if isinstance(node, ast.If)]
    assert {name.name for node in block.body for name in node.names} == set(swerve.__all__)


def test_no_name_hides_a_module():
    modules = {path.stem for path in Path(swerve.__file__).parent.glob("*.py")}
    packages = {"scenes", "rasterizer", "viz", "data", "eval", "planners", "options"}
    assert not (modules | packages) & set(swerve.__all__)


def test_what_is_not_there_is_told():
    with pytest.raises(AttributeError, match="module 'swerve' has no attribute 'nothing'"):
        _ = swerve.nothing


def test_a_function_keeps_its_name_where_a_module_has_the_same():
    from swerve.rasterizer.render import View  # binds the module

    assert callable(swerve.render)
    assert swerve.View is View
    assert callable(import_module("swerve.rasterizer").render)


def test_a_scene_is_rendered_from_a_recovery_viewpoint():
    source = swerve.open_source("town:1")
    log = source.load(source.names()[0])
    scene = swerve.extract_scenes(log)[10]
    made = swerve.viewpoints_of(scene, ["recovery", "logged"])
    assert [one.kind.value for one in made][-1] == "logged"
    views = swerve.render(swerve.primitives_of(scene), log.cameras[:1], swerve.poses_of(made[:1]), outputs=("depth",))
    assert np.isfinite(views[0][0].depth).any()


@pytest.mark.parametrize("kind", ["recover", "follow_up"])
def test_kinds_that_no_scene_has_are_refused(kind):
    source = swerve.open_source("town:1")
    scene = swerve.extract_scenes(source.load(source.names()[0]))[10]
    with pytest.raises(swerve.SwerveError, match=f"kinds: '{kind}' is none of logged, recovery, cross_agent"):
        swerve.viewpoints_of(scene, [kind])


WRONG = {
    "swerve.AugmentOptions(viewpoints='recovery')": "viewpoints: 'recovery' is one text, not a list",
    "swerve.AugmentOptions(cameras='front')": "cameras: 'front' is one text, not a list, as in ('front',)",
    "swerve.AugmentOptions(size='96x56')": "size: '96x56' is not (width, height) in whole pixels",
    "swerve.BuildOptions(views='raster')": "views: 'raster' is one text, not a list",
    "swerve.viewpoints_of(scene, 'recovery')": "kinds: 'recovery' is one text, not a list",
    "swerve.viewpoints_of(scene, ['recov'])": "kinds: 'recov' is none of logged, recovery",
    "swerve.render(None, log.cameras[0], None)": "cameras: one camera is given, not a list",
    "swerve.Trajectory(np.zeros((1, 8, 3)))": "poses of shape (1, 8, 3) and type 'f' are not numbers of shape",
    "swerve.Trajectory(np.full((8, 3), 'a'))": "and type 'U' are not numbers",
    "swerve.Trajectory(np.zeros((8, 3)), '0.5')": "trajectory: the interval is '0.5', not a number of seconds",
    "swerve.Trajectory(np.zeros((8, 3)), 500)": "the interval is 500 s, it must be above 0 and at most 4 s",
    "ImageFit((96.0, 56.0))": "size: (96.0, 56.0) is not (width, height) in whole pixels",
}


def test_values_of_another_type_are_told(tmp_path):
    """In a process of its own, which has no checks of types as the tests have."""
    script = tmp_path / "script.py"
    script.write_text(
        "import numpy as np\nimport swerve\nfrom swerve.data.stream import ImageFit\n"
        "log = swerve.open_source('town:1').load('town-000000')\nscene = swerve.extract_scenes(log)[10]\n"
        f"for call in {list(WRONG)}:\n    try:\n        eval(call)\n"
        "    except swerve.SwerveError as error:\n        print(error)\n    else:\n        print('accepted')\n"
    )
    done = subprocess.run([sys.executable, script], capture_output=True, text=True, check=True)
    for (call, message), told in zip(WRONG.items(), done.stdout.splitlines(), strict=True):
        assert message in told, call


def test_sources_are_a_list_and_planners_can_be_imported(tmp_path):
    with pytest.raises(swerve.SwerveError, match=r"sources: give a list, as in \['town:1'\]"):
        swerve.augment("town:1", tmp_path)
    from swerve.api import _spec

    class Here:
        pass

    assert _spec(Here).startswith(f"{__name__}:")
    Here.__module__ = "__main__"
    with pytest.raises(swerve.SwerveError, match="move it to a module"):
        _spec(Here)
