"""Which packages there are: the rooms stand at the top of the repository and install under one name."""

from setuptools import find_packages, setup

ROOMS = ("scenes", "rasterizer", "viz", "data", "eval", "planners")
BELOW = [f"swerve.{name}" for room in ROOMS for name in find_packages(include=[room, f"{room}.*"])]

setup(
    packages=["swerve", "swerve.options", *BELOW],
    package_dir={"swerve": "swerve", **{f"swerve.{room}": room for room in ROOMS}},
    package_data={"": ["py.typed", "*.pyi", "*.proto"]},
)
