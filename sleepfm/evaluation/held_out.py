"""Who is tested, and whether they are new to the model: a person the encoder was pretrained on proves nothing."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from pathlib import PurePath

import numpy as np

from sleepfm.errors import RequestError
from sleepfm.evaluation.evaluation import DataTested
from sleepfm.evaluation.settings import EvaluationSettings
from sleepfm.text import printable


@dataclass(frozen=True)
class HeldOut:
    """The test set: one entry a recording.

    Attributes
    ----------
    recordings
        Ids.
    subjects
        The person of each recording.
    columns
        (recording,) values by column name, from the cohort's table: age (years), sex, site and whatever else is there.
    left_out
        Reason by id of the recordings of the test split that are not among `recordings`.
    seen
        Those of the recordings whose person stood in the encoder's pretraining split (`seen_in_pretraining`); None when nobody
        knows what the encoder was pretrained on.
    simulated
        Whether the signals are simulated.
    source
        Cohort and split, for people.
    """

    recordings: tuple[str, ...]
    subjects: tuple[str, ...]
    columns: Mapping[str, np.ndarray] = field(default_factory=dict)
    left_out: Mapping[str, str] = field(default_factory=dict)
    seen: frozenset[str] | None = None
    simulated: bool = False
    source: str = ""

    def __post_init__(self) -> None:
        n = len(self.recordings)
        if len(set(self.recordings)) != n:
            raise ValueError("a recording stands twice in the test set")
        for name, values in {"subjects": self.subjects, **self.columns}.items():
            if len(values) != n:
                raise ValueError(f"{printable(str(name))} has {len(values)} entries for {n} recordings")

    @property
    def subject_n(self) -> np.ndarray:
        """(recording,) subjects as an array."""
        return np.array(self.subjects, dtype=str)

    def only(self, kept_n: np.ndarray, reason: str) -> HeldOut:
        """Return the test set without the recordings that are False in (recording,) `kept_n`; they are left out for `reason`."""
        kept = np.flatnonzero(kept_n)
        gone = {name: reason for name, is_kept in zip(self.recordings, kept_n, strict=True) if not is_kept}
        return replace(
            self,
            recordings=tuple(self.recordings[i] for i in kept),
            subjects=tuple(self.subjects[i] for i in kept),
            columns={name: np.asarray(values)[kept] for name, values in self.columns.items()},
            left_out={**self.left_out, **gone},
        )

    def chosen_columns(self, settings: EvaluationSettings) -> dict[str, np.ndarray]:
        """Return the columns by which results are divided."""
        return {name: np.asarray(self.columns[name]) for name in settings.groups if name in self.columns}


def seen_in_pretraining(
    recordings: Collection[str], subject_of: Mapping[str, str], pretraining: Collection[str]
) -> frozenset[str]:
    """Return those of the recordings whose person stood in the pretraining split, be it with another night.

    Parameters
    ----------
    recordings
        Ids to be tested.
    subject_of
        The person of every recording of the cohort that is known; a recording without one stands for itself.
    pretraining
        What the encoder was pretrained on (the `pretrain` list of its splits): ids, or files whose stem is the id.
    """
    ids = {PurePath(name).stem if PurePath(name).suffix in (".hdf5", ".h5", ".edf", ".bdf") else name for name in pretraining}
    people = {subject_of.get(name, name) for name in ids}
    return frozenset(name for name in recordings if name in ids or subject_of.get(name, name) in people)


@dataclass(frozen=True)
class Separated:
    """The test set, divided by what the encoder has seen.

    Attributes
    ----------
    headline_n
        (recording,) those that the headline numbers rest on.
    seen_n
        (recording,) those that are reported apart; all False when they are allowed into the headline.
    warnings
        What to say about it.
    """

    headline_n: np.ndarray
    seen_n: np.ndarray
    warnings: tuple[str, ...]


def separate(held_out: HeldOut, settings: EvaluationSettings) -> Separated:
    """Divide the test set; warnings also name the columns that are asked for and not there.

    Raises
    ------
    RequestError
        When there is nothing to test, or nothing that the encoder has not seen and `allow_seen` is off.
    """
    n = len(held_out.recordings)
    if n == 0:
        raise RequestError(
            f"{held_out.source or 'the test set'}: no recording is left to evaluate; see the reasons of those left out"
        )
    warnings = [
        f"the cohort's table has no column {name}: no results by it" for name in settings.groups if name not in held_out.columns
    ]
    if held_out.seen is None:
        warnings.insert(
            0, "it is not known on which recordings the encoder was pretrained: these people may have been among them"
        )
        return Separated(np.ones(n, dtype=bool), np.zeros(n, dtype=bool), tuple(warnings))
    seen_n = np.array([name in held_out.seen for name in held_out.recordings], dtype=bool)
    if seen_n.any() and settings.allow_seen:
        warnings.insert(
            0,
            f"NOT HELD OUT: {seen_n.sum()} of {n} recordings are of people that the encoder saw in pretraining, and they count "
            "in every number (allow_seen)",
        )
        return Separated(np.ones(n, dtype=bool), np.zeros(n, dtype=bool), tuple(warnings))
    if seen_n.all():
        raise RequestError(
            f"all {n} test recordings are of people that the encoder saw in pretraining: nothing is held out. Choose other "
            "recordings, or set allow_seen to get numbers that are marked as such"
        )
    if seen_n.any():
        warnings.insert(
            0,
            f"{seen_n.sum()} of {n} recordings are of people that the encoder saw in pretraining: they are kept out "
            "of the headline and of every table but their own",
        )
    return Separated(~seen_n, seen_n, tuple(warnings))


def describe(held_out: HeldOut, headline_n: np.ndarray) -> DataTested:
    """Return what the report says about the data."""
    return DataTested(
        source=held_out.source,
        recordings=int(headline_n.sum()),
        subjects=int(np.unique(held_out.subject_n[headline_n]).size),
        left_out=dict(held_out.left_out),
        seen=None if held_out.seen is None else tuple(name for name in held_out.recordings if name in held_out.seen),
    )
