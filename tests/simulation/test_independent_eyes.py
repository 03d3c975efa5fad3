"""Tools that were made for real sleep must recognise what the simulation made."""

import mne
import numpy as np
import pytest
import sleepecg
import yasa
from scipy.signal import welch

from sleepfm.analysis.agreement import Agreement, agree
from sleepfm.simulation.night import Night, simulate_night
from sleepfm.vocabulary import EventName, Stage

YASA_STAGES = {"WAKE": 0, "N1": 1, "N2": 2, "N3": 3, "REM": 4}


def agreement_with_yasa(night: Night) -> Agreement:
    labels = ["C4-M1", "E1-M2", "EMG Chin"]
    x_volt = np.stack([night.signal(label).data for label in labels]).astype(np.float64) * 1e-6
    raw = mne.io.RawArray(x_volt, mne.create_info(labels, 256, ["eeg", "eog", "emg"]), verbose="error")
    predicted = yasa.SleepStaging(raw, eeg_name=labels[0], eog_name=labels[1], emg_name=labels[2]).predict().hypno
    return agree(night.stages, np.array([YASA_STAGES[stage] for stage in predicted])[: len(night.stages)])


def beats_f1(night: Night) -> float:
    found_s = sleepecg.detect_heartbeats(night.signal("ECG").data.astype(np.float64), 256) / 256
    after = np.clip(np.searchsorted(night.beats_s, found_s), 1, len(night.beats_s) - 1)
    nearest = np.minimum(np.abs(night.beats_s[after] - found_s), np.abs(night.beats_s[after - 1] - found_s))
    return 2 * float((nearest <= 0.075).sum()) / (len(found_s) + len(night.beats_s))


def test_yasa_and_sleepecg_see_what_is_there(night):
    assert agreement_with_yasa(night).kappa >= 0.6
    assert beats_f1(night) >= 0.98


@pytest.mark.long
@pytest.mark.parametrize("seed", [1, 2, 6])
def test_yasa_and_sleepecg_see_it_on_whole_nights(seed):
    night = simulate_night(seed, 8.0)
    found = agreement_with_yasa(night)
    assert found.kappa >= 0.7
    assert min(value for value in found.f1.values() if value is not None) >= 0.5
    assert beats_f1(night) >= 0.98


def epochs_of(night: Night, label: str, stage: Stage) -> np.ndarray:
    signal = night.signal(label)
    n = 30 * signal.rate_hz
    x = signal.data[: len(night.stages) * n].reshape(-1, n)
    return x[night.stages == stage]


def test_yasa_finds_spindles_in_n2_and_slow_waves_in_n3(night):
    x = night.signal("C4-M1").data.astype(np.float64)
    hypno = np.repeat(night.stages, 30 * 256)
    x, hypno = x[: len(hypno)], hypno[: len(x)]
    spindles = yasa.spindles_detect(x, 256, hypno=hypno, include=(1, 2, 3, 4)).summary()
    waves = yasa.sw_detect(x, 256, hypno=hypno, include=(1, 2, 3, 4), amp_ptp=(75, 350)).summary()
    minutes = {stage: float((night.stages == stage).sum()) / 2 for stage in Stage}

    def per_minute(found, stage):
        return float((found["Stage"] == stage).sum()) / minutes[stage]

    assert 1.5 < per_minute(spindles, Stage.N2) < 10
    assert per_minute(spindles, Stage.N2) > 4 * per_minute(spindles, Stage.REM)
    assert per_minute(waves, Stage.N3) > 8
    assert per_minute(waves, Stage.N3) > 4 * per_minute(waves, Stage.N2)


def test_slow_waves_fill_a_fifth_of_an_n3_epoch_and_not_of_an_n1_or_rem_epoch(night):
    def share_over_75_uv(x_et: np.ndarray) -> np.ndarray:
        low = yasa_band(x_et)
        peak_to_peak = np.lib.stride_tricks.sliding_window_view(low, 256, axis=1)[:, ::64]
        return (np.ptp(peak_to_peak, axis=2) > 75).mean(axis=1)

    def yasa_band(x_et: np.ndarray) -> np.ndarray:
        return mne.filter.filter_data(x_et.astype(np.float64), 256, 0.5, 2.0, verbose="error")

    assert np.median(share_over_75_uv(epochs_of(night, "C4-M1", Stage.N3))) > 0.2
    assert np.median(share_over_75_uv(epochs_of(night, "C4-M1", Stage.REM))) < 0.05
    assert np.median(share_over_75_uv(epochs_of(night, "C4-M1", Stage.N1))) < 0.1


def band_power(x_et: np.ndarray, low: float, high: float) -> float:
    f, p = welch(x_et, 256, nperseg=1024)
    return float(np.median(p[:, (f >= low) & (f < high)].sum(axis=1)))


def test_alpha_stands_over_the_occiput_and_leaves_with_sleep(night):
    lights_off = next(e.start_s for e in night.events if e.name == EventName.LIGHTS_OFF)
    n = 30 * 256
    x = {label: night.signal(label).data[: len(night.stages) * n].reshape(-1, n) for label in ("O2-M1", "F4-M1")}
    relaxed = (night.stages == Stage.WAKE) & (np.arange(len(night.stages)) * 30 > lights_off)
    asleep = night.stages == Stage.N1
    assert band_power(x["O2-M1"][relaxed], 8, 12) > 2 * band_power(x["F4-M1"][relaxed], 8, 12)
    assert band_power(x["O2-M1"][relaxed], 8, 12) > 2 * band_power(x["O2-M1"][asleep], 8, 12)


def test_eyes_move_against_each_other_and_the_brain_moves_both_alike(night):
    def correlation(stage: Stage) -> float:
        left, right = (epochs_of(night, label, stage).ravel() for label in ("E1-M2", "E2-M2"))
        return float(np.corrcoef(left, right)[0, 1])

    assert correlation(Stage.REM) < -0.4
    assert correlation(Stage.N1) < -0.4
    assert correlation(Stage.N3) > 0.5


def test_chin_tone_falls_from_wake_to_rem(night):
    tone = [float(np.median(epochs_of(night, "EMG Chin", stage).std(axis=1))) for stage in (Stage.WAKE, Stage.N2, Stage.REM)]
    assert tone[0] > 1.5 * tone[1] > 1.5 * 1.5 * tone[2]
