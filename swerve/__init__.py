"""Take a recorded drive off its log: draw what the car would have seen, and score what a planner would have done."""

from importlib.metadata import version

from swerve.scenes.kernel_cache import use_kernel_cache

use_kernel_cache()
__version__ = version("swerve")
