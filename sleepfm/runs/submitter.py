"""For whom jobs are put into the queue: the user of the page that runs, of the command, of the job that asks for others."""

from __future__ import annotations

import getpass
import os
from contextvars import ContextVar

_NAME: ContextVar[str] = ContextVar("submitter", default="")


def submitter() -> str:
    """Return for whom this thread works; empty when it works for nobody."""
    return _NAME.get()


def work_for(name: str) -> None:
    """Let the jobs that this thread adds from now on be this user's."""
    _NAME.set(name)


def account_name() -> str:
    """Return the name of the account that this process runs under; its number where it has none, as in some containers."""
    try:
        return getpass.getuser()
    except (OSError, KeyError, ImportError):
        return f"user {os.getuid()}" if hasattr(os, "getuid") else "user"
