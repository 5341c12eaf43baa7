"""Detection of scripts that begin a job whenever they are imported, as worker processes import them."""

import multiprocessing
from typing import Final

# Exit code of a worker whose script has begun the job once more.
UNGUARDED: Final = 87
UNGUARDED_MESSAGE: Final = (
    "worker processes import the script that starts them, and it began the job once more: put what it does below "
    'if __name__ == "__main__":'
)


def refuse_import() -> None:
    """End this process if it is a worker that is just importing the user's script.

    Raises:
        SystemExit: it is. The process that started it tells why, in one line in place of a traceback of each worker.
    """
    if getattr(multiprocessing.current_process(), "_inheriting", False):  # as multiprocessing itself asks
        raise SystemExit(UNGUARDED)
