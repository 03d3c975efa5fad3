"""Making reports: the job that makes one of a study, and many at once on the command line."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, get_args

from sleepfm.errors import RequestError
from sleepfm.files import atomic_path
from sleepfm.home import Home
from sleepfm.library.library import Library
from sleepfm.library.report_files import report_stamp, store_report
from sleepfm.progress import Progress
from sleepfm.report.figures import draw
from sleepfm.report.finished_check import require_nobody_in
from sleepfm.report.gather import Telling, study_report
from sleepfm.report.html import html_report
from sleepfm.report.pdf import Paper, pdf_report
from sleepfm.report.report_data import ReportData
from sleepfm.runs.dispatcher import ensure_running
from sleepfm.runs.table import Job, Lane

Form = Literal["html", "pdf"]
FORMS: tuple[Form, ...] = get_args(Form)
PAPERS: tuple[Paper, ...] = get_args(Paper)


@dataclass(frozen=True)
class Wish:
    """How reports are wanted."""

    forms: tuple[Form, ...] = FORMS
    paper: Paper = "a4"
    telling: Telling = field(default_factory=Telling)


def write_report(data: ReportData, stem: Path, wish: Wish) -> list[Path]:
    """Write a report as `stem`.html and `stem`.pdf, each whole or not at all, and return the files.

    Raises
    ------
    SleepFMError
        When the disk is full or the folder cannot be written, or the report would name the person though it was not to.
    """
    figures, files = draw(data), []
    for form in wish.forms:
        content = html_report(data, figures).encode("utf-8") if form == "html" else pdf_report(data, figures, paper=wish.paper)
        file = stem.with_name(f"{stem.name}.{form}")
        require_nobody_in(data, content, file.name)
        with atomic_path(file) as temporary:
            temporary.write_bytes(content)
        files.append(file)
    return files


def submit_report(library: Library, study: str, scoring: int, wish: Wish, *, submitted_by: str = "") -> Job:
    """Queue the report of a study's scoring and see that it is made.

    Raises
    ------
    RequestError
        When there is no such study or scoring.
    """
    report_stamp(library, study, scoring)
    parameters = {
        "study": study,
        "scoring": scoring,
        "identified": wish.telling.identified,
        "person": wish.telling.person,
        "paper": wish.paper,
    }
    job = library.jobs.add(
        "report", lane=Lane.QUICK, title=f"Report of {study}", subject=study, parameters=parameters, submitted_by=submitted_by
    )
    ensure_running(library.home)
    return job


def make_report(home: Home, parameters: dict[str, Any], progress: Progress) -> dict[str, Any]:
    """Make the report of a study's scoring, as the job of kind "report"."""
    study, scoring, paper = parameters["study"], parameters["scoring"], parameters["paper"]
    if paper not in PAPERS:
        raise RequestError(f"{paper!r} is no paper; choose {' or '.join(PAPERS)}")
    telling = Telling(identified=parameters["identified"], person=parameters["person"])
    with Library(home) as library:
        progress(0.0, "gathering what is known")
        stamp = report_stamp(library, study, scoring)
        data = study_report(library, study, scoring=scoring, telling=telling)
        progress(0.3, "drawing")
        figures = draw(data)
        progress(0.5, "writing the page")
        page = html_report(data, figures)
        progress(0.7, "writing the PDF")
        pages = pdf_report(data, figures, paper=paper)
        progress(0.9, "searching both for names")
        require_nobody_in(data, page.encode("utf-8"), f"{data.facts.study}.html")
        require_nobody_in(data, pages, f"{data.facts.study}.pdf")
        stored = store_report(
            library,
            study,
            scoring,
            html=page,
            pdf=pages,
            name=data.facts.study,
            made_at=data.made_at,
            stamp=stamp,
            identified=telling.identified,
            person=telling.person,
            paper=paper,
        )
    return {"html": stored.html.name, "pdf": stored.pdf.name, "name": stored.name}
