"""A model's folder as one zip file: how it is taken elsewhere, and how it comes back. What comes is not trusted."""

from __future__ import annotations

import shutil
import stat
import zipfile
from pathlib import Path, PurePosixPath

from sleepfm.errors import ModelError, RequestError
from sleepfm.files import atomic_path
from sleepfm.models.card import CARD_FILE, README_FILE, WEIGHT_SUFFIXES, WEIGHTS_FILE
from sleepfm.models.reference import REFERENCE_FILE
from sleepfm.models.shelf import ShelfEntry
from sleepfm.text import printable, size_words

ARCHIVE_SUFFIX = ".zip"
BESIDE_SUFFIXES = (".json", ".csv", ".md", ".txt")
"""Of what lies beside weights: card or configuration, reference, names of the outputs, words for people."""
_MOST_FILES = 32
_MOST_BYTES = 8 << 30
_BLOCK = 1 << 20


def pack(entry: ShelfEntry, target: Path) -> Path:
    """Write a model's folder into a zip file, as `sleepfm models import` takes it, and return the file.

    Raises
    ------
    ModelError
        When a file of the model cannot be read.
    SleepFMError
        When the zip file cannot be written.
    """
    files = (WEIGHTS_FILE, CARD_FILE, README_FILE, REFERENCE_FILE)
    missing = [file for file in files[:2] if not (entry.folder / file).is_file()]
    if missing:
        raise ModelError(f"{entry.folder / missing[0]}: is missing; import the model again")
    with atomic_path(target) as temporary, zipfile.ZipFile(temporary, "w", zipfile.ZIP_STORED) as archive:
        for file in files:
            if (entry.folder / file).is_file():
                archive.write(entry.folder / file, f"{entry.name}/{file}")
    return target


def unpack(path: Path, folder: Path) -> None:
    """Unpack a model's zip file into a folder that is there and empty: its files, without the folder that they lie in.

    Raises
    ------
    ModelError
        When it is no zip file, or holds what a model has not: other files, links, paths that lead elsewhere, several folders,
        more than it says or than fits. The folder may then hold a part of it.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            files = _checked(path, archive)
            needed, free = sum(one.file_size for one in files), shutil.disk_usage(folder).free
            if needed > min(free, _MOST_BYTES):
                raise ModelError(f"{path}: unpacked it takes {size_words(needed)}, more than there is room for")
            for one in files:
                _unpack_one(archive, one, folder / PurePosixPath(one.filename).name)
    except (zipfile.BadZipFile, zipfile.LargeZipFile, EOFError, ValueError, NotImplementedError, RuntimeError) as error:
        raise ModelError(f"{path}: not a whole zip file ({printable(str(error))}); fetch it again") from None
    except OSError as error:
        raise ModelError(f"{path}: cannot be unpacked ({error.strerror or printable(str(error))}); free disk space") from None


def _checked(path: Path, archive: zipfile.ZipFile) -> list[zipfile.ZipInfo]:
    files, folders = [], set()
    for one in archive.infolist():
        # orig_filename is what stands in the file; Python cuts `filename` at a NUL
        inside = PurePosixPath(one.orig_filename)
        shown = printable(one.orig_filename[:100])
        if "\\" in one.orig_filename or "\0" in one.orig_filename or inside.is_absolute() or ".." in inside.parts:
            raise ModelError(f"{path}: refused, {shown} in it would be written outside its folder")
        if one.is_dir() or inside.name.startswith(".") or inside.parts[0] == "__MACOSX":
            continue
        if stat.S_ISLNK(one.external_attr >> 16):
            raise ModelError(f"{path}: refused, {shown} in it is a link")
        if inside.suffix not in (*WEIGHT_SUFFIXES, *BESIDE_SUFFIXES):
            raise ModelError(f"{path}: refused, {shown} in it is no part of a model")
        files.append(one)
        folders.add(inside.parent)
    if not files:
        raise ModelError(f"{path}: holds no model")
    if len(files) > _MOST_FILES or len(folders) > 1:
        raise ModelError(f"{path}: holds {len(files)} files in {len(folders)} folders; a model is one folder with a few files")
    if len({PurePosixPath(one.filename).name for one in files}) < len(files):
        raise ModelError(f"{path}: holds the same file twice")
    return files


def _unpack_one(archive: zipfile.ZipFile, one: zipfile.ZipInfo, target: Path) -> None:
    written = 0
    with archive.open(one) as source, target.open("xb") as out:
        while block := source.read(_BLOCK):
            written += len(block)
            if written > one.file_size:
                raise zipfile.BadZipFile("a file in it is longer than it says")
            out.write(block)


def require_size(path: Path, most: int, what: str) -> None:
    """Refuse a file that is far larger than what it is taken for ever is, before it is read.

    Raises
    ------
    RequestError
        When it is.
    """
    try:
        size = path.stat().st_size
    except OSError:
        return  # whoever reads it says what is wrong
    if size > most:
        raise RequestError(f"{path}: has {size_words(size)}, and {what} at most {size_words(most)}; it was not read")
