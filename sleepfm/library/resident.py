"""A helper process of the app for questions that need torch and must be answered while a page waits.

The web server never loads torch: it asks here, and one process that stays answers. It ends with the app, even when the app is
killed, and is started anew when it died.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from sleepfm.home import Home

Answer = TypeVar("Answer")


def in_resident(home: Home, function: Callable[..., Answer], *arguments: Any, timeout_s: float = 60.0) -> Answer:
    """Return `function(home, *arguments)`, computed in the helper process.

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
    raise NotImplementedError
