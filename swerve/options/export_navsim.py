"""Options of `swerve export navsim`."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from tyro.conf import Positional, arg

from swerve.eval.benchmark.build_options import ViewKind
from swerve.options.shared import Benchmark, Config, Splats
from swerve.scenes.option_types import or_default


@dataclass(frozen=True)
class ExportNavsim:
    """Write a benchmark in NAVSIM's formats, to run existing NAVSIM pipelines on it.

    Writes logs of OpenScene (two frames a second), second-stage scenes, images, a nuPlan map, and the split's YAML
    files; ROOT/README.txt has the lines that run NAVSIM on them, and swerve evaluate navsim:ROOT evaluates them as
    they are. ROOT appears when it is complete; nothing is overwritten. docs/navsim.md says what stays equal.

    Exit code: 0; 2 if the benchmark cannot be written.

    Example: swerve export navsim bench exported

    Example: swerve export navsim bench exported --views photo --split town_two_stage

    Attributes:
        benchmark: Benchmark.
        out: Output folder.
        split: Name.
        views: Views.
        splats: Splat scenes.
        images: Write images. Planners without cameras need none.
        config: Options to start from.
    """

    benchmark: Benchmark
    out: Annotated[
        Positional[Path],
        arg(metavar="ROOT", help="Output folder, NAVSIM's OPENSCENE_DATA_ROOT: new or empty."),
    ]
    split: Annotated[
        str | None, arg(metavar="NAME", help="Name of the split; None: that of the benchmark's folder, and _two_stage.")
    ] = None
    views: Annotated[
        ViewKind | None,
        or_default(ViewKind),
        arg(help="Kind of the images: raster, photo, splat; default: what planners get in swerve evaluate."),
    ] = None
    splats: Splats = None
    images: bool = True
    config: Config = None
