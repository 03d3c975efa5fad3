"""What the risk page says: one wording for each thing, and numbers as people read them."""

from __future__ import annotations

import math
from collections.abc import Hashable, Mapping
from typing import Any

from sleepfm.inference.risk_result import RiskResult
from sleepfm.viewer.words import duration_words
from sleepfm.vocabulary import Modality

NOTICE = (
    "This page shows scores of a research model. A score is not a diagnosis and must not guide anyone's care. What changes a "
    "score is not a cause of a disease. Each score stands beside what age and sex alone say; where the model does no better than "
    "they do, the page says so."
)
ACCEPT = "I understand: research use only"

PLAYER_WORDS: dict[str, str] = {
    Modality.BAS: "Brain and eyes (BAS)",
    Modality.RESP: "Breathing (RESP)",
    Modality.EKG: "Heart (EKG)",
    Modality.EMG: "Muscles (EMG)",
    "age": "Age",
    "sex": "Sex",
}
"""What stands on the screen for each part of the input that a score is put down to."""

NO_BETTER = "does not beat age and sex"
BETTER = "beats age and sex"
NOT_COMPARED = "not compared"
TOO_FEW = "too few events"


def signed(number: float, digits: int = 2) -> str:
    """Return a change with its sign ("+0.31", "−0.07", "0.00"); a dash where there is none.

    Examples
    --------
    >>> signed(-0.066)
    '−0.07'
    """
    if not math.isfinite(number):
        return "–"
    words = f"{abs(number):.{digits}f}"
    if float(words) == 0:
        return words
    return f"{'+' if number > 0 else '−'}{words}"


def minus(number: float, digits: int = 2) -> str:
    """Return a number with a real minus sign and no minus zero; a dash where it is not finite.

    Examples
    --------
    >>> minus(-1.234), minus(-0.001)
    ('−1.23', '0.00')
    """
    return signed(number, digits).removeprefix("+")


def interval(low: float | None, high: float | None, digits: int = 2) -> str:
    """Return "0.10 to 0.43", or a dash where there is no interval."""
    if low is None or high is None or not (math.isfinite(low) and math.isfinite(high)):
        return "–"
    return f"{minus(low, digits)} to {minus(high, digits)}"


BAND_WORDS = (
    "95 % band: from which parts of the night were looked at, and from the baseline hazard where its error is known; not from "
    "the error of the model itself."
)
MEASURED_FROM = {
    True: "Each step is what this night has more or less than those of the reference people on average. Shapley values; "
    "whiskers: 95 %, bootstrap over 5-min windows.",
    False: "From the score without any signal to the score of this night. Shapley values; whiskers: 95 %, bootstrap over 5-min "
    "windows.",
}


def night_words(*, staged: bool) -> str:
    """Return how to read the night's figure."""
    unstaged = "" if staged else " This night is not staged yet, so there is no hypnogram above."
    return (
        "Each bar is the score minus the score of the night with these five minutes cut out; click on one to see its traces. "
        f"Shaded time took no part in the score.{unstaged}"
    )


def condition_facts(row: Mapping[Hashable, Any]) -> list[tuple[str, str, str]]:
    """Return what is known of one condition, as rows of three: what, of this night, of age and sex alone.

    The row is of `risk_table.condition_table`.
    """
    facts = []
    if math.isfinite(row["log_hazard"]):
        of_night = f"{minus(row['log_hazard'])} ({interval(row['log_hazard_low'], row['log_hazard_high'])})"
        facts.append(("Log hazard", of_night, ""))
    if math.isfinite(row["percentile"]):
        facts.append(("Percentile", f"higher than {row['percentile']:.0f} % of the reference people", ""))
    if math.isfinite(row["rank"]) and row["ranked"] > 1:  # the first among one says nothing
        facts.append(("Rank in the library", f"{row['rank']:.0f} of {row['ranked']:.0f} nights, 1 the highest score", ""))
    if math.isfinite(row["event_free"]):
        of_night = f"{100 * row['event_free']:.1f} % ({interval(100 * row['event_free_low'], 100 * row['event_free_high'], 1)})"
        alone = row["event_free_age_and_sex"]
        facts.append((f"No event in {row['years']:g} years", of_night, f"{100 * alone:.1f} %" if math.isfinite(alone) else "–"))
    if math.isfinite(row["c_index"]):
        facts.append(("C-index of the model", _with_interval(row, "c_index"), _with_interval(row, "c_index_age_and_sex")))
    if math.isfinite(row["n"]):
        facts.append(("Reference people", f"n {row['n']:.0f}, {row['events']:.0f} events", ""))
    p = f" (p = {row['p']:.2g})" if math.isfinite(row["p"]) else ""
    facts.append(("Beside age and sex", f"{row['beside_age_and_sex']}{p}", ""))
    return facts


def _with_interval(row: Mapping[Hashable, Any], name: str) -> str:
    if not math.isfinite(row[name]):
        return "–"
    return f"{row[name]:.2f} ({interval(row[f'{name}_low'], row[f'{name}_high'])})"


def made_words(result: RiskResult) -> str:
    """Return what a result was made from."""
    there = ", ".join(result.modalities)
    stretch = f"{duration_words(result.start_s)} to {duration_words(result.stop_s)} from the start"
    who = []
    if result.age is not None:
        who.append(f"age {result.age:g} years")
    if result.sex is not None:
        who.append(f"sex {result.sex}")
    told = f" Told: {', '.join(who)}." if who else ""
    beside = f" Age and sex alone: {result.demographics_model}." if result.demographics_model else ""
    return (
        f"Model {result.model} (weights {result.weights_sha256[:12]}, trained on {result.trained_on}). Signals: {there}; "
        f"looked at: {stretch}.{told}{beside}"
    )
