"""What a disease head says of held-out people, kept beside its weights: where the score of anyone else stands among theirs."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from sleepfm.analysis.shapley import shapley_values
from sleepfm.errors import RequestError
from sleepfm.evaluation.card_metrics import tested_on
from sleepfm.evaluation.evaluation import Evaluation
from sleepfm.evaluation.outcomes import Outcomes
from sleepfm.inference.night_coalitions import People, night_coalitions
from sleepfm.inference.risk import conditions_of
from sleepfm.models.card import ModelCard, Sex
from sleepfm.models.networks import Model
from sleepfm.models.reference import (
    OLDEST_STORED,
    QUANTILES,
    AgeSex,
    ConditionReference,
    DemographicsLink,
    Measured,
    Reference,
)
from sleepfm.progress import Progress, part
from sleepfm.training.night_labels import DEMOGRAPHICS
from sleepfm.training.nights import LabelledNight
from sleepfm.vocabulary import Modality

_DIGITS = 6


def disease_reference(
    model: Model,
    nights: Sequence[LabelledNight],
    evaluation: Evaluation,
    *,
    outcomes: Outcomes,
    phecodes: Sequence[str],
    baseline: ModelCard | None,
    progress: Progress,
) -> Reference:
    """Return the reference people of a disease head.

    A person with several nights counts once, by the mean over them.

    Parameters
    ----------
    model
        The head.
    nights
        Of held-out people, with age and sex where the head takes them.
    evaluation
        Of the head on these nights.
    outcomes
        Their follow-up.
    phecodes
        Of the outcomes' conditions.
    baseline
        The model that the head was compared with; only one of age and sex alone is linked.

    Raises
    ------
    RequestError
        When the head says nothing finite of anybody.
    ModelError
        When the head cannot be taken apart by modality.
    """
    base_nk, shapley_nmk = _scores(model, nights, part(progress, 0.0, 1.0))
    usable_n = np.isfinite(base_nk).all(axis=1) & np.isfinite(shapley_nmk).all(axis=(1, 2))
    people, person_n = np.unique([one.night.subject for one in nights], return_inverse=True)
    share_pn = (person_n == np.arange(len(people))[:, None]) * usable_n
    share_pn = share_pn[share_pn.any(axis=1)] / share_pn.sum(axis=1, keepdims=True)[share_pn.any(axis=1)]
    if not len(share_pn):
        raise RequestError(f"{model.card.name}: says nothing finite of anybody, so there are no reference people")
    base_pk = share_pn @ np.nan_to_num(base_nk)
    shapley_pmk = np.einsum("pn,nmk->pmk", share_pn, np.nan_to_num(shapley_nmk))
    score_pk = base_pk + shapley_pmk.sum(axis=1)
    column = {phecode: k for k, phecode in enumerate(phecodes)}
    conditions = []
    for k, condition in enumerate(conditions_of(model.card, score_pk.shape[1])):
        means = {modality: _rounded(mean) for modality, mean in zip(Modality, shapley_pmk[:, :, k].mean(axis=0), strict=True)}
        followed = _followed(outcomes, column.get(condition.phecode), person_n, evaluation)
        conditions.append(
            ConditionReference(
                phecode=condition.phecode,
                quantiles=tuple(_rounded(x) for x in np.quantile(score_pk[:, k], np.linspace(0, 1, QUANTILES))),
                mean_base=_rounded(base_pk[:, k].mean()),
                mean_shapley=means,
                **followed,
            )
        )
    alone = baseline is not None and baseline.architecture == "DemographicsHead"
    return Reference(
        weights_sha256=model.card.weights_sha256,
        data=tested_on(evaluation),
        simulated=evaluation.simulated,
        people=len(score_pk),
        conditions=tuple(conditions),
        demographics=DemographicsLink(name=baseline.name, weights_sha256=baseline.weights_sha256) if baseline and alone else None,
        ages_sexes=_ages_sexes(model.card, [nights[n] for n in np.flatnonzero(usable_n).tolist()]),
    )


def _scores(model: Model, nights: Sequence[LabelledNight], progress: Progress) -> tuple[np.ndarray, np.ndarray]:
    """Return (night, condition) scores of no signal, and (night, modality, condition) Shapley values, 0 where it is absent."""
    bases, shares = [], []
    for number, labelled in enumerate(nights):
        night = labelled.night
        progress(number / len(nights), f"reference: {night.study}")
        last = min(night.tokens, int(model.card.parameters.get("max_seq_length", night.tokens)))
        rows = dict(zip(night.modalities, night.read(0, last).astype(np.float32), strict=True))
        taken_apart = night_coalitions(model, rows, np.zeros(last, np.int64))
        people = People.nobody()
        if model.card.takes_demographics:
            people = People.one(*(float(number) for number in labelled.by_night[DEMOGRAPHICS]))
        value_ck = taken_apart.values(np.ones((1, 1)), [people])[0, 0]
        shapley_mk = np.zeros((len(Modality), value_ck.shape[1]))
        shapley_mk[[list(Modality).index(modality) for modality in taken_apart.modalities]] = shapley_values(value_ck)
        bases.append(value_ck[0])
        shares.append(shapley_mk)
    return np.stack(bases), np.stack(shares)


def _followed(outcomes: Outcomes, column: int | None, person_n: np.ndarray, evaluation: Evaluation) -> dict[str, Any]:
    """Return what was measured of a condition: people, events and what the head was worth."""
    if column is None:
        return {"n": 0, "events": 0, "few_events": True}
    known_n = outcomes.known_nk[:, column].astype(bool) & np.isfinite(outcomes.years_nk[:, column])
    event_n = known_n & outcomes.event_nk[:, column].astype(bool)
    every = evaluation.extra["by_condition"]
    assert isinstance(every, Mapping)
    worth = every.get(outcomes.conditions[column], {})
    measured = {name: _measured(worth.get(name)) for name in ("c_index", "demographics_c_index", "difference")}
    counts = {"n": len(np.unique(person_n[known_n])), "events": len(np.unique(person_n[event_n]))}
    return {
        **counts,
        **measured,
        "p": None if worth.get("p") is None else _rounded(worth["p"]),
        "few_events": worth.get("few_events", True),
    }


def _measured(estimate: Mapping[str, Any] | None) -> Measured | None:
    if estimate is None or estimate["value"] is None:
        return None
    low, high = (None if estimate[name] is None else _rounded(estimate[name]) for name in ("low", "high"))
    return Measured(value=_rounded(estimate["value"]), low=low, high=high)


def _ages_sexes(card: ModelCard, nights: Sequence[LabelledNight]) -> tuple[AgeSex, ...]:
    """Return the people by age and sex, of each the first night; nobody where the head takes neither."""
    coding = card.demographics
    if not card.takes_demographics or coding is None or isinstance(coding.age_scale, str) or isinstance(coding.sex_code, str):
        return ()
    first = {one.night.subject: one.by_night[DEMOGRAPHICS] for one in reversed(nights)}
    sex_of = {code: sex for sex, code in coding.sex_code.items()}
    counts: Counter[tuple[int, Sex]] = Counter()
    for age, sex in first.values():
        nearest = min(sex_of, key=lambda code: abs(code - float(sex)))  # float32 of the code
        counts[min(round(float(age) * coding.age_scale), OLDEST_STORED), sex_of[nearest]] += 1
    return tuple(AgeSex(age=age, sex=sex, people=people) for (age, sex), people in sorted(counts.items()))


def _rounded(value: float) -> float:
    return float(f"{value:.{_DIGITS}g}")
