"""Views of several nights and of a cohort: what is drawn says what was computed, with its n, units and intervals."""

from __future__ import annotations

import io
import pickle
from pathlib import Path

import numpy as np
import pandas as pd
import plotly.graph_objects as go
import pytest

from sleepfm.analysis.estimates import Estimate
from sleepfm.inference.embedding_files import EmbeddingOrigin, Embeddings, embedding_paths, write_embeddings
from sleepfm.library import facts
from sleepfm.library.cohort_answers import cohort_answer
from sleepfm.library.cohort_risk import CohortQuestion, MatchQuestion
from sleepfm.library.library import Library
from sleepfm.recording.scorings.scoring import Scoring
from sleepfm.viewer.cohort_risk_curves import survival_figure
from sleepfm.viewer.cohort_risk_enrichment import words
from sleepfm.viewer.cohort_risk_view import RiskView
from sleepfm.viewer.cohort_risk_views import cohort_view, matched_view, nights_view
from sleepfm.vocabulary import Kind, Modality
from tests.library.followed_library import followed_library, store_risk

PEOPLE = 40
ENCODER = "e" * 64


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> Library:
    library = followed_library(tmp_path_factory.mktemp("views"), PEOPLE)
    rng = np.random.default_rng(4)
    for study in ("n010", "n010b", "n001", "n002", "n003"):
        centre_e = np.random.default_rng(int(study[1:4])).normal(size=128)
        rows = {Modality.BAS: centre_e + rng.normal(size=(20, 128)), Modality.EKG: rng.normal(size=(20, 128))}
        embed(library, study, {modality: rows_ne.astype(np.float32) for modality, rows_ne in rows.items()})
    return library


def embed(library: Library, study: str, rows: dict[Modality, np.ndarray]) -> None:
    origin = EmbeddingOrigin(
        record_id=study,
        model="an-encoder",
        weights_sha256=ENCODER,
        recipe="published",
        source_sha256=library.study(study).sha256 or "",
        key="k",
        duration_s=6000.0,
        last_window_tokens=60,
        gaps=(),
        channels=dict.fromkeys(rows, ("x",)),
        left_out=(),
        notes=(),
        device="cpu",
        precision="fp32",
        simulated=False,
        sleepfm_version="0",
    )
    path = embedding_paths(library.study_folder(study) / "embeddings" / ENCODER[:16], study)[1]
    write_embeddings({path: Embeddings(rows, 300.0, origin)})


def looked_at(view: RiskView) -> str:
    """Check what holds for every view and return all its words."""
    assert pickle.loads(pickle.dumps(view)).words == view.words, "it comes from another process"
    for names in ([one.name for one in view.figures], [one.name for one in view.tables]):
        assert len(set(names)) == len(names), "each is a file of its own"
    for one in view.figures:
        assert all(trace.type in ("scatter", "bar") for trace in one.figure.data), "SVG only"
        assert isinstance(one.figure, go.Figure)
        titles = [one.figure.layout[axis].title.text for axis in one.figure.layout if str(axis).startswith(("xaxis", "yaxis"))]
        assert any(titles), "axes are named"
    for one in view.tables:
        read = pd.read_csv(io.BytesIO(one.csv()))
        assert len(read) == len(one.data) == len(one.shown)
        assert list(read.columns) == list(one.data.columns)
    return "\n".join([*view.words, *view.warnings, *(one.note for one in (*view.figures, *view.tables))])


def test_cohort_shows_groups_beside_age_and_sex_and_what_the_top_had(library: Library) -> None:
    question = CohortQuestion("risky", "SIM-01", groups=2, horizon_years=3.0)
    view, found = cohort_view(library.home, question), cohort_answer(library.home, question)
    said = looked_at(view)
    events = int(found.event_n.sum())
    c_index = words(next(one for one in found.assessment.conditions if one.name == "SIM-01").model.c_index)
    assert f"{PEOPLE} people with a risk by risky" in said
    assert f"{events} events" in said
    assert f"chi-squared {found.groups.log_rank.statistic:.1f}, 1 degrees of freedom" in said
    assert f"SIM-01: C-index {c_index}, by age and sex alone {c_index}: does not beat age and sex." in said
    assert "4 later nights of people who are there already" in said
    assert [one.name for one in view.figures] == ["event-free-by-groups", "event-free-by-groups-age-and-sex", "enrichment"]
    curves = view.figures[0].figure
    named = [trace for trace in curves.data if trace.name]
    assert [trace.name for trace in named] == [f"{g.label} (n = {g.n}, {g.events} events)" for g in found.groups.groups]
    for trace, group in zip(named, found.groups.groups, strict=True):
        np.testing.assert_array_equal(trace.y, group.curve.event_free_t)
    counts = [trace.text for trace in curves.data if trace.mode == "text"]
    assert counts == [tuple(str(count) for count in g.at_risk_t) for g in found.groups.groups]
    groups, conditions, people, left_out = view.tables
    assert len(left_out.data) == 4
    assert list(groups.data["by"]) == ["the model"] * 2 + ["age and sex alone"] * 2
    assert groups.data["n"].sum() == 2 * PEOPLE
    row = conditions.data.set_index("condition").loc["SIM-01"]
    (told,) = [one for one in found.assessment.conditions if one.name == "SIM-01"]
    assert row["events_in_top"] == told.enrichment.events_in_top.value
    assert row["events_in_top_low"] <= row["events_in_top"] <= row["events_in_top_high"]
    assert (row["n"], row["events"]) == (PEOPLE, events)
    assert "does not beat age and sex" in conditions.shown.set_index("Condition").loc["SIM-01", "Beside age and sex"]
    assert list(people.data["log_hazard"]) == sorted(found.log_hazard_n, reverse=True)
    assert set(people.data["group"]) == {"lowest half", "highest half"}


def test_an_interval_of_no_width_is_none() -> None:
    assert words(Estimate(0.5, 0.25, 0.75, 9, 9)) == "0.50 (0.25 to 0.75)"
    assert words(Estimate(1.0, 1.0, 1.0, 2, 2), percent=True) == "100 %"
    assert words(Estimate(0.5, None, None, 1, 1)) == "0.50"


def test_names_of_conditions_are_no_markup_in_figures(library: Library) -> None:
    groups = cohort_answer(library.home, CohortQuestion("risky", "SIM-01")).groups
    assert groups is not None
    drawn = survival_figure(groups, '<a href="http://x">\u202eclick</a>').to_json()
    assert "<a href" not in drawn
    assert "\u202e" not in drawn
    assert "\\\\u202e" in drawn


def test_cohort_without_events_or_simulated_or_of_unknown_people_says_so(tmp_path: Path) -> None:
    library = followed_library(tmp_path, 8)
    for number in range(8):
        store_risk(library, f"n{number:03d}", [0.1 * number] * 3, trained_on="simulated", demographics_log_hazard_k=None)
    facts.store(library, "n003", {"subject": ""})
    said = looked_at(cohort_view(library.home, CohortQuestion("risky", "SIM-03")))
    assert "no log-rank test, no events" in said
    assert "Only 0 events" in said
    assert "risky was trained on simulated signals" in said
    assert "Nobody stated whose nights 1 of these studies are" in said
    assert "nothing stands beside the model here" in said
    library.connection.execute("DELETE FROM outcomes")
    view = cohort_view(library.home, CohortQuestion("risky", "SIM-01"))
    assert "import is_event.csv and time_to_event.csv" in looked_at(view)
    assert view.figures == ()
    assert [one.name for one in view.tables] == ["left-out"]
    assert set(view.tables[0].data["reason"]) == {
        "without a follow-up of this condition",
        "later nights of people who are there already",
    }


def test_matched_people_stand_around_the_person(library: Library) -> None:
    view = matched_view(library.home, MatchQuestion("n010", "risky", "SIM-01", caliper_years=6.0, most=4))
    said = looked_at(view)
    assert "4 of" in said
    assert "women within 6 years of 50" in said
    assert "By age and sex alone (age-and-sex)" in said
    own = view.figures[0].figure.data[-1]
    assert own.x == (50.0,)
    (table,) = view.tables
    assert table.data["study"].iloc[0] == "n010"
    assert table.data["years_away"].max() <= 6
    assert len(table.data) == 5
    alone = matched_view(library.home, MatchQuestion("n010", "risky", "SIM-01", caliper_years=0.0))
    assert "Nobody can be compared" in looked_at(alone)


def test_two_nights_show_stages_scores_and_how_far_apart_they_are(library: Library) -> None:
    stages = np.array([0, 1, 2, 3, 2, 4] * 10, np.int8)
    for study in ("n010", "n010b"):
        provenance = {"label": "an <expert>\u202e", "note": "", "source_sha256": library.study(study).sha256}
        library.store_scoring(study, Scoring(stages), engine="file", model="", provenance=provenance)
    view = nights_view(library.home, "n010", "n010b", "risky")
    said = looked_at(view)
    assert [one.name for one in view.figures] == ["nights-stages", "nights-scores", "nights-embeddings"]
    assert "\u202e" not in said
    assert "an <expert>" in said
    minutes = {trace.name: trace.x for trace in view.figures[0].figure.data}
    assert minutes["N2"] == (10.0, 10.0)
    distances = view.figures[2].figure.data[0]
    assert distances.y == ("Brain and eyes (BAS)", "Heart (EKG)")
    assert distances.x[0] < view.figures[2].figure.data[1].x[0], "the same person's brain is nearer than other people's"
    scores, measures, apart = view.tables
    assert list(apart.data["others"]) == [3, 3]
    assert apart.data["others_nearer"].iloc[0] == 0
    assert apart.shown["Nearer than the second night"].iloc[0] == "0 % (0 to 56)"
    assert {"Sleep time", "ahi"} <= set(measures.data["measure"])
    assert list(scores.data["phecode"]) == ["SIM-01", "SIM-02", "SIM-03"]
    np.testing.assert_allclose(scores.data["change"], 0.3)
    np.testing.assert_allclose(scores.data["change_high"] - scores.data["change"], np.hypot(0.2, 0.2))


def test_two_nights_that_nobody_staged_assessed_or_embedded_say_so(library: Library) -> None:
    view = nights_view(library.home, "n020", "n020b", "other-model")
    said = looked_at(view)
    assert view.figures == ()
    for lacking in ("has no risk by other-model yet", "was not staged", "were not both embedded"):
        assert lacking in said
    library.store_hash("n010b", "f" * 64)
    assert "were not both embedded" in looked_at(nights_view(library.home, "n010", "n010b", None)), "of other bytes"
    library.store_hash("n010b", f"{PEOPLE + 1:064d}")
    assert "were not both embedded" not in looked_at(nights_view(library.home, "n010", "n010b", None))
    library.correct_channel("n010", 0, Kind.ECG)  # all are of one montage
    assert "were not both embedded" in looked_at(nights_view(library.home, "n010", "n010b", None)), "of other channels"
    library.correct_channel("n010", 0, None)
