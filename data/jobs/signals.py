"""Signals while processes are started, and their end with the process that started them."""

import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing import parent_process, resource_tracker
from multiprocessing.connection import wait


@contextmanager
def signals_blocked(*signals: signal.Signals) -> Iterator[None]:
    """Defer signals to the end of the block, and block them in the processes that it starts, from the beginning on.

    A process that imports modules would print a traceback on Ctrl-C, and one that has received half of what it needs
    when its parent ends. Started processes unblock what they handle. In another thread than the main one, which handles
    signals, they are only blocked for started processes.
    """
    resource_tracker.ensure_running()  # its start would lift the block
    arrived, before = list[int](), {}
    if threading.current_thread() is threading.main_thread():
        # The mask is this thread's: another one may take the signal, and let this one handle it.
        before = {one: signal.signal(one, lambda number, _: arrived.append(number)) for one in signals}
    mask = signal.pthread_sigmask(signal.SIG_BLOCK, signals)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)
        for one, handler in before.items():
            signal.signal(one, signal.SIG_DFL if handler is None else handler)
        for number in dict.fromkeys(arrived):
            signal.raise_signal(number)


def end_with_parent() -> None:
    """End this process when the one that started it ends, however it does; a thread waits for that."""
    threading.Thread(target=_end_after_parent, daemon=True).start()


def _end_after_parent() -> None:
    parent = parent_process()
    if parent is not None:
        wait([parent.sentinel])
        os._exit(1)
