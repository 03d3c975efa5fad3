"""The colours of stages, events and quality, the same on the screen and in a report.

The NREM stages are one blue ramp whose lightness falls with depth; Wake and REM stand off in hue and lightness, so that the
five stages stay apart with protanopia, deuteranopia and tritanopia and in grey (checked in the tests).
"""

from __future__ import annotations

from sleepfm.vocabulary import Stage

STAGE_COLOURS: dict[Stage, str] = {
    Stage.WAKE: "#f2b134",
    Stage.REM: "#c2272d",
    Stage.N1: "#8ccbe8",
    Stage.N2: "#3d86c6",
    Stage.N3: "#1b2f6e",
    Stage.UNKNOWN: "#c9ced6",
}

HYPNOGRAM_ORDER: tuple[Stage, ...] = (Stage.WAKE, Stage.REM, Stage.N1, Stage.N2, Stage.N3)
"""From top to bottom, as the AASM manual draws it."""

EVENT_COLOURS: dict[str, str] = {
    "Obstructive apnea": "#b4436c",
    "Central apnea": "#6a4fa3",
    "Mixed apnea": "#8a4a8f",
    "Hypopnea": "#d0823b",
    "RERA": "#b29a2e",
    "Desaturation": "#9b3d12",
    "Arousal": "#2a7f9e",
    "Leg movement": "#5b7f3a",
    "PLM": "#3d6b2f",
    "Snore": "#7d7466",
    "Lights off": "#37474f",
    "Lights on": "#37474f",
    "Artifact": "#7a7f87",
}
OTHER_EVENT_COLOUR = "#54606e"

QUALITY_COLOURS: dict[str, str] = {"good": "#dcebe0", "noted": "#f0d48a", "bad": "#b3402a", "gap": "#c9ced6"}
"""The quality strip: nothing found, something that can be filtered away (line noise), unusable, no data."""
