"""What the page of neighbours says, how it reads a time, and the table it hands out."""

from __future__ import annotations

import csv
import io
from datetime import datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sleepfm.errors import RequestError
from sleepfm.library.facts import Person
from sleepfm.library.neighbours import Clip, Neighbour, NeighbourAnswer, NeighbourQuery
from sleepfm.library.second_opinion import Opinion
from sleepfm.viewer.similar_words import (
    clip_words,
    elapsed,
    found_words,
    neighbours_csv,
    opinion_words,
    ordinal,
    person_words,
    read_time,
    time_of_night,
    window_of,
)
from sleepfm.vocabulary import Modality, Stage


def answer(*neighbours: Neighbour, rank: int | None = 3, same_subject: bool = False) -> NeighbourAnswer:
    query = NeighbourQuery("encoder-1", (Clip("night", 600.0),), Modality.RESP, Modality.EKG, top=8, same_subject=same_subject)
    return NeighbourAnswer(query, neighbours, rank, candidates=2309, seconds=0.012, notes=())


def known(study: str = "other") -> Person:
    return Person(study, subject="P7", known_subject=True, site="A", age=49.9, sex="female")


def unknown(study: str = "stranger") -> Person:
    return Person(study, subject=study, known_subject=False, site=None, age=None, sex=None)


@pytest.mark.parametrize(
    ("number", "words"),
    [(1, "1st"), (2, "2nd"), (3, "3rd"), (4, "4th"), (11, "11th"), (12, "12th"), (13, "13th"), (21, "21st"), (112, "112th"),
     (1_003, "1,003rd"), (2_310, "2,310th")],
)  # fmt: skip
def test_ranks_are_said_as_people_say_them(number: int, words: str) -> None:
    assert ordinal(number) == words


def test_the_true_partner_is_ranked_among_the_candidates_and_itself() -> None:
    said = found_words(answer(Neighbour("other", 0.0, 0.5, known())))
    assert said == "1 nearest of 2,309 EKG clips in other people's nights; its own EKG ranks 3rd of 2,310"
    assert found_words(answer(rank=None, same_subject=True)) == "0 nearest of 2,309 EKG clips in all people's nights"


@given(st.integers(0, 30 * 3600))
def test_what_is_written_as_a_time_is_read_as_that_time(seconds: int) -> None:
    assert read_time(elapsed(seconds)) == seconds
    assert read_time(f" {seconds} ") == seconds
    assert 0 <= seconds - window_of(seconds) < 300
    assert window_of(seconds) % 300 == 0


@pytest.mark.parametrize("text", ["", "soon", "1:60:00", "0:00:61", "-5", "1:2:3:4", "nan", "1e3", "12:5", "٣:٠٠:٠٠", "99999999"])
def test_what_is_no_time_is_refused(text: str) -> None:
    with pytest.raises(RequestError, match="is no time"):
        read_time(text)


def test_time_of_night_passes_midnight_and_does_without_a_date() -> None:
    assert time_of_night(datetime(2020, 1, 2, 22, 30), 3 * 3600 + 40 * 60) == "02:10, 3:40:00 after the start"
    assert time_of_night(None, 75) == "0:01:15 after the start"


def test_what_nobody_stated_is_said_to_be_unknown_and_never_guessed() -> None:
    assert person_words(known()) == "age 40 to 49 · site A"
    assert person_words(unknown()) == "age unknown · site unknown"


def test_hostile_names_are_said_harmlessly() -> None:
    person = Person("x", subject="x", known_subject=False, site="\x1b[31mred\u202e", age=None, sex=None)
    assert person_words(person) == "age unknown · site \\x1b[31mred\\u202e"
    assert clip_words(Clip("a\nb", 60.0)) == "a\\nb at 0:01:00"


def test_the_table_holds_the_neighbours_and_what_they_were_found_with() -> None:
    found = (Neighbour("other", 300.0, 0.51234567, known()), Neighbour('st,ra"nger', 0.0, -0.25, unknown('st,ra"nger')))
    rows = list(csv.DictReader(io.StringIO(neighbours_csv(answer(*found)))))
    assert [row["rank"] for row in rows] == ["1", "2"]
    assert rows[0] | {"rank": ""} == {
        "rank": "", "study": "other", "start_s": "300", "stop_s": "600", "modality": "EKG", "similarity": "0.512346",
        "subject": "P7", "site": "A", "age_band": "40 to 49", "sex": "female", "query": "night@600", "query_modality": "RESP",
        "encoder": "encoder-1", "candidates": "2309",
    }  # fmt: skip
    assert rows[1]["study"] == 'st,ra"nger'
    assert [rows[1][name] for name in ("subject", "site", "age_band", "sex")] == [""] * 4


def test_a_second_opinion_names_the_commonest_stage_first_and_leaves_out_what_nobody_gave() -> None:
    counts = {Stage.WAKE: 7, Stage.N1: 12, Stage.N2: 31, Stage.N3: 0, Stage.REM: 0}
    opinion = Opinion(counts, epochs=50, people=23, scored_epochs=9000, scored_people=40, notes=())
    said = "Neighbours: N2 31, N1 12, W 7 of 50 epochs of 23 other people, as people staged them"
    assert opinion_words(opinion, simulated=False) == said
    assert opinion_words(opinion, simulated=True).endswith("as staged in their simulated nights")
