"""Packages of the repository and their modules, by import name."""

from pathlib import Path

ROOT = Path(__file__).parents[2]
# From top to bottom: each may import itself and those after it.
ROOMS = ("swerve", "planners", "eval", "data", "viz", "rasterizer", "scenes")


def module_of(path: Path) -> str:
    """Return the import name of a file."""
    parts = path.relative_to(ROOT).with_suffix("").parts
    named = parts if parts[0] == "swerve" else ("swerve", *parts)
    return ".".join(named[:-1] if named[-1] == "__init__" else named)


def modules() -> dict[str, Path]:
    """Return all files of the package, by import name."""
    return {module_of(path): path for room in ROOMS for path in sorted((ROOT / room).rglob("*.py"))}
