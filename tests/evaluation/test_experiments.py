import numpy as np
import pytest

from sleepfm.errors import Cancelled, RecordingError
from sleepfm.evaluation.experiments import (
    LABEL_FRACTIONS,
    PRETRAINING_FRACTIONS,
    by_channels,
    by_ecg_leads,
    by_modalities,
    label_fractions,
    modality_sets,
    pretraining_fractions,
)
from sleepfm.evaluation.staging import evaluate_staging, staging_scores
from tests.evaluation.made_up import IDS, QUICK, held_out, staged


def scores_at(skill):
    return staging_scores(held_out(), staged(skill=skill, ids=IDS[:6]), QUICK)


def test_label_fractions_are_asked_in_turn_and_drawn_beside_the_rival():
    asked, told = [], []

    def fit_at(fraction):
        asked.append(fraction)
        return scores_at(fraction)

    section = label_fractions(
        fit_at,
        plotted="macro F1",
        baseline_at=lambda fraction: scores_at(fraction / 2),
        progress=lambda done, _: told.append(done),
    )
    table, plot = section.parts
    assert asked == list(LABEL_FRACTIONS)
    assert told == pytest.approx(np.arange(1, 15) / 14)
    assert [row[0] for row in table.rows][:2] == ["1 %, this model", "2 %, this model"]
    ours, theirs = plot.lines
    np.testing.assert_allclose(ours.curve.x, 100 * np.array(LABEL_FRACTIONS))
    assert ours.curve.y[-1] == pytest.approx(scores_at(1.0)["macro F1"].value)
    assert (ours.curve.y[-1] > theirs.curve.y[-1], theirs.faint) == (True, True)
    assert (ours.curve.low <= ours.curve.y).all()


def test_pretraining_fractions_begin_with_none():
    section = pretraining_fractions(scores_at, plotted="macro F1")
    assert [row[0] for row in section.parts[0].rows] == [f"{100 * f:g} %" for f in PRETRAINING_FRACTIONS]


def test_every_set_of_modalities_is_asked_once():
    asked = []

    def predict_with(chosen):
        asked.append(chosen)
        return scores_at(0.3 * len(chosen))

    section = by_modalities(predict_with, plotted="macro F1")
    assert len(asked) == len(set(asked)) == 15 == len(modality_sets())
    assert section.parts[0].rows[-1][0] == "BAS + RESP + EKG + EMG"


def test_a_case_that_cannot_be_done_has_its_reason_and_the_others_go_on():
    def predict_with(channels):
        if channels == "lead V5":
            raise RecordingError("no recording has lead V5")
        return scores_at(1.0)

    table, plot = by_ecg_leads(predict_with, ["lead II", "lead V5"], plotted="macro F1").parts
    first, second = (dict(zip(table.columns, row, strict=True)) for row in table.rows)
    assert first["macro F1"].value is not None
    assert (second["macro F1"], second["remark"]) == (None, "no recording has lead V5")
    assert [label for label, _ in plot.entries] == ["lead II"]


def test_a_defect_is_not_taken_for_a_missing_channel_and_a_stop_stops():
    def defect(_):
        raise KeyError("ours")

    def stopped(_):
        raise Cancelled("stopped")

    with pytest.raises(KeyError):
        by_channels(defect, ["all"], plotted="kappa")
    with pytest.raises(Cancelled):
        by_channels(stopped, ["all"], plotted="kappa")
    with pytest.raises(ValueError, match="fractions lie between"):
        label_fractions(defect, plotted="kappa", fractions=(5,))


def test_sections_are_added_to_an_evaluation_under_keys_of_their_own():
    found = evaluate_staging(held_out(), staged(), QUICK, model="m")
    section = by_channels(lambda _: scores_at(1.0), ["all"], plotted="kappa")
    whole = found.with_sections(section, by_ecg_leads(lambda _: scores_at(1.0), ["II"], plotted="kappa")).as_dict()
    assert {"by_channels", "by_ecg_leads"} <= set(whole["tables"])
    with pytest.raises(ValueError, match="by_channels"):
        found.with_sections(section, section).as_dict()
