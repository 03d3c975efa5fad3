"""What is taken out as CSV holds no formula, whatever tables and models brought in, and comes back as it was."""

from __future__ import annotations

import csv
import io
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from sleepfm.inference.risk_curves import Curve
from sleepfm.library import facts
from sleepfm.library.cohort_tables import import_table
from sleepfm.library.library import Library
from sleepfm.library.map_selection import SelectedStudy, selection_csv
from sleepfm.viewer.cohort_risk_view import ViewTable
from sleepfm.viewer.risk_curve import curve_csv
from sleepfm.viewer.table_csv import table_csv
from tests.library.small_library import add_studies

FORMULA = '=HYPERLINK("http://evil.example")'


@pytest.mark.parametrize("text", [FORMULA, "+1", "-1+cmd", "@x", "\tx", "'=x"])
def test_no_text_begins_as_a_formula_and_numbers_stay_numbers(text: str) -> None:
    made = table_csv(pd.DataFrame({text: [text, "plain"], "change": [-0.5, float("nan")]}))
    rows = list(csv.reader(io.StringIO(made)))
    assert rows == [[f"'{text}", "change"], [f"'{text}", "-0.5"], ["plain", ""]]


def test_nor_does_any_cell_of_what_explore_exports() -> None:
    years = np.array([0.0, 1.0])
    curve = curve_csv("night", FORMULA, "@phecode", Curve(years, 1 - years / 2, years, years), None)
    shown = pd.DataFrame({"Condition": [FORMULA]})
    for text in (curve, ViewTable("title", shown, shown, "name").csv().decode()):
        cells = [cell for row in csv.reader(io.StringIO(text)) for cell in row]
        assert any(FORMULA in cell for cell in cells)
        assert not [cell for cell in cells if cell[:1] in ("=", "@")]


def test_a_selection_comes_back_as_it_was(tmp_path: Path) -> None:
    with Library.open(tmp_path / "home") as library:
        study = add_studies(library, tmp_path, ["a"])[0]
        (tmp_path / "cohort.csv").write_text(f'Study ID,Subject ID,site\n{study},=p1,"{FORMULA.replace(chr(34), chr(34) * 2)}"\n')
        import_table(library, tmp_path / "cohort.csv")
        before = facts.people(library, [study])[study]
        text = selection_csv([SelectedStudy(before, 1, 2, 0.0)], "nights")
        assert next(csv.reader(io.StringIO(text.splitlines()[1])))[1:3] == ["'=p1", f"'{FORMULA}"]
        (tmp_path / "cohort.csv").write_text(text)
        import_table(library, tmp_path / "cohort.csv")
        assert facts.people(library, [study])[study] == before
        assert (before.subject, before.site) == ("=p1", FORMULA)
