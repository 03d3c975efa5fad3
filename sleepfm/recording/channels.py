"""From a channel's label to what it measures (its kind) and where it belongs in the model (its modality)."""

from __future__ import annotations

from dataclasses import dataclass

from sleepfm.recording._labels import Token, read_label
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
    return _decide(_Read(read_label(label), unit, rate_hz, tuple(token.group for token in read_label(transducer))))


@dataclass(frozen=True)
class _Read:
    """A label's tokens with what else the header tells."""

    tokens: tuple[Token, ...]
    unit: str
    rate_hz: float | None
    transducer: tuple[str, ...]

    def first(self, *groups: str) -> str | None:
        """Return the text of the first token of one of these groups."""
        return next((token.text for token in self.tokens if token.group in groups), None)

    def has(self, *groups: str) -> bool:
        """Whether any of these groups is there."""
        return self.first(*groups) is not None

    def says(self, *words: str) -> bool:
        """Whether one of these very words is there."""
        return any(token.text in words for token in self.tokens)

    def fast(self, rate_hz: float) -> bool:
        """Whether the sampling rate is known and at least this."""
        return self.rate_hz is not None and self.rate_hz >= rate_hz


def _decide(read: _Read) -> Placement:
    for rules in (_technical, _cardiac, _muscles_and_eyes, _oximetry, _breathing, _electrodes):
        found = rules(read)
        if found is not None:
            return found
    if not read.tokens:
        return placement(Kind.OTHER, "the label is empty")
    return placement(Kind.OTHER, "the label names no sensor that is known")


def _named(read: _Read, kind: Kind, meaning: str, *groups: str) -> Placement | None:
    """Return the placement when a word of these groups is there, naming the word."""
    word = read.first(*groups)
    return None if word is None else placement(kind, f"“{word}” means {meaning}")


_SENSORS = (
    "eeg", "eog", "ecg", "emg", "chin", "leg", "arm", "muscle", "electrode", "spo2", "oximeter", "pulse", "pleth", "thorax",
    "abdomen", "flow", "snore", "effort", "nasal_pressure", "thermistor", "co2", "breath",
)  # fmt: skip


def _technical(read: _Read) -> Placement | None:
    """Signals about the equipment, the room or the body's position: shown, but not fed to the model."""
    if read.unit in {"Ω", "kΩ"}:
        return placement(Kind.IMPEDANCE, f"the unit {read.unit} makes it an impedance")
    if read.has("impedance"):
        if read.has("breath"):
            return placement(Kind.EFFORT_THORAX, "breathing effort measured by chest impedance")
        return _named(read, Kind.IMPEDANCE, "electrode impedance", "impedance")
    if read.has("quality") or (read.says("status") and read.has(*_SENSORS)):
        return placement(Kind.OTHER, "the quality or status of a sensor, not its signal")
    if read.has("light"):
        return placement(Kind.MARKER, "lights off/on mark") if read.has("off") else _named(read, Kind.LIGHT, "light", "light")
    if read.has("off") and read.has(*_SENSORS):
        return placement(Kind.IMPEDANCE, "an electrode-off flag, not the signal")
    pressure = read.has("pressure")
    if read.has("leak", "tidal"):
        return _named(read, Kind.PAP, "a value of the PAP device", "leak", "tidal")
    if read.has("pap") or (pressure and read.says("c")):
        if read.has("flow") and not pressure:
            return placement(Kind.FLOW, "airflow as the PAP device measures it")
        return placement(Kind.PAP, "pressure or setting of the PAP device")
    if read.has("audio") and not read.has("snore", "microphone"):
        return _named(read, Kind.OTHER, "audio, not used", "audio")
    return (
        _named(read, Kind.MARKER, "a marker or trigger", "marker")
        or _named(read, Kind.OTHER, "the device's power supply", "battery")
        or _named(read, Kind.OTHER, "blood pressure, not used", "blood_pressure")
        or (None if read.has("ecg", "emg", "eeg", "eog") else _named(read, Kind.OTHER, "a derived quantity, not used", "derived"))
        or _named(read, Kind.ACTIVITY, "movement of the body", "activity")
        or _named(read, Kind.POSITION, "position of the body", "position")
    )


def _cardiac(read: _Read) -> Placement | None:
    if read.has("ecg") and not (read.has("rate") or read.says("hr", "ihr")):
        return _named(read, Kind.ECG, "electrocardiogram", "ecg")
    roman = read.says("i", "ii", "iii", "avr", "avl", "avf")
    if (read.has("lead") and (roman or not read.has("electrode"))) or (roman and len(read.tokens) == 1):
        return placement(Kind.ECG, "an ECG lead")
    return None


def _muscles_and_eyes(read: _Read) -> Placement | None:
    found = (
        _named(read, Kind.EOG, "eye movement", "eog")
        or _named(read, Kind.CHIN_EMG, "chin muscle", "chin")
        or _named(read, Kind.LEG_EMG, "leg muscle", "leg")
        or _named(read, Kind.ARM_EMG, "arm muscle", "arm")
        or _named(read, Kind.OTHER_EMG, "a muscle", "muscle")
    )
    if found is not None:
        return found
    others = {token.group for token in read.tokens} - {"left", "right", "number", "dx", "anterior", "emg"}
    if read.has("dx", "anterior") and not others:
        return placement(Kind.LEG_EMG, "leg muscle (tibialis, by side)")
    return _named(read, Kind.OTHER_EMG, "electromyogram, muscle not named", "emg")


def _oximetry(read: _Read) -> Placement | None:
    """Saturation, CO2, pulse and its wave."""
    if read.has("co2"):
        return _named(read, Kind.CO2, "carbon dioxide", "co2")
    if read.has("pleth") or (read.has("pulse") and read.has("wave")):
        return _named(read, Kind.PLETH, "pulse wave", "pleth", "pulse")
    last = next((token for token in reversed(read.tokens) if token.group in {"spo2", "pulse", "pulse_short"}), None)
    if last is not None and last.group == "spo2":
        return placement(Kind.SPO2, f"“{last.text}” means oxygen saturation")
    if last is None and (read.has("oximeter") or (read.says("o2") and read.unit == "%")):
        return placement(Kind.SPO2, "oxygen by a pulse oximeter")
    if last is not None and not read.has("breath"):
        if not read.has("rate") and last.text.startswith("pul") and read.fast(32.0) and read.unit != "bpm":
            return placement(Kind.PLETH, f"“{last.text}” sampled at {read.rate_hz:g} Hz without the unit bpm is a pulse wave")
        return placement(Kind.PULSE, f"“{last.text}” means heart or pulse rate")
    if read.has("ecg"):
        return placement(Kind.PULSE, "heart rate from the ECG")
    return None


def _breathing(read: _Read) -> Placement | None:
    if read.has("rate") and read.has("breath"):
        return placement(Kind.OTHER, "a respiratory rate: derived, not used")
    if read.has("snore", "microphone") and not read.says("flow", "airflow"):
        return _named(read, Kind.SNORE, "snoring sound", "snore", "microphone")
    if read.has("pressure") and read.says("pes", "poes"):
        return placement(Kind.EFFORT_THORAX, "oesophageal pressure follows breathing effort")
    found = (
        _named(read, Kind.NASAL_PRESSURE, "nasal pressure", "nasal_pressure", "pressure")
        or _named(read, Kind.THERMISTOR, "thermistor", "thermistor")
        or (placement(Kind.THERMISTOR, "temperature of the airflow") if read.has("temperature") and read.has("flow") else None)
        or _named(read, Kind.OTHER, "temperature, not used", "temperature")
    )
    if found is not None:
        return found
    belt = next((token for token in read.tokens if token.group in {"thorax", "abdomen"}), None)
    if belt is not None:
        kind, where = (Kind.EFFORT_THORAX, "chest") if belt.group == "thorax" else (Kind.EFFORT_ABDOMEN, "abdomen")
        return placement(kind, f"“{belt.text}” means breathing effort of the {where}")
    if read.has("flow", "flow_short", "breath") and "thermistor" in read.transducer:
        return placement(Kind.THERMISTOR, "breathing, and the transducer field says thermistor")
    if read.has("breath") and "effort" in read.transducer:
        return placement(Kind.EFFORT_SUM, "breathing, and the transducer field says belt")
    alone = len([token for token in read.tokens if token.group != "number"]) == 1
    return (
        _named(read, Kind.FLOW, "airflow", "flow", *(("flow_short",) if alone else ()))
        or _named(read, Kind.EFFORT_SUM, "breathing effort, both belts", "sum")
        or _named(read, Kind.EFFORT_SUM, "breathing effort, belt not named", "effort")
        or _named(read, Kind.FLOW, "breathing, sensor not named", "breath")
        or _named(read, Kind.ACTIVITY, "movement of the body", "movement")
    )


_REFERENCES = ("a1", "a2", "m1", "m2", "a12", "m12", "a22", "m22")


def _electrodes(read: _Read) -> Placement | None:
    """Electrode names of the 10-20 system and its extensions, and plain "EEG"."""
    names = [token.text for token in read.tokens if token.group == "electrode"]
    if names:
        active = next((name for name in names if name not in _REFERENCES), names[0])
        shown = "-".join(name.upper().replace("FP", "Fp").replace("Z", "z") for name in names)
        if active in {"e1", "e2"}:
            return placement(Kind.EOG, f"eye electrode {shown}")
        return placement(Kind.EEG, f"electrode {shown} of the 10-20 system")
    if read.has("eeg"):
        return _named(read, Kind.EEG, "electroencephalogram", "eeg")
    if _chin_by_number(read):
        return placement(Kind.CHIN_EMG, "numbered chin electrodes (1, 2 and F, as recorders with few leads label them)")
    return _named(read, Kind.OTHER, "an auxiliary or empty input", "dc", "auxiliary")


def _chin_by_number(read: _Read) -> bool:
    texts = [token.text for token in read.tokens]
    volts = read.unit in {"V", "mV", "µV"} and read.fast(100.0)
    return texts in (["1", "f"], ["2", "f"]) or (texts in (["1", "2"], ["2", "1"]) and volts)
