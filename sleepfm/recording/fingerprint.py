"""What identifies a file's content: its SHA-256, and a quick stamp that tells when that must be computed again."""

from __future__ import annotations

import hashlib
from pathlib import Path

from sleepfm.errors import RecordingChangedError, RecordingError, RequestError
from sleepfm.progress import Progress, silent
from sleepfm.recording.opening import recording_files

_BLOCK_BYTES = 4 << 20


def quick_stamp(path: Path | str) -> tuple[int, int]:
    """Return (size in bytes, modification time in ns); RequestError when there is no such file."""
    try:
        status = Path(path).stat()
    except OSError:
        raise RequestError(f"{path}: there is no such file; check the path.") from None
    return status.st_size, status.st_mtime_ns


def fingerprint(path: Path | str, progress: Progress = silent) -> str:
    """Return the SHA-256 of the whole file in hexadecimal, read in blocks; of a WFDB record, of its header and signal files.

    Raises
    ------
    RequestError
        There is no such file (of a WFDB record: one of its files), or it is a folder.
    RecordingError
        A file may not be read.
    RecordingChangedError
        A file changed while it was read.
    """
    path = Path(path)
    quick_stamp(path)
    if path.is_dir():
        raise RequestError(f"{path}: is a folder; name a file in it.")
    before = [(file, quick_stamp(file)) for file in recording_files(path)]
    total = sum(size for _, (size, _) in before)
    digest = hashlib.sha256()
    done = end = 0
    try:
        for file, (size, _) in before:
            end += size
            with file.open("rb") as opened:
                while done <= end and (block := opened.read(_BLOCK_BYTES)):
                    digest.update(block)
                    done += len(block)
                    progress(min(done / max(total, 1), 1.0), "Reading the file's fingerprint")
    except OSError as error:
        raise RecordingError(f"{file}: cannot be read ({error.strerror}); check its permissions and the disk.") from None
    if any(quick_stamp(file) != stamp for file, stamp in before):
        raise RecordingChangedError(f"{path}: the file changed while it was read; try again when it is complete.")
    return digest.hexdigest()
