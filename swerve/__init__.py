"""Take a recorded drive off its log: draw what the car would have seen, and score what a planner would have done."""

from importlib.metadata import version

__version__ = version("swerve")
