"""Write completion scripts for shells."""

import os
from contextlib import redirect_stdout, suppress
from io import StringIO
from pathlib import Path
from typing import Annotated, Any, Union

import tyro

from swerve.scenes.errors import SwerveError

SHELLS = ("bash", "zsh", "fish")
_HINTS = {
    "bash": "It works in new shells, where the package bash-completion is installed.",
    "zsh": "It works in new shells, where ~/.zshrc has `fpath+=~/.zfunc` before `autoload -Uz compinit; compinit`.",
    "fish": "It works in new shells.",
}


def completion_script(shell: str, commands: dict[str, type]) -> str:
    """Return a script that completes commands and options; it does not start Swerve to do so.

    Raises:
        SwerveError: the shell is not known.
    """
    if shell not in SHELLS:
        raise SwerveError(f"shell {shell!r} is not known, choose among {', '.join(SHELLS)}")
    kinds: list[Any] = [
        Annotated[kind, tyro.conf.subcommand(name)] for name, kind in commands.items() if " " not in name
    ]
    groups = {name.split()[0] for name in commands if " " in name}
    for group in sorted(groups):
        inner = {name.split()[1]: kind for name, kind in commands.items() if name.startswith(f"{group} ")}
        members: tuple[Any, ...] = tuple(Annotated[kind, tyro.conf.subcommand(name)] for name, kind in inner.items())
        if len(members) == 1:  # a choice needs two, and each group has a help of its own
            members = (*members, Annotated[None, tyro.conf.subcommand("--help")])
        kinds.append(Annotated[Union[members], tyro.conf.subcommand(group)])  # noqa: UP007 made at run time
    written = StringIO()
    tyro._experimental_options["backend"] = "tyro"  # it needs no other package, and knows fish
    everything: Any = Union[tuple(kinds)]  # noqa: UP007 made at run time
    with redirect_stdout(written), suppress(SystemExit):
        tyro.cli(everything, prog="swerve", args=["--tyro-print-completion", shell])
    return written.getvalue()


def install_completion(shell: str, commands: dict[str, type]) -> str:
    """Write the script where the shell looks for it; return the message for the user."""
    script = completion_script(shell, commands)
    path = _path(shell)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(script)
    return f"wrote {path}. {_HINTS[shell]}"


def _path(shell: str) -> Path:
    data = Path(os.environ.get("XDG_DATA_HOME") or "~/.local/share").expanduser()
    config = Path(os.environ.get("XDG_CONFIG_HOME") or "~/.config").expanduser()
    return {
        "bash": data / "bash-completion" / "completions" / "swerve",
        "zsh": Path("~/.zfunc/_swerve").expanduser(),
        "fish": config / "fish" / "completions" / "swerve.fish",
    }[shell]
