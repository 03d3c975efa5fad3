"""Agreement on the screen: figures with units and tables that say why there is no number."""

from __future__ import annotations

from datetime import datetime

import numpy as np

from sleepfm.analysis.batch_agreement import NightPair, Scored, agree_over_nights, disagreements
from sleepfm.recording.scorings.scoring import Event
from sleepfm.viewer.agreement_figures import bland_altman_figure, confusion_figure, signed, two_hypnograms_figure
from sleepfm.viewer.agreement_words import (
    disagreement_rows,
    event_rows,
    head_words,
    night_rows,
    number_rows,
    rows_csv,
    stage_rows,
)
from sleepfm.viewer.chart_export import figure_csv


def batch(count: int) -> list[NightPair]:
    rng = np.random.default_rng(0)
    made = []
    for n in range(count):
        a = np.repeat(rng.integers(0, 4, 12), 10).astype(np.int8)  # nobody uses REM
        b = np.where(rng.random(120) < 0.8, a, 0).astype(np.int8)
        events = tuple(Event(60.0 * k, 60.0 * k + 15, "Hypopnea") for k in range(n + 1))
        made.append(NightPair(f"<night {n}>", f"p{n}", Scored(a, events), Scored(b, events[:1])))
    return made


def test_confusion_shows_shares_of_the_row_and_an_unused_stage_as_nothing() -> None:
    found = agree_over_nights(batch(3))
    figure = confusion_figure(found.confusion, "Anna <b>", "YASA")
    shares = np.array(figure.data[0].z)
    np.testing.assert_allclose(shares[:4].sum(axis=1), 100)
    assert np.isnan(shares[4]).all()
    assert figure.layout.yaxis.title.text == "A: Anna &lt;b&gt;"
    assert stage_rows(found)[4]["F1"].startswith("– (")


def test_bland_altman_has_its_lines_bands_and_units() -> None:
    found = agree_over_nights(batch(5))
    number = next(one for one in found.numbers if one.key == "tst")
    figure = bland_altman_figure(number, [one.night for one in found.nights])
    assert len(figure.data[0].x) == 5
    assert figure.layout.xaxis.title.text.endswith("(min)")
    assert [one.type for one in figure.layout.shapes].count("rect") == 3
    np.testing.assert_allclose(figure.data[0].y, number.values_a - number.values_b)
    assert figure.data[0].text[0] == "&lt;night 0&gt;"
    alone = agree_over_nights(batch(2))
    assert not [one for one in bland_altman_figure(alone.numbers[0], ["a", "b"]).layout.shapes if one.type == "rect"]
    assert "limits of agreement ask for 3" in number_rows(alone.numbers)[0]["Remark"]


def test_two_hypnograms_mark_every_epoch_that_differs_and_tell_which_it_is() -> None:
    a = np.array([0, 1, 2, -1, 4], np.int8)
    b = np.array([0, 2, 2, 3, 3], np.int8)
    figure = two_hypnograms_figure(a, b, ("Anna", "YASA"), start=datetime(2020, 1, 1, 22))
    assert list(figure.data[2].customdata) == [2, 5]
    assert figure.data[2].x[0] == datetime(2020, 1, 1, 22, 0, 30)
    assert figure.data[0].y[3] is None  # Unknown is no stage
    assert "hours" in two_hypnograms_figure(a, b, ("Anna", "YASA"), start=None).layout.xaxis.title.text
    assert disagreement_rows(disagreements(a, b))[1] == {"Epoch": 5, "Epochs": 1, "A": "R", "B": "N3"}
    assert b"epoch 5: R against N3" in figure_csv(figure)


def test_tables_are_sorted_signed_and_safe_for_spreadsheets() -> None:
    found = agree_over_nights(batch(3))
    assert head_words(found) == "3 nights of 3 people, 360 epochs that both scored"
    kappas = [row["Kappa"] for row in night_rows(found)]
    assert kappas == sorted(kappas)  # type: ignore[type-var]
    (hypopneas,) = [row for row in event_rows(found.events) if row["Event"] == "Hypopnea"]
    assert (hypopneas["In both"], hypopneas["Only A"], hypopneas["Only B"]) == ("3", "3", "0")
    assert (signed(-1.24), signed(0.04), signed(2)) == ("−1.2", "0.0", "+2.0")
    assert rows_csv([{"Study": "=1+1", "Kappa": -0.1}]) == b"Study,Kappa\n'=1+1,-0.1\n"
