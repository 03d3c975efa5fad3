import itertools

import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import given, settings
from scipy.signal import welch

from sleepfm.errors import RequestError
from sleepfm.recording.channels import place
from sleepfm.recording.scorings.scoring import Event
from sleepfm.simulation.hypnogram import draw_architecture
from sleepfm.simulation.night import simulate_night
from sleepfm.vocabulary import EventName, Modality, Stage

APNEAS = {EventName.OBSTRUCTIVE_APNEA, EventName.CENTRAL_APNEA, EventName.MIXED_APNEA}


@settings(max_examples=12, deadline=None)
@given(st.integers(0, 2**32), st.floats(1 / 120, 0.25), st.integers(1, 3))
def test_any_seed_and_length_gives_a_whole_night_whatever_the_threads(seed, hours, threads):
    night = simulate_night(seed, hours, threads=threads)
    assert night.duration_s == round(hours * 3600)
    assert len(night.stages) == night.duration_s // 30
    assert set(night.stages.tolist()) <= {0, 1, 2, 3, 4}
    for signal in night.signals:
        assert signal.data.shape == (night.duration_s * signal.rate_hz,)
        assert signal.data.dtype == np.float32
        assert np.isfinite(signal.data).all()
    for event in night.events:
        assert 0 <= event.start_s <= event.stop_s <= night.duration_s
    again = simulate_night(np.random.SeedSequence(seed), hours)
    for one, other in zip(night.signals, again.signals, strict=True):
        np.testing.assert_array_equal(one.data, other.data)
    assert night.events == again.events


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 2**32), st.integers(1, 2880), st.floats(20, 85))
def test_every_architecture_begins_awake_and_ends_awake(seed, n_epochs, age):
    found = draw_architecture(np.random.default_rng(seed), n_epochs, age=age)
    assert found.stages.shape == (n_epochs,)
    assert found.stages[0] == Stage.WAKE
    assert 0 <= found.lights_off_s <= found.lights_on_s <= 30 * n_epochs
    jumps = set(itertools.pairwise(found.stages.tolist()))
    assert (Stage.WAKE, Stage.N3) not in jumps


def test_whole_nights_look_like_textbook_nights():
    nights = [draw_architecture(np.random.default_rng(seed), 960, age=45).stages for seed in range(40)]
    half = 480
    share = np.mean(
        [[np.mean(s == stage) for stage in (Stage.WAKE, Stage.N1, Stage.N2, Stage.N3, Stage.REM)] for s in nights], axis=0
    )
    assert 0.05 < share[0] < 0.2
    assert 0.03 < share[1] < 0.12
    assert 0.4 < share[2] < 0.6
    assert 0.1 < share[3] < 0.25
    assert 0.12 < share[4] < 0.28
    for stages in nights:
        onset = int(np.argmax(stages != Stage.WAKE))
        assert 4 * 2 <= onset <= 45 * 2
        assert 45 <= (int(np.argmax(stages == Stage.REM)) - onset) / 2 <= 160  # REM latency in minutes
    assert np.mean([(s[:half] == Stage.N3).sum() > (s[half:] == Stage.N3).sum() for s in nights]) > 0.95
    assert np.mean([(s[:half] == Stage.REM).sum() < (s[half:] == Stage.REM).sum() for s in nights]) > 0.9


@pytest.mark.parametrize("hours", [0, -1, 0.001, 24.5, float("nan"), float("inf")])
def test_a_length_out_of_range_is_refused(hours):
    with pytest.raises(RequestError, match="cannot be simulated"):
        simulate_night(0, hours)


def test_the_montage_is_read_as_what_it_is(night):
    read = {s.label: place(s.label, unit=s.unit, rate_hz=float(s.rate_hz)) for s in night.signals}
    modality = {label: channel.modality for label, channel in read.items()}
    assert modality.pop("Position") is None
    assert set(modality.values()) == set(Modality)
    assert sum(m is Modality.BAS for m in modality.values()) == 8
    assert len({s.rate_hz for s in night.signals}) >= 4


def test_respiratory_events_are_in_sleep_last_ten_seconds_and_do_not_overlap(night):
    breaths = [e for e in night.events if e.name in APNEAS | {EventName.HYPOPNEA}]
    assert len(breaths) > 10
    for event in breaths:
        assert event.stop_s - event.start_s >= 9.99
    for one, other in itertools.pairwise(breaths):
        assert one.stop_s < other.start_s


def test_every_hypopnea_has_an_arousal_or_a_desaturation(night):
    marks = [e.start_s for e in night.events if e.name in (EventName.AROUSAL, EventName.DESATURATION)]
    for event in night.events:
        if event.name == EventName.HYPOPNEA:
            assert any(event.start_s < mark < event.stop_s + 25 for mark in marks)


def test_flow_stops_in_apneas_and_effort_only_in_central_ones():
    night = simulate_night(9, 4.0)

    def share(label: str, event: Event) -> float:
        """Return the size of a signal within the event relative to the 40 s before it."""
        signal = night.signal(label)
        rate = signal.rate_hz
        inside = signal.data[int((event.start_s + 2) * rate) : int((event.stop_s - 2) * rate)]
        before = signal.data[int(max(0, event.start_s - 40) * rate) : int(event.start_s * rate)]
        return float(inside.std() / before.std())

    apneas = [e for e in night.events if e.name in APNEAS]
    assert {EventName.OBSTRUCTIVE_APNEA, EventName.CENTRAL_APNEA} <= {e.name for e in apneas}
    for event in apneas:
        assert share("Nasal Pressure", event) < 0.3
        if event.name == EventName.CENTRAL_APNEA:
            assert share("Abdomen", event) < 0.3
        elif event.name == EventName.OBSTRUCTIVE_APNEA:
            assert share("Abdomen", event) > 0.3


def test_effort_is_paradoxical_in_obstructive_apneas(night):
    for event in night.events:
        if event.name == EventName.OBSTRUCTIVE_APNEA:
            cut = slice(int((event.start_s + 2) * 32), int((event.stop_s - 1) * 32))
            thorax, abdomen = night.signal("Thorax").data[cut], night.signal("Abdomen").data[cut]
            assert np.corrcoef(thorax, abdomen)[0, 1] < -0.5
    calm = slice(0, 60 * 32)
    assert np.corrcoef(night.signal("Thorax").data[calm], night.signal("Abdomen").data[calm])[0, 1] > 0.7


def test_desaturations_follow_their_events_and_stand_in_the_signal(night):
    spo2 = night.signal("SpO2").data
    falls = [e for e in night.events if e.name == EventName.DESATURATION]
    breaths = [e for e in night.events if e.name in APNEAS | {EventName.HYPOPNEA}]
    assert len(falls) > 5
    for fall in falls:
        within = spo2[int(fall.start_s) : int(fall.stop_s) + 1]
        assert fall.extra["Desaturation"] >= 3
        assert within.min() == fall.extra["NadirSpO2"]
        assert within[0] - within.min() == fall.extra["Desaturation"]
        nadir_s = fall.start_s + float(np.mean(np.flatnonzero(within == within.min())))
        assert any(5 < nadir_s - breath.stop_s < 30 for breath in breaths)
    assert np.array_equal(spo2, np.round(spo2))


def test_arousals_speed_up_the_eeg_and_the_heart(night):
    faster, ratio = [], []
    beat_rate = np.interp(np.arange(night.duration_s), night.beats_s[1:], 60 / np.diff(night.beats_s))
    eeg = night.signal("C4-M1").data
    for event in night.events:
        if event.name != EventName.AROUSAL or event.stop_s > night.duration_s - 12:
            continue
        start = int(event.start_s)
        faster.append(beat_rate[start + 2 : start + 9].max() - beat_rate[start - 8 : start].mean())
        f, inside = welch(eeg[int(event.start_s * 256) : int(event.stop_s * 256)], 256, nperseg=512)
        f, before = welch(eeg[(start - 10) * 256 : start * 256], 256, nperseg=512)
        fast = (f >= 8) & (f <= 30)
        ratio.append(inside[fast].sum() / before[fast].sum())
    assert len(faster) > 10
    assert np.median(faster) > 3
    assert np.median(ratio) > 2


def test_leg_movements_stand_in_their_legs_and_plm_come_in_series():
    night = simulate_night(1, 3.0)
    legs = [e for e in night.events if e.name in (EventName.PLM, EventName.LEG_MOVEMENT)]
    gaps = np.diff([e.start_s for e in legs])
    in_series = (gaps >= 5) & (gaps <= 90)
    for k, event in enumerate(legs):
        after = next((j for j, ok in enumerate(in_series[k:]) if not ok), len(in_series) - k)
        before = next((j for j, ok in enumerate(in_series[:k][::-1]) if not ok), k)
        assert (event.name == EventName.PLM) == (before + 1 + after >= 4)
        x = night.signal(event.channel).data
        assert x[int(event.start_s * 256) : int(event.stop_s * 256)].std() > 3 * np.median(np.abs(x))
    assert {e.name for e in legs} == {EventName.PLM, EventName.LEG_MOVEMENT}


def test_artefacts_are_marked_where_they_are(night):
    marked = [e for e in night.events if e.name == EventName.ARTIFACT]
    assert len(marked) == 2
    for event in marked:
        x = night.signal(event.channel).data
        a, b = int(event.start_s * 256), int(event.stop_s * 256)
        assert np.abs(x[a:b]).max() > 100
        assert event.channel not in ("C4-M1", "C3-M2")
