"""The colours of the screen, in one place: Python figures use them directly, the trace viewer gets them with its data.

Those of stages, events and quality are shared with the report (`sleepfm.colours`).
"""

from __future__ import annotations

from sleepfm.colours import EVENT_COLOURS, HYPNOGRAM_ORDER, OTHER_EVENT_COLOUR, QUALITY_COLOURS, STAGE_COLOURS
from sleepfm.vocabulary import STAGE_SHORT, Kind, Stage

TRACE_COLOURS: dict[Kind, str] = {
    Kind.EEG: "#1f2933",
    Kind.EOG: "#2f5d8a",
    Kind.CHIN_EMG: "#7a3e65",
    Kind.LEG_EMG: "#7a3e65",
    Kind.ARM_EMG: "#7a3e65",
    Kind.OTHER_EMG: "#7a3e65",
    Kind.ECG: "#a3342c",
    Kind.FLOW: "#1d6f63",
    Kind.NASAL_PRESSURE: "#1d6f63",
    Kind.THERMISTOR: "#1d6f63",
    Kind.EFFORT_THORAX: "#45702b",
    Kind.EFFORT_ABDOMEN: "#45702b",
    Kind.EFFORT_SUM: "#45702b",
    Kind.SNORE: "#6b5b2a",
    Kind.SPO2: "#9b3d12",
    Kind.CO2: "#9b3d12",
    Kind.PULSE: "#a3342c",
    Kind.PLETH: "#a3342c",
}
"""Dark enough to read on white; what is not listed is drawn in `OTHER_TRACE_COLOUR`."""

OTHER_TRACE_COLOUR = "#4a5563"

INK = "#1f2933"
QUIET_INK = "#5b6673"
GRID = "#e6e9ee"
GRID_STRONG = "#c8ced7"
AMPLITUDE_LINE = "#e3b7b0"
CURSOR = "#111827"
EPOCH_BAND = "#fff6d6"
GAP = "#eceef1"
DISAGREEMENT = "#8e24aa"

STREAMLIT_THEME: dict[str, object] = {
    "theme.base": "light",
    "theme.primaryColor": "#2f6fab",
    "theme.backgroundColor": "#ffffff",
    "theme.secondaryBackgroundColor": "#f4f6f8",
    "theme.textColor": INK,
    "theme.borderColor": "#d3d8df",
    "theme.showWidgetBorder": True,
    "theme.baseRadius": "small",
    "theme.baseFontSize": 15,
}
"""Streamlit's own widgets in the same light, quiet look."""


def for_browser() -> dict[str, object]:
    """Return every colour the trace viewer needs, with string keys, ready for JSON."""
    return {
        "stages": [
            {"number": int(stage), "short": STAGE_SHORT[stage], "colour": STAGE_COLOURS[stage]} for stage in HYPNOGRAM_ORDER
        ],
        "unknown": STAGE_COLOURS[Stage.UNKNOWN],
        "traces": {kind.value: colour for kind, colour in TRACE_COLOURS.items()},
        "otherTrace": OTHER_TRACE_COLOUR,
        "ink": INK,
        "quietInk": QUIET_INK,
        "grid": GRID,
        "gridStrong": GRID_STRONG,
        "amplitudeLine": AMPLITUDE_LINE,
        "cursor": CURSOR,
        "epochBand": EPOCH_BAND,
        "gap": GAP,
        "disagreement": DISAGREEMENT,
        "quality": QUALITY_COLOURS,
        "events": EVENT_COLOURS,
        "otherEvent": OTHER_EVENT_COLOUR,
    }
