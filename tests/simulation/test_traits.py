"""Liabilities show in the signals, as other tools measure them, and bring the conditions on."""

from functools import cache

import numpy as np
import pytest
import sleepecg
from lifelines import CoxPHFitter
from lifelines.utils import concordance_index
from pandas import DataFrame
from scipy.signal import welch

from sleepfm.simulation.course import draw_course
from sleepfm.simulation.follow_up import CONDITIONS, follow_up, log_hazard
from sleepfm.simulation.measures import measure
from sleepfm.simulation.night import Night, simulate_night
from sleepfm.simulation.people import visits
from sleepfm.simulation.subject import LIABILITIES, Liabilities, draw_subject
from sleepfm.vocabulary import EventName, Stage


@cache
def prone(amount: float) -> Night:
    """Two hours of somebody prone to everything, or to nothing: otherwise the same person in the same bed."""
    subject = draw_subject(np.random.default_rng(8), liabilities=Liabilities(*[amount] * 4))
    return simulate_night(8, 2.0, subject=subject)


@cache
def beats_s(amount: float) -> np.ndarray:
    return sleepecg.detect_heartbeats(prone(amount).signal("ECG").data.astype(np.float64), 256) / 256


def epochs(night: Night, label: str, stage: Stage) -> np.ndarray:
    signal = night.signal(label)
    n = 30 * signal.rate_hz
    return signal.data[: len(night.stages) * n].reshape(-1, n)[night.stages == stage]


def share(amount: float, label: str, stage: Stage, low: float, high: float) -> float:
    """Return the median share of a band in the power from 0.5 to 40 Hz."""
    f, p_ef = welch(epochs(prone(amount), label, stage), 256, nperseg=1024)
    within = p_ef[:, (f >= low) & (f < high)].sum(axis=1)
    return float(np.median(within / p_ef[:, (f >= 0.5) & (f < 40)].sum(axis=1)))


def heart_bpm(amount: float) -> float:
    return float(np.median(60 / np.diff(beats_s(amount))))


def premature(amount: float) -> float:
    intervals = np.diff(beats_s(amount))
    return float((intervals[1:] < 0.83 * intervals[:-1]).sum())


def rmssd_ms(amount: float) -> float:
    intervals = np.diff(beats_s(amount))
    steps = np.diff(intervals)
    return float(np.sqrt(np.mean(steps[np.abs(steps) < 0.2 * intervals[:-1]] ** 2)) * 1000)


def breaths_per_min(amount: float) -> float:
    f, p = welch(prone(amount).signal("Thorax").data, 32, nperseg=32 * 120)
    within = (f > 0.14) & (f < 0.45)
    return float(60 * f[within][p[within].argmax()])


def alpha_hz(amount: float) -> float:
    f, p_ef = welch(epochs(prone(amount), "O2-M1", Stage.WAKE), 256, nperseg=1024)
    within = (f >= 6.5) & (f <= 12.5)
    return float(f[within][np.median(p_ef, axis=0)[within].argmax()])


def toned_rem(amount: float) -> float:
    """Return how much louder the loud seconds of REM are in the chin than its quiet ones."""
    seconds = np.abs(epochs(prone(amount), "EMG Chin", Stage.REM)).reshape(-1, 256).mean(axis=1)
    return float(np.percentile(seconds, 90) / np.percentile(seconds, 20))


def dips(amount: float) -> float:
    return float((np.diff(prone(amount).signal("SpO2").data) < 0).mean())


def rem_sag(amount: float) -> float:
    return float(epochs(prone(amount), "SpO2", Stage.N2).mean() - epochs(prone(amount), "SpO2", Stage.REM).mean())


def legs(amount: float) -> float:
    return sum(event.name == EventName.PLM for event in prone(amount).events)


@pytest.mark.parametrize(
    ("measured", "more_than"),
    [
        (heart_bpm, 8),
        (premature, 10),
        (breaths_per_min, 2),
        (toned_rem, 0.5),
        (dips, 0.01),
        (rem_sag, 1),
        (legs, 10),
        (lambda amount: -rmssd_ms(amount), 10),
        (lambda amount: -alpha_hz(amount), 1),
        (lambda amount: share(amount, "C4-M1", Stage.REM, 4, 8), 0.05),
        (lambda amount: share(amount, "C4-M1", Stage.N3, 8, 12), 0.01),
        (lambda amount: -share(amount, "C4-M1", Stage.N2, 12, 15), 0.01),
    ],
)
def test_liabilities_show_in_every_modality_as_other_tools_measure_them(measured, more_than):
    assert measured(1.5) - measured(-1.5) > more_than


def test_what_the_tables_say_of_a_night_is_what_is_in_its_signals():
    for amount in (-1.5, 1.5):
        found = measure(prone(amount).course)
        asleep = np.isin(prone(amount).stages[(beats_s(amount)[1:] // 30).astype(int).clip(max=239)], (1, 2, 3, 4))
        assert found.heart_bpm == pytest.approx(np.median(60 / np.diff(beats_s(amount))[asleep]), abs=1)
        assert found.rmssd_ms == pytest.approx(rmssd_ms(amount), rel=0.15)
        assert found.sleep_minutes == (prone(amount).stages > 0).sum() / 2
    assert measure(prone(1.5).course).spindles_per_min < 0.6 * measure(prone(-1.5).course).spindles_per_min


def test_a_montage_and_a_longer_night_do_not_change_who_sleeps():
    assert draw_course(3, 0.1).subject == draw_course(3, 0.2).subject != draw_course(4, 0.1).subject


@pytest.fixture(scope="module")
def people():
    rng = np.random.default_rng(0)
    subjects = [draw_subject(rng) for _ in range(3000)]
    return subjects, [follow_up(rng, subject) for subject in subjects]


def test_age_sex_and_weight_explain_a_part_of_each_liability(people):
    subjects, _ = people
    known = np.array([[1, s.age, s.sex == "male", np.log(s.bmi)] for s in subjects], dtype=float)
    for name in LIABILITIES:
        liability = np.array([getattr(s.liabilities, name) for s in subjects])
        rest = liability - known @ np.linalg.lstsq(known, liability, rcond=None)[0]
        assert 0.05 < 1 - rest.var() / liability.var() < 0.3
        assert liability.mean() == pytest.approx(0, abs=0.1)
        assert liability.std() == pytest.approx(1, abs=0.1)


@pytest.mark.parametrize("condition", CONDITIONS)
def test_who_falls_ill_follows_the_true_hazard_and_age_and_sex_only_in_part(people, condition):
    subjects, lives = people
    k = list(CONDITIONS).index(condition)
    years, happened = np.array([one.years[k] for one in lives]), np.array([one.is_event[k] for one in lives])
    truth = np.array([log_hazard(condition, subject) for subject in subjects])
    table = DataFrame({"age": [s.age for s in subjects], "male": [float(s.sex == "male") for s in subjects]})
    table["years"], table["happened"] = years, happened
    cox = CoxPHFitter().fit(table, "years", "happened")
    by_truth = concordance_index(years, -truth, happened)
    by_age_and_sex = concordance_index(years, -cox.predict_partial_hazard(table), happened)
    assert 0 < years.min() <= years.max() <= 14
    assert 0.08 < happened.mean() < 0.48
    if condition == "SIM-03":
        assert by_age_and_sex == pytest.approx(by_truth, abs=0.005)
    else:
        assert 0.82 < by_truth < 0.9
        assert 0.57 < by_age_and_sex < 0.7
        assert CoxPHFitter().fit(DataFrame({"truth": truth, "years": years, "happened": happened}), "years", "happened").params_[
            "truth"
        ] == pytest.approx(1, abs=0.1)


@pytest.mark.long
def test_simple_figures_of_one_short_night_tell_the_liabilities():
    """Ten-fold cross-validated ridge regression on what anybody would count in a night of two hours."""
    from sklearn.linear_model import RidgeCV
    from sklearn.model_selection import cross_val_predict

    rows, truth = [], []
    for visit in visits(5, 150, 1):
        course = draw_course(visit.night_seed, 2.0, subject=visit.subject)
        stage_t, breath_t = course.timeline.stage_t, np.diff(course.timeline.breath_phase_t[::32])
        found = measure(course)
        in_n2, in_rem = stage_t == Stage.N2, stage_t == Stage.REM
        intervals = np.diff(course.beats_s)
        rate_t = np.interp(np.arange(len(stage_t)), course.beats_s[1:], 60 / intervals)
        turns = sum(stage_t[int(m.start_s)] != Stage.WAKE for m in course.timeline.body_movements)
        rows.append([
            *(found.heart_bpm, np.log(found.rmssd_ms), np.log1p((intervals[1:] < 0.83 * intervals[:-1]).sum())),
            *(np.log(found.spindles_per_min), np.log1p(found.plm_index), np.log1p(found.fragmentation), found.n3_minutes),
            *(np.log1p(found.ahi), 60 * breath_t[in_n2[:-1]].mean(), course.spo2_t[in_n2].mean(), np.log1p(turns)),
            *(course.spo2_t[in_n2].mean() - course.spo2_t[in_rem].mean() if in_rem.any() else 0.0,),
            rate_t[stage_t == Stage.WAKE].mean() - rate_t[in_n2].mean(),
        ])  # fmt: skip
        truth.append([getattr(visit.subject.liabilities, name) for name in LIABILITIES])
    x, y = np.array(rows), np.array(truth)
    x = (x - x.mean(axis=0)) / x.std(axis=0)
    for k in range(len(LIABILITIES)):
        predicted = cross_val_predict(RidgeCV(np.logspace(-1, 3, 9)), x, y[:, k], cv=10)
        assert np.corrcoef(predicted, y[:, k])[0, 1] > 0.75, LIABILITIES[k]
