"""Events scored by psgscoring: where they are, on which channel, in which stage, and what happens when it cannot."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import edfio
import numpy as np
import psutil
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from psgscoring.utils import detect_channels

from sleepfm.cli.main import main
from sleepfm.errors import Cancelled, MissingChannelsError, RecordingError, RequestError
from sleepfm.inference import psgscoring_engine as engine
from sleepfm.inference.event_process import score_apart
from sleepfm.inference.event_scoring import EventScoring, score_events
from sleepfm.inference.event_signals import EEGS, LEG_RATE_HZ, RATE_HZ, Part, Trace, event_traces, region
from sleepfm.inference.psgscoring_night import EngineNight, names_of
from sleepfm.progress import silent
from sleepfm.recording.quality import assess
from sleepfm.recording.recording import Annotation
from sleepfm.recording.scorings.formats import read_events
from sleepfm.recording.scorings.scoring import Scoring
from sleepfm.signals.vitals import measure_vitals
from sleepfm.vocabulary import EventName, Kind, Stage
from tests.inference.hand_made_night import HandMadeRecording, Signal, breathing, kicks, noise, saturation, write_oximetry

DURATION_S = 960.0
EPOCHS = 32
OBSTRUCTED, CENTRAL, IN_GAP, AWAKE = (400.0, 420.0), (520.0, 545.0), (640.0, 660.0), (880.0, 900.0)
STOPS = (OBSTRUCTED, CENTRAL, IN_GAP, AWAKE)
KICKS = (735.0, 760.0, 785.0, 810.0, 835.0)


def _with(signal: Signal, other: Signal) -> Signal:
    return lambda t: signal(t) + other(t)


def _pulse(size: float) -> Signal:
    return lambda t: size * np.sin(2 * np.pi * 1.1 * t)


def night(**signals: tuple[Kind, str, float, Callable[[np.ndarray], np.ndarray]]) -> HandMadeRecording:
    """Four stops of the breath in a quarter of an hour, one of them beside a gap, one before the last waking.

    The heart moves the belts against each other, and the thermistor has as much noise as those of some laboratories.
    """
    belts = _with(breathing(1.0, [CENTRAL], 3), _pulse(0.03)), _with(breathing(0.8, [CENTRAL], 4), _pulse(-0.03))
    usual = {
        "Nasal": (Kind.NASAL_PRESSURE, "cmH2O", 32.0, breathing(2.0, STOPS, 1)),
        "Therm": (Kind.THERMISTOR, "mV", 32.0, _with(breathing(0.3, STOPS, 2), noise(0.01, 5))),
        "Belt 1": (Kind.EFFORT_THORAX, "mV", 32.0, belts[0]),
        "Belt 2": (Kind.EFFORT_ABDOMEN, "mV", 32.0, belts[1]),
        "Finger": (Kind.SPO2, "%", 1.0, saturation(96.0, [(425, 440, 4.0)])),
        "L tib": (Kind.LEG_EMG, "µV", 256.0, kicks(KICKS)),
        "R tib": (Kind.LEG_EMG, "mV", 200.0, lambda t: kicks([852.0], seed=9)(t) / 1000),
    }
    marks = Annotation(60, None, "Lights off"), Annotation(300, 12, "Hypopnea"), Annotation(900, None, "Lights on")
    return HandMadeRecording(usual | signals, DURATION_S, gaps=[(650.0, 680.0)], marks=marks)


def stages() -> Scoring:
    given_stages = np.full(EPOCHS, Stage.N2, np.int8)
    given_stages[:4] = Stage.WAKE
    given_stages[4] = Stage.UNKNOWN
    given_stages[29:] = Stage.WAKE
    return Scoring(given_stages, scorer="a person")


@pytest.fixture(scope="module")
def scored() -> EventScoring:
    told: list[tuple[float, str]] = []
    found = score_events(night(), stages(), name="night", progress=lambda fraction, words: told.append((fraction, words)))
    fractions = [fraction for fraction, _ in told]
    assert fractions == sorted(fractions)
    assert fractions[-1] == 1.0
    assert {"starting psgscoring", engine.BREATHING, engine.AWAKE, engine.MOVEMENTS} <= {words for _, words in told}
    return found


def named(found: EventScoring, *names: EventName) -> list[tuple[float, float]]:
    return [(event.start_s, event.stop_s) for event in found.events if event.name in names]


def test_stops_of_the_breath_are_apneas_there_and_of_their_type(scored: EventScoring) -> None:
    (obstructive, awake), (central,) = named(scored, EventName.OBSTRUCTIVE_APNEA), named(scored, EventName.CENTRAL_APNEA)
    for found, true in ((obstructive, OBSTRUCTED), (central, CENTRAL), (awake, AWAKE)):
        assert found == pytest.approx(true, abs=3.0)
    assert {event.extra["Type"] for event in scored.events if "apnea" in event.name} == {"by the effort belts"}
    assert "The types of 3 of 3 apneas are read from effort in the belts" in " ".join(scored.provenance["warnings"])
    apnea = next(event for event in scored.events if event.start_s == obstructive[0])
    assert apnea.channel == "Therm"
    assert apnea.extra["Desaturation"] == 4.0
    assert apnea.extra["NadirSpO2"] == 92.0
    assert apnea.source.startswith("psgscoring 0.37.0 ")


def test_a_desaturation_is_marked_from_the_level_before(scored: EventScoring) -> None:
    (fall,) = [event for event in scored.events if event.name == EventName.DESATURATION]
    assert (fall.start_s, fall.stop_s) == (424.0, 440.0)
    assert fall.extra == {"Desaturation": 4.0, "NadirSpO2": 92.0}
    assert fall.channel == "Finger"


def test_lights_that_the_recording_marks_go_along_and_what_is_scored_anew_does_not(scored: EventScoring) -> None:
    own = [(event.start_s, event.name, event.source) for event in scored.events if event.source == "recording"]
    assert own == [(60.0, EventName.LIGHTS_OFF, "recording"), (900.0, EventName.LIGHTS_ON, "recording")]
    assert EventName.LIGHTS_OFF.value not in scored.counts


def test_legs_move_when_they_move_and_on_their_own_channel(scored: EventScoring) -> None:
    movements = [event for event in scored.events if event.name in {EventName.PLM, EventName.LEG_MOVEMENT}]
    assert [event.start_s for event in movements] == pytest.approx([*KICKS, 852.0], abs=0.2)
    assert [event.channel for event in movements] == ["L tib"] * 5 + ["R tib"]
    assert {event.name for event in movements} == {EventName.PLM}
    assert all(1.2 <= event.stop_s - event.start_s <= 2.0 for event in movements)


def test_events_are_marked_in_every_stage_and_counted_in_sleep(scored: EventScoring) -> None:
    hours = scored.provenance["sleep_hours"]
    # 24 epochs of sleep, without the two that the gap touches
    assert hours == pytest.approx((24 - 2) * 30 / 3600, abs=0.01)
    assert scored.indices["ahi"].value == pytest.approx(2 / hours, abs=0.1)
    assert scored.indices["odi3"].value == scored.indices["odi4"].value == pytest.approx(1 / hours, rel=0.01)
    interval = scored.indices["ahi"]
    assert interval.low is not None
    assert interval.high is not None
    assert interval.low <= interval.value <= interval.high


def test_what_was_not_scored_is_said_with_the_reason(scored: EventScoring) -> None:
    assert scored.skipped["Arousals"] == "no usable EEG channel"
    assert EventName.AROUSAL.value not in scored.provenance["looked_for"]
    assert EventName.HYPOPNEA.value in scored.provenance["looked_for"]
    assert "arousal_index" not in scored.indices
    said = " ".join(scored.provenance["warnings"])
    assert "1 of 32 epochs are Unknown: they count as no sleep" in said
    assert "2 of 32 epochs have a gap" in said
    assert [stop - first for first, stop in scored.provenance["left_out"]] == [2]
    json.dumps(scored.provenance, allow_nan=False)


def test_a_night_without_sleep_has_events_and_no_indices() -> None:
    flow = Kind.FLOW, "", 25.0, breathing(1.0, [(300, 320)])
    recording = HandMadeRecording({"Flow": flow}, 600.0)
    unslept = np.array([Stage.WAKE] * 10 + [Stage.UNKNOWN] * 10, np.int8)
    found = score_events(recording, Scoring(unslept), name="night")
    assert named(found, EventName.OBSTRUCTIVE_APNEA) == [pytest.approx((300, 320), abs=3.0)]
    assert found.indices == {}
    assert "No epoch is scored as sleep: there are no indices." in found.provenance["warnings"]
    assert found.skipped["Hypopneas"].startswith("no usable SpO2 channel")
    assert found.provenance["looked_for"] == ["Central apnea", "Mixed apnea", "Obstructive apnea"]


def test_cancelling_ends_the_process() -> None:
    before = set(psutil.Process().children(recursive=True))

    def stop(_fraction: float, words: str) -> None:
        if words == "starting psgscoring":
            assert set(psutil.Process().children(recursive=True)) - before
            raise Cancelled("asked to stop")

    with pytest.raises(Cancelled):
        score_events(night(), stages(), name="night", progress=stop)
    deadline = time.monotonic() + 5
    while leftover := [
        p for p in set(psutil.Process().children(recursive=True)) - before if "spawn_main" in " ".join(p.cmdline())
    ]:
        assert time.monotonic() < deadline, leftover
        time.sleep(0.05)


def test_a_failure_of_the_engine_is_one_line_about_the_recording() -> None:
    flow = Trace("Flow", RATE_HZ, np.zeros(3000, np.float32), np.zeros(1, bool))
    broken = EngineNight({Part.FLOW: flow}, np.zeros(1, np.int8), np.zeros(1, bool), "no such profile")
    with pytest.raises(RecordingError, match=r"^the night: psgscoring failed on it \(KeyError"):
        score_apart(broken, name="the night", progress=silent)


def test_what_cannot_be_scored_at_all_is_refused() -> None:
    light = HandMadeRecording({"Light": (Kind.LIGHT, "lx", 1.0, noise(1.0, 0))}, DURATION_S)
    with pytest.raises(MissingChannelsError, match="no usable channel of airflow, SpO2, EEG or leg EMG"):
        score_events(light, stages(), name="light")
    with pytest.raises(RequestError, match="no profile 'strictest'"):
        score_events(light, stages(), name="light", profile="strictest")
    short = HandMadeRecording({"Finger": (Kind.SPO2, "%", 1.0, saturation(96.0, []))}, 20.0)
    with pytest.raises(RecordingError, match="at least one whole 30-s epoch"):
        score_events(short, stages(), name="short")


# channels


def traces_of(recording: HandMadeRecording) -> dict[Part, Trace]:
    return event_traces(recording, measure_vitals(recording), assess(recording), EPOCHS)


def test_channels_are_chosen_by_kind_and_brought_to_volts() -> None:
    eeg = "µV", 128.0, lambda t: 20 * np.sin(2 * np.pi * 10 * t)
    recording = night(
        **{
            "EEG C4": (Kind.EEG, *eeg),
            "EEG O2": (Kind.EEG, *eeg),
            "M1": (Kind.EEG, *eeg[:2], noise(5.0, 3)),
            "Dead": (Kind.EOG, "µV", 128.0, lambda t: np.zeros(len(t))),
            "E2": (Kind.EOG, "µV", 128.0, noise(20.0, 4)),
        }
    )
    traces = traces_of(recording)
    assert traces[Part.CENTRAL].label == "C4-M1"
    assert traces[Part.OCCIPITAL].label == "O2-M1"
    assert traces[Part.EOG].label.startswith("E2")
    assert float(np.std(traces[Part.CENTRAL].x)) == pytest.approx(20e-6 / np.sqrt(2), rel=0.15)
    assert traces[Part.LEG].rate_hz == LEG_RATE_HZ
    assert len(traces[Part.LEG].x) == DURATION_S * LEG_RATE_HZ
    left, right = traces[Part.LEG].x, traces[Part.OTHER_LEG].x
    assert left[int(735.5 * LEG_RATE_HZ) :][:100].std() == pytest.approx(right[int(852.5 * LEG_RATE_HZ) :][:100].std(), rel=0.5)


def test_belts_are_compared_only_when_they_have_one_unit() -> None:
    weak = Kind.EFFORT_ABDOMEN, "mV", 32.0, breathing(0.01, [CENTRAL], 4)
    other_unit = Kind.EFFORT_ABDOMEN, "H", 32.0, breathing(1e-7, [CENTRAL], 4)
    sizes = []
    for abdomen in (weak, other_unit):
        traces = traces_of(night(**{"Belt 2": abdomen}))
        sizes.append(float(np.std(traces[Part.ABDOMEN].x) / np.std(traces[Part.THORAX].x)))
    assert sizes == pytest.approx([0.01, 1.0], rel=0.1)


def test_psgscoring_guesses_nothing_from_the_names_it_is_given() -> None:
    trace = Trace("SpO2 flow leg chin", RATE_HZ, np.zeros(1, np.float32), np.zeros(1, bool))
    given = EngineNight(dict.fromkeys(Part, trace), np.zeros(1, np.int8), np.zeros(1, bool), "")
    names = names_of(given)
    assert len(set(names.values())) == len(names)
    assert set(detect_channels([name for part, name in names.items() if part not in EEGS])) == set()
    assert set(detect_channels(list(names.values()))) == {"eeg"}


@pytest.mark.parametrize(
    ("label", "part"),
    [
        ("C3-M2", Part.CENTRAL),
        ("EEG F4-A1", Part.FRONTAL),
        ("O1", Part.OCCIPITAL),
        ("Fp1-M2", Part.OTHER_EEG),
        ("T4", Part.OTHER_EEG),
    ],
)
def test_the_region_of_an_eeg_is_that_of_its_first_electrode(label: str, part: Part) -> None:
    assert region(label) is part


@settings(max_examples=10, deadline=None)
@given(st.floats(1e-4, 1e4), st.integers(-1000, 1000))
def test_the_size_and_the_zero_of_a_flow_signal_do_not_matter(size: float, zero: int) -> None:
    def flow(t: np.ndarray) -> np.ndarray:
        return np.sin(2 * np.pi * 0.25 * t)

    def traced(signal: Callable[[np.ndarray], np.ndarray]) -> np.ndarray:
        recording = HandMadeRecording({"Flow": (Kind.FLOW, "", 25.0, signal)}, 120.0, gaps=[(50.0, 60.0)])
        quality = replace(assess(recording), flags=np.zeros((1, 4), np.uint8))
        return event_traces(recording, measure_vitals(recording), quality, 4)[Part.FLOW].x

    assert traced(lambda t: size * (flow(t) + zero)) == pytest.approx(traced(flow), abs=0.02)


# the command


def test_the_command_writes_events_and_prints_one_object(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    edf = write_oximetry(tmp_path / "night.edf", dips=[(200, 230, 5.0), (400, 420, 3.0)])
    hypnogram = tmp_path / "hypnogram.csv"
    hypnogram.write_text("Start,Stop,StageName,StageNumber\n0,300,Stage 2,2\n300,600,Wake,0\n", encoding="utf-8")
    out = tmp_path / "events.csv"
    words = ["events", str(edf), "--hypnogram", str(hypnogram), "--out", str(out), "--home", str(tmp_path / "home"), "--json"]
    assert main(words) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["counts"]["Desaturation"] == 2
    assert found["indices"]["odi3"] == {"value": 12.0, "low": None, "high": None}
    assert found["out"] == str(out)
    assert "Apneas and hypopneas" in found["skipped"]
    events = read_events(out)
    assert [(event.start_s, event.stop_s, event.extra["Desaturation"]) for event in events] == [(199, 230, 5), (399, 420, 3)]
    assert main([*words[:-1], "--profile", "mine"]) == 2
    assert "psgscoring has no profile 'mine'" in capsys.readouterr().err


def test_without_stages_to_be_had_the_command_asks_for_them(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    edf = write_oximetry(tmp_path / "night.edf")
    assert main(["events", str(edf), "--out", str(tmp_path / "e.csv"), "--home", str(tmp_path / "home")]) == 1
    assert "--hypnogram" in capsys.readouterr().err
    assert not (tmp_path / "e.csv").exists()


@pytest.mark.long
def test_most_events_of_a_simulated_night_are_found(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["simulate", str(tmp_path / "sim"), "--studies", "1", "--hours", "3", "--seed", "12", "--json"]
    assert main(words) == 0
    study = json.loads(capsys.readouterr().out)["studies"][0]
    assert edfio.read_edf(study["edf"], lazy_load_data=True).duration == pytest.approx(3 * 3600)
    out = tmp_path / "events.csv"
    home = ["--home", str(tmp_path / "home")]
    assert main(["events", study["edf"], "--hypnogram", study["scoring"], "--out", str(out), *home]) == 0
    found, true = read_events(out), read_events(Path(study["events"]))

    def hits(names: set[EventName], these: tuple, those: tuple) -> float:
        own = [e for e in these if e.name in names]
        other = [e for e in those if e.name in names]
        met = [any(a.start_s - 2 < b.stop_s and b.start_s - 2 < a.stop_s for b in other) for a in own]
        return float(np.mean(met)) if met else 1.0

    breaths = {EventName.OBSTRUCTIVE_APNEA, EventName.CENTRAL_APNEA, EventName.MIXED_APNEA, EventName.HYPOPNEA}
    for names, sensitivity, precision in (
        (breaths, 0.8, 0.8),
        ({EventName.DESATURATION}, 0.9, 0.9),
        ({EventName.AROUSAL}, 0.8, 0.8),
    ):
        assert hits(names, true, found) >= sensitivity
        assert hits(names, found, true) >= precision
    apneas = breaths - {EventName.HYPOPNEA}
    pairs = [(a, b) for a in true for b in found if {a.name, b.name} <= apneas and a.start_s < b.stop_s and b.start_s < a.stop_s]
    assert np.mean([a.name == b.name for a, b in pairs]) >= 0.9
    # The simulation has no RERAs of its own: what is found lies where it lets the airway narrow.
    snoring = [(e.start_s, e.stop_s) for e in true if e.name is EventName.SNORE]
    for one in (e for e in found if e.name is EventName.RERA):
        assert any(start - 5 < one.stop_s and one.start_s < stop for start, stop in snoring)
