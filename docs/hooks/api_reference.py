"""A page of the API reference for every package, made of its docstrings when the site is built.

Pages follow the tree: nothing has to be written down here when a module is added, moved or renamed.
"""

from pathlib import Path
from typing import Any

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = ("swerve", "planners", "eval", "data", "viz", "rasterizer", "scenes")
# Numba's kernels are called by their neighbours alone.
PRIVATE = ("_kernels", "__init__", "__main__")


def on_config(config: MkDocsConfig) -> MkDocsConfig:
    """Links the packages under one name for mkdocstrings, and enters the pages in the navigation."""
    _link_packages()
    entries: list[Any] = next(item["API reference"] for item in config["nav"] if "API reference" in item)
    for name in PACKAGES:
        entries.append({name: [{_title(package): _page(package)} for package in _packages_of(name)]})
    return config


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Adds the pages."""
    for name in PACKAGES:
        for package in _packages_of(name):
            files.append(File.generated(config, _page(package), content=_content(package)))
    return files


def _link_packages() -> None:
    target = ROOT / "build" / "types" / "swerve"
    target.mkdir(parents=True, exist_ok=True)
    for item in [*(ROOT / "swerve").iterdir(), *(ROOT / name for name in PACKAGES[1:])]:
        link = target / item.name
        if item.name != "__pycache__" and not link.is_symlink():
            link.symlink_to(item)


def _packages_of(name: str) -> list[Path]:
    found = sorted(path.parent for path in (ROOT / name).rglob("__init__.py"))
    return [package for package in found if _modules(package)]


def _modules(package: Path) -> list[str]:
    """Names of the modules that stand in a package itself."""
    names = [path.stem for path in sorted(package.glob("*.py"))]
    return [_dotted(package / name) for name in names if not name.endswith(PRIVATE)]


def _dotted(path: Path) -> str:
    parts = path.relative_to(ROOT).parts
    return ".".join(parts if parts[0] == "swerve" else ("swerve", *parts))


def _title(package: Path) -> str:
    return ".".join(package.relative_to(ROOT).parts)


def _page(package: Path) -> str:
    return f"api/{_title(package)}.md"


def _content(package: Path) -> str:
    return "\n".join([f"# {_dotted(package)}\n", *(f"::: {name}\n" for name in _modules(package))])
