"""The table of signal headers: one column after the other, one field a signal."""

from __future__ import annotations

import math
from dataclasses import dataclass

from sleepfm.recording._fields import read_number, read_text

SIGNAL_BYTES = 256
_COLUMNS = (
    ("label", 16),
    ("transducer", 80),
    ("dimension", 8),
    ("physical_min", 8),
    ("physical_max", 8),
    ("digital_min", 8),
    ("digital_max", 8),
    ("prefilter", 80),
    ("samples", 8),
    ("reserved", 32),
)


@dataclass(frozen=True)
class SignalHeader:
    """One signal's header. physical = digital * gain + offset in `dimension`; unscaled signals have gain 1 and dimension ""."""

    label: str
    transducer: str
    dimension: str
    written_dimension: str
    prefilter: str
    gain: float
    offset: float
    digital_min: int
    digital_max: int
    samples: int
    problems: tuple[str, ...]

    @property
    def is_annotation(self) -> bool:
        """Whether the samples are annotation text (EDF+ clause 2.2.1), judged by the label however it is spelt."""
        return " ".join(self.label.lower().split()) in {"edf annotations", "bdf annotations"}


def split_table(table: bytes, n_signals: int) -> dict[str, list[bytes]]:
    """Return the raw fields by column name."""
    columns, start = {}, 0
    for name, width in _COLUMNS:
        columns[name] = [table[start + index * width : start + (index + 1) * width] for index in range(n_signals)]
        start += n_signals * width
    return columns


def read_signal(columns: dict[str, list[bytes]], index: int, samples: int, sample_bytes: int) -> SignalHeader:
    """Read one signal's header; `samples` a record were found before, since the file's layout hangs on them."""
    problems: list[str] = []
    texts: dict[str, str] = {}
    for name in ("label", "transducer", "dimension", "prefilter"):
        texts[name], oddity = read_text(columns[name][index])
        if oddity and name in {"label", "dimension"}:
            problems.append(f"The {'label' if name == 'label' else 'unit'} {oddity}.")
    if not texts["label"]:
        problems.append("The label is empty.")
    limits: dict[str, float] = {}
    for name in ("physical_min", "physical_max", "digital_min", "digital_max"):
        number, oddity = read_number(columns[name][index])
        if oddity:
            problems.append(f"The {name.replace('_', ' ').replace('min', 'minimum').replace('max', 'maximum')} {oddity}.")
        limits[name] = math.nan if number is None else float(number)
    floor = -(2 ** (8 * sample_bytes - 1))
    digital_min, digital_max = _digital_limits(limits, floor, problems)
    gain, offset, scaled = _scale(limits, digital_min, digital_max, problems)
    return SignalHeader(
        label=texts["label"],
        transducer=texts["transducer"],
        dimension=texts["dimension"] if scaled else "",
        written_dimension=texts["dimension"],
        prefilter=texts["prefilter"],
        gain=gain,
        offset=offset,
        digital_min=min(digital_min, digital_max),
        digital_max=max(digital_min, digital_max),
        samples=samples,
        problems=tuple(problems),
    )


def _digital_limits(limits: dict[str, float], floor: int, problems: list[str]) -> tuple[int, int]:
    low, high = limits["digital_min"], limits["digital_max"]
    if math.isnan(low) or math.isnan(high) or max(abs(low), abs(high)) > 2**53:
        problems.append(f"The digital limits are unreadable; {floor} and {-floor - 1} are taken.")
        return floor, -floor - 1
    if low < floor or high > -floor - 1:
        problems.append(f"The digital limits {low:.0f} and {high:.0f} exceed the {len(bin(-floor)) - 2} bits of a sample.")
    if low > high:
        problems.append(f"The digital minimum {low:.0f} is above the digital maximum {high:.0f}.")
    return int(low), int(high)


def _scale(limits: dict[str, float], digital_min: int, digital_max: int, problems: list[str]) -> tuple[float, float, bool]:
    """Return gain, offset and whether they are the header's own (else digital steps: 1 and 0)."""
    low, high = limits["physical_min"], limits["physical_max"]
    steps = "so values are digital steps without a unit"
    if math.isnan(low) or math.isnan(high):
        problems.append(f"A physical limit is missing, {steps}.")
        return 1.0, 0.0, False
    if digital_min == digital_max:
        problems.append(f"The digital minimum and maximum are both {digital_min}, {steps}.")
        return 1.0, 0.0, False
    if low == high:
        problems.append(f"The physical minimum and maximum are both {low:g}, {steps}.")
        return 1.0, 0.0, False
    gain = (high - low) / (digital_max - digital_min)
    offset = low - gain * digital_min
    if gain == 0.0 or not abs(gain) * 2**24 + abs(offset) < 1e30:  # float32 ends at 3.4e38
        problems.append(f"The physical limits {low:g} and {high:g} make no usable scale, {steps}.")
        return 1.0, 0.0, False
    return gain, offset, True
