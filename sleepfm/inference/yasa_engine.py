"""Staging with YASA: published weights that come with the package, fed with the raw signal in µV.

Vallat & Walker 2021, eLife 10:e70092. YASA standardises its features over the night itself, so z-scored signals must never
be fed to it. Gaps and epochs without a signal are left out before staging and come back as Unknown.
"""

from __future__ import annotations

import hashlib
import logging
import re
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib import import_module
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

from sleepfm.errors import MissingChannelsError, RecordingError
from sleepfm.progress import Progress, part, silent
from sleepfm.recording.scorings.likeliest import likeliest_stages, said_of_ties
from sleepfm.recording.scorings.scoring import Scoring
from sleepfm.vocabulary import EPOCH_S, SCORED_STAGES, Kind

RATE_HZ = 100
_EPOCH_SAMPLES = int(EPOCH_S * RATE_HZ)
_MIN_RATE_HZ = 80.0
_ENOUGH_USABLE = 0.5
_FLAT_UV = 0.05
"""An epoch whose standard deviation is below this (µV) carries no brain signal whatever the amplifier's scale."""
_SAME_SHARE = 0.8
"""Share of unchanged neighbouring samples from which an epoch is flat (Luna's QC default)."""
_SHORT_S = 300.0


@dataclass(frozen=True)
class Lead:
    """A signal that staging may use: a channel or a derivation.

    Attributes
    ----------
    read
        Gives the night as pieces (start_s, samples in µV) without gaps, at `rate_hz`.
    """

    label: str
    kind: Kind
    rate_hz: float
    read: Callable[[], Sequence[tuple[float, np.ndarray]]]


@dataclass(frozen=True)
class YasaStaging:
    """What came out, and from what."""

    scoring: Scoring
    leads: tuple[str, ...]
    version: str
    weights_hash: str


_SITES = (r"C4.?(M1|A1)", r"C3.?(M2|A2)", r"C[34Z]", r"F[34Z]", r"O[12Z]", r"P[34Z]|F[P78]|T[3456]")


def preference(lead: Lead) -> tuple[int, bool]:
    """Rank leads of one kind, best first: the central EEG that YASA was trained on, and referenced leads before single ones."""
    label = re.sub(r"[^A-Z0-9]", "", lead.label.upper())
    site = next((rank for rank, pattern in enumerate(_SITES) if re.search(pattern, label)), len(_SITES))
    # "E1-M2" and "Chin1-Chin2" before "E1" and "Chin1", whose reference is the amplifier's
    return (site if lead.kind is Kind.EEG else 0, not re.search(r"\w\s*[-:/]\s*\w", lead.label))


def stage(leads: Sequence[Lead], duration_s: float, *, name: str, progress: Progress = silent) -> YasaStaging:
    """Stage a night.

    Parameters
    ----------
    leads
        All EEG, EOG and chin EMG signals there are; one of each kind is used.
    duration_s
        Length of the recording in seconds; the scoring has one row for each whole 30-s epoch of it.
    name
        What to call the recording in messages.

    Raises
    ------
    RecordingError
        When there is no EEG lead, no whole epoch, or no epoch with a signal.
    """
    epochs = int((duration_s + 1e-6) // EPOCH_S)
    if epochs == 0:
        raise RecordingError(f"{name}: {duration_s:.0f} s long, staging needs at least one whole 30-s epoch")
    progress(0.02, "choosing leads")
    eeg, usable = _best_eeg(leads, epochs, name)
    chosen = [eeg]
    data = [_on_grid(eeg, epochs)]
    for kind in (Kind.EOG, Kind.CHIN_EMG):
        extra = _first_usable(leads, kind, usable, epochs)
        if extra is not None:
            chosen.append(extra[0])
            data.append(extra[1])
    progress(0.3, f"staging with {', '.join(lead.label for lead in chosen)}")
    notes = []
    if epochs * EPOCH_S < _SHORT_S:
        notes.append("shorter than 5 minutes: YASA's own advice is not to rely on its staging of so little")
    left_out = int(np.count_nonzero(~usable))
    if left_out:
        notes.append(f"{left_out} of {epochs} epochs have a gap or no signal in {eeg.label}; they are Unknown")
    proba, weights = _predict(data, [lead.kind for lead in chosen], usable, part(progress, 0.3, 1.0))
    probabilities = np.full((epochs, len(SCORED_STAGES)), np.nan, dtype=np.float32)
    probabilities[usable] = proba
    stages, tied = likeliest_stages(probabilities)
    probabilities[tied] = np.nan
    notes += said_of_ties(tied)
    release = version("yasa")
    return YasaStaging(
        scoring=Scoring(stages=stages, probabilities=probabilities, scorer=f"yasa {release}", warnings=tuple(notes)),
        leads=tuple(lead.label for lead in chosen),
        version=release,
        weights_hash=weights,
    )


def _best_eeg(leads: Sequence[Lead], epochs: int, name: str) -> tuple[Lead, np.ndarray]:
    candidates = sorted((lead for lead in leads if lead.kind is Kind.EEG and lead.rate_hz >= _MIN_RATE_HZ), key=preference)
    if not candidates:
        raise MissingChannelsError(
            f"{name}: no EEG channel at {_MIN_RATE_HZ:.0f} Hz or more, which YASA needs; if a channel is an EEG under an unusual"
            " label, correct its kind on the Review page"
        )
    best: tuple[Lead, np.ndarray] | None = None
    for lead in candidates:
        usable = _usable(_on_grid(lead, epochs))
        if best is None or usable.sum() > best[1].sum():
            best = (lead, usable)
        if usable.mean() >= _ENOUGH_USABLE:
            break
    assert best is not None
    if not best[1].any():
        raise RecordingError(f"{name}: no EEG channel carries a signal in any whole epoch; look at the quality strip")
    return best


def _first_usable(leads: Sequence[Lead], kind: Kind, wanted: np.ndarray, epochs: int) -> tuple[Lead, np.ndarray] | None:
    """Return the first lead of a kind that has a signal wherever the EEG has one (nearly), and its samples."""
    for lead in sorted(leads, key=preference):
        if lead.kind is kind and lead.rate_hz >= _MIN_RATE_HZ:
            x = _on_grid(lead, epochs)
            usable = _usable(x)
            if (usable & wanted).sum() >= 0.9 * wanted.sum():
                return lead, np.nan_to_num(x)
    return None


def _on_grid(lead: Lead, epochs: int) -> np.ndarray:
    """Return (epochs, 3000) µV at 100 Hz on the recording's own time axis, NaN where there is nothing."""
    import soxr  # noqa: PLC0415 - only staging needs it, and the package should import fast

    grid = np.full(epochs * _EPOCH_SAMPLES, np.nan, dtype=np.float64)
    for start_s, samples in lead.read():
        y = np.asarray(samples, dtype=np.float64)
        if lead.rate_hz != RATE_HZ:
            y = soxr.resample(y, lead.rate_hz, RATE_HZ, "VHQ")
        first = round(start_s * RATE_HZ)
        length = min(len(y), len(grid) - first)
        if length > 0:
            grid[first : first + length] = y[:length]
    return grid.reshape(epochs, _EPOCH_SAMPLES)


def _usable(x: np.ndarray) -> np.ndarray:
    whole = ~np.isnan(x).any(axis=1)
    deviation = np.std(np.where(whole[:, None], x, 0.0), axis=1)
    # a held last value is flat even when a step elsewhere in the epoch gives it a large deviation
    held = np.mean(np.abs(np.diff(x, axis=1)) < 1e-6 * (1 + deviation[:, None]), axis=1) > _SAME_SHARE
    return np.asarray(whole & (deviation >= _FLAT_UV) & ~held)


def _predict(data: list[np.ndarray], kinds: list[Kind], usable: np.ndarray, progress: Progress) -> tuple[np.ndarray, str]:
    import mne  # noqa: PLC0415 - heavy, and only staging needs it

    yasa = _yasa()
    types = {Kind.EEG: "eeg", Kind.EOG: "eog", Kind.CHIN_EMG: "emg"}
    names = [types[kind] for kind in kinds]
    volts = np.stack([x[usable].reshape(-1) for x in data]) * 1e-6
    raw = mne.io.RawArray(volts, mne.create_info(names, RATE_HZ, names), verbose="error")
    logging.getLogger("yasa").setLevel(logging.ERROR)  # what it warns of stands in our own warnings
    progress(0.1, "computing YASA's features")
    with warnings.catch_warnings():
        # YASA's classifier was stored by an older scikit-learn; only its label encoder is, and its classes are checked below
        warnings.filterwarnings("ignore", message="Trying to unpickle estimator LabelEncoder")
        staging = yasa.SleepStaging(
            raw, "eeg", eog_name="eog" if "eog" in names else None, emg_name="emg" if "emg" in names else None
        )
        hypnogram = staging.predict()
    table = hypnogram.proba
    columns = ["WAKE", "N1", "N2", "N3", "REM"]
    if list(table.columns) != columns:
        raise RuntimeError(f"YASA's classes are {list(table.columns)}, expected {columns}")
    return table.to_numpy(dtype=np.float32), _weights_hash(yasa, names)


def _yasa() -> Any:
    """Return YASA; what numba compiles of antropy for it is kept on disk: 5 s of every night's staging otherwise."""
    import numba  # noqa: PLC0415

    usual = numba.jit
    numba.jit = lambda *words, **options: usual(*words, **(options | {"cache": True}))
    try:
        import_module("antropy")
    except RuntimeError as error:
        # numba's own words where neither the package's folder nor the user's cache can be written to: it is compiled each time
        if "cannot cache function" not in str(error):
            raise
    finally:
        numba.jit = usual
    return import_module("yasa")


def _weights_hash(yasa: object, names: list[str]) -> str:
    """Return the hash of the classifier file that YASA takes for these signals."""
    folder = Path(str(getattr(yasa, "__file__", ""))).parent / "classifiers"
    stem = "+".join(names)
    files = sorted(folder.glob(f"clf_{stem}_lgb_*.joblib"))
    if not files:
        raise RuntimeError(f"YASA's classifier for {stem} is not in {folder.name}: the package is incomplete")
    return hashlib.sha256(files[-1].read_bytes()).hexdigest()
