"""What is said wherever a model speaks that was trained on simulated signals: one wording, the model card's."""

from __future__ import annotations

from sleepfm.models.readme import SIMULATED_NOTICE

_WHAT, _, _ON_REAL = SIMULATED_NOTICE.partition(". ")
SIMULATED_WORDS = _WHAT[0].lower() + _WHAT[1:]
"""To be set behind a name: "trained on simulated signals: for trying the software only"."""


def simulated_warning(name: str, *, simulated_recording: bool) -> str:
    """Return what stands beside such a model and its results; of a real recording it says that they mean nothing.

    Examples
    --------
    >>> simulated_warning("demo-staging", simulated_recording=True)
    'demo-staging was trained on simulated signals: for trying the software only.'
    """
    said = f"{name} was {SIMULATED_WORDS}."
    return said if simulated_recording else f"{said} {_ON_REAL}"
