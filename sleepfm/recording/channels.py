"""From a channel's label to what it measures (its kind) and where it belongs in the model (its modality)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from sleepfm.recording._labels import Token, read_label
from sleepfm.recording.units import read_unit
from sleepfm.vocabulary import Kind, Modality

MODALITY_OF_KIND: dict[Kind, Modality] = {
    Kind.EEG: Modality.BAS,
    Kind.EOG: Modality.BAS,
    Kind.CHIN_EMG: Modality.EMG,
    Kind.LEG_EMG: Modality.EMG,
    Kind.ARM_EMG: Modality.EMG,
    Kind.OTHER_EMG: Modality.EMG,
    Kind.ECG: Modality.EKG,
    Kind.FLOW: Modality.RESP,
    Kind.NASAL_PRESSURE: Modality.RESP,
    Kind.THERMISTOR: Modality.RESP,
    Kind.EFFORT_THORAX: Modality.RESP,
    Kind.EFFORT_ABDOMEN: Modality.RESP,
    Kind.EFFORT_SUM: Modality.RESP,
    Kind.SNORE: Modality.RESP,
    Kind.SPO2: Modality.RESP,
    Kind.CO2: Modality.RESP,
    Kind.PULSE: Modality.RESP,
    Kind.PLETH: Modality.RESP,
}
"""The published model's grouping, which counts heart rate, pulse and plethysmogram as RESP; other kinds are not used."""


@dataclass(frozen=True)
class Placement:
    """What a channel measures, the modality it feeds (None: none), and why, in words."""

    kind: Kind
    modality: Modality | None
    reason: str


def placement(kind: Kind, reason: str) -> Placement:
    """Return the placement of a kind in the published grouping."""
    return Placement(kind, MODALITY_OF_KIND.get(kind), reason)


def place(label: str, *, unit: str = "", rate_hz: float | None = None, transducer: str = "") -> Placement:
    """Say what a channel measures, from its label alone where that is enough.

    Parameters
    ----------
    label
        As in the file; any text.
    unit, rate_hz, transducer
        Break ties that the label leaves open ("O2" in % is a saturation, not an electrode).
    """
    read = _Label(read_label(label), read_unit(unit), rate_hz, frozenset(token.group for token in read_label(transducer)))
    for rule in _RULES:
        decided = rule.when(read)
        if decided:
            return placement(rule.kind, rule.because.format(decided))
    return placement(Kind.OTHER, "the label names no sensor that is known" if read.tokens else "the label is empty")


def place_together(labels: Sequence[str], placements: Sequence[Placement]) -> list[Placement]:
    """Place what only its neighbours explain: bare inputs "1", "2" and "F" beside the chin derivations "1-2", "1-F" or "2-F"."""
    texts = [tuple(token.text for token in read_label(label)) for label in labels]
    has_chin = any(len(text) == 2 and set(text) <= _CHIN_INPUTS and "f" in text for text in texts)
    return [
        placement(Kind.CHIN_EMG, "an input of the chin derivations beside it")
        if has_chin and one.kind is Kind.OTHER and len(text) == 1 and text[0] in _CHIN_INPUTS
        else one
        for text, one in zip(texts, placements, strict=True)
    ]


@dataclass(frozen=True)
class _Label:
    """A label's tokens with what else the header tells."""

    tokens: tuple[Token, ...]
    unit: str
    rate_hz: float | None
    transducer: frozenset[str]

    def word(self, *groups: str) -> str:
        """Return the text of the first token of one of these groups, "" when there is none."""
        return next((token.text for token in self.tokens if token.group in groups), "")

    def has(self, *groups: str) -> bool:
        """Whether any of these groups is there."""
        return any(token.group in groups for token in self.tokens)

    def says(self, *words: str) -> bool:
        """Whether one of these very words is there."""
        return any(token.text in words for token in self.tokens)

    def only(self, *groups: str) -> bool:
        """Whether nothing but these groups and what merely refines them is there."""
        return all(token.group in {*groups, "left", "right", "number", "reference", "aside", "eeg"} for token in self.tokens)

    def first_of(self, *groups: str) -> str:
        """Return the first of these groups to appear."""
        return next((token.group for token in self.tokens if token.group in groups), "")

    def last_of(self, *groups: str) -> str:
        """Return the last of these groups to appear."""
        return next((token.group for token in reversed(self.tokens) if token.group in groups), "")

    def electrodes(self) -> str:
        """Return the electrodes as people write them: "C3-M2"."""
        names = [token.text for token in self.tokens if token.group == "electrode"]
        return "-".join(name.upper().replace("FP", "Fp").replace("Z", "z") for name in names)

    def active(self) -> str:
        """Return the electrode that decides: the first that is no reference."""
        names = [token.text for token in self.tokens if token.group == "electrode"]
        return next((name for name in names if name not in _REFERENCES), names[0] if names else "")


@dataclass(frozen=True)
class _Rule:
    """`when` gives the word that decides (or True); it fills the {} of `because`."""

    kind: Kind
    because: str
    when: Callable[[_Label], str | bool]


def _means(kind: Kind, meaning: str, *groups: str) -> _Rule:
    return _Rule(kind, f"“{{}}” means {meaning}", lambda label: label.word(*groups))


_REFERENCES = frozenset({"a1", "a2", "m1", "m2", "a12", "m12", "a22", "m22"})
_CHIN_INPUTS = frozenset({"1", "2", "f"})
_SIGNALS = ("eeg", "eog", "ecg", "emg")
_SENSORS = (
    *_SIGNALS, "chin", "leg", "arm", "muscle", "electrode", "spo2", "oximeter", "pulse", "pleth", "thorax", "abdomen", "flow",
    "snore", "effort", "nasal_pressure", "thermistor", "co2", "breath",
)  # fmt: skip


def _is_heart_rate(label: _Label) -> bool:
    pulse = label.word("pulse")
    return label.has("ecg") and (label.has("rate") or pulse.startswith("p") or pulse.endswith("hr"))


def _is_ecg_lead(label: _Label) -> bool:
    own = [token.text for token in label.tokens if token.group not in {"reference", "aside"}]
    roman = label.says("i", "ii", "iii", "avr", "avl", "avf")
    chest = len(own) == 2 and own[0] == "v" and own[1] in "123456"
    return (label.has("lead") and (roman or not label.has("electrode"))) or (roman and len(own) == 1) or chest


def _is_numbered_chin(label: _Label) -> bool:
    tokens = [token for token in label.tokens if token.group not in {"reference", "aside"}]
    texts = {token.text for token in tokens}
    if len(tokens) != 2 or len(texts) != 2 or not texts <= _CHIN_INPUTS:
        return False
    return "f" in texts or (label.unit in {"V", "mV", "µV"} and (label.rate_hz or 0.0) >= 100.0)


def _is_fast_pulse(label: _Label) -> str | bool:
    pulse = label.word("pulse")
    slow = label.unit == "bpm" or label.has("rate") or (label.rate_hz or 0.0) < 32.0
    return pulse if pulse.startswith("p") and not slow and label.last_of("pulse", "spo2") == "pulse" else False


_EQUIPMENT = (
    _Rule(Kind.IMPEDANCE, "its unit is an electrical resistance", lambda label: label.unit in {"Ω", "kΩ"}),
    _Rule(Kind.EFFORT_THORAX, "breathing by chest impedance", lambda label: label.has("impedance") and label.has("breath")),
    _means(Kind.IMPEDANCE, "electrode impedance, not used", "impedance"),
    _Rule(
        Kind.OTHER,
        "the quality or status of a sensor, not its signal",
        lambda label: label.has("quality") or (label.says("status") and label.has(*_SENSORS)),
    ),
    _Rule(Kind.MARKER, "marks lights off or on", lambda label: label.has("light") and label.has("off")),
    _means(Kind.LIGHT, "light, not used", "light"),
    _Rule(Kind.IMPEDANCE, "an electrode-off flag, not the signal", lambda label: label.has("off") and label.has(*_SENSORS)),
    _means(Kind.CO2, "carbon dioxide", "co2"),
    _Rule(
        Kind.PAP,
        "“{}” means a value of the PAP device, not used",
        lambda label: not label.has("thorax", "abdomen") and label.word("leak", "tidal"),
    ),
    _Rule(
        Kind.FLOW,
        "airflow as the PAP device measures it",
        lambda label: label.has("pap") and label.has("flow") and not label.has("pressure"),
    ),
    _means(Kind.PAP, "pressure or setting of the PAP device, not used", "pap"),
    _Rule(Kind.PAP, "pressure of the PAP device, not used", lambda label: label.has("pressure") and label.says("c", "set")),
    _Rule(Kind.OTHER, "audio, not used", lambda label: label.has("audio") and not label.has("snore", "microphone")),
    _means(Kind.MARKER, "a marker or trigger, not used", "marker"),
    _means(Kind.OTHER, "the device's power supply, not used", "battery"),
    _Rule(Kind.OTHER, "an auxiliary input, not used", lambda label: label.says("ext") and label.has("auxiliary")),
    _means(Kind.OTHER, "blood pressure, not used", "blood_pressure"),
    _Rule(
        Kind.OTHER,
        "“{}” means a derived quantity, not used",
        lambda label: not label.has("ecg", "emg", "eog") and label.word("derived"),
    ),
    _means(Kind.ACTIVITY, "movement of the body, not used", "activity"),
    _means(Kind.POSITION, "position of the body, not used", "position"),
)
_HEART_MUSCLES_EYES = (
    _Rule(Kind.PULSE, "heart rate from the ECG", _is_heart_rate),
    _means(Kind.ECG, "electrocardiogram", "ecg"),
    _Rule(Kind.ECG, "an ECG lead", _is_ecg_lead),
    _means(Kind.EOG, "eye movement", "eog"),
    _means(Kind.CHIN_EMG, "chin muscle", "chin"),
    _means(Kind.LEG_EMG, "leg muscle", "leg"),
    _means(Kind.ARM_EMG, "arm muscle", "arm"),
    _means(Kind.OTHER_EMG, "a muscle", "muscle"),
    _Rule(
        Kind.LEG_EMG,
        "tibialis muscle, named by its side",
        lambda label: label.has("dx", "anterior") and label.only("dx", "anterior", "emg"),
    ),
    _means(Kind.OTHER_EMG, "electromyogram, muscle not named", "emg"),
)
_OXIMETRY = (
    _means(Kind.PLETH, "pulse wave", "pleth"),
    _Rule(Kind.PLETH, "a pulse wave", lambda label: label.has("pulse") and label.has("wave")),
    _Rule(Kind.PLETH, "“{}” sampled so fast and without the unit bpm means a pulse wave", _is_fast_pulse),
    _Rule(
        Kind.SPO2,
        "“{}” means oxygen saturation",
        lambda label: label.last_of("spo2", "pulse", "pulse_short") == "spo2" and label.word("spo2"),
    ),
    _Rule(
        Kind.PULSE,
        "“{}” means heart or pulse rate",
        lambda label: not label.has("breath") and label.word("pulse"),
    ),
    _Rule(
        Kind.PULSE,
        "“{}” means pulse rate",
        lambda label: label.only("pulse_short", "oximeter") and label.word("pulse_short"),
    ),
    _Rule(
        Kind.SPO2,
        "oxygen by a pulse oximeter",
        lambda label: label.has("oximeter") or (label.says("o2") and label.unit == "%"),
    ),
)
_BREATHING = (
    _Rule(Kind.OTHER, "a breathing rate: derived, not used", lambda label: label.has("rate") and label.has("breath")),
    _Rule(
        Kind.SNORE,
        "“{}” means snoring sound",
        lambda label: not label.says("flow", "airflow") and label.word("snore", "microphone"),
    ),
    _Rule(
        Kind.EFFORT_THORAX,
        "oesophageal pressure follows breathing effort",
        lambda label: label.has("pressure") and label.has("effort"),
    ),
    _means(Kind.NASAL_PRESSURE, "nasal pressure", "nasal_pressure", "pressure"),
    _means(Kind.THERMISTOR, "thermistor", "thermistor"),
    _Rule(Kind.THERMISTOR, "temperature of the airflow", lambda label: label.has("temperature") and label.has("flow")),
    _means(Kind.OTHER, "temperature, not used", "temperature"),
    _Rule(
        Kind.EFFORT_THORAX,
        "“{}” means breathing effort of the chest",
        lambda label: label.first_of("thorax", "abdomen") == "thorax" and label.word("thorax"),
    ),
    _means(Kind.EFFORT_ABDOMEN, "breathing effort of the abdomen", "abdomen"),
    _Rule(
        Kind.THERMISTOR,
        "breathing, and the transducer field says thermistor",
        lambda label: label.has("flow", "breath") and "thermistor" in label.transducer,
    ),
    _Rule(
        Kind.EFFORT_SUM,
        "breathing, and the transducer field says belt",
        lambda label: label.has("breath") and "effort" in label.transducer,
    ),
    _means(Kind.FLOW, "airflow", "flow"),
    _Rule(Kind.FLOW, "“{}” means airflow", lambda label: label.only("flow_short", "unknown") and label.word("flow_short")),
    _means(Kind.EFFORT_SUM, "breathing effort, both belts", "sum"),
    _means(Kind.EFFORT_SUM, "breathing effort, belt not named", "effort"),
    _means(Kind.FLOW, "breathing, sensor not named", "breath"),
    _means(Kind.ACTIVITY, "movement of the body, not used", "movement"),
)
_ELECTRODES = (
    _Rule(Kind.EOG, "eye electrode {}", lambda label: label.active() in {"e1", "e2"} and label.electrodes()),
    _Rule(Kind.EEG, "electrode {} of the 10-20 system", lambda label: label.electrodes()),
    _Rule(
        Kind.OTHER, "an auxiliary or empty input, not used", lambda label: label.only("dc", "empty") and label.has("dc", "empty")
    ),
    _means(Kind.EEG, "electroencephalogram", "eeg"),
    _Rule(Kind.CHIN_EMG, "numbered chin electrodes (1, 2 and F)", _is_numbered_chin),
    _means(Kind.OTHER, "an auxiliary or empty input, not used", "dc", "empty", "auxiliary"),
)
_RULES = (*_EQUIPMENT, *_HEART_MUSCLES_EYES, *_OXIMETRY, *_BREATHING, *_ELECTRODES)
"""The first rule that holds decides: what a signal is not (equipment) before what it is, words before electrodes."""
