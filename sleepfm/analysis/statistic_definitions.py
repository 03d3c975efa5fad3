"""What each number of a night means, in plain words with its source, and what AASM, YASA and Luna count where they differ.

AASM is the AASM Manual for the Scoring of Sleep and Associated Events, version 3, "Parameters to be reported for polysomnography"
and the scoring rules; YASA is `Hypnogram.sleep_statistics` of 0.8.1; Luna is HYPNO of 1.7.0. Every difference from YASA and Luna
that is listed here is checked with numbers in `tests/analysis/test_statistics_of_others.py`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Definition:
    """What a number means.

    Attributes
    ----------
    group
        Under which heading it stands.
    unit
        "min", "%", "/h", "bpm", or "" for a count.
    words
        What is counted, with the source.
    """

    name: str
    group: str
    unit: str
    words: str


SLEEP, BREATHING, OXYGEN, AROUSALS, LIMBS, HEART = "Sleep", "Breathing", "Oxygen", "Arousals", "Limbs", "Heart"
GROUPS = (SLEEP, BREATHING, OXYGEN, AROUSALS, LIMBS, HEART)

_IN_SLEEP = "counted when any part lies in an epoch scored as sleep"

DEFINITIONS: Mapping[str, Definition] = {
    "tib": Definition("Time in bed (TIB)", SLEEP, "min", "Lights off to lights on. AASM: total recording time (TRT)."),
    "tst": Definition("Total sleep time (TST)", SLEEP, "min", "N1 + N2 + N3 + R between lights off and lights on (AASM)."),
    "se": Definition("Sleep efficiency", SLEEP, "%", "TST of the scored time in bed: 100 · TST / (TST + Wake). AASM: TST / TRT."),
    "sol": Definition(
        "Sleep latency (SOL)",
        SLEEP,
        "min",
        "Lights off to the first epoch of any sleep (AASM); none where Unknown lies before it.",
    ),
    "persistent_latency": Definition(
        "Latency to persistent sleep",
        SLEEP,
        "min",
        "Lights off to the first of 20 epochs (10 min) of unbroken sleep, as in trials of hypnotics.",
    ),
    "rem_latency": Definition("REM latency", SLEEP, "min", "First epoch of any sleep to the first epoch of R (AASM)."),
    "waso": Definition(
        "Wake after sleep onset (WASO)",
        SLEEP,
        "min",
        "Wake from the first epoch of sleep to lights on (AASM: TRT − latency − TST).",
    ),
    "waso_period": Definition(
        "Wake within the sleep period",
        SLEEP,
        "min",
        "Wake between the first and the last epoch of sleep; without the last awakening.",
    ),
    "spt": Definition("Sleep period (SPT)", SLEEP, "min", "First to last epoch of sleep, all between them."),
    "awakenings": Definition(
        "Awakenings",
        SLEEP,
        "",
        "How often sleep gives way to Wake of an epoch or more and comes back; the last awakening is not one.",
    ),
    "wake": Definition("Wake", SLEEP, "min", "Epochs of W between lights off and lights on."),
    "n1": Definition("N1", SLEEP, "min", "Epochs of N1 between lights off and lights on (AASM)."),
    "n2": Definition("N2", SLEEP, "min", "Epochs of N2 between lights off and lights on (AASM)."),
    "n3": Definition("N3", SLEEP, "min", "Epochs of N3 between lights off and lights on (AASM)."),
    "rem": Definition("R", SLEEP, "min", "Epochs of R between lights off and lights on (AASM)."),
    "n1_share": Definition("N1 of TST", SLEEP, "%", "100 · N1 / TST (AASM)."),
    "n2_share": Definition("N2 of TST", SLEEP, "%", "100 · N2 / TST (AASM)."),
    "n3_share": Definition("N3 of TST", SLEEP, "%", "100 · N3 / TST (AASM)."),
    "rem_share": Definition("R of TST", SLEEP, "%", "100 · R / TST (AASM)."),
    "unknown": Definition(
        "Unknown", SLEEP, "min", "Time between lights off and lights on that nobody scored; neither sleep nor Wake anywhere here."
    ),
    "ahi": Definition(
        "Apnea-hypopnea index (AHI)",
        BREATHING,
        "/h",
        f"Apneas and hypopneas per hour of TST; an event is {_IN_SLEEP} (AASM), whatever the rest of it lies in.",
    ),
    "ahi_rem": Definition("AHI in R", BREATHING, "/h", "Apneas and hypopneas whose first epoch of sleep is R, per hour of R."),
    "ahi_nrem": Definition(
        "AHI in NREM", BREATHING, "/h", "Apneas and hypopneas whose first epoch of sleep is N1, N2 or N3, per hour of these."
    ),
    "rdi": Definition(
        "Respiratory disturbance index (RDI)", BREATHING, "/h", "Apneas, hypopneas and RERAs per hour of TST (AASM)."
    ),
    "cai": Definition("Central apnea index", BREATHING, "/h", f"Central apneas per hour of TST; {_IN_SLEEP}."),
    "obstructive_apneas": Definition("Obstructive apneas", BREATHING, "", f"Obstructive apneas, {_IN_SLEEP} (AASM)."),
    "central_apneas": Definition("Central apneas", BREATHING, "", f"Central apneas, {_IN_SLEEP} (AASM)."),
    "mixed_apneas": Definition("Mixed apneas", BREATHING, "", f"Mixed apneas, {_IN_SLEEP} (AASM)."),
    "hypopneas": Definition("Hypopneas", BREATHING, "", f"Hypopneas, {_IN_SLEEP} (AASM); by which rule, says who scored them."),
    "reras": Definition("RERAs", BREATHING, "", f"Respiratory effort-related arousals, {_IN_SLEEP} (AASM)."),
    "odi3": Definition(
        "ODI 3 %, marked", OXYGEN, "/h", f"Marked desaturations of 3 % or more per hour of TST; one is {_IN_SLEEP}."
    ),
    "odi4": Definition(
        "ODI 4 %, marked", OXYGEN, "/h", f"Marked desaturations of 4 % or more per hour of TST; one is {_IN_SLEEP}."
    ),
    "odi3_spo2": Definition(
        "ODI 3 %, from SpO2",
        OXYGEN,
        "/h",
        "Falls of the SpO2 signal by 3 % or more from the highest value of the 120 s before, ended when two thirds are won back, "
        f"per hour of TST; one is {_IN_SLEEP}.",
    ),
    "odi4_spo2": Definition(
        "ODI 4 %, from SpO2",
        OXYGEN,
        "/h",
        "The same falls, of 4 % or more.",
    ),
    "t90": Definition("T90", OXYGEN, "%", "Share of sleep with SpO2 under 90 %, of the sleep in which there is SpO2."),
    "t90_min": Definition("Time under 90 %", OXYGEN, "min", "Sleep with SpO2 under 90 %."),
    "spo2_mean": Definition("Mean SpO2", OXYGEN, "%", "Mean over sleep, one value a second (AASM: mean during sleep)."),
    "spo2_min": Definition("Lowest SpO2", OXYGEN, "%", "Lowest value of a second in sleep (AASM: minimum during sleep)."),
    "arousals": Definition(
        "Arousals",
        AROUSALS,
        "",
        "Arousals of which any part, or the 10 s of sleep that AASM asks for before one, lies in an epoch scored as sleep.",
    ),
    "arousal_index": Definition("Arousal index", AROUSALS, "/h", "These arousals per hour of TST (AASM)."),
    "plms": Definition(
        "Periodic leg movements",
        LIMBS,
        "",
        "Leg movements of 0.5 to 10 s that begin in sleep, 4 or more in a row, 5 to 90 s from onset to onset, none within 0.5 s "
        "of an apnea, hypopnea or RERA (AASM).",
    ),
    "plmi": Definition(
        "PLM index",
        LIMBS,
        "/h",
        "Periodic leg movements, found among those marked as leg movement or PLM, per hour of TST (AASM).",
    ),
    "plmi_marked": Definition(
        "PLM index, marked", LIMBS, "/h", f"Movements marked as periodic by who scored them, per hour of TST; one is {_IN_SLEEP}."
    ),
    "hr_mean": Definition("Mean heart rate", HEART, "bpm", "Mean over sleep, one value a second (AASM: average during sleep)."),
    "hr_min": Definition("Lowest heart rate", HEART, "bpm", "Lowest value of a second in sleep."),
    "hr_max": Definition("Highest heart rate", HEART, "bpm", "Highest value of a second in sleep (AASM: highest during sleep)."),
}
"""By key, in the order of a report; AHI by position comes behind `ahi_nrem`, a number a position."""

POSITION = "ahi_position_"
"""Keys of the AHI by position begin so."""


@dataclass(frozen=True)
class Difference:
    """What somebody else counts under the same name."""

    by: str
    words: str


AASM, YASA, LUNA = "AASM", "YASA", "Luna"
OTHERS: Mapping[str, tuple[Difference, ...]] = {
    "tib": (
        Difference(YASA, "the whole hypnogram: it is to be cropped to lights off and on before"),
        Difference(
            LUNA,
            "whole epochs from the one in which the lights go off to the one in which they go on, without Unknown at either end; "
            "its TRT is the whole scoring",
        ),
    ),
    "tst": (Difference(LUNA, "leaves out less than 5 min of sleep that 120 min of Wake separate from the rest"),),
    "se": (
        Difference(AASM, "leaves no epoch unscored, so nothing is to be left out of TRT"),
        Difference(YASA, "counts Unknown time as time not slept"),
        Difference(LUNA, "counts Unknown time as time not slept"),
    ),
    "sol": (
        Difference(YASA, "from the start of the hypnogram; Unknown before the first sleep counts as Wake"),
        Difference(LUNA, "Unknown before the first sleep counts as Wake"),
    ),
    "persistent_latency": (
        Difference(AASM, "does not report it"),
        Difference(YASA, "SOL_5min asks for 5 min"),
    ),
    "rem_latency": (Difference(YASA, "Lat_REM counts from the start of the hypnogram: SOL + this number"),),
    "waso": (
        Difference(YASA, "only to the last epoch of sleep: here “Wake within the sleep period”"),
        Difference(LUNA, "only to the last epoch of sleep: here “Wake within the sleep period”"),
    ),
    "awakenings": (
        Difference(AASM, "does not report them"),
        Difference(YASA, "SFI counts the last awakening too, per hour of TST"),
        Difference(LUNA, "SFI counts the last awakening too, per minute of TST"),
    ),
    "ahi": (Difference(AASM, "an event wholly in Wake is not scored; here it may be marked and is not counted"),),
    "arousals": (Difference(AASM, "also counts arousals scored in Wake between lights off and on"),),
    "odi3_spo2": (Difference(AASM, "gives no rule by which a program finds the baseline"),),
    "odi4_spo2": (Difference(AASM, "gives no rule by which a program finds the baseline"),),
    "plms": (Difference(AASM, "two legs within 5 s are one movement; here so is any movement within 5 s of the last onset"),),
}
"""By key: who counts something else under the name, and what."""


def others(key: str) -> str:
    """Return what others count, in one line; empty where they agree or say nothing."""
    return "; ".join(f"{one.by}: {one.words}" for one in OTHERS.get(key, ()))
