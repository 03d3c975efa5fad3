"""What the Finish page says where there is nothing to finish yet, or something is wrong."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from make_edf import write_edf
from report.made_up_report import MADE_AT
from starlette.applications import Starlette
from starlette.testclient import TestClient
from streamlit.testing.v1 import AppTest

from sleepfm.library.event_sets import store_events
from sleepfm.library.library import Library
from sleepfm.library.report_files import report_stamp, store_report
from sleepfm.recording.scorings.scoring import Event, Scoring
from sleepfm.runs.table import Lane
from sleepfm.viewer.report_preview import REPORT_PATH, report_routes

ROOT = Path(__file__).parents[2]
SHA256 = "0" * 64


@pytest.fixture
def library(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Library:
    monkeypatch.setenv("SLEEPFM_HOME", str(tmp_path / "home"))
    return Library.open()


def add_night(library: Library, tmp_path: Path, *, scored: bool = True) -> tuple[str, int]:
    study = library.add(write_edf(tmp_path / "night.edf", seconds=660))
    library.store_hash(study.id, SHA256)
    if not scored:
        return study.id, 0
    provenance = {"label": "YASA", "note": "YASA 0.8.1", "source_sha256": SHA256}
    return study.id, library.store_scoring(
        study.id, Scoring(np.full(22, 2, np.int8)), engine="yasa", model="", provenance=provenance
    )


def put_report(library: Library, study: str, number: int, *, stamp: str) -> None:
    store_report(
        library, study, number, html="<!doctype html><p>a report</p>", pdf=b"%PDF-1.4", name=study, made_at=MADE_AT, stamp=stamp,
        identified=False, person=True, paper="a4",
    )  # fmt: skip


def page(view: str = "numbers") -> AppTest:
    test = AppTest.from_file(str(ROOT / "app.py"), default_timeout=60).run()
    test.query_params["view"] = view
    test.switch_page("pages/finish.py").run()
    assert not test.exception
    return test


def said(test: AppTest) -> str:
    return "\n".join(one.value for kind in (test.info, test.warning, test.error, test.caption) for one in kind).replace("\\", "")


def test_without_a_study_or_a_scoring_it_says_where_they_come_from(library: Library, tmp_path: Path) -> None:
    assert "No studies yet" in said(page())
    study, _ = add_night(library, tmp_path, scored=False)
    assert "no scoring yet" in said(page())
    library.jobs.add("stage", lane=Lane.HEAVY, title="Stage", subject=study)
    assert "Staging of this night is under way" in said(page())
    library.study(study).path.unlink()
    assert "put the file back" in said(page())


def test_what_was_simulated_is_said_in_every_view_and_the_rule_of_the_ahi_beside_it(library: Library, tmp_path: Path) -> None:
    night, _ = add_night(library, tmp_path)
    rule = {"label": "psgscoring", "version": "0.37.0", "model": "aasm_v3_breath", "hypopnea_criterion": "1A: ≥30% flow"}
    about = rule | {"note": "", "source_sha256": SHA256, "indices": {"ahi": {"value": 7.0, "low": 2.3, "high": 8.0}}}
    apneas = [Event(10, 25, "Hypopnea"), Event(650, 670, "Hypopnea")]
    store_events(library, night, apneas, engine="psgscoring", model="aasm_v3_breath", provenance=about)
    library.connection.execute("UPDATE studies SET simulated = 1")
    for view in ("export", "sign-off"):
        assert "SIMULATED RECORDING" in said(page(view))
    shown = page()
    assert "SIMULATED RECORDING" in said(shown)
    numbers, events = (table.value.map(str) for table in shown.table)
    assert "2.3\u00a0to\u00a08.0\u00a0/h" in numbers.to_string().replace("\\", "")
    assert events[["Marked", "Counted"]].iloc[0].tolist() == ["2", "2"]


def test_a_report_is_offered_for_what_it_is(library: Library, tmp_path: Path) -> None:
    study, number = add_night(library, tmp_path)
    assert "There is no report of this scoring yet" in said(page("report"))
    put_report(library, study, number, stamp=report_stamp(library, study, number))
    shown = said(page("report"))
    assert "holds nothing of the header's identity" in shown
    assert "not of what is known now" not in shown
    put_report(library, study, number, stamp="older")
    assert "not of what is known now" in said(page("report"))
    job = library.jobs.add("report", lane=Lane.QUICK, title="Report", subject=study, parameters={"scoring": number})
    library.connection.execute("UPDATE jobs SET state = 'failed', error = 'the disk is full' WHERE id = ?", (job.id,))
    assert "The report could not be made: the disk is full" in said(page("report"))


def test_the_route_gives_a_page_that_can_do_nothing(library: Library, tmp_path: Path) -> None:
    study, number = add_night(library, tmp_path)
    client = TestClient(Starlette(routes=report_routes(library.home)), base_url="http://127.0.0.1")
    asked = {"study": study, "scoring": str(number)}
    assert client.get(REPORT_PATH, params=asked).status_code == 400
    put_report(library, study, number, stamp="")
    answer = client.get(REPORT_PATH, params=asked)
    assert answer.text == "<!doctype html><p>a report</p>"
    assert answer.headers["content-security-policy"].startswith("sandbox; default-src 'none'")
    assert answer.headers["cache-control"] == "no-store"
    assert client.get(REPORT_PATH, params={"study": "../x", "scoring": "1"}).status_code == 400
    assert client.get(REPORT_PATH, params={"study": study, "scoring": "1; DROP"}).status_code == 400
