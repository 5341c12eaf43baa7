"""The notebook's cells run in order, and every display has a rich representation."""

import json
import re
import sys
from pathlib import Path
from types import ModuleType

NOTEBOOK = Path(__file__).parents[2] / "examples" / "notebook.ipynb"


def test_the_notebook_runs(monkeypatch):
    shown = []
    display = ModuleType("IPython.display")
    display.display = shown.append
    monkeypatch.setitem(sys.modules, "IPython", ModuleType("IPython"))
    monkeypatch.setitem(sys.modules, "IPython.display", display)
    content = json.loads(NOTEBOOK.read_text())
    assert (content["nbformat"], content["nbformat_minor"]) == (4, 5)
    names = {}
    for cell in content["cells"]:
        if cell["cell_type"] == "code":
            assert cell["outputs"] == [], "outputs are not kept"
            exec(compile("".join(cell["source"]), cell["id"], "exec"), names)
    scene, view, scores = (one._repr_html_() for one in shown)
    assert scene.count("<path") > 20
    assert f"at {(names['log'].times_us[names['scene'].now] - names['log'].times_us[0]) * 1e-6:.1f} s" in scene
    assert [kind for kind in ("rgb", "depth", "semantic", "instance") if f"front: {kind}" in view] == [
        "rgb", "depth", "semantic", "instance",
    ]  # fmt: skip
    assert view.count("data:image/png;base64,") == 4
    rows = re.findall(r"<tr><td>\d+</td><td><b>([\d.]+)</b>", scores)
    assert rows == [f"{value:.3f}" for value in names["scores"].pdm_score]
