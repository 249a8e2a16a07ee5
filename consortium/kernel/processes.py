"""Several processes of one program: begun, begun again when one ends, stopped together."""

import multiprocessing
import os
import signal
import threading
from collections.abc import Callable
from multiprocessing.connection import wait
from multiprocessing.process import BaseProcess
from typing import Any

from consortium.kernel.log import logger

_LOOK_S = 0.5
_AGAIN_S = 0.5
_PATIENCE_S = 15.0
_log = logger(__name__)


def run(count: int, work: Callable[..., None], arguments: tuple[Any, ...]) -> None:
    """Run `work(number, *arguments)` in `count` processes until this one is told to stop.

    One that ends is begun again; all end when this one does, however it ends.
    """
    told = threading.Event()
    for name in (signal.SIGINT, signal.SIGTERM):
        signal.signal(name, lambda *_: told.set())
    running = [_begun(number, work, arguments) for number in range(count)]
    try:
        while not told.is_set():
            wait([one.sentinel for one in running], timeout=_LOOK_S)
            for number, one in enumerate(running):
                if one.is_alive() or told.is_set():
                    continue
                _log.error("process.ended", number=number, code=one.exitcode)
                told.wait(_AGAIN_S)
                running[number] = _begun(number, work, arguments)
    finally:
        _stop(running)


def _begun(number: int, work: Callable[..., None], arguments: tuple[Any, ...]) -> BaseProcess:
    # a forked copy would share threads' locks and database connections
    made = multiprocessing.get_context("spawn").Process(
        target=_one, args=(number, work, arguments), name=f"web-{number}"
    )
    made.start()
    return made


def _one(number: int, work: Callable[..., None], arguments: tuple[Any, ...]) -> None:
    threading.Thread(target=_end_with_parent, daemon=True).start()
    work(number, *arguments)


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os.kill(os.getpid(), signal.SIGTERM)


def _stop(running: list[BaseProcess]) -> None:
    for one in running:
        one.terminate()
    for one in running:
        one.join(timeout=_PATIENCE_S)
        if one.is_alive():
            one.kill()
