"""A simulated night as EDF+: signals, true scoring and events in one file that says in its header what it is."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

import edfio

from sleepfm.files import atomic_path
from sleepfm.recording.scorings.edf_annotations import STAGE_TEXTS
from sleepfm.simulation.night import Night
from sleepfm.vocabulary import EPOCH_S, EventName, Stage

SIMULATED = "SIMULATED"
"""The word, whole, in the patient and the recording field of every simulated file."""
EQUIPMENT = "sleepfm_simulate"
TRANSDUCER = "simulated"
FINGERPRINT_DIGITS = 16
_RECORDING_FIELD = slice(88, 168)  # of the header (EDF specification 1992, "local recording identification")
# EDF+ texts where the standard has its own (https://www.edfplus.info/specs/edftexts.html).
_TEXTS = {
    EventName.AROUSAL: "EEG arousal",
    EventName.DESATURATION: "Oxygen desaturation",
    EventName.LEG_MOVEMENT: "Limb movement",
    EventName.SNORE: "Snoring",
}


def write_night(night: Night, path: Path, *, start: datetime, fingerprint: str = "") -> None:
    """Write a night, whole or not at all.

    Parameters
    ----------
    night
        What to write.
    path
        The EDF file.
    start
        Local time of the first sample, whole seconds.
    fingerprint
        What stands for the settings; the first digits of it close the header's recording field.
    """
    annotations = [
        edfio.EdfAnnotation(k * EPOCH_S, EPOCH_S, STAGE_TEXTS[Stage(int(stage))]) for k, stage in enumerate(night.stages)
    ]
    for event in night.events:
        text = _TEXTS.get(EventName(event.name), event.name)
        linked = f"{text}@@{event.channel}" if event.channel else text
        annotations.append(edfio.EdfAnnotation(event.start_s, round(event.stop_s - event.start_s, 3), linked))
    signals = [
        edfio.EdfSignal(
            signal.data,
            signal.rate_hz,
            transducer_type=TRANSDUCER,
            physical_dimension=signal.unit,
            label=signal.label,
            prefiltering=signal.prefilter,
            physical_range=signal.physical_range,
        )
        for signal in night.signals
    ]
    edf = edfio.Edf(
        signals,
        patient=edfio.Patient(code=SIMULATED, sex="F" if night.subject.sex == "female" else "M", name=SIMULATED),
        recording=edfio.Recording(
            startdate=start.date(),
            hospital_administration_code=SIMULATED,
            investigator_technician_code="X",
            equipment_code=EQUIPMENT,
            additional=(fingerprint[:FINGERPRINT_DIGITS],) if fingerprint else (),
        ),
        starttime=start.time(),
        data_record_duration=1,
        annotations=annotations,
    )
    with atomic_path(path) as temporary:
        edf.write(temporary)


def fingerprint_in(path: Path) -> str:
    """Return the digits of the fingerprint that a file was written with, "" when it has none or cannot be read."""
    try:
        with path.open("rb") as file:
            words = file.read(256)[_RECORDING_FIELD].decode("ascii", "replace").split()
    except OSError:
        return ""
    return words[-1] if EQUIPMENT in words[:-1] else ""
