"""Two scorers over many nights: epochs, events, and the numbers of the night, with intervals over people.

Epochs of a night are not independent, nor are the nights of a person: the bootstrap draws people. One person alone has no such
interval, and none is made up.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from sleepfm.analysis.agreement import Agreement, agree
from sleepfm.analysis.bland_altman import Limits, limits_of_agreement
from sleepfm.analysis.confusion import accuracy, f1_scores, kappa
from sleepfm.analysis.estimates import Estimate
from sleepfm.analysis.event_agreement import SORTS, EventAgreement, agree_on_events
from sleepfm.analysis.event_indices import APNEAS_AND_HYPOPNEAS
from sleepfm.analysis.resampling import Bootstrap, bootstrap
from sleepfm.analysis.sleep_statistics import night_statistics
from sleepfm.errors import ScoringError
from sleepfm.recording.scorings.scoring import Event
from sleepfm.vocabulary import EPOCH_S, SCORED_STAGES, STAGE_NAMES, STAGE_SHORT, EventName, Stage

STATISTICS = (
    "tst", "se", "sol", "waso", "rem_latency", "n1_share", "n2_share", "n3_share", "rem_share", "awakenings",
    "ahi", "odi3", "arousal_index", "plmi",
)  # fmt: skip
"""Keys of the numbers that are compared night by night (`sleepfm.analysis.statistic_definitions`)."""

FEW_PEOPLE = 10
"""With fewer, percentiles of a bootstrap over people cover clearly less than they say (two people: half of the time)."""


@dataclass(frozen=True)
class Scored:
    """What one scorer says of a night; `events` is None where nobody marked any, not even none."""

    stages: np.ndarray
    events: tuple[Event, ...] | None = None


@dataclass(frozen=True)
class NightPair:
    """A night scored twice; `subject` is whose it is (equal labels are one person)."""

    night: str
    subject: str
    a: Scored
    b: Scored


@dataclass(frozen=True)
class NightResult:
    """One night's agreement; `statistics` holds (A, B) by key, NaN where undefined."""

    night: str
    subject: str
    agreement: Agreement
    events: dict[str, EventAgreement]
    statistics: dict[str, tuple[float, float]]


@dataclass(frozen=True)
class EventSum:
    """Agreement on one sort of event over all nights; F1 with its interval over people."""

    name: str
    both: int
    only_a: int
    only_b: int
    f1: Estimate
    onset_difference_s: float | None


@dataclass(frozen=True)
class NumberAgreement:
    """One number of the night by both scorers: its name, unit, a pair a night, and the limits of agreement of A minus B."""

    key: str
    name: str
    unit: str
    values_a: np.ndarray
    values_b: np.ndarray
    limits: Limits


@dataclass(frozen=True)
class BatchAgreement:
    """Two scorers over many nights.

    Attributes
    ----------
    nights
        A result for each night that could be compared.
    kappa, accuracy, macro_f1, f1
        Over all epochs of all nights together, with intervals over people; F1 by stage name.
    confusion
        (5, 5) counts, rows A, columns B.
    numbers
        Statistics of the night; those that no night has are left out.
    events
        By sort.
    failed
        Nights that could not be compared, and why.
    remarks
        What a reader has to know, each a sentence.
    """

    nights: tuple[NightResult, ...]
    kappa: Estimate
    accuracy: Estimate
    macro_f1: Estimate
    f1: dict[str, Estimate]
    confusion: np.ndarray
    numbers: tuple[NumberAgreement, ...]
    events: tuple[EventSum, ...]
    failed: dict[str, str] = field(default_factory=dict)
    remarks: tuple[str, ...] = ()

    @property
    def subjects(self) -> int:
        """How many people the nights are of."""
        return len({night.subject for night in self.nights})

    @property
    def epochs(self) -> int:
        """Epochs that both score, of all nights."""
        return int(self.confusion.sum())

    def as_dict(self) -> dict[str, object]:
        """Return what `sleepfm agree DIR DIR --json` prints: the keys of two files, and what a batch has beyond them."""
        return {
            "epochs": self.epochs,
            "kappa": self.kappa.value,
            "accuracy": self.accuracy.value,
            "macro_f1": self.macro_f1.value,
            "f1": {name: one.value for name, one in self.f1.items()},
            "confusion": self.confusion.tolist(),
            "nights": len(self.nights),
            "subjects": self.subjects,
            "intervals": {
                **{name: getattr(self, name).as_dict() for name in ("kappa", "accuracy", "macro_f1")},
                "f1": {name: one.as_dict() for name, one in self.f1.items()},
            },
            "per_night": [
                {"night": one.night, "subject": one.subject, "epochs": one.agreement.epochs, "kappa": one.agreement.kappa,
                 "accuracy": one.agreement.accuracy, "macro_f1": one.agreement.macro_f1}
                for one in self.nights
            ],
            "numbers": {one.key: {"name": one.name, "unit": one.unit} | one.limits.as_dict() for one in self.numbers},
            "events": {
                one.name: {"both": one.both, "only_a": one.only_a, "only_b": one.only_b, "f1": one.f1.as_dict(),
                           "onset_difference_s": one.onset_difference_s}
                for one in self.events
            },
            "failed": [{"night": night, "error": error} for night, error in self.failed.items()],
            "warnings": list(self.remarks),
        }  # fmt: skip


@dataclass(frozen=True)
class Disagreement:
    """A run of epochs that A calls one stage and B another; `epoch` is the first of them, 1-based."""

    epoch: int
    epochs: int
    a: Stage
    b: Stage

    @property
    def words(self) -> str:
        """Return "epoch 12 to 15: N1 against W"."""
        until = f" to {self.epoch + self.epochs - 1}" if self.epochs > 1 else ""
        return f"epoch {self.epoch}{until}: {STAGE_SHORT[self.a]} against {STAGE_SHORT[self.b]}"


def disagreements(a: np.ndarray, b: np.ndarray) -> tuple[Disagreement, ...]:
    """Return where two scorings of a night differ, in order; an epoch that either leaves Unknown is no disagreement."""
    common = min(len(a), len(b))
    a, b = np.asarray(a[:common]), np.asarray(b[:common])
    differ = np.isin(a, SCORED_STAGES) & np.isin(b, SCORED_STAGES) & (a != b)
    found: list[Disagreement] = []
    for at in np.flatnonzero(differ).tolist():
        stages = Stage(int(a[at])), Stage(int(b[at]))
        last = found[-1] if found else None
        if last is not None and last.epoch + last.epochs == at + 1 and (last.a, last.b) == stages:
            found[-1] = replace(last, epochs=last.epochs + 1)
        else:
            found.append(Disagreement(at + 1, 1, *stages))
    return tuple(found)


def compare_night(pair: NightPair) -> NightResult:
    """Compare two scorings of one night.

    Lights that only one of the two marked count for both: time in bed is of the night, not of the scorer.

    Raises
    ------
    ScoringError
        When there is no epoch that both score.
    """
    found = agree(pair.a.stages, pair.b.stages)
    both_marked = pair.a.events is not None and pair.b.events is not None
    events = agree_on_events(pair.a.events or (), pair.b.events or ()) if both_marked else {}
    common = min(len(pair.a.stages), len(pair.b.stages))
    lights = _lights(pair, EventName.LIGHTS_OFF), _lights(pair, EventName.LIGHTS_ON)
    values: dict[str, list[float]] = {key: [] for key in STATISTICS}
    marked: set[str] = {event.name for side in (pair.a, pair.b) for event in side.events or ()}
    if marked.intersection(APNEAS_AND_HYPOPNEAS):
        marked.update(APNEAS_AND_HYPOPNEAS)  # who marks one kind of them looks for all
    for side, other in ((pair.a, pair.b), (pair.b, pair.a)):
        # an epoch that the other does not score counts for neither, else their times would differ by it alone
        stages = np.where(np.isin(other.stages[:common], SCORED_STAGES), side.stages[:common], Stage.UNKNOWN)
        statistics = night_statistics(
            stages,
            events=side.events or (),
            looked_for=marked if side.events is not None else (),
            lights_off_s=lights[0],
            lights_on_s=lights[1],
        )
        known = {item.key: item.value for item in statistics.items}
        for key, of_both in values.items():
            of_both.append(np.nan if known.get(key) is None else float(known[key] or 0.0))
    pairs = {key: (of_both[0], of_both[1]) for key, of_both in values.items()}
    return NightResult(pair.night, pair.subject, found, events, pairs)


def agree_over_nights(pairs: Sequence[NightPair], *, resamples: int = 1000, seed: int = 0) -> BatchAgreement:
    """Compare two scorers over many nights; one that cannot be compared is listed with its reason.

    Raises
    ------
    ScoringError
        When no night can be compared.
    """
    nights: list[NightResult] = []
    failed: dict[str, str] = {}
    for pair in pairs:
        try:
            nights.append(compare_night(pair))
        except ScoringError as error:
            failed[pair.night] = str(error)
    return summarise(nights, failed=failed, resamples=resamples, seed=seed)


def summarise(
    nights: Sequence[NightResult], *, failed: dict[str, str] | None = None, resamples: int = 1000, seed: int = 0
) -> BatchAgreement:
    """Put the results of nights together; arguments and errors as `agree_over_nights`."""
    if not nights:
        why = next(iter((failed or {}).values()), "there is none")
        raise ScoringError(f"no night is scored by both: {why}")
    subjects = [night.subject for night in nights]
    boot = bootstrap(subjects, resamples=resamples, seed=seed)
    confusion_nkk = np.stack([night.agreement.confusion for night in nights])
    summed_sc = boot.sums(confusion_nkk.reshape(len(nights), -1).astype(np.float64))
    epochs = int(confusion_nkk.sum())

    def of_confusion(metric: Callable[[np.ndarray], np.ndarray], reason: str) -> Estimate:
        k = len(SCORED_STAGES)
        sampled = boot.sample(lambda weights_bs: metric((weights_bs @ summed_sc).reshape(-1, k, k)), width=k * k)
        return boot.estimate(sampled, n=epochs, reason=reason)

    def stage_f1(number: int) -> Callable[[np.ndarray], np.ndarray]:
        return lambda confusion_bkk: f1_scores(confusion_bkk)[..., number]

    return BatchAgreement(
        nights=tuple(nights),
        kappa=of_confusion(kappa, "both use one and the same stage throughout"),
        accuracy=of_confusion(accuracy, ""),
        macro_f1=of_confusion(_macro_f1, ""),
        f1={STAGE_NAMES[s]: of_confusion(stage_f1(k), "neither uses this stage") for k, s in enumerate(SCORED_STAGES)},
        confusion=confusion_nkk.sum(axis=0),
        numbers=_numbers(nights, subjects),
        events=_events(nights, subjects, resamples=resamples, seed=seed),
        failed=dict(failed or {}),
        remarks=_remarks(nights, boot),
    )


def _macro_f1(confusion_bkk: np.ndarray) -> np.ndarray:
    f1_bk = f1_scores(confusion_bkk)
    used_b = np.isfinite(f1_bk).sum(axis=-1)
    return np.divide(np.nansum(f1_bk, axis=-1), used_b, out=np.full(used_b.shape, np.nan), where=used_b > 0)


def _lights(pair: NightPair, name: EventName) -> float | None:
    return next((event.start_s for side in (pair.a, pair.b) for event in side.events or () if event.name == name), None)


def _numbers(nights: Sequence[NightResult], subjects: Sequence[str]) -> tuple[NumberAgreement, ...]:
    named = {item.key: (item.name, item.unit) for item in night_statistics(np.zeros(0, np.int8)).items}
    made = []
    for key in STATISTICS:
        a_n = np.array([night.statistics[key][0] for night in nights])
        b_n = np.array([night.statistics[key][1] for night in nights])
        if key in named and (np.isfinite(a_n) & np.isfinite(b_n)).any():
            made.append(NumberAgreement(key, *named[key], a_n, b_n, limits_of_agreement(a_n, b_n, subjects)))
    return tuple(made)


def _events(nights: Sequence[NightResult], subjects: Sequence[str], *, resamples: int, seed: int) -> tuple[EventSum, ...]:
    compared = [(night, subject) for night, subject in zip(nights, subjects, strict=True) if night.events]
    if not compared:
        return ()
    boot = bootstrap([subject for _, subject in compared], resamples=resamples, seed=seed)
    made = []
    marked = {name for night, _ in compared for name in night.events}
    for name in (one for one in SORTS if one in marked):
        found = [night.events.get(name) for night, _ in compared]
        counts_nc = np.array(
            [(0, 0, 0) if one is None else (one.both, one.only_a, one.only_b) for one in found], dtype=np.float64
        )
        summed_sc = boot.sums(counts_nc)

        def f1(weights_bs: np.ndarray, summed_sc: np.ndarray = summed_sc) -> np.ndarray:
            both_b, a_b, b_b = (weights_bs @ summed_sc).T
            total_b = 2 * both_b + a_b + b_b
            return np.divide(2 * both_b, total_b, out=np.full(total_b.shape, np.nan), where=total_b > 0)

        both, only_a, only_b = (int(count) for count in counts_nc.sum(axis=0))
        apart = np.concatenate([one.onset_difference_s for one in found if one is not None])
        estimate = boot.estimate(boot.sample(f1), n=2 * both + only_a + only_b)
        made.append(EventSum(name, both, only_a, only_b, estimate, float(np.median(apart)) if apart.size else None))
    return tuple(made)


def _remarks(nights: Sequence[NightResult], boot: Bootstrap) -> tuple[str, ...]:
    said = []
    if boot.subjects < 2:
        said.append(
            "One person: how far others would agree cannot be told from this, so there are no intervals; the numbers describe"
            f" {'this night' if len(nights) == 1 else 'these nights'} only."
        )
    elif len(nights) > boot.subjects:
        said.append(
            f"{len(nights)} nights of {boot.subjects} people: people are drawn for the intervals, and their nights go with them."
        )
    if 2 <= boot.subjects < FEW_PEOPLE:
        said.append(f"Intervals from {boot.subjects} people are rough: with fewer than {FEW_PEOPLE} they come out too narrow.")
    unknown = sum(night.agreement.unknown for night in nights)
    if unknown:
        said.append(f"{unknown * EPOCH_S / 60:g} min that either leaves Unknown are left out.")
    lengths = sum(bool(night.agreement.warnings) for night in nights)
    if lengths:
        said.append(f"{lengths} night(s) have scorings of different lengths; the common part was compared.")
    return tuple(said)
