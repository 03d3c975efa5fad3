"""Which files the app may open: those below the folders that an admin named, wherever links and `..` lead.

The command line is used by somebody who owns the machine's files anyway, so it is not held to the list
(`whole_machine`); the app's server and every background job are.
"""

from __future__ import annotations

import os
import unicodedata
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Self

from sleepfm.administration.app_settings import read_settings
from sleepfm.errors import RequestError
from sleepfm.home import Home
from sleepfm.text import printable

_OWN = ("uploads", "demo", "studies", "datasets", "models", "runs", "splits")
"""Folders of the home that the app fills itself; the library, accounts and settings beside them are not among them."""
_SHOWN = 3
_LONGEST_SHOWN = 300
_OTHERS_REACH = "SLEEPFM_OTHERS_REACH"
"""In the environment, so that the background jobs that this process starts know it too."""


class ReadableFolders:
    """The folders as they stood when they were asked for; for many paths at once.

    Attributes
    ----------
    named
        What an admin named; None: everything that the account may read.
    """

    def __init__(self, named: tuple[Path, ...] | None, own: tuple[Path, ...]) -> None:
        self.named = named
        self._real: list[tuple[Path, str]] = []
        for folder in (*(named or ()), *own):
            with suppress(RequestError):  # a folder that cannot be followed holds nothing
                real = _real(folder)
                self._real.append((real, _spelling(real)))

    @classmethod
    def of(cls, home: Home) -> Self:
        """Return the folders that the app of this home may read; never everything where others reach it."""
        named = read_settings(home).folders
        if named is None and _OTHERS_REACH in os.environ:  # the settings were taken away since the app began
            named = ()
        return cls(named, tuple(home.root / name for name in _OWN))

    def require(self, path: Path | str) -> Path:
        """Return where a path leads, without links and `..`.

        Raises
        ------
        RequestError
            When that is outside the folders; it is the same line whether anything is there or not.
        """
        real = _real(Path(path))
        spelling = _spelling(real)
        if self.named is None or any(_inside(real, spelling, *folder) for folder in self._real):
            return real
        leads = "" if os.path.abspath(Path(path).expanduser()) == str(real) else f" leads to {printable(str(real))}, which"  # noqa: PTH100 - resolves no links
        listed = ", ".join(printable(str(folder)) for folder in self.named[:_SHOWN]) or "none is named"
        more = ", …" if len(self.named) > _SHOWN else ""
        # a name with a suffix is taken for a file's without looking: what is there is nobody's business
        allow = real.parent if real.suffix else real
        raise RequestError(
            f"{printable(str(path))}:{leads} is outside the folders that the app may read ({listed}{more});"
            f" an admin can allow {printable(str(allow))} under Settings"
        )

    def require_all_below(self, path: Path) -> None:
        """See that a path and everything that work on a folder could open in it lies in the folders: no link leads out of them.

        Raises
        ------
        RequestError
            Naming the first that does.
        """
        self.require(path)
        if self.named is None:
            return
        for folder, folders, files in os.walk(path):  # walks into no link
            for name in (*folders, *files):
                if (Path(folder) / name).is_symlink():
                    self.require(Path(folder) / name)


def require_readable(home: Home, path: Path | str) -> Path:
    """Return where a path that somebody typed in the app leads, without links and `..`.

    Raises
    ------
    RequestError
        When that is outside the folders that the app may read, naming the folder that would have to be allowed.
    """
    return ReadableFolders.of(home).require(path)


def require_readable_here(home: Home, path: Path) -> Path:
    """Do the same where this process is the app's or a background job; a command may open what it likes."""
    return path if _unrestricted else require_readable(home, path)


def require_data_readable_here(home: Home, paths: Iterable[Path]) -> None:
    """Do the same for data that a job is about to work on, and for all that lies below it."""
    if not _unrestricted:
        folders = ReadableFolders.of(home)
        for path in paths:
            folders.require_all_below(path)


@contextmanager
def whole_machine() -> Iterator[None]:
    """Let this process open whatever its account may read: for a command that somebody typed in a terminal."""
    _unrestricted.append(None)
    try:
        yield
    finally:
        _unrestricted.pop()


_unrestricted: list[None] = []


def others_reach_this_process(*, others: bool) -> None:
    """Say whether others than this machine's user reach what this process and its background jobs read."""
    if others:
        os.environ[_OTHERS_REACH] = "1"
    else:
        os.environ.pop(_OTHERS_REACH, None)


def require_folders_named(home: Home) -> None:
    """See that the folders are named before the app listens on an address that other machines reach.

    Raises
    ------
    RequestError
        When they are not.
    """
    if read_settings(home).folders is None:
        raise RequestError(
            "other machines will reach the app, so say first which folders it may read: start it on 127.0.0.1 and name them"
            f' under Settings, or write them into {home.settings_file} (such as {{"folders": ["/data/psg"]}})'
        )


def _real(path: Path) -> Path:
    try:
        real = path.expanduser().resolve()
        with suppress(FileNotFoundError, NotADirectoryError, PermissionError):
            real.lstat()  # resolving lets names pass that none can have, such as one too long
        return real
    except (OSError, RuntimeError, ValueError) as error:  # a ring of links, no such user, a name that none can have
        reason = getattr(error, "strerror", None) or str(error)
        raise RequestError(
            f"{printable(str(path)[:_LONGEST_SHOWN])}: cannot be followed ({printable(reason)}); check the path"
        ) from None


def _inside(real: Path, spelling: str, folder: Path, folder_spelling: str) -> bool:
    """Tell whether a path without links lies in a folder, or is it; the system says whether two spellings are one folder."""
    if not f"{spelling}{os.sep}".startswith(f"{folder_spelling.rstrip(os.sep)}{os.sep}"):
        return False
    above = Path(*real.parts[: len(folder.parts)])
    try:
        return above == folder or above.samefile(folder)
    except OSError:
        return False


def _spelling(path: Path) -> str:
    """Return what two names have in common that some systems take for one: letters in either case, accents in either form."""
    return unicodedata.normalize("NFC", str(path)).casefold()
