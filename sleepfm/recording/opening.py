"""One door for recordings, whatever their format."""

from __future__ import annotations

from pathlib import Path

from sleepfm.errors import RequestError
from sleepfm.recording._source import Allowed
from sleepfm.recording._wfdb_header import SUFFIX, is_wfdb_header, wfdb_files
from sleepfm.recording.edf import EdfRecording, open_edf
from sleepfm.recording.wfdb_record import WfdbRecording, open_wfdb

RECORDING_SUFFIXES = (".edf", ".bdf", SUFFIX)
"""What a folder is searched for; a WFDB record is named by its header."""
_WFDB_SIGNALS = {".mat", ".dat"}


def open_recording(
    path: Path | str, *, mapped: bool = False, allow_empty: bool = False, allowed: Allowed | None = None
) -> EdfRecording | WfdbRecording:
    """Open an EDF or BDF file, or a WFDB record by its header; no sample is read.

    Parameters
    ----------
    path
        The file.
    mapped
        Map the file into memory: for worker processes only, because a mapped file that shrinks kills its process.
    allow_empty
        Open a recording that has a header but no data too (to show the header); otherwise it is refused.
    allowed
        Asked about every file of the recording, before and after it is opened: raises where a path leads to one that may not
        be read.

    Raises
    ------
    RequestError
        There is no such file, it is a folder, or it is the signal file of a WFDB record.
    RecordingError
        The file is no recording, damaged beyond reading, without data, or may not be read.
    """
    path = Path(path)
    if is_wfdb_header(path):
        return open_wfdb(path, mapped=mapped, allow_empty=allow_empty, allowed=allowed)
    if path.suffix.lower() in _WFDB_SIGNALS and (header := path.with_suffix(SUFFIX)).is_file():
        raise RequestError(f"{path}: is the signal file of a WFDB record; name its header {header.name}.")
    return open_edf(path, mapped=mapped, allow_empty=allow_empty, allowed=allowed)


def recording_files(path: Path) -> tuple[Path, ...]:
    """Return the files that make up a recording: one, or a WFDB header and its signal files.

    Raises
    ------
    RequestError, RecordingError
        A WFDB header that cannot be read.
    """
    return wfdb_files(path) if is_wfdb_header(path) else (path,)
