"""Answering for one window: hours from the stored envelopes where they fit, everything else from the recording."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from sleepfm.recording.recording import Recording
from sleepfm.signals.envelopes import open_envelopes
from sleepfm.signals.trace_windows import Trace, TraceWindow, WindowReader
from sleepfm.viewer.window_packing import pack

LONG_S = 600.0
"""Windows longer than this are looked up in the envelopes: a column of the screen is then about a second or more."""


class WindowAnswer:
    """Collects the windows of some traces; what must be read from the recording is read piece by piece.

    Parameters
    ----------
    recording
        The open recording.
    envelopes
        The study's file of envelopes, which need not exist.
    traces, start_s, stop_s, bins
        As for `sleepfm.signals.trace_windows.WindowReader`.
    """

    def __init__(
        self, recording: Recording, envelopes: Path | None, traces: Sequence[Trace], *, start_s: float, stop_s: float, bins: int
    ) -> None:
        self._found: dict[int, TraceWindow] = {}
        stored = open_envelopes(envelopes, recording) if envelopes is not None and stop_s - start_s > LONG_S else None
        if stored is not None:
            with stored:
                held = [number for number, trace in enumerate(traces) if stored.holds(trace)]
                self._found = {number: stored.window(traces[number], start_s, stop_s, bins) for number in held}
        self._missing = [number for number in range(len(traces)) if number not in self._found]
        self._reader = WindowReader(recording, [traces[number] for number in self._missing], start_s, stop_s, bins)

    @property
    def pieces(self) -> list[tuple[int, int]]:
        """What `read` must be called with, in order; nothing when the envelopes hold everything."""
        return self._reader.pieces if self._missing else []

    def read(self, piece: tuple[int, int]) -> None:
        """Read one of `pieces` from the recording."""
        self._reader.read(piece)

    def packed(self) -> bytes:
        """Return the windows in the order of the traces, packed for the browser."""
        read = dict(zip(self._missing, self._reader.windows(), strict=True)) if self._missing else {}
        windows = self._found | read
        return pack([windows[number] for number in sorted(windows)])
