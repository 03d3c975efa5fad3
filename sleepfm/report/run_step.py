"""The last step of `sleepfm run`: the report of what the other steps found."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from sleepfm.errors import RequestError
from sleepfm.inference.night import Night
from sleepfm.inference.pipeline import ReportStep
from sleepfm.progress import Progress, part
from sleepfm.recording.fingerprint import fingerprint
from sleepfm.report.gather_file import recording_report, results_from
from sleepfm.report.making import Wish, write_report


def report_step(*, age: object = None, sex: object = None) -> ReportStep:
    """Return what makes the report of one night into the folder of its results.

    `age` (years) and `sex` are told in it where they were told.
    """

    def make(night: Night, out: Path, told: Mapping[str, Any], progress: Progress) -> dict[str, Any]:
        if night.recording is None:
            raise RequestError(f"{night.name}: a report shows the recording, not signals made from it")
        data = recording_report(
            night.recording,
            identifier=night.id,
            sha256=night.sha256 or fingerprint(night.source),
            results=results_from(out, told),
            age=age if isinstance(age, int | float) else None,
            sex=sex if isinstance(sex, str) else None,
            progress=part(progress, 0.0, 0.7),
        )
        progress(0.7, "writing the report")
        files = write_report(data, out / "report", Wish())
        return {"study": data.facts.study, "identified": data.facts.identified, "files": [file.name for file in files]}

    return make
