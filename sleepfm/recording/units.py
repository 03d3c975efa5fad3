"""Physical dimensions as headers write them, and the units that this program speaks."""

from __future__ import annotations

import re

from sleepfm.vocabulary import Kind

_MICRO = re.compile("[\u03bcµ]")
_VOLTS = {"V": 1.0, "mV": 1e-3, "µV": 1e-6, "nV": 1e-9}
_SPELLINGS = {
    "V": ("v", "volt", "volts", "vdc"),
    "mV": ("mv", "millivolt", "millivolts", "milliv", "millivol", "mvolt", "mvolts"),
    "µV": (
        "µv",
        "uv",
        "microvolt",
        "microvolts",
        "microv",
        "microvol",
        "micro v",
        "muv",
        "mcv",
        "uvolt",
        "uvolts",
        "µvolt",
        "µvolts",
        "uvrms",
        "?v",
    ),
    "nV": ("nv", "nanovolt", "nanovolts"),
    "%": ("%", "percent", "pct", "prozent", "percentage", "%spo2", "%sat", "%hb", "%o2", "proc"),
    "bpm": ("bpm", "beats/min", "beat/min", "beats/minute", "1/min", "/min", "min-1", "bts/min", "p/min", "b/min", "puls/min"),
    "cmH2O": ("cmh2o", "cmh20", "cmh₂o", "cm h2o", "cmwater", "cmwc", "cmh2o."),
    "mbar": ("mbar", "hpa"),
    "kPa": ("kpa",),
    "Pa": ("pa", "pascal"),
    "mmHg": ("mmhg", "torr"),
    "°C": ("°c", "degc", "deg c", "c", "celsius", "degcelsius", "degreec", "degreesc", "gradc", "deg.c", "ºc", "degreescelsius"),
    "°": ("°", "deg", "degree", "degrees", "grad", "º"),
    "L/min": ("l/min", "lpm", "l/m", "liter/min", "litre/min", "liters/min"),
    "L/s": ("l/s", "l/sec"),
    "mL": ("ml", "milliliter", "millilitre"),
    "L": ("l", "liter", "litre"),
    "Ω": ("ohm", "ohms", "ω", "Ω".lower()),
    "kΩ": ("kohm", "kohms", "kω"),
    "Hz": ("hz", "hertz"),
    "s": ("s", "sec", "secs", "second", "seconds"),
    "ms": ("ms", "msec"),
    "g": ("g",),
    "lx": ("lx", "lux"),
    "dB": ("db", "decibel"),
}
_CMH2O = {"cmH2O": 1.0, "mbar": 1.01972, "Pa": 0.0101972, "kPa": 10.1972, "mmHg": 1.35951}
_BY_SPELLING = {spelling: unit for unit, spellings in _SPELLINGS.items() for spelling in spellings}
_EMPTY = {"", "-", "--", "n/a", "na", "none", "unknown", "unit", "units", "arb", "a.u.", "au", "nu", "#", "1", "?", "x"}
_VOLT_UNIT_BY_KIND: dict[Kind, str] = {
    Kind.EEG: "µV",
    Kind.EOG: "µV",
    Kind.CHIN_EMG: "µV",
    Kind.LEG_EMG: "µV",
    Kind.ARM_EMG: "µV",
    Kind.OTHER_EMG: "µV",
    Kind.ECG: "mV",
    Kind.FLOW: "mV",
    Kind.NASAL_PRESSURE: "mV",
    Kind.THERMISTOR: "mV",
    Kind.EFFORT_THORAX: "mV",
    Kind.EFFORT_ABDOMEN: "mV",
    Kind.EFFORT_SUM: "mV",
    Kind.SNORE: "mV",
    Kind.PLETH: "mV",
}
"""Kinds measured in volts and the unit they are shown in; other voltages (battery, DC inputs) stay as written."""


_PRESSURE_KINDS = frozenset({Kind.NASAL_PRESSURE, Kind.FLOW, Kind.PAP})


def read_unit(dimension: str) -> str:
    """Return the unit that a header's physical dimension means, in one spelling; an unknown one stays as written.

    The dimension has lost its meaning for case ("MV" from one vendor is "mV" from another), so case is ignored: no sleep
    recorder writes megavolts.
    """
    text = dimension.replace("Â", "").replace("Î¼", "µ").strip()
    key = re.sub(r"\s+", " ", _MICRO.sub("µ", text).lower())
    if key in _EMPTY:
        return ""
    key = key.strip("[]() ")
    compact = key.replace(" ", "")
    if compact in _BY_SPELLING:
        return _BY_SPELLING[compact]
    if compact.endswith("v") and len(compact) == 2 and not compact[0].isalnum():
        return "µV"  # a µ lost to some other character set ("�V", "\x91V")
    return _BY_SPELLING.get(key, text)


def scale_for(kind: Kind, dimension: str) -> tuple[str, float]:
    """Return the unit in which a channel of this kind is given and the factor from the header's dimension to it."""
    unit = read_unit(dimension)
    target = _VOLT_UNIT_BY_KIND.get(kind)
    if unit in _VOLTS and target is not None:
        return target, _VOLTS[unit] / _VOLTS[target]
    if unit in _CMH2O and kind in _PRESSURE_KINDS:
        return "cmH2O", _CMH2O[unit]
    return unit, 1.0
