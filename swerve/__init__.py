"""Render driving logs from perturbed viewpoints, and evaluate planners by pseudo-simulation.

The names below are what a first script needs; each imports its module when it is used.
"""

from importlib.metadata import version
from typing import TYPE_CHECKING

from swerve.scenes.kernel_cache import use_kernel_cache
from swerve.scenes.lazy_package import make_lazy

if TYPE_CHECKING:
    from swerve.api import augment, build_benchmark, evaluate, poses_of, primitives_of, viewpoints_of
    from swerve.data import Source, open_source
    from swerve.data.dataset.augment_options import AugmentOptions
    from swerve.data.dataset.shards import read_samples
    from swerve.data.stream.image_fit import ImageFit
    from swerve.data.stream.loader import StreamLoader
    from swerve.data.stream.part import Part
    from swerve.data.stream.stream import SampleStream
    from swerve.data.stream.stream_options import StreamOptions
    from swerve.eval.benchmark.build_options import BuildOptions
    from swerve.eval.context.scene_context import build_context
    from swerve.eval.scoring.score import score
    from swerve.eval.scoring.sub_scores import METRIC_NAMES
    from swerve.eval.scoring.tensors import score_tensor
    from swerve.options.evaluate import EvaluateOptions
    from swerve.planners.load_planner import load_planner
    from swerve.rasterizer import Style, View, render
    from swerve.scenes import Camera, Log, LogError, Scene, SwerveError, extract_scenes
    from swerve.scenes.planning import Observation, Planner, Trajectory
    from swerve.scenes.viewpoints import CrossAgentOptions, RecoveryOptions, Viewpoint, ViewpointOptions
    from swerve.scenes.viewpoints.follow_up.follow_up_options import FollowUpOptions

__version__ = version("swerve")

__all__ = [
    "METRIC_NAMES",
    "AugmentOptions",
    "BuildOptions",
    "Camera",
    "CrossAgentOptions",
    "EvaluateOptions",
    "FollowUpOptions",
    "ImageFit",
    "Log",
    "LogError",
    "Observation",
    "Part",
    "Planner",
    "RecoveryOptions",
    "SampleStream",
    "Scene",
    "Source",
    "StreamLoader",
    "StreamOptions",
    "Style",
    "SwerveError",
    "Trajectory",
    "View",
    "Viewpoint",
    "ViewpointOptions",
    "augment",
    "build_benchmark",
    "build_context",
    "evaluate",
    "extract_scenes",
    "load_planner",
    "open_source",
    "poses_of",
    "primitives_of",
    "read_samples",
    "render",
    "score",
    "score_tensor",
    "viewpoints_of",
]

use_kernel_cache()
make_lazy(__name__)
