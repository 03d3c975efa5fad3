"""Which epochs of a review to look at next."""

from __future__ import annotations

from typing import Any

import numpy as np

from sleepfm.analysis.calibration import calibrated
from sleepfm.analysis.night_span import night_span
from sleepfm.analysis.review_queue import review_queue
from sleepfm.library.library import Library
from sleepfm.library.scored_night import scored_night

NO_PROBABILITIES = "This scoring began with no probabilities: there is nothing to order its epochs by."
NOTHING_LEFT = "Every epoch that could move the numbers has been looked at."


def queue(library: Library, study: str, scoring: int, *, epochs: int = 40) -> dict[str, Any]:
    """Return {"epochs": [{"epoch", "why", "gain"}], "calibration"} of a scoring: first what would move the numbers most.

    `epoch` is 1-based; `gain` is the expected change in units of each number's grain (`analysis.review_queue.GRAINS`);
    `calibration` says how the probabilities were calibrated, or why there is no epoch.

    Raises
    ------
    RequestError
        When the study has no such scoring.
    RecordingError
        When its stored vitals or its recording cannot be read.
    """
    night = scored_night(library, study, scoring)
    if not np.isfinite(night.probabilities_ns).any():
        return {"epochs": [], "calibration": NO_PROBABILITIES}
    looks = review_queue(
        night.stages_n,
        calibrated(night.probabilities_ns, night.temperature.value),
        looked_at_n=night.looked_at_n,
        span=night_span(len(night.stages_n), night.events),
        events=night.events,
        limit=epochs,
    )
    return {
        "epochs": [{"epoch": look.epoch, "why": look.why, "gain": round(look.gain, 4)} for look in looks],
        "calibration": night.temperature.words if looks else NOTHING_LEFT,
    }
