"""A helper process of the app for questions that need torch and must be answered while a page waits.

The web server never loads torch: it asks here, and one process that stays answers. It ends with the app, even when the app is
killed, and is started anew when it died.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
from collections.abc import Callable
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from typing import Any, TypeVar

from sleepfm.errors import SleepFMError
from sleepfm.home import Home

Answer = TypeVar("Answer")


def in_resident(home: Home, function: Callable[..., Answer], *arguments: Any, timeout_s: float = 60.0) -> Answer:
    """Return `function(home, *arguments)`, computed in the helper process.

    Questions are answered one after the other. One that was waiting when the process died is asked once more.

    Parameters
    ----------
    home
        Becomes the function's first argument.
    function
        A function at the top level of a module; it, its arguments and its answer are pickled.
    timeout_s
        How long to wait in seconds, the questions before this one included.

    Raises
    ------
    SleepFMError
        Raised by the function (of its own kind), or: the answer took too long, or the process died of the question.
    """
    for _ in range(2):
        helper = _helper()
        try:
            answer: Future[Answer] = helper.submit(function, home, *arguments)
        except RuntimeError:  # it was given up between the two lines
            _give_up(helper)
            continue
        try:
            return answer.result(timeout_s)
        except BrokenProcessPool:
            _give_up(helper)
        except TimeoutError:
            if answer.done():  # the function's own error, not ours
                raise
            _end(helper)
            raise SleepFMError(
                f"no answer within {timeout_s:g} s: the machine is busy, or the index must first be read from a slow disk;"
                " try again"
            ) from None
    raise SleepFMError("the process that looks things up died twice (out of memory?); close other programs and try again")


_lock = threading.Lock()
_current: ProcessPoolExecutor | None = None


def _helper() -> ProcessPoolExecutor:
    """Return the pool of the one process, made when there is none; the process itself starts with its first question."""
    global _current  # noqa: PLW0603 - one helper a process
    with _lock:
        if _current is None:
            _current = ProcessPoolExecutor(1, multiprocessing.get_context("spawn"), initializer=_live_with_the_app)
        return _current


def _give_up(helper: ProcessPoolExecutor) -> None:
    global _current  # noqa: PLW0603
    with _lock:
        if _current is helper:
            _current = None
    helper.shutdown(wait=False)


def _end(helper: ProcessPoolExecutor) -> None:
    """Kill the process of a question that takes too long; others that wait for it are asked again."""
    for process in list((helper._processes or {}).values()):  # before Python 3.14 a pool has no way to end its processes
        process.kill()
    _give_up(helper)


def _live_with_the_app() -> None:
    """Set the helper up: Ctrl+C is the app's business, and without the app there is nobody to answer."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    app = multiprocessing.parent_process()
    assert app is not None

    def end_with_it() -> None:
        app.join()
        os._exit(0)

    threading.Thread(target=end_with_it, daemon=True).start()
