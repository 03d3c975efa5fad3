"""The risk of one night from its embeddings: log hazards, what they rest on, and how sure that is."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch

from sleepfm.analysis.shapley import leave_one_out, shapley_values
from sleepfm.errors import ModelError, RecordingError
from sleepfm.inference.device import Precision, one_thread_each
from sleepfm.inference.embedding_files import Embeddings
from sleepfm.inference.heads import check_fits, looked_at
from sleepfm.inference.night_coalitions import NightCoalitions, People, night_coalitions
from sleepfm.inference.risk_request import coding_unknown, require_demographic_players, require_person, sexes_of
from sleepfm.inference.risk_result import AGE, SEX, RiskResult
from sleepfm.inference.simulated_models import simulated_warning
from sleepfm.models.card import SIMULATED, Condition, DemographicCoding, ModelCard, Sex
from sleepfm.models.networks import Model, load_model
from sleepfm.models.reference import Reference, read_reference
from sleepfm.models.shelf import Shelf, ShelfEntry
from sleepfm.progress import Progress, part, silent
from sleepfm.vocabulary import TOKEN_S, WINDOW_S, Modality

RESAMPLES = 400
"""Of the bootstrap over windows."""
_CONFIDENCE = 0.95
_CELLS_AT_ONCE = 4_000_000
_TOKENS_PER_WINDOW = round(WINDOW_S / TOKEN_S)


@dataclass(frozen=True)
class RiskModels:
    """A disease head with what its scores are compared with.

    Attributes
    ----------
    head
        The head.
    reference
        Its reference people; None without them.
    demographics
        The model of age and sex alone that the reference names; None where it is not on the shelf.
    warnings
        What is missing, each a sentence.
    """

    head: Model
    reference: Reference | None
    demographics: Model | None
    warnings: tuple[str, ...]


def load_risk_models(entry: ShelfEntry, shelf: Shelf) -> RiskModels:
    """Load a disease head from the shelf with its reference and the model of age and sex alone.

    Raises
    ------
    ModelError
        When the weights, the card or the reference cannot be used.
    """
    reference = read_reference(entry.folder)
    head = load_model(entry.folder)
    if reference is None:
        return RiskModels(
            head,
            None,
            None,
            (f"{entry.name} has no reference people: no percentile, and no risk from age and sex alone beside it.",),
        )
    link = reference.demographics
    if link is None:
        return RiskModels(head, reference, None, (f"{entry.name} was never compared with age and sex alone.",))
    same = [one for one in shelf.entries(retired=True) if one.card.weights_sha256 == link.weights_sha256]
    if not same:
        return RiskModels(
            head,
            reference,
            None,
            (f"The model of age and sex alone, {link.name}, is not on the shelf: its risk is not shown beside.",),
        )
    return RiskModels(head, reference, load_model(same[0].folder), ())


def night_risk(
    embeddings: Embeddings,
    models: RiskModels,
    *,
    age: object = None,
    sex: object = None,
    demographic_players: bool = False,
    lights_off_s: float | None = None,
    precision: Precision = "fp32",
    resamples: int = RESAMPLES,
    progress: Progress = silent,
) -> RiskResult:
    """Return the log hazards of a night with their reasons.

    Parameters
    ----------
    embeddings
        Per 5 s, by the head's encoder.
    models
        The head and what it is compared with.
    age, sex
        Of the person: years at the recording; "female", "male", or "unknown" where the card has a code for it. Not looked at
        for a head that takes neither.
    demographic_players
        Give age and sex Shapley values of their own: where one is absent, the score is averaged over the reference people's.
    lights_off_s
        When lights went off, in seconds from the recording's start; None when nobody knows.
    precision
        See `CoalitionPooling`; the score itself is float32 always.
    resamples
        Of the bootstrap over windows.

    Raises
    ------
    RequestError
        Age or sex is missing or impossible, lights off lies outside the recording, or age and sex cannot be players.
    ModelError
        The embeddings are another encoder's, or the head's scores cannot be had without knowing how it takes age and sex.
    RecordingError
        No embedding is finite.
    """
    card = models.head.card
    person = require_person(card, age, sex)
    if demographic_players:
        require_demographic_players(card, has_reference=models.reference is not None and bool(models.reference.ages_sexes))
    night = _Looked.at(embeddings, models.head, lights_off_s)
    taken_apart = night_coalitions(
        models.head, night.rows, night.window_n, precision=precision, progress=part(progress, 0.0, 0.3)
    )
    left_out = coding_unknown(card)
    if left_out and not taken_apart.additive_demographics:
        raise ModelError(
            f"nobody knows how {card.name} takes age and sex, and its scores cannot be had without them:"
            " import it with --age-scale and --sex-code"
        )
    groups = _groups(card.demographics, None if left_out else person, models.reference if demographic_players else None)
    with one_thread_each():
        value_ck = coalition_scores(taken_apart, groups, np.ones((1, taken_apart.windows)))[0]
        intervals = window_intervals(taken_apart, groups, resamples, value_ck.size)
    occluded_wk = taken_apart.occluded(groups[-1], part(progress, 0.4, 1.0))
    players = (*(modality.value for modality in taken_apart.modalities), *((AGE, SEX) if demographic_players else ()))
    conditions = conditions_of(card, value_ck.shape[1])
    beside_k, beside_name = _by_demographics(models, conditions, person)
    return RiskResult(
        study=embeddings.origin.record_id,
        model=card.name,
        weights_sha256=card.weights_sha256,
        trained_on=card.trained_on,
        simulated_recording=embeddings.origin.simulated,
        age=None if person is None else person[0],
        sex=None if person is None else person[1],
        demographics_left_out=left_out,
        conditions=conditions,
        modalities=taken_apart.modalities,
        players=players,
        log_hazard_k=value_ck[-1],
        low_k=intervals.low[0],
        high_k=intervals.high[0],
        coalition_ck=value_ck,
        shapley_pk=shapley_values(value_ck),
        shapley_low_pk=intervals.low[1 : 1 + len(players)],
        shapley_high_pk=intervals.high[1 : 1 + len(players)],
        ablation_pk=leave_one_out(value_ck),
        ablation_low_pk=intervals.low[1 + len(players) :],
        ablation_high_pk=intervals.high[1 + len(players) :],
        window_start_s=night.window_start_s,
        window_stop_s=night.window_stop_s,
        occlusion_wk=(value_ck[-1] - occluded_wk).astype(np.float32),
        demographics_log_hazard_k=beside_k,
        demographics_model=beside_name,
        start_s=night.start_s,
        stop_s=night.stop_s,
        warnings=(*_warnings(models, embeddings, person, taken_apart.windows), *night.warnings),
    )


def conditions_of(card: ModelCard, outputs: int) -> tuple[Condition, ...]:
    """Return what a head's outputs stand for, by number where nobody named them."""
    named = tuple(one for one in card.labels if isinstance(one, Condition))
    return named if len(named) == outputs else tuple(Condition(phecode=str(k), phenotype="unknown") for k in range(outputs))


@dataclass(frozen=True, eq=False)
class _Looked:
    """The part of a night that a head looks at: finite rows, on the recording's grid of windows."""

    rows: dict[Modality, np.ndarray]
    window_n: np.ndarray
    window_start_s: np.ndarray
    window_stop_s: np.ndarray
    start_s: float
    stop_s: float
    warnings: tuple[str, ...]

    @classmethod
    def at(cls, embeddings: Embeddings, head: Model, lights_off_s: float | None) -> _Looked:
        check_fits(embeddings, head)
        origin = embeddings.origin
        first, last, warnings = looked_at(embeddings, head, lights_off_s)
        rows = {modality: rows_ne[first:last] for modality, rows_ne in embeddings.rows.items()}
        finite = {modality: np.isfinite(rows_ne).all(axis=1) for modality, rows_ne in rows.items()}
        for modality in [one for one, finite_n in finite.items() if not finite_n.any()]:
            warnings.append(f"Without {modality}: its embeddings hold no finite number.")
            del rows[modality], finite[modality]
        if not rows:
            raise RecordingError(f"{origin.record_id}: its embeddings hold no finite number; embed the recording again")
        kept_n = np.logical_and.reduce(list(finite.values()))
        if not kept_n.any():
            raise RecordingError(f"{origin.record_id}: no 5 s have finite embeddings of every signal; embed the recording again")
        if not kept_n.all():
            warnings.append(
                f"{int((~kept_n).sum()) * TOKEN_S:.0f} s of the night were left out: their embeddings are no finite numbers."
            )
        token_n = first + np.flatnonzero(kept_n)
        windows, window_n = np.unique(token_n // _TOKENS_PER_WINDOW, return_inverse=True)
        stop_s = min(last * TOKEN_S, origin.duration_s)
        if stop_s - first * TOKEN_S < WINDOW_S:
            raise RecordingError(
                f"{origin.record_id}: {stop_s - first * TOKEN_S:.0f} s to look at; a score needs {WINDOW_S / 60:.0f} min at least"
            )
        return cls(
            rows={modality: np.ascontiguousarray(rows_ne[kept_n], np.float32) for modality, rows_ne in rows.items()},
            window_n=window_n,
            window_start_s=np.maximum(windows * WINDOW_S, first * TOKEN_S),
            window_stop_s=np.minimum((windows + 1) * WINDOW_S, stop_s),
            start_s=first * TOKEN_S,
            stop_s=stop_s,
            warnings=tuple(warnings),
        )


def _groups(coding: DemographicCoding | None, person: tuple[float, Sex] | None, reference: Reference | None) -> list[People]:
    """Return over whom the score is averaged: the person; with a reference first nobody, then the age, then the sex."""
    if person is None or coding is None:
        return [People.nobody()]
    age, sex = coding.encode(*person)
    if reference is None:
        return [People.one(age, sex)]
    others = reference.ages_sexes
    coded_n2 = np.array([coding.encode(one.age, one.sex) for one in others])
    share_n = np.array([one.people for one in others], np.float64) / sum(one.people for one in others)
    with_age_n2, with_sex_n2 = coded_n2.copy(), coded_n2.copy()
    with_age_n2[:, 0], with_sex_n2[:, 1] = age, sex
    return [*(People(people_n2, share_n) for people_n2 in (coded_n2, with_age_n2, with_sex_n2)), People.one(age, sex)]


def coalition_scores(taken_apart: NightCoalitions, groups: Sequence[People], weights_bw: np.ndarray) -> np.ndarray:
    """Return (night, coalition, condition) scores: the modalities' bits come first, then age's, then sex's."""
    value_bgck = taken_apart.values(weights_bw, groups)
    return value_bgck.reshape(len(weights_bw), -1, value_bgck.shape[-1])


@dataclass(frozen=True, eq=False)
class Intervals:
    """(1 + 2 players, condition): of the score, of every player's Shapley value, of every player's ablation."""

    low: np.ndarray
    high: np.ndarray


def window_intervals(taken_apart: NightCoalitions, groups: Sequence[People], resamples: int, cells: int) -> Intervals:
    """Return percentile intervals over nights whose windows are drawn from this one's; NaN for a single window."""
    windows = taken_apart.windows
    weights_bw = np.random.default_rng(0).multinomial(windows, np.full(windows, 1 / windows), size=resamples)
    step = max(1, _CELLS_AT_ONCE // cells)
    found = []
    for first in range(0, resamples, step):
        value_bck = coalition_scores(taken_apart, groups, weights_bw[first : first + step])
        found.append(np.concatenate([value_bck[:, -1:], shapley_values(value_bck), leave_one_out(value_bck)], axis=1))
    tail = (1 - _CONFIDENCE) / 2
    low, high = np.quantile(np.concatenate(found), (tail, 1 - tail), axis=0)
    return Intervals(low, high) if windows > 1 else Intervals(np.full_like(low, np.nan), np.full_like(low, np.nan))


def _by_demographics(
    models: RiskModels, conditions: Sequence[Condition], person: tuple[float, Sex] | None
) -> tuple[np.ndarray | None, str]:
    """Return (condition,) what the model of age and sex alone says, NaN of a condition that it does not know; and its name.

    None and no name where there is none, or it cannot be asked (see `_warnings`).
    """
    model = models.demographics
    if model is None or person is None or not _asked_by_age_and_sex(model.card, person[1]):
        return None, ""
    coding = model.card.demographics
    assert coding is not None
    with torch.inference_mode():
        own_k = model.network(None, None, torch.tensor([coding.encode(*person)], dtype=torch.float32))[0].double().numpy()
    place = {one.phecode: k for k, one in enumerate(conditions_of(model.card, len(own_k)))}
    return np.array([own_k[place[one.phecode]] if one.phecode in place else np.nan for one in conditions]), model.card.name


def _asked_by_age_and_sex(card: ModelCard, sex: Sex) -> bool:
    return (
        card.architecture == "DemographicsHead"
        and card.parameters.get("num_demographics", 2) == 2
        and not coding_unknown(card)
        and sex in sexes_of(card)
    )


def _warnings(models: RiskModels, embeddings: Embeddings, person: tuple[float, Sex] | None, windows: int) -> list[str]:
    """Return what a reader must know of the model's part in the numbers."""
    card, reference, beside = models.head.card, models.reference, models.demographics
    told = list(models.warnings)
    if card.trained_on == SIMULATED:
        told.insert(0, simulated_warning(card.name, simulated_recording=embeddings.origin.simulated))
    if coding_unknown(card):
        told.append(
            f"Nobody knows how {card.name} takes age and sex: the scores leave them out and rank people of one age and sex."
        )
    if windows < 2:
        told.append("The night has a single window of 5 min: no intervals.")
    if person is not None and beside is not None and not _asked_by_age_and_sex(beside.card, person[1]):
        told.append(
            f"{beside.card.name} cannot be asked by this age and sex: the risk from age and sex alone is not shown beside."
        )
    if person is not None and reference is not None and reference.ages_sexes:
        ages = [one.age for one in reference.ages_sexes]
        if not min(ages) <= round(person[0]) <= max(ages):
            told.append(
                f"The reference people were {min(ages)} to {max(ages)} years old: a percentile at {person[0]:g} means little."
            )
    return told
