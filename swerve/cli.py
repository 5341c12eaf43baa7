"""The command line: find the command, parse its options, run it.

Options are in `swerve.options`, which imports little; a command's module is imported when it runs.
"""

import argparse
import difflib
import os
import signal
import sys
import threading
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path
from types import FrameType
from typing import Any, NoReturn

from swerve import __version__
from swerve.output import check_output
from swerve.scenes.errors import SwerveError, WriteError
from swerve.stopping import stop_message

# Names of the options class of every command, which is in the module of its name in `swerve.options`.
COMMANDS = {
    "augment": "Augment",
    "build": "Build",
    "compare": "Compare",
    "contexts": "Contexts",
    "drive": "Drive",
    "evaluate": "Evaluate",
    "export 123d": "Export123d",
    "export gsplat": "ExportGsplat",
    "export mesh": "ExportMesh",
    "export navsim": "ExportNavsim",
    "finish": "Finish",
    "fit": "Fit",
    "hidden-states": "HiddenStates",
    "info": "Info",
    "plan augment": "PlanAugment",
    "probe": "Probe",
    "proposals": "Proposals",
    "quality": "Quality",
    "record": "Record",
    "score": "Score",
    "serve driver": "ServeDriver",
    "serve renderer": "ServeRenderer",
    "show": "Show",
    "status": "Status",
    "study": "Study",
    "submit check": "SubmitCheck",
    "submit navsim": "SubmitNavsim",
    "submit wod": "SubmitWod",
    "train": "Train",
    "verify": "Verify",
    "view": "View",
    "warmup": "Warmup",
}
# Words after train in earlier versions.
_FORMER = ("rap", "ego-mlp")
# Commands in the place of a script of NAVSIM, whose options are NAME=VALUE.
_NAVSIM_COMMANDS = ("evaluate", "submit navsim")
# Exit code of a run of an array that is to be started again when the others have come as far.
_AGAIN = os.EX_TEMPFAIL
_HEAD = """usage: swerve COMMAND SOURCE... OUT [OPTIONS]

Render driving logs from perturbed viewpoints for planner training, and evaluate planners by pseudo-simulation.

A SOURCE of logs is town:COUNT (generated towns), av2:PATH, navsim:ROOT, nuplan:PATH, nuscenes:ROOT, waymo:PATH,
kitti:PATH, dgp:PATH (DDAD), 123d:ROOT, neutral:PATH, or a path whose kind is recognised. wod_e2e:PATH (Waymo's
end-to-end data) is for info, evaluate and submit wod.
"""
_FOOT = """
options:
  -h, --help                        show this help, or that of a command
  --version                         show the version
  --print-completion SHELL          print the completion script for bash, zsh or fish
  --install-completion SHELL        install it for this user
"""


def main() -> None:
    """Run the command line: mistakes, failed writes and signals end in one line, without a traceback.

    Exit code: that of the command; 1 if a result could not be written; 2 after a mistake; 130 after Ctrl-C; 143 after
    SIGTERM.
    """
    try:
        if threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGTERM, _terminate)
            signal.signal(signal.SIGINT, _interrupt)
        code = run(sys.argv[1:])
        sys.stdout.flush()
    except SwerveError as error:
        code = _tell(str(error), 1 if isinstance(error, WriteError) else 2)
    except KeyboardInterrupt:
        code = _stopped("", 130)
    except _Terminated:
        code = _stopped(" by SIGTERM", 143)
    except BrokenPipeError:  # of `swerve ... | head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        code = 1
    except OSError as error:
        if error.errno is None:
            raise
        code = _tell(f"{error.filename}: {error.strerror}" if error.filename else str(error.strerror), 1)
    sys.exit(code)


class _Terminated(BaseException):
    """SIGTERM came. Not a SystemExit, which would be taken for a planner's own."""


def _terminate(_: int, frame: FrameType | None) -> NoReturn:
    _end_if_importing(frame, "Stopped by SIGTERM.", 143)
    raise _Terminated


def _interrupt(_: int, frame: FrameType | None) -> NoReturn:
    _end_if_importing(frame, stop_message(), 130)
    raise KeyboardInterrupt


def _end_if_importing(frame: FrameType | None, message: str, code: int) -> None:
    """End the process at once while a module is imported: an exception there would come out as another, or not at all.

    Outputs are written atomically, and processes that were started end with this one.
    """
    while frame is not None:
        if frame.f_code.co_filename.startswith("<frozen importlib"):
            os.write(2, f"{message}\n".encode())
            os._exit(code)
        frame = frame.f_back


def _stopped(how: str, code: int) -> int:
    print(f"Stopped{how}.", file=sys.stderr)
    return code


def _tell(message: str, code: int) -> int:
    """Print an error in one line, and return the exit code."""
    colors = ("\033[31m", "\033[0m") if sys.stderr.isatty() else ("", "")
    print(f"{colors[0]}error:{colors[1]} {' '.join(message.split())}", file=sys.stderr)
    return code


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
    if first == "train" and rest and rest[0] in _FORMER and not Path(rest[0]).exists():
        raise SwerveError(f"train {rest[0]}: all families are trained by swerve train SET OUT --family {rest[0]}")
    if first not in COMMANDS:
        kind = "option" if first.startswith("-") else "command"
        near = difflib.get_close_matches(first, COMMANDS, 1)
        raise SwerveError(f"no {kind} {first!r}" + (f"; perhaps {near[0]}" if near else "") + ". See swerve --help")
    return _run(first, rest)


def options_class(command: str) -> type:
    """Return the options class of a command."""
    found = getattr(import_module(f"swerve.options.{_module(command)}"), COMMANDS[command])
    assert isinstance(found, type)
    return found


def parse(command: str, arguments: Sequence[str]) -> Any:  # noqa: ANN401 the options class of the command
    """Return the options of a command, from its arguments and the file that `--config` names.

    Raises:
        SwerveError: an argument is not known, missing or out of its range, or the file has a mistake.
        SystemExit: help is requested, and was printed.
    """
    import tyro

    from swerve.usage import check_assignments, check_positions, usage_errors

    # Of the two parsers that tyro has, this one gives OUT the last of SOURCE... OUT where options follow.
    tyro._experimental_options["backend"] = "argparse"
    kind, given = options_class(command), list(arguments)
    default: Any = None
    reader = argparse.ArgumentParser(add_help=False, allow_abbrev=False, exit_on_error=False)
    reader.add_argument("--config", type=Path)
    try:
        known, given = reader.parse_known_args(given)
    except argparse.ArgumentError as error:
        raise SwerveError("--config: a value is missing, the file of options") from error
    if known.config:
        default, given = _configured(known.config, kind, given)
    if command in _NAVSIM_COMMANDS:
        check_assignments(given)
    with usage_errors(command, kind, given):
        options = tyro.cli(
            kind,
            prog=f"swerve {command}",
            args=given,
            default=default,
            config=(tyro.conf.HelptextFromCommentsOff,),
        )
    check_positions(command, kind, options)
    return options


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
    from swerve.stored_paths import stored_paths

    parsed = parse(command, arguments)
    with stored_paths(parsed) as local:
        check_output(local)
        from swerve.scenes.compilation import announce_compilation

        announce_compilation()
        code = run_command(command, local)
        if (out := getattr(local, "out", None)) and os.environ.get("RANK", "0") == "0":
            from swerve.config_file import CONFIG, write_config

            write_config(out / CONFIG if out.is_dir() else out.with_name(f"{out.name}.{CONFIG}"), parsed)
    return code


def run_command(command: str, parsed: Any) -> int:  # noqa: ANN401
    """Run a command and return its exit code; also of a run of an array, which has no results of its own."""
    from swerve.data.jobs.execution import ArrayPartDone

    try:
        code: int = import_module(f"swerve.{_module(command)}_command").run(parsed)
        return code
    except ArrayPartDone as done:
        print(done.message)
        if done.failures:
            print(f"{done.failures} failed: swerve finish OUT lists them", file=sys.stderr)
        return _AGAIN if done.again else int(done.failures > 0)


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
        from swerve.usage import positional_metavars

        arguments = {" ".join(positional_metavars(options_class(name))) for name in names}
        told = arguments.pop() if len(arguments) == 1 else "[ARGUMENTS]"
        return f"usage: swerve {group} COMMAND {told} [OPTIONS]\n{commands}"
    return _HEAD + commands + _FOOT


def _groups() -> set[str]:
    return {name.split()[0] for name in COMMANDS if " " in name}


def _module(command: str) -> str:
    return command.replace(" ", "_").replace("-", "_")
