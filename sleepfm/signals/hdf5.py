"""Opening HDF5 files that others may have written: one file is one file."""

from __future__ import annotations

import os
from pathlib import Path

import h5py

from sleepfm.errors import RecordingError
from sleepfm.text import printable


def open_hdf5(path: Path) -> h5py.File:
    """Open an HDF5 file for reading.

    HDF5 lets a file say that its data lie in others. Who may read the one need not be allowed to read those.

    Raises
    ------
    OSError
        It is no HDF5 file, or damaged.
    RecordingError
        Something in it lies in another file.
    """
    file = h5py.File(path, "r", locking=False)
    try:
        elsewhere = _elsewhere(file)
    except (RuntimeError, KeyError, TypeError, ValueError) as error:  # whatever a damaged file holds
        file.close()
        raise OSError(f"its contents cannot be listed: {error}") from error
    except BaseException:
        file.close()
        raise
    if elsewhere is not None:
        file.close()
        raise RecordingError(
            f"{path}: {printable(elsewhere)!r} lies in another file, which is not opened; put the data into this one"
        )
    return file


def _elsewhere(file: h5py.File) -> str | None:
    """Return the name of something whose data are in another file."""

    def outer_link(name: str, link: object) -> str | None:
        return name if isinstance(link, h5py.ExternalLink) else None

    def outer_data(name: str, item: object) -> str | None:
        return name if isinstance(item, h5py.Dataset) and (item.external or item.is_virtual) else None

    found = file.visititems_links(outer_link) or file.visititems(outer_data)
    return None if found is None else os.fsdecode(found)
