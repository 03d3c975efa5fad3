"""Windows of traces as the few bytes that travel to the browser."""

from __future__ import annotations

import json
import struct
from collections.abc import Sequence

import numpy as np

from sleepfm.signals.sample_codes import decode, encode
from sleepfm.signals.trace_windows import TraceWindow


def pack(windows: Sequence[TraceWindow]) -> bytes:
    """Pack windows for the browser.

    A little-endian uint32 with the length of a JSON header, the header (padded with spaces so that what follows is aligned to
    four bytes), then the traces' int16 codes one after the other. The header's `traces` hold x0, dx, n, scale and offset:
    value = offset + scale * code, and the code -32768 is a gap. Half a scale step is the largest error: 1/131,068 of the
    window's range.
    """
    coded = [encode(window.values) for window in windows]
    header = [
        {"x0": window.x0_s, "dx": window.dx_s, "n": int(window.values.size), "scale": one.scale, "offset": one.offset}
        for window, one in zip(windows, coded, strict=True)
    ]
    text = json.dumps({"traces": header}, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 4)
    return struct.pack("<I", len(text)) + text + b"".join(one.codes.tobytes() for one in coded)


def unpack(payload: bytes) -> list[TraceWindow]:
    """Undo `pack` (the browser does the same in `trace_store.js`)."""
    (length,) = struct.unpack_from("<I", payload)
    position = 4 + length
    out = []
    for trace in json.loads(payload[4:position])["traces"]:
        code = np.frombuffer(payload, dtype="<i2", count=trace["n"], offset=position)
        position += 2 * trace["n"]
        out.append(TraceWindow(trace["x0"], trace["dx"], decode(code, trace["scale"], trace["offset"])))
    return out
