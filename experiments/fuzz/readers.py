"""All readers under test, by name."""

from typing import Final

from experiments.fuzz.reader import Reader
from experiments.fuzz.readers_of_logs import LOG_READERS
from experiments.fuzz.readers_of_sets import SET_READERS

READERS: Final[dict[str, Reader]] = {reader.name: reader for reader in (*LOG_READERS, *SET_READERS)}
