"""What users corrected of channels, as text: tells what was made before a correction from what was made after it."""

from __future__ import annotations

from sleepfm.library.library import Library
from sleepfm.recording.derivations import corrections_text
from sleepfm.vocabulary import Kind


class CorrectionsByMontage:
    """What is corrected now, as `corrections_text`, of every montage of a library."""

    def __init__(self, library: Library) -> None:
        by_montage: dict[str, dict[int, Kind]] = {}
        for montage, channel, kind in library.connection.execute("SELECT montage, channel, kind FROM corrections"):
            by_montage.setdefault(montage, {})[channel] = Kind(kind)
        self._texts = {montage: corrections_text(corrections) for montage, corrections in by_montage.items()}

    def of(self, montage: str) -> str:
        """Return the text of a montage."""
        return self._texts.get(montage, "")
