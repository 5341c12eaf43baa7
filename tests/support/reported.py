"""Hand-made evaluation, small enough to be run once for all tests of the report."""

from functools import cache
from pathlib import Path

import pyarrow as pa

from swerve.eval.benchmark.benchmark_store import Benchmark
from swerve.eval.benchmark.evaluate.evaluate_group import evaluate_group
from swerve.eval.benchmark.evaluate.results import Results, result_rows
from swerve.eval.benchmark.scene_group import SceneGroup
from swerve.eval.scoring.score_tables import provenance
from tests.support.shifted_case import Straight, shifted_case
from tests.support.town_logs import town

HOSTILE = '<img src=x onerror="alert(1)">'
PLANNERS = {
    "drifts right": Straight(0.9, -4.0),
    "slow": Straight(0.4),
    HOSTILE: Straight(fails=True),
}
_MOMENTS = (25, 60)
_SHIFTS = ((0.0, 0.0), (0.5, 0.0), (-1.0, 4.0))


@cache
def scene_groups() -> dict[str, SceneGroup]:
    """Return scene groups by token of the first scene."""
    made = [shifted_case(town(0), now, _SHIFTS) for now in _MOMENTS]
    return {scene_group.group.now: scene_group for scene_group in made}


@cache
def results() -> Results:
    rows = [
        row for scene_group in scene_groups().values() for row in evaluate_group(scene_group, PLANNERS, "log-replay")
    ]
    specs = dict.fromkeys(PLANNERS, "shifted_case:Straight")
    stamp = {**provenance("log-replay", "navsim-exact"), "benchmark": {"name": "hand-made"}, "planners": specs}
    stamp["inactive_sub_scores"] = [
        "traffic_light_compliance: no red traffic lights in 2 of 2 logs",
        "ego_progress: no route",
    ]
    groups = tuple(scene_group.group for scene_group in scene_groups().values())
    return Results(result_rows(rows, "navsim-exact"), tuple(PLANNERS), groups, stamp)


class HandMade(Benchmark):
    """Benchmark of hand-made scene groups, without a folder."""

    def __init__(self) -> None:
        super().__init__(Path(), {}, {})

    def scenes(self) -> pa.Table:
        names = [f"case-{number}" for number in range(len(scene_groups()))]
        return pa.table(
            {"token": list(scene_groups()), "scene_group": names, "unfit": ["", "covered,vehicle_iou"][: len(names)]}
        )

    def source_of(self, log: str) -> str:
        return "town"

    def rejections(self) -> pa.Table:
        return pa.table({"reason": ["off_road"] * 2 + ["collision"] * 3})

    def scene_group(self, name: str) -> SceneGroup:
        return list(scene_groups().values())[int(name.removeprefix("case-"))]
