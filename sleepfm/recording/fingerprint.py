"""What identifies a file's content: its SHA-256, and a quick stamp that tells when that must be computed again."""

from __future__ import annotations

import hashlib
from pathlib import Path

from sleepfm.errors import RecordingChangedError, RecordingError, RequestError
from sleepfm.progress import Progress, silent

_BLOCK_BYTES = 4 << 20


def quick_stamp(path: Path | str) -> tuple[int, int]:
    """Return (size in bytes, modification time in ns); RequestError when there is no such file."""
    try:
        status = Path(path).stat()
    except OSError:
        raise RequestError(f"{path}: there is no such file; check the path.") from None
    return status.st_size, status.st_mtime_ns


def fingerprint(path: Path | str, progress: Progress = silent) -> str:
    """Return the SHA-256 of the whole file in hexadecimal, read in blocks.

    Raises
    ------
    RequestError
        There is no such file, or it is a folder.
    RecordingError
        The file may not be read.
    RecordingChangedError
        The file changed while it was read.
    """
    path = Path(path)
    before = quick_stamp(path)
    if path.is_dir():
        raise RequestError(f"{path}: is a folder; name a file in it.")
    digest = hashlib.sha256()
    done = 0
    try:
        with path.open("rb") as file:
            while done <= before[0] and (block := file.read(_BLOCK_BYTES)):
                digest.update(block)
                done += len(block)
                progress(min(done / max(before[0], 1), 1.0), "Reading the file's fingerprint")
    except OSError as error:
        raise RecordingError(f"{path}: cannot be read ({error.strerror}); check its permissions and the disk.") from None
    if quick_stamp(path) != before:
        raise RecordingChangedError(f"{path}: the file changed while it was read; try again when it is complete.")
    return digest.hexdigest()
