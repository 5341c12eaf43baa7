"""Sources whose logs are folders."""

from collections.abc import Callable, Collection
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from swerve.data.sources.source import Holding, absent_in_all, split_of
from swerve.scenes import Camera, Log, LogError, Split


def nothing_absent(_: Path) -> frozenset[Holding]:
    """Say that nothing is known to be absent."""
    return frozenset()


def whole_folder(folder: Path) -> tuple[Path, ...]:
    """Return a log's folder as the place of all its files."""
    return (folder,)


@dataclass(frozen=True)
class FolderSource:
    """Source whose logs are folders, named after them.

    Attributes:
        path: search path.
        kind: as in `Source`.
        log_description: name of a log in messages.
        hint: description of the folder format in messages.
        find_logs: function that lists the logs' folders at a path, in order.
        read_log: function that reads a log, given the split named by its folders.
        read_rig: function that reads the cameras of a log, see `RigSource`.
        list_files: function that lists the files and folders of a log that there are.
        find_absent: function that returns what a log lacks, see `PartialSource`.
    """

    path: Path
    kind: str
    log_description: str
    hint: str
    find_logs: Callable[[Path], list[Path]]
    read_log: Callable[[Path, Split | None], Log]
    read_rig: Callable[[Path], tuple[Camera, ...]]
    list_files: Callable[[Path], tuple[Path, ...]] = whole_folder
    find_absent: Callable[[Path], frozenset[Holding]] = nothing_absent

    def names(self) -> tuple[str, ...]:
        """Return the folders' names.

        Raises:
            LogError: there is no log.
        """
        return tuple(folder.name for folder in self._folders())

    def load(self, name: str) -> Log:
        """Load the log of that name.

        Raises:
            LogError: there is no such log, or a file of it is missing or malformed.
        """
        for folder in self._folders():
            if folder.name == name:
                return self.read_log(folder, split_of(folder, self.path))
        raise LogError(self.path, name, f"no {self.log_description} of that name")

    def files_of(self, name: str) -> tuple[Path, ...]:
        """Return the log's files and folders, see `FileSource`."""
        return tuple(file for folder in self._folders() if folder.name == name for file in self.list_files(folder))

    def rigs(self, names: Collection[str]) -> dict[str, tuple[Camera, ...]]:
        """Read the cameras of logs, see `RigSource`."""
        found = {}
        for folder in self._folders():
            if folder.name in names:
                with suppress(LogError):
                    found[folder.name] = self.read_rig(folder)
        return found

    def absent(self, names: Collection[str]) -> frozenset[Holding]:
        """Return what all of these logs lack, see `PartialSource`."""
        wanted = set(names)
        return absent_in_all((folder for folder in self._folders() if folder.name in wanted), self.find_absent)

    def _folders(self) -> list[Path]:
        folders = self.find_logs(self.path)
        if not folders:
            raise LogError(self.path, "folder", f"no {self.log_description}", self.hint)
        by_name = {folder.name: folder for folder in folders}
        if other := next((folder for folder in folders if by_name[folder.name] != folder), None):
            problem = f"two logs have this name: {other} and {by_name[other.name]}"
            raise LogError(self.path, other.name, problem, "Give a folder with one of them")
        return folders
