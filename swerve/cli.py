"""The command line: find the command, parse its options, run it.

Options are in `swerve.options`, which imports little; a command's module is imported when it runs.
"""

import argparse
import difflib
import os
import sys
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path
from typing import Any

from swerve import __version__
from swerve.scenes.errors import SwerveError

# Names of the options class of every command, which is in the module of its name in `swerve.options`.
COMMANDS = {
    "augment": "Augment",
    "build": "Build",
    "contexts": "Contexts",
    "drive": "Drive",
    "evaluate": "Evaluate",
    "export navsim": "ExportNavsim",
    "fit": "Fit",
    "info": "Info",
    "probe": "Probe",
    "proposals": "Proposals",
    "quality": "Quality",
    "score": "Score",
    "show": "Show",
    "study": "Study",
    "submit check": "SubmitCheck",
    "submit navsim": "SubmitNavsim",
    "submit wod": "SubmitWod",
    "train ego-mlp": "TrainEgoMlp",
    "train rap": "TrainRap",
}
_HEAD = """usage: swerve COMMAND SOURCE... OUT [OPTIONS]

Render driving logs from perturbed viewpoints for planner training, and evaluate planners by pseudo-simulation.

A SOURCE of logs is town:COUNT (generated towns), av2:PATH, nuplan:PATH, waymo:PATH, kitti:PATH, neutral:PATH, or a
path whose kind is recognised. wod_e2e:PATH (Waymo's end-to-end data) is for info, evaluate and submit wod.
"""
_FOOT = """
options:
  -h, --help                        show this help, or that of a command
  --version                         show the version
  --print-completion SHELL          print the completion script for bash, zsh or fish
  --install-completion SHELL        install it for this user
"""


def main() -> None:
    """Run the command line; the user's mistakes end in one line and exit code 2, without a traceback."""
    try:
        sys.exit(run(sys.argv[1:]))
    except SwerveError as error:
        colors = ("\033[31m", "\033[0m") if sys.stderr.isatty() else ("", "")
        print(f"{colors[0]}error:{colors[1]} {error}", file=sys.stderr)
        sys.exit(2)


def run(arguments: Sequence[str]) -> int:
    """Run a command and return its exit code.

    Raises:
        SwerveError: the command could not run.
    """
    first, *rest = arguments or ["--help"]
    if first in ("-h", "--help", "--version"):
        print(__version__ if first == "--version" else _help(""), end="\n" if first == "--version" else "")
        return 0
    if first in ("--print-completion", "--install-completion"):
        return _complete(first, rest)
    if first in _groups():
        if not rest or rest[0] in ("-h", "--help"):
            print(_help(first), end="")
            return 0
        first, rest = f"{first} {rest[0]}", rest[1:]
    if first not in COMMANDS:
        near = difflib.get_close_matches(first, COMMANDS, 1)
        raise SwerveError(f"no command {first!r}" + (f"; perhaps {near[0]}" if near else "") + ". See swerve --help")
    return _run(first, rest)


def options_class(command: str) -> type:
    """Return the options class of a command."""
    found = getattr(import_module(f"swerve.options.{_module(command)}"), COMMANDS[command])
    assert isinstance(found, type)
    return found


def parse(command: str, arguments: Sequence[str]) -> Any:  # noqa: ANN401 the options class of the command
    """Return the options of a command, from its arguments and the file that `--config` names.

    Raises:
        SwerveError: an option is out of its range, or the file has a mistake.
        SystemExit: an argument is not known or missing, which is printed, or help is requested.
    """
    import tyro

    # Of the two parsers that tyro has, this one gives OUT the last of SOURCE... OUT where options follow.
    tyro._experimental_options["backend"] = "argparse"
    kind, given = options_class(command), list(arguments)
    default: Any = None
    reader = argparse.ArgumentParser(add_help=False, allow_abbrev=False, exit_on_error=False)
    reader.add_argument("--config", type=Path)
    try:
        known, given = reader.parse_known_args(given)
    except argparse.ArgumentError as error:
        raise SwerveError(str(error).removeprefix("argument ")) from error
    if known.config:
        default, given = _configured(known.config, kind, given)
    return tyro.cli(
        kind,
        prog=f"swerve {command}",
        args=given,
        default=default,
        config=(tyro.conf.HelptextFromCommentsOff,),
    )


def _configured(path: Path, kind: type, given: list[str]) -> tuple[Any, list[str]]:
    """Return the options of a file as defaults, and the arguments with its SOURCE... OUT where none are given."""
    import tyro

    from swerve.config_file import positional_names, read_config

    default: Any = read_config(path, kind)
    names = positional_names(kind)
    stated = [getattr(default, name) for name in names]
    for name in names:
        object.__setattr__(default, name, tyro.MISSING)
    if (not given or given[0].startswith("-")) and not any(value is tyro.MISSING for value in stated):
        lists = [value if isinstance(value, tuple) else (value,) for value in stated]
        given = [*(str(one) for value in lists for one in value), *given]
    return default, given


def _run(command: str, arguments: Sequence[str]) -> int:
    parsed = parse(command, arguments)
    from swerve.scenes.compilation import announce_compilation

    announce_compilation()
    code: int = import_module(f"swerve.{_module(command)}_command").run(parsed)
    if (out := getattr(parsed, "out", None)) and os.environ.get("RANK", "0") == "0":
        from swerve.config_file import CONFIG, write_config

        write_config(out / CONFIG if out.is_dir() else out.with_name(f"{out.name}.{CONFIG}"), parsed)
    return code


def _complete(option: str, rest: Sequence[str]) -> int:
    from swerve.completion import SHELLS, completion_script, install_completion

    if len(rest) != 1:
        raise SwerveError(f"{option}: give the shell, one of {', '.join(SHELLS)}")
    commands = {name: options_class(name) for name in COMMANDS}
    print((completion_script if option == "--print-completion" else install_completion)(rest[0], commands))
    return 0


def _help(group: str) -> str:
    """Return the list of commands, of all or of a group."""
    names = [name for name in COMMANDS if name.startswith(group)]
    lines = [f"  {name:<15} {(options_class(name).__doc__ or '').splitlines()[0]}" for name in names]
    commands = "\ncommands:\n" + "\n".join(lines) + "\n"
    if group:
        return f"usage: swerve {group} COMMAND SOURCE... OUT [OPTIONS]\n{commands}"
    return _HEAD + commands + _FOOT


def _groups() -> set[str]:
    return {name.split()[0] for name in COMMANDS if " " in name}


def _module(command: str) -> str:
    return command.replace(" ", "_").replace("-", "_")
