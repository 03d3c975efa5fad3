"""What the page of neighbours says when there is nothing to look up, or nothing to look it up with."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from library.simulated_models import bundle
from make_edf import write_edf
from streamlit.testing.v1 import AppTest

from sleepfm.library.library import Library
from sleepfm.runs.table import JobState, Lane

APP = Path(__file__).parents[2] / "app.py"


@pytest.fixture
def library(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Library:
    monkeypatch.setenv("SLEEPFM_HOME", str(tmp_path / "home"))
    return Library.open(tmp_path / "home")


def opened(**address: str) -> AppTest:
    page = AppTest.from_file(str(APP), default_timeout=60)
    page.switch_page("pages/similar.py")
    page.query_params.update(address)
    page.run()
    assert not page.exception
    return page


def said(page: AppTest) -> str:
    return " ".join(one.value for part in (page.info, page.error, page.warning, page.caption, page.markdown) for one in part)


def labels(page: AppTest) -> list[str]:
    return [button.label for button in page.button]


@pytest.mark.usefixtures("library")
def test_an_empty_library_offers_a_simulated_cohort() -> None:
    page = opened()
    assert "No studies yet" in said(page)
    assert labels(page) == ["Make a simulated cohort to try this with"]


def test_an_unknown_study_is_said_so(library: Library, tmp_path: Path) -> None:
    library.add(write_edf(tmp_path / "night.edf"))
    assert "no study 'nobody' in the library" in said(opened(study="nobody")).replace("\\", "")


def test_one_study_has_no_neighbours_and_an_empty_shelf_no_encoder(library: Library, tmp_path: Path) -> None:
    library.add(write_edf(tmp_path / "night.edf"))
    page = opened()
    assert "There is one study in the library" in said(page)
    assert "No encoder is on the shelf" in said(page)
    assert "Make a simulated cohort to try this with" in labels(page)


def test_an_encoder_trained_on_simulated_signals_is_not_used_unless_it_is_named(
    library: Library, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SLEEPFM_BUNDLED_MODELS", str(bundle(tmp_path / "bundled")))
    for name in ("one", "two"):
        library.add(write_edf(tmp_path / f"{name}.edf"))
    page = opened(study="one")
    assert "No encoder trained on real recordings is on the shelf" in said(page)
    assert not any("index" in label.lower() for label in labels(page))
    named = opened(study="one", encoder="demo-encoder")
    assert "What it says of a real recording means nothing" in said(named).replace("\\", "")
    assert {"Index this study", "Index all 2"} <= set(labels(named))


def test_work_on_the_index_can_be_cancelled_and_what_failed_is_said(
    library: Library, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SLEEPFM_BUNDLED_MODELS", str(bundle(tmp_path / "bundled")))
    for name in ("one", "two"):
        library.add(write_edf(tmp_path / f"{name}.edf"))
    job = library.jobs.add("index", lane=Lane.HEAVY, title="Index what is missing")
    library.jobs.claim(Lane.HEAVY)
    page = opened(study="one", encoder="demo-encoder")
    assert "Cancel" in labels(page)
    assert "Index this study" not in labels(page)
    next(button for button in page.button if button.label == "Cancel").click().run()
    assert library.jobs.get(job.id).stop_requested
    failed = [{"study": "one", "error": "one.edf: no channel belongs to a modality"}]
    library.jobs.end(job.id, JobState.FINISHED, result={"failed": failed})
    page = opened(study="one", encoder="demo-encoder")
    assert "1 could not be indexed" in page.expander[0].label.replace("\\", "")
    assert "no channel belongs to a modality" in page.dataframe[0].value["Why"][0]
    next(button for button in page.button if button.label == "Close").click().run()
    assert not page.expander


def test_drawing_the_pages_of_explore_loads_nothing_heavy(library: Library, tmp_path: Path) -> None:
    for name in ("one", "two"):
        library.add(write_edf(tmp_path / f"{name}.edf"))
    code = (
        "import sys\n"
        "from streamlit.testing.v1 import AppTest\n"
        f"page = AppTest.from_file({str(APP)!r}, default_timeout=60)\n"
        "for name in ('similar', 'cohort', 'risk', 'review'):\n"
        "    page.switch_page(f'pages/{name}.py')\n"
        "    page.run()\n"
        "    assert not page.exception, (name, page.exception)\n"
        "print([one for one in ('torch', 'umap', 'shap', 'lifelines', 'sksurv', 'yasa', 'mne') if one in sys.modules])\n"
    )
    environment = {**os.environ, "SLEEPFM_BUNDLED_MODELS": str(APP.parent / "assets" / "models"), "PYTHONPATH": str(APP.parent)}
    ran = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False, cwd=APP.parent, env=environment
    )
    assert ran.returncode == 0, ran.stderr[-2000:]
    assert ran.stdout.splitlines()[-1] == "[]"
