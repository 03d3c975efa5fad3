"""What lies in a home folder: which files are somebody's work, and which can be made again from those."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath, PureWindowsPath

from sleepfm.administration.identity_provider import SECRETS_FILE
from sleepfm.home import Home

DATABASE = "library.sqlite"
BACKUPS, DIAGNOSTICS = "backups", "diagnostics"
_NEVER = {BACKUPS, DIAGNOSTICS, SECRETS_FILE, DATABASE, f"{DATABASE}-wal", f"{DATABASE}-shm", f"{DATABASE}-journal"}
_UNFINISHED = (".part", ".tmp", ".lock", ".making")
_DERIVED = {"indexes", "maps", "datasets"}
_DERIVED_OF_A_STUDY = ("signals-", "spectrogram-", "report-", "envelopes.bin")
UPLOADS = "uploads"


@dataclass
class Listing:
    """What a walk through a home found.

    Attributes
    ----------
    files
        Size in bytes by name, the path below the home with slashes.
    derived, derived_bytes
        Files that were left out because they can be made again, and their size.
    skipped
        Links, and names that cannot be carried to another machine; nothing of them is looked at.
    """

    files: dict[str, int] = field(default_factory=dict)
    derived: int = 0
    derived_bytes: int = 0
    skipped: list[str] = field(default_factory=list)


def list_files(home: Home, *, everything: bool) -> Listing:
    """Return the files of a home, without the database, unfinished files, and (but for `everything`) what can be made again."""
    listing = Listing()
    for name, entry in _walk(home.root, ""):
        if entry.is_symlink() or not portable(name):
            listing.skipped.append(name)
            continue
        try:
            found = entry.stat(follow_symlinks=False)
        except FileNotFoundError:
            continue
        if not stat.S_ISREG(found.st_mode):
            continue
        if not everything and is_derived(name):
            listing.derived += 1
            listing.derived_bytes += found.st_size
        else:
            listing.files[name] = found.st_size
    return listing


def _walk(folder: Path, above: str) -> Iterator[tuple[str, os.DirEntry[str]]]:
    try:
        entries = sorted(os.scandir(folder), key=lambda entry: entry.name)
    except (FileNotFoundError, NotADirectoryError):
        return  # it went while the walk was on its way
    for entry in entries:
        name = f"{above}{entry.name}"
        if name in _NEVER or entry.name.endswith(_UNFINISHED) or entry.name == ".downloads":
            continue
        # a folder of the home may be a link to a larger disk; further down links lead to other people's files
        if entry.is_dir(follow_symlinks=not above):
            yield from _walk(Path(entry.path), f"{name}/")
        else:
            yield name, entry


def is_derived(name: str) -> bool:
    """Tell whether a file can be made again from the recordings, the models and the library."""
    parts = PurePosixPath(name).parts
    if parts[0] in _DERIVED:
        return True
    if parts[0] != "studies" or len(parts) < 3:
        return False
    return parts[2] == "embeddings" or parts[2].startswith(_DERIVED_OF_A_STUDY)


def portable(name: str) -> bool:
    """Tell whether a name is a plain path below a folder, on every system: no way up, no drive, nothing invisible."""
    pure = PureWindowsPath(name)
    return (
        bool(name)
        and name.isprintable()
        and "\\" not in name
        and not pure.drive
        and not pure.root
        and not name.startswith("/")
        and all(part not in ("", ".", "..") for part in name.split("/"))
        and len(name.encode("utf-8", "surrogateescape")) < 1024
    )
