"""Alignment on real photos: `python -m experiments.probe_real PLANNER... [--out FILE.json]`.

Uses the six photos of nuScenes' key frame and the five of Waymo's perception frame, each camera held out in turn. It is
`swerve probe` on two logs; nuScenes' comes from the tests' own reader, since the test data has no tables of it. Run by
hand, with trained planners: not part of `make bench`.
"""

import json
import sys
from pathlib import Path

from rich.console import Console

from benchmarks.measure import real_data
from swerve.data import open_source
from swerve.planners.rap.image_pairs import pairs_of_logs
from swerve.probe_command import measured, numbers_of, table_of
from tests.support.nuscenes_log import nuscenes_log

FRAME = "pvps_data_one_frame"


def main(specs, out):
    folder = real_data()
    if folder is None:
        sys.exit(1)
    waymo = open_source(f"waymo:{folder / 'waymo' / FRAME}.tfrecord").load(FRAME)
    logs = {"nuScenes": nuscenes_log(folder / "nuscenes"), "Waymo": waymo}
    rows = [
        {"planner": label, "on": name, **numbers_of(planner.model, pairs_of_logs([log], planner.model.config, 1))}
        for label, planner in measured(specs, untrained=True)
        for name, log in logs.items()
    ]
    for name in logs:
        Console().print(table_of(name, [row for row in rows if row["on"] == name]))
    if out:
        Path(out).write_text(json.dumps(rows, indent=1))


if __name__ == "__main__":
    at = sys.argv.index("--out") if "--out" in sys.argv else len(sys.argv)
    main(sys.argv[1:at], "".join(sys.argv[at + 1 : at + 2]))
