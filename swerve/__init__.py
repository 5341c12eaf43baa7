"""Take a recorded drive off its log: draw what the car would have seen from where it never was."""

from importlib.metadata import version

__version__ = version("swerve")
