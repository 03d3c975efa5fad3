"""A stored risk with everything it is read beside: the model's card, its reference people, the model of age and sex alone."""

from __future__ import annotations

from sleepfm.errors import SleepFMError
from sleepfm.inference.risk_result import RiskResult
from sleepfm.library.library import Library
from sleepfm.library.risks import ranks
from sleepfm.models.card import ModelCard
from sleepfm.models.reference import Reference, read_reference
from sleepfm.models.shelf import Shelf
from sleepfm.text import printable
from sleepfm.viewer.risk_table import Assessment


def read_beside(library: Library, result: RiskResult) -> tuple[Assessment, list[str]]:
    """Return the result with what there is to read it beside, and a sentence for whatever of it cannot be used.

    A score that leaves age and sex out is not held against reference people whose scores have them.
    """
    shelf, notes = Shelf(library.home.models), []
    card: ModelCard | None = None
    reference: Reference | None = None
    compared: Reference | None = None
    demographics: ModelCard | None = None
    try:
        entry = shelf.get(result.model)
        if entry.card.weights_sha256 == result.weights_sha256:
            card = entry.card
            compared = read_reference(entry.folder)
            reference = None if result.demographics_left_out else compared
    except SleepFMError as error:
        notes.append(str(error))
    if result.demographics_model:
        try:
            demographics = shelf.get(result.demographics_model).card
        except SleepFMError as error:
            notes.append(f"The curve of age and sex alone cannot be shown: {error}")
    link = None if compared is None else compared.demographics
    if demographics is not None and card is not None and (link is None or link.weights_sha256 != demographics.weights_sha256):
        # the score is of other weights than those whose baseline hazard would make a curve of it
        notes.append(
            "The curve of age and sex alone cannot be shown: nobody can tell that"
            f" {printable(result.demographics_model)} on the shelf has the weights that made its score."
        )
        demographics = None
    try:
        among = ranks(library, result)
    except SleepFMError as error:
        notes.append(f"No ranks among the library's nights: {error}")
        return Assessment(result, card, reference, demographics), notes
    return Assessment(result, card, reference, demographics, among.rank_k, among.of), notes
