"""What used a model, and that one in use is never taken away."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from sleepfm.errors import RequestError
from sleepfm.library.library import Library
from sleepfm.library.model_use import StudyUse, made_by, remove_unused, uses
from sleepfm.library.review_begin import begin
from sleepfm.models.card import Task
from sleepfm.models.shelf import Shelf, ShelfEntry
from sleepfm.recording.scorings.scoring import Scoring
from sleepfm.runs.table import JobState, Lane
from tests.library.small_library import add_studies
from tests.models.made_up_cards import put_card, sha256_of
from tests.viewer.made_up_risk import made_up_reference

SOURCE = "0" * 64


@pytest.fixture
def library(tmp_path: Path) -> Iterator[Library]:
    """Give a library of three studies and a shelf with an encoder and its two heads."""
    (tmp_path / "recordings").mkdir()
    with Library.open(tmp_path / "home") as opened:
        for study in add_studies(opened, tmp_path / "recordings", ("a", "b", "c")):
            opened.store_hash(study, SOURCE)
        put_card(opened.home.models, "base")
        put_card(opened.home.models, "stager", Task.STAGING)
        put_card(opened.home.models, "risky", Task.DISEASE)
        yield opened


def put_scoring(library: Library, study: str, head: str, encoder: str) -> None:
    provenance = {
        "label": "SleepFM",
        "note": "",
        "source_sha256": SOURCE,
        "weights_sha256": sha256_of(head),
        "encoder_sha256": sha256_of(encoder),
    }
    scoring = Scoring(stages=np.zeros(3, dtype=np.int8))
    library.store_scoring(study, scoring, engine="sleepfm", model=head, provenance=provenance)


def put_row(library: Library, table: str, **values: object) -> None:
    columns = ", ".join(values)
    library.connection.execute(f"INSERT INTO {table} ({columns}) VALUES ({', '.join('?' * len(values))})", tuple(values.values()))


def put_risk(library: Library, study: str, head: str) -> None:
    put_row(
        library, "risks", study=study, model=head, weights_sha256=sha256_of(head), file="1.npz", provenance="{}",
        source_sha256=SOURCE, created_at="2026-11-20T00:00:00+00:00",
    )  # fmt: skip


def put_index(library: Library, study: str, encoder: str) -> None:
    for grain in ("window", "epoch"):
        put_row(
            library, "index_blocks", encoder=sha256_of(encoder), grain=grain, study=study, first_row=0, rows=1, modalities="BAS",
            source_sha256=SOURCE, embeddings_key="k", created_at="2026-11-20T00:00:00+00:00",
        )  # fmt: skip


def entry(library: Library, name: str) -> ShelfEntry:
    return Shelf(library.home.models).get(name)


def test_a_model_that_did_nothing_has_no_use_and_can_go(library: Library) -> None:
    found = uses(library, entry(library, "stager"))
    assert (found.any, found.words()) == (False, "")
    assert remove_unused(library, "stager").name == "stager"
    assert [one.name for one in Shelf(library.home.models).entries()] == ["base", "risky"]


def test_studies_are_found_by_the_weights_that_stand_in_what_was_made(library: Library) -> None:
    put_scoring(library, "a", "stager", "base")
    put_scoring(library, "b", "another stager", "base")
    put_risk(library, "a", "risky")
    put_index(library, "c", "base")
    assert uses(library, entry(library, "base")).studies == (
        StudyUse("a", ("staged",)),
        StudyUse("b", ("staged",)),
        StudyUse("c", ("indexed",)),
    )
    assert uses(library, entry(library, "stager")).studies == (StudyUse("a", ("staged",)),)
    assert uses(library, entry(library, "risky")).studies == (StudyUse("a", ("assessed",)),)
    with pytest.raises(RequestError, match="stager is used by 1 study, and stays"):
        remove_unused(library, "stager")


def test_a_review_keeps_the_model_that_it_began_from(library: Library) -> None:
    put_scoring(library, "a", "stager", "base")
    proposal = library.scorings("a")[0].id
    begin(library, "a", scorer="ada", user="ada", base=proposal)
    library.remove_scoring("a", proposal)
    assert uses(library, entry(library, "stager")).studies == (StudyUse("a", ("staged",)),)
    assert uses(library, entry(library, "base")).studies == (StudyUse("a", ("staged",)),)


def test_an_encoder_is_used_by_its_heads_and_retired_ones_count(library: Library) -> None:
    Shelf(library.home.models).retire("risky")
    found = uses(library, entry(library, "base"))
    assert found.heads == ("risky", "stager")
    assert found.words() == "the heads risky and stager"
    with pytest.raises(RequestError, match="base is used by the heads risky and stager"):
        remove_unused(library, "base")
    put_card(library.home.models, "twin", weights="base")
    assert uses(library, entry(library, "base")).heads == ()
    remove_unused(library, "base")


def test_runs_that_name_a_model_use_it_and_those_of_another_name_do_not(library: Library) -> None:
    def add(kind: str, **config: object) -> str:
        job = library.jobs.add(kind, lane=Lane.TRAIN_CPU, title=f"{kind} {config}", parameters={"config": config})
        library.jobs.end(job.id, JobState.FINISHED)
        return job.id

    finetuned = add("finetune", name="x", encoder="base")
    pretrained = add("pretrain", name="y", start_from="base", encoder={"architecture": "SetTransformer"})
    by_folder = add("finetune", name="z", encoder=str(library.home.models / "base"))
    add("finetune", name="base", encoder="other")
    waiting = library.jobs.add("stage", lane=Lane.HEAVY, title="Stage a", parameters={"study": "a", "model": "stager"})
    assert {run.id for run in uses(library, entry(library, "base")).runs} == {finetuned, pretrained, by_folder}
    assert [run.id for run in uses(library, entry(library, "stager")).runs] == [waiting.id]
    library.jobs.end(waiting.id, JobState.FAILED, error="x")
    assert uses(library, entry(library, "stager")).runs == ()


def test_runs_of_the_command_line_are_found_by_their_folders(library: Library) -> None:
    by_hand = (("broken", "base: [\n"), ("deep", "base: " + "[" * 1200), ("day", "base: 2001-13-45\n"))
    for name, text in (("mine", "encoder: base\nname: mine\n"), *by_hand, ("else", "encoder: {base: 1}\n")):
        (library.home.runs / name).mkdir()
        (library.home.runs / name / "config.yaml").write_text(text, encoding="utf-8")
    (run,) = uses(library, entry(library, "base")).runs
    assert (run.id, run.listed) == ("mine", False)


def test_the_model_of_age_and_sex_that_a_reference_was_compared_with_stays(library: Library) -> None:
    put_card(library.home.models, "plain", Task.DISEASE, baseline=True)
    reference = made_up_reference().model_dump(mode="json")
    reference |= {"weights_sha256": sha256_of("risky"), "demographics": {"name": "plain", "weights_sha256": sha256_of("plain")}}
    (library.home.models / "risky" / "reference.json").write_text(json.dumps(reference), encoding="utf-8")
    assert uses(library, entry(library, "plain")).compared == ("risky",)
    with pytest.raises(RequestError, match="used by the comparison of risky"):
        remove_unused(library, "plain")


def test_the_run_that_made_a_model_is_the_one_that_holds_its_weights(library: Library) -> None:
    base = entry(library, "base")
    assert made_by(library, base) is None
    ids = []
    for weights in ("base", "other weights"):
        job = library.jobs.add("pretrain", lane=Lane.TRAIN_CPU, title="Pretrain base", parameters={"n": weights})
        library.jobs.end(job.id, JobState.FINISHED, result={"model": "base"})
        put_card(library.home.runs / job.id, "model", weights=weights)
        ids.append(job.id)
    found = made_by(library, base)
    assert found is not None
    assert (found.id, found.listed, found.state) == (ids[0], True, "finished")
    put_card(library.home.runs / "stager", "model", Task.STAGING, weights="stager")
    by_hand = made_by(library, entry(library, "stager"))
    assert by_hand is not None
    assert (by_hand.id, by_hand.listed) == ("stager", False)
