"""Cohorts as they were downloaded: look-alike trees of MESA, MrOS, SHHS and CinC 2018, read by the descriptions that ship."""

from __future__ import annotations

import csv
import subprocess
import sys
from pathlib import Path

import h5py
import numpy as np
import pytest
from cohort_files import STAGES, nsrr_study, table, write_cinc2018, write_mesa, write_mros, write_shhs
from make_edf import write_edf
from pydantic import ValidationError

from sleepfm.errors import Cancelled, RequestError
from sleepfm.recording.scorings.formats import read_events, read_scoring
from sleepfm.signals.cohort_folders import convert_cohort
from sleepfm.signals.cohort_sources import CohortSource
from sleepfm.signals.cohort_trees import Cohort, read_cohort
from sleepfm.signals.store import open_signals
from sleepfm.training.config_files import read_settings, shipped_configs
from sleepfm.vocabulary import Modality

WRITERS = {"shhs": write_shhs, "mesa": write_mesa, "mros": write_mros, "cinc2018": write_cinc2018}


def source(name: str) -> CohortSource:
    return read_settings(CohortSource, f"sources/{name}")


def facts(cohort: Cohort) -> dict[str, tuple[str, str, dict[str, float | str]]]:
    return {study.id: (study.subject, study.visit, study.facts) for study in cohort.studies}


def test_every_description_that_ships_is_valid() -> None:
    names = {name.removeprefix("sources/") for name in shipped_configs() if name.startswith("sources/")}
    assert {*WRITERS, "simulated"} <= names
    for name in names:
        assert source(name).name == name


def test_shhs(tmp_path: Path) -> None:
    cohort = read_cohort(write_shhs(tmp_path), source("shhs"))
    assert cohort.left_out == ()
    assert cohort.warnings == ()
    one = {"age": 55.0, "sex": "male", "bmi": 21.77, "race": "white", "ahi": 4.5}
    two = {"age": 41.0, "sex": "female", "bmi": 32.95, "race": "black", "ahi": 17.25}
    assert facts(cohort) == {
        "shhs1-200001": ("shhs-200001", "1", one),
        "shhs1-200077": ("shhs-200077", "1", two),
        "shhs2-200077": ("shhs-200077", "2", two | {"age": 46.0, "bmi": 33.5, "ahi": 21.0}),
    }
    study = cohort.studies[2]
    assert study.site == "SHHS"
    assert study.recording == tmp_path / "polysomnography/edfs/shhs2/shhs2-200077.edf"
    assert study.scoring == tmp_path / "polysomnography/annotations-events-nsrr/shhs2/shhs2-200077-nsrr.xml"


def test_mesa_ids_lose_their_zeros_and_empty_cells_are_unknown(tmp_path: Path) -> None:
    cohort = read_cohort(write_mesa(tmp_path), source("mesa"))
    assert facts(cohort) == {
        "mesa-sleep-0001": ("mesa-0001", "", {"age": 68.0, "sex": "female", "bmi": 29.1, "race": "black", "ahi": 12.75}),
        "mesa-sleep-0002": ("mesa-0002", "", {"age": 90.0, "sex": "male", "race": "hispanic"}),
    }
    assert cohort.left_out == cohort.warnings == ()


def test_mros_ids_are_compared_without_case_and_a_missing_column_is_said(tmp_path: Path) -> None:
    cohort = read_cohort(write_mros(tmp_path), source("mros"))
    found = facts(cohort)
    assert found["mros-visit1-aa0001"] == (
        "mros-aa0001",
        "1",
        {"age": 76.0, "sex": "male", "bmi": 27.5, "race": "white", "ahi": 8.1},
    )
    assert found["mros-visit2-aa0002"] == ("mros-aa0002", "2", {"age": 77.0, "sex": "male", "bmi": 30.5, "race": "other"})
    assert len(found) == 3
    assert len(cohort.warnings) == 1
    assert "has no column poahi3a, so ahi is unknown" in cohort.warnings[0]


def test_cinc2018(tmp_path: Path) -> None:
    cohort = read_cohort(write_cinc2018(tmp_path), source("cinc2018"))
    assert facts(cohort) == {
        "tr03-0005": ("cinc2018-tr03-0005", "", {"age": 60.0, "sex": "male"}),
        "tr03-0029": ("cinc2018-tr03-0029", "", {"age": 42.0, "sex": "female"}),
    }
    assert [(one.path.name, one.reason) for one in cohort.left_out] == [
        ("te03-0006.hea", "its place or name fits no path of the description")
    ]


@pytest.mark.parametrize("name", sorted(WRITERS))
def test_the_whole_way_from_a_tree_to_signals_and_stages(tmp_path: Path, name: str) -> None:
    cohort = read_cohort(WRITERS[name](tmp_path / "tree"), source(name))
    out = tmp_path / "out"
    fractions: list[float] = []
    made = convert_cohort(cohort, out, progress=lambda fraction, _: fractions.append(fraction))
    assert made["failed"] == []
    assert [record["id"] for record in made["records"]] == [study.id for study in cohort.studies]
    assert fractions == sorted(fractions)
    for study in cohort.studies:
        with open_signals(out / f"{study.id}.hdf5") as signals:
            assert set(signals.modalities()) == set(Modality)
            for modality, channels in signals.modalities().items():
                for channel in channels:
                    assert channel.n_samples == 150 * 128, (modality, channel.label)
        scoring = read_scoring(out / f"{study.id}.csv")
        assert scoring.stages.tolist() == STAGES
        np.testing.assert_array_equal(scoring.stages, read_scoring(study.scoring, duration_s=150).stages)
        assert [event.name for event in read_events(out / f"{study.id}_events.csv")] == ["Hypopnea"]
    with (out / "cohort.csv").open(encoding="utf-8") as file:
        rows = {row["Study ID"]: row for row in csv.DictReader(file)}
    assert [rows[study.id]["Subject ID"] for study in cohort.studies] == [study.subject for study in cohort.studies]
    assert [float(rows[study.id]["age"]) for study in cohort.studies] == [study.facts["age"] for study in cohort.studies]

    again = read_cohort(out, source("simulated"))  # a converted cohort is a cohort folder
    assert again.left_out == ()
    assert [(one.id, one.subject, one.site, one.scoring) for one in again.studies] == [
        (one.id, one.subject, one.site, out / f"{one.id}.csv") for one in cohort.studies
    ]


def test_what_is_left_out_is_named_with_its_reason(tmp_path: Path) -> None:
    root = write_shhs(tmp_path)
    edfs = root / "polysomnography/edfs"
    nsrr_study(root, "shhs1", "shhs1-200009", ("C3",)).write_bytes(b"no EDF at all")
    write_edf(edfs / "shhs1/shhs1-200010.edf", seconds=60)
    write_edf(edfs / "shhs1/extra/shhs1-200001.edf", seconds=60)
    write_edf(edfs / "shhs1/shhs2-200011.edf", seconds=60)
    cohort = read_cohort(root, source("shhs"))
    assert [study.id for study in cohort.studies] == ["shhs1-200001", "shhs1-200077", "shhs2-200077"]
    reasons = {one.path.relative_to(edfs).as_posix(): one.reason for one in cohort.left_out}
    assert set(reasons) == {
        f"shhs1/{name}.edf" for name in ("shhs1-200009", "shhs1-200010", "extra/shhs1-200001", "shhs2-200011")
    }
    assert "is not an EDF or BDF file" in reasons["shhs1/shhs1-200009.edf"]
    assert "there is no polysomnography/annotations-events-nsrr/shhs1/shhs1-200010-nsrr.xml" in reasons["shhs1/shhs1-200010.edf"]
    assert "fits no path" in reasons["shhs1/extra/shhs1-200001.edf"]
    assert "fits no path" in reasons["shhs1/shhs2-200011.edf"]  # the folder says visit 1, the name visit 2
    unscored = read_cohort(root, source("shhs"), scored=False)
    assert {study.id: study.scoring for study in unscored.studies}["shhs1-200010"] is None


def test_a_study_in_two_forms_counts_once(tmp_path: Path) -> None:
    for name in ("a", "b"):
        write_edf(tmp_path / f"{name}.edf", seconds=60)
        table(tmp_path / f"{name}.csv", "Start,Stop,StageName,StageNumber", "0,60,Wake,0")
    h5py.File(tmp_path / "a.hdf5", "w").close()
    (tmp_path / "b.hdf5").write_bytes(b"\x89HDF but not really")
    cohort = read_cohort(tmp_path, source("simulated"))
    assert {study.id: study.recording.name for study in cohort.studies} == {"a": "a.hdf5", "b": "b.edf"}
    reasons = {one.path.name: one.reason for one in cohort.left_out}
    assert set(reasons) == {"a.edf", "b.hdf5"}
    assert f"is the study a again, which is read from {tmp_path / 'a.hdf5'}" in reasons["a.edf"]
    assert "no HDF5 file" in reasons["b.hdf5"]
    assert any("no such table, so subject, site, age" in warning for warning in cohort.warnings)
    with pytest.raises(RequestError, match="signals files are used as they are"):
        convert_cohort(Cohort("simulated", tmp_path, cohort.studies[:1], (), ()), tmp_path / "out")


def test_tables_that_cannot_be_trusted(tmp_path: Path) -> None:
    root = write_mesa(tmp_path)
    table(
        root / "datasets/mesa-sleep-dataset-0.10.0.csv",
        "MesaID,sleepage5c,gender1,race1c,bmi5c,ahi_a0h3a",
        "0001,old,7,1,NA,.",
        "2,61,1,1,25,3",
        "2,62,1,1,25,3",
        "3",
    )
    cohort = read_cohort(root, source("mesa"))
    assert [study.facts for study in cohort.studies] == [{"race": "white"}, {}]
    said = "\n".join(cohort.warnings)
    assert "0.10.0.csv is read; 1 older release(s)" in said
    assert "age 'old' (1 times)" in said
    assert "sex '7' (1 times)" in said
    assert "1 people (such as 2) have rows that contradict each other" in said
    table(root / "datasets/mesa-sleep-dataset-0.11.0.csv", "id,age", "1,50")
    cohort = read_cohort(root, source("mesa"))
    assert [study.facts for study in cohort.studies] == [{}, {}]
    assert "has no column mesaid to know people by" in "\n".join(cohort.warnings)


def test_a_broken_scoring_costs_its_study_only_its_stages(tmp_path: Path) -> None:
    root = write_mesa(tmp_path / "tree")
    xml = root / "polysomnography/annotations-events-nsrr/mesa-sleep-0001-nsrr.xml"
    xml.write_text("<PSGAnnotation>")
    out = tmp_path / "out"
    made = convert_cohort(read_cohort(root, source("mesa")), out)
    assert {failure["file"] for failure in made["failed"]} == {str(xml)}
    assert all("not well-formed" in failure["error"] for failure in made["failed"])
    assert sorted(path.name for path in out.glob("mesa-sleep-0001*")) == ["mesa-sleep-0001.hdf5"]
    assert (out / "mesa-sleep-0002.csv").is_file()


def test_cancelling_leaves_no_half_file(tmp_path: Path) -> None:
    cohort = read_cohort(write_mesa(tmp_path / "tree"), source("mesa"))

    def stop(fraction: float, _: str) -> None:
        if fraction >= 0.9:
            raise Cancelled("enough")

    with pytest.raises(Cancelled):
        convert_cohort(cohort, tmp_path / "out", progress=stop)
    assert not list((tmp_path / "out").glob("*.part"))
    assert not list((tmp_path / "out").glob(".*.part"))


def test_folders_that_hold_nothing_of_it(tmp_path: Path) -> None:
    with pytest.raises(RequestError, match="no such folder"):
        read_cohort(tmp_path / "nowhere", source("mesa"))
    with pytest.raises(RequestError, match="holds no recording of mesa"):
        read_cohort(write_shhs(tmp_path), source("mesa"))


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"recordings": ("/abs/{subject}.edf",)}, "below the cohort's folder"),
        ({"recordings": ("../{subject}.edf",)}, "below the cohort's folder"),
        ({"recordings": ("edfs/{person}.edf",)}, r"\{person\} is no placeholder"),
        ({"recordings": ("edfs/{subject!r}.edf",)}, "is no placeholder"),
        ({"recordings": ("edfs/{subject.edf",)}, "brace without its partner"),
        ({"recordings": ("edfs/*.edf",)}, "written as a placeholder"),
        ({"recordings": ("edfs/night.edf",)}, r"needs \{subject\} or \{study\}"),
        ({"recordings": ("{subject}.edf", "{subject}-{visit}.edf")}, "same placeholders"),
        ({"scoring": "{subject}-{visit}.xml"}, r"\{visit\} is no placeholder of the recordings"),
        ({"subject": "{study}"}, r"\{study\} is no placeholder of the recordings"),
        (
            {"people": ({"file": "../a.csv", "matches": {"subject": "id"}, "columns": {"age": "age"}},)},
            "below the cohort's folder",
        ),
        ({"people": ({"file": "a.csv", "matches": {"visit": "v"}, "columns": {"age": "age"}},)}, "no placeholder"),
        ({"people": ({"file": "a.csv", "matches": {}, "columns": {"age": "age"}},)}, "at least 1 item"),
        ({"name": "a/b"}, "pattern"),
        ({"speed": 3}, "speed"),
    ],
)
def test_a_description_that_cannot_be_meant(change: dict[str, object], words: str) -> None:
    whole = {"name": "a", "site": "a", "subject": "a-{subject}", "recordings": ("{subject}.edf",), "scoring": "{subject}.xml"}
    assert CohortSource.model_validate(whole).events is None
    with pytest.raises(ValidationError, match=words):
        CohortSource.model_validate(whole | change)


def test_trees_are_read_without_torch() -> None:
    code = "import sys, sleepfm.signals.cohort_folders; sys.exit('torch' in sys.modules or 'wfdb' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
