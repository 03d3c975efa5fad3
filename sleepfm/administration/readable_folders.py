"""Which files the app may open: those below the folders that an admin named, wherever links and `..` lead.

The command line is used by somebody who owns the machine's files anyway, so it is not held to the list
(`whole_machine`); the app's server and every background job are.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from sleepfm.administration.app_settings import read_settings
from sleepfm.errors import RequestError
from sleepfm.home import Home
from sleepfm.text import printable

_OWN = ("uploads", "demo", "studies", "datasets", "models", "runs", "splits")
"""Folders of the home that the app fills itself; the library, accounts and settings beside them are not among them."""


@dataclass(frozen=True)
class ReadableFolders:
    """The folders as they stood when they were asked for; for many paths at once.

    Attributes
    ----------
    named
        What an admin named; None: everything that the account may read.
    own
        The app's own folders, always readable.
    """

    named: tuple[Path, ...] | None
    own: tuple[Path, ...]

    @classmethod
    def of(cls, home: Home) -> Self:
        """Return the folders that the app of this home may read."""
        return cls(read_settings(home).folders, tuple(home.root / name for name in _OWN))

    def require(self, path: Path | str) -> Path:
        """Return where a path leads, without links and `..`.

        Raises
        ------
        RequestError
            When that is outside the folders; it is not looked at then, and nothing is said of what is there.
        """
        raise NotImplementedError


def require_readable(home: Home, path: Path | str) -> Path:
    """Return where a path that somebody typed in the app leads, without links and `..`.

    Raises
    ------
    RequestError
        When that is outside the folders that the app may read, naming the folder that would have to be allowed.
    """
    return ReadableFolders.of(home).require(path)


def require_readable_here(home: Home, path: Path | str) -> None:
    """Do the same where this process is the app's or a background job; a command may open what it likes."""
    if not _unrestricted:
        require_readable(home, path)


@contextmanager
def whole_machine() -> Iterator[None]:
    """Let this process open whatever its account may read: for a command that somebody typed in a terminal."""
    _unrestricted.append(None)
    try:
        yield
    finally:
        _unrestricted.pop()


def require_folders_named(home: Home) -> None:
    """See that the folders are named before the app listens on an address that other machines reach.

    Raises
    ------
    RequestError
        When they are not.
    """
    if read_settings(home).folders is None:
        raise RequestError(
            f"{printable(str(home.root))}: other machines will reach the app, so name the folders that it may read first:"
            " start it on 127.0.0.1 and choose them under Settings"
        )


_unrestricted: list[None] = []
