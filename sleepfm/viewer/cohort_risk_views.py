"""The views "Compare nights" and "Cohort" of the risk page, one function each: asked in the helper process, drawn here."""

from __future__ import annotations

from sleepfm.home import Home
from sleepfm.library.cohort_risk import CohortQuestion, MatchQuestion
from sleepfm.viewer.cohort_risk_view import RiskView


def nights_view(home: Home, first: str, second: str, model: str | None) -> RiskView:
    """Compare two nights: stages, indices, embeddings, and the scores of `model` side by side (None: no scores).

    Raises
    ------
    RequestError
        When a study is not in the library, both are the same, or they are known to be of two persons.
    """
    raise NotImplementedError


def matched_view(home: Home, question: MatchQuestion) -> RiskView:
    """Compare a person's score with those of people of the same sex and about the same age.

    Raises
    ------
    RequestError
        When the study has no stored risk by the model, or nobody stated its age and sex.
    """
    raise NotImplementedError


def cohort_view(home: Home, question: CohortQuestion) -> RiskView:
    """Show a cohort: event-free curves by risk group with their log-rank test, and the enrichment of every condition.

    Raises
    ------
    RequestError
        When nobody of the cohort has a stored risk by the model.
    ModelError
        When the stored risks were made by different weights under the model's name.
    """
    raise NotImplementedError
