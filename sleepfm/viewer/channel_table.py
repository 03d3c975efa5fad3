"""The table of a recording's channels on the review page."""

from __future__ import annotations

import pandas as pd

from sleepfm.recording.quality import QualityReport
from sleepfm.recording.recording import Recording
from sleepfm.text import printable
from sleepfm.vocabulary import Kind


def channel_rows(recording: Recording, quality: QualityReport | None) -> pd.DataFrame:
    """Return one row a channel: what the file says, what it was taken for and why, and how good its signal is."""
    return pd.DataFrame(
        [
            {
                "No.": channel.index,
                "Label": printable(channel.label),
                "Rate (Hz)": round(channel.rate_hz, 3),
                "Unit": channel.unit,
                "Kind": channel.kind.value,
                "Used as": channel.modality.value if channel.modality else "not used",
                "Why": printable(channel.reason),
                "Signal": "" if quality is None else printable(quality.words(channel.index)),
                "Remarks": printable(" ".join(channel.problems)),
            }
            for channel in recording.channels
        ]
    )


def corrected_kinds(before: pd.DataFrame, after: pd.DataFrame) -> dict[int, Kind]:
    """Return the kinds that differ: channel index → kind."""
    differ = before["Kind"].to_numpy() != after["Kind"].to_numpy()
    return {int(row["No."]): Kind(row["Kind"]) for _, row in after[differ].iterrows()}
