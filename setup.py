"""Packages: those at the top of the repository install under one name."""

from setuptools import find_packages, setup

PACKAGES = ("scenes", "rasterizer", "viz", "data", "eval", "planners")
BELOW = [f"swerve.{name}" for package in PACKAGES for name in find_packages(include=[package, f"{package}.*"])]

setup(
    packages=["swerve", "swerve.options", *BELOW],
    package_dir={"swerve": "swerve", **{f"swerve.{package}": package for package in PACKAGES}},
    package_data={"": ["py.typed", "*.pyi", "*.proto"]},
)
