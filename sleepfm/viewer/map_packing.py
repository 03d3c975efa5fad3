"""Maps as the bytes that travel to the browser: the places once, and a small array for each colouring."""

from __future__ import annotations

import json
import struct
from collections.abc import Sequence
from typing import Any

import numpy as np

from sleepfm.library.map_columns import MapColumn
from sleepfm.library.maps import StoredMap
from sleepfm.text import printable
from sleepfm.viewer.map_colours import RAMP, UNKNOWN_COLOUR, legend, ramp_ends

PLACED_BIT = 0x8000
"""Set in the window number of a row that was placed, not fitted."""


def pack_places(stored: StoredMap) -> bytes:
    """Pack where the rows lie.

    The header's `studies` and `rows` name the studies and how many rows each has, one study after the other. Then follow
    float32 x, float32 y, and uint16 window numbers with `PLACED_BIT`.
    """
    first_s = stored.first_s
    header = {"n": stored.n, "studies": stored.studies, "rows": np.diff(first_s).tolist()}
    windows_n = stored.window_n.astype("<u2") | np.where(stored.placed_n, PLACED_BIT, 0).astype("<u2")
    return _packed(header, (stored.x_n.astype("<f4"), stored.y_n.astype("<f4"), windows_n))


def pack_column(stored: StoredMap, column: MapColumn) -> bytes:
    """Pack a colouring: groups as int32 places in the header's `labels`, numbers as float32; -1 and NaN are not known."""
    header: dict[str, Any] = {
        "key": column.key,
        "digest": column.digest,
        "title": printable(column.title),
        "unit": printable(column.unit),
        "note": column.note,
        "perStudy": column.per_study,
    }
    if column.labels is None:
        low, high = ramp_ends(column)
        known_v = column.values_v[np.isfinite(column.values_v)]
        header |= {"ramp": RAMP, "unknown": UNKNOWN_COLOUR, "low": low, "high": high}
        header |= {
            "least": float(known_v.min()) if known_v.size else None,
            "most": float(known_v.max()) if known_v.size else None,
        }
        return _packed(header, (column.values_v.astype("<f4"),))
    found = legend(stored, column)
    header |= {
        "labels": [printable(label) for label in column.labels],
        "entries": [
            {"title": printable(one.title), "colour": one.colour, "count": one.count, "labels": one.labels}
            for one in found.entries
        ],
        "entryOfLabel": found.entry_of_label,
    }
    return _packed(header, (column.values_v.astype("<i4"),))


def _short(value: np.float32) -> float:
    """Return the shortest number that is this one in single precision: 55.61, not 55.6100006."""
    return float(str(value))


def _packed(header: dict[str, Any], arrays: Sequence[np.ndarray]) -> bytes:
    text = json.dumps(header, separators=(",", ":"), allow_nan=False).encode()
    text += b" " * (-len(text) % 4)
    return struct.pack("<I", len(text)) + text + b"".join(array.tobytes() for array in arrays)
