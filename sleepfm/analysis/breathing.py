"""Severity of sleep-disordered breathing (SDB) from the apnea-hypopnea index (AHI, events an hour of sleep)."""

from __future__ import annotations

import numpy as np

SEVERITY_BOUNDS: tuple[float, ...] = (5.0, 15.0, 30.0)
"""AHI at which mild, moderate and severe begin (AASM Task Force, Sleep 1999, 22:667-689)."""
SEVERITIES: tuple[str, ...] = ("none (AHI < 5)", "mild (5 to < 15)", "moderate (15 to < 30)", "severe (AHI ≥ 30)")
PRESENCE_AHI = 15.0


def severity(ahi_n: np.ndarray) -> np.ndarray:
    """Return the number of the severity class of each AHI, 0 to 3; -1 where the AHI is NaN."""
    ahi_n = np.asarray(ahi_n, dtype=np.float64)
    return np.where(np.isnan(ahi_n), -1, np.digitize(ahi_n, SEVERITY_BOUNDS))


def presence(ahi_n: np.ndarray) -> np.ndarray:
    """Return 1 where the AHI is at least 15, 0 where it is lower, -1 where it is NaN."""
    ahi_n = np.asarray(ahi_n, dtype=np.float64)
    return np.where(np.isnan(ahi_n), -1, ahi_n >= PRESENCE_AHI)
