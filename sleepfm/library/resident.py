"""A helper process of the app for questions that need torch and must be answered while a page waits.

The web server never loads torch: it asks here, and one process that stays answers. It ends with the app, even when the app is
killed, and is started anew when it died.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager, suppress
from importlib import import_module
from types import ModuleType
from typing import Any, TypeVar

from sleepfm.errors import SleepFMError
from sleepfm.home import Home

Answer = TypeVar("Answer")


def in_resident(home: Home, function: Callable[..., Answer], *arguments: Any, timeout_s: float = 180.0) -> Answer:
    """Return `function(home, *arguments)`, computed in the helper process.

    Questions are answered one after the other. One that finds the process dead is asked once more.

    Parameters
    ----------
    home
        Becomes the function's first argument.
    function
        A function at the top level of a module; it, its arguments and its answer are pickled.
    timeout_s
        How long to wait for the questions before this one, and then for the answer, in seconds.

    Raises
    ------
    SleepFMError
        Raised by the function (of its own kind), or: the wait was too long, or the process died of the question.
    """
    if not _turn.acquire(timeout=timeout_s):
        raise SleepFMError(f"other questions took more than {timeout_s:g} s; try again in a moment")
    try:
        for _ in range(2):
            try:
                return _ask(timeout_s, function, home, *arguments)
            except BrokenProcessPool:
                end_resident()
    finally:
        _turn.release()
    raise SleepFMError("the process that looks things up died twice (out of memory?); close other programs and try again")


def warm(home: Home) -> None:
    """Start the helper process and let it load torch, without waiting for it: the first question is answered as soon as others.

    A question that comes meanwhile waits its turn, and says itself what is wrong if the process cannot be started.
    """
    threading.Thread(target=_warm, args=(home,), daemon=True).start()


def _warm(home: Home) -> None:
    with suppress(SleepFMError):
        in_resident(home, _load)


def _load(_home: Home) -> None:
    import_module("sleepfm.inference.window_search")


_turn = threading.Lock()
"""Held by the one who asks."""
_helper: ProcessPoolExecutor | None = None


def _ask(timeout_s: float, function: Callable[..., Answer], *arguments: Any) -> Answer:
    global _helper  # noqa: PLW0603 - one helper a process
    if _helper is None:
        _helper = ProcessPoolExecutor(1, multiprocessing.get_context("spawn"), initializer=_live_with_the_app)
    with _without_the_script():
        answer: Future[Answer] = _helper.submit(function, *arguments)
    try:
        return answer.result(timeout_s)
    except TimeoutError:
        if answer.done():  # the function's own error, not ours
            raise
        end_resident()
        raise SleepFMError(
            f"no answer within {timeout_s:g} s: the machine is busy, or the index must first be read from a slow disk; try again"
        ) from None


@contextmanager
def _without_the_script() -> Iterator[None]:
    """Start processes that do not run the main module again: in the app that is the page's script, with all that it loads."""
    script = sys.modules["__main__"]
    sys.modules["__main__"] = ModuleType("__main__")
    try:
        yield
    finally:
        sys.modules["__main__"] = script


def end_resident() -> None:
    """End the process, whatever it is doing; the next question starts another one."""
    global _helper  # noqa: PLW0603
    if _helper is not None:
        for process in list((_helper._processes or {}).values()):  # before Python 3.14 a pool has no way to end its processes
            process.kill()
        _helper.shutdown(wait=False)
        _helper = None


def _live_with_the_app() -> None:
    """Set the helper up: Ctrl+C is the app's business, and without the app there is nobody to answer."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    app = multiprocessing.parent_process()
    assert app is not None

    def end_with_it() -> None:
        app.join()
        os._exit(0)

    threading.Thread(target=end_with_it, daemon=True).start()
