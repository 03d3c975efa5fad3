"""The numbers of a night against YASA's and Luna's: equal where the definitions agree, and different as the page says."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import edfio
import lunapi
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sleepfm.analysis.sleep_statistics import NightStatistics, night_statistics
from sleepfm.analysis.statistic_definitions import AASM, LUNA, OTHERS, YASA
from sleepfm.recording.scorings.formats import read_scoring
from sleepfm.vocabulary import Stage

YASA_WORDS = {-1: "UNS", 0: "WAKE", 1: "N1", 2: "N2", 3: "N3", 4: "REM"}
LUNA_WORDS = {-1: "?", 0: "W", 1: "N1", 2: "N2", 3: "N3", 4: "R"}


def of_yasa(stages: np.ndarray) -> dict[str, float]:
    """Return the statistics of YASA's Hypnogram."""
    from yasa import Hypnogram

    return Hypnogram([YASA_WORDS[stage] for stage in stages.tolist()], freq="30s").sleep_statistics()


@pytest.fixture(scope="module")
def of_luna(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., dict[str, float]]:
    """Return a function from stages and lights to what Luna's HYPNO prints, stage minutes among it."""
    folder = tmp_path_factory.mktemp("luna")
    project = lunapi.proj()
    project.silence(True)

    def hypno(stages: np.ndarray, lights: tuple[float, float] | None = None) -> dict[str, Any]:
        edfio.Edf([edfio.EdfSignal(np.sin(np.arange(30.0 * len(stages))), 1, label="C4")]).write(folder / "n.edf")
        rows = [f"{LUNA_WORDS[stage]}\t.\t.\t{30 * k}\t{30 * k + 30}\t." for k, stage in enumerate(stages.tolist())]
        if lights is not None:
            rows += [f"{name}\t.\t.\t{at}\t{at}\t." for name, at in zip(("lights_off", "lights_on"), lights, strict=True)]
        (folder / "n.annot").write_text("\n".join(rows) + "\n")
        night = project.inst("n")
        night.attach_edf(str(folder / "n.edf"))
        night.attach_annot(str(folder / "n.annot"))
        night.eval("EPOCH & HYPNO")
        found = night.table("HYPNO").iloc[0].to_dict()
        return found | {f"MINS {row.SS}": row.MINS for row in night.table("HYPNO", "SS").itertuples()}

    return hypno


def stages_of(*bouts: tuple[Stage, float]) -> np.ndarray:
    """Return stages from (stage, minutes) bouts."""
    return np.concatenate([np.full(int(2 * minutes), stage, np.int8) for stage, minutes in bouts])


NIGHT = stages_of(
    (Stage.WAKE, 10), (Stage.N1, 2), (Stage.WAKE, 1), (Stage.N2, 30), (Stage.N3, 20), (Stage.N2, 5), (Stage.REM, 12),
    (Stage.WAKE, 3), (Stage.N2, 40), (Stage.REM, 20), (Stage.N1, 4.5), (Stage.WAKE, 15),
)  # fmt: skip


@st.composite
def hypnograms(draw: st.DrawFn) -> np.ndarray:
    """Draw nights of bouts, some of them Unknown, of 1 to about 60 epochs."""
    bouts = draw(st.lists(st.tuples(st.integers(-1, 4), st.integers(1, 25)), min_size=1, max_size=16))
    return np.concatenate([np.full(length, stage, np.int8) for stage, length in bouts])


def same(ours: float | None, theirs: float | None) -> bool:
    """Whether two numbers agree to YASA's four decimals; undefined is NaN or None with others."""
    if ours is None:
        return theirs is None or bool(np.isnan(theirs))
    return theirs is not None and abs(ours - theirs) < 1e-4


AGREED_WITH_YASA = {
    "tib": "TIB", "tst": "TST", "sol": "SOL", "waso_period": "WASO", "n1": "N1", "n2": "N2", "n3": "N3", "rem": "REM",
    "wake": "WAKE", "n1_share": "%N1", "n2_share": "%N2", "n3_share": "%N3", "rem_share": "%REM",
}  # fmt: skip
AGREED_WITH_LUNA = {
    "tib": "TIB", "tst": "TST", "sol": "SOL", "waso_period": "WASO", "spt": "SPT", "rem_latency": "REM_LAT",
    "persistent_latency": "SOL_PER", "wake": "MINS W", "n1": "MINS N1", "n2": "MINS N2", "n3": "MINS N3", "rem": "MINS R",
}  # fmt: skip


def value(night: NightStatistics, key: str) -> float:
    """Return a number that is defined."""
    found = night[key].value
    assert found is not None, night[key].why_none
    return found


def left_open(night: NightStatistics, key: str) -> bool:
    """Whether a latency is not stated because of Unknown epochs, of which others make Wake."""
    return night[key].why_none.startswith("epochs that nobody scored may be the first")


@given(hypnograms())
@settings(max_examples=40, deadline=None)
def test_numbers_are_yasas_where_the_definitions_agree(stages: np.ndarray) -> None:
    ours, theirs = night_statistics(stages), of_yasa(stages)
    if not (stages != Stage.UNKNOWN).any():
        assert ours["tst"].value is None  # YASA: 0 min, of a night that nobody scored
        return
    agreed = {key: name for key, name in AGREED_WITH_YASA.items() if not left_open(ours, key)}
    assert {key: (ours[key].value, theirs[name]) for key, name in agreed.items() if not same(ours[key].value, theirs[name])} == {}
    first_sleep = (stages > Stage.WAKE).argmax() if (stages > Stage.WAKE).any() else 0
    assert left_open(ours, "sol") == (stages[:first_sleep] == Stage.UNKNOWN).any()
    if not (stages == Stage.UNKNOWN).any():
        assert same(ours["se"].value, theirs["SE"])
    if ours["tst"].value:
        assert same(ours["spt"].value, theirs["SPT"])
        if ours["rem_latency"].value is not None:
            assert same(value(ours, "sol") + value(ours, "rem_latency"), theirs["Lat_REM"])


@pytest.mark.parametrize("lights", [None, (600.0, 5400.0)])
@pytest.mark.parametrize("unknown", [0.0, 0.03])
def test_numbers_are_lunas_where_the_definitions_agree(
    of_luna: Callable[..., dict[str, float]], lights: tuple[float, float] | None, unknown: float
) -> None:
    for seed in range(3):
        rng = np.random.default_rng(seed)
        lengths = rng.integers(1, 30, 16)
        stages = np.repeat(rng.integers(0, 5, 16), lengths).astype(np.int8)
        hidden = rng.random(len(stages)) < unknown
        hidden[[0, 20, 179, -1]] = False  # at either end Luna counts it differently: see below
        stages[hidden] = Stage.UNKNOWN
        off, on = lights or (None, None)
        ours, theirs = night_statistics(stages, lights_off_s=off, lights_on_s=on), of_luna(stages, lights)
        agreed = {key: name for key, name in AGREED_WITH_LUNA.items() if not left_open(ours, key)}
        assert unknown or agreed == AGREED_WITH_LUNA
        assert {k: (ours[k].value, theirs[n]) for k, n in agreed.items() if not same(ours[k].value, theirs[n])} == {}


def difference_of_tib_from_yasa() -> None:
    assert value(night_statistics(NIGHT, lights_off_s=600, lights_on_s=3600), "tib") == 50
    assert of_yasa(NIGHT)["TIB"] == len(NIGHT) / 2


def difference_of_tib_from_luna(of_luna: Callable[..., dict[str, float]]) -> None:
    ours, theirs = night_statistics(NIGHT, lights_off_s=605, lights_on_s=3610), of_luna(NIGHT, (605, 3610))
    assert value(ours, "tib") == pytest.approx(3005 / 60)
    assert (theirs["TIB"], theirs["TRT"]) == ((3630 - 600) / 60, len(NIGHT) / 2)
    half = stages_of((Stage.UNKNOWN, 10), (Stage.N2, 30), (Stage.UNKNOWN, 20))
    assert (value(night_statistics(half), "tib"), of_luna(half)["TIB"]) == (60, 30)


def difference_of_tst_from_luna(of_luna: Callable[..., dict[str, float]]) -> None:
    stray = stages_of((Stage.N2, 2), (Stage.WAKE, 121), (Stage.N2, 30))
    assert (value(night_statistics(stray), "tst"), of_luna(stray)["TST"]) == (32, 30)
    close = stages_of((Stage.N2, 2), (Stage.WAKE, 119), (Stage.N2, 30))
    assert value(night_statistics(close), "tst") == of_luna(close)["TST"]
    longer = stages_of((Stage.N2, 5.5), (Stage.WAKE, 121), (Stage.N2, 30))
    assert value(night_statistics(longer), "tst") == of_luna(longer)["TST"]


def _half_known() -> np.ndarray:
    return stages_of((Stage.WAKE, 10), (Stage.N2, 15), (Stage.UNKNOWN, 20), (Stage.N2, 15))


def difference_of_se_from_yasa() -> None:
    assert value(night_statistics(_half_known()), "se") == 75
    assert of_yasa(_half_known())["SE"] == 50


def difference_of_se_from_luna(of_luna: Callable[..., dict[str, float]]) -> None:
    assert of_luna(_half_known())["SE"] == pytest.approx(50)


def difference_of_sol_from_yasa() -> None:
    assert value(night_statistics(NIGHT, lights_off_s=300), "sol") == 5
    assert of_yasa(NIGHT)["SOL"] == 10
    late = stages_of((Stage.WAKE, 1), (Stage.UNKNOWN, 9), (Stage.N2, 30))
    assert (night_statistics(late)["sol"].value, of_yasa(late)["SOL"]) == (None, 10)


def difference_of_sol_from_luna(of_luna: Callable[..., dict[str, float]]) -> None:
    late = stages_of((Stage.WAKE, 1), (Stage.UNKNOWN, 9), (Stage.N2, 30))
    assert (night_statistics(late)["sol"].value, of_luna(late)["SOL"]) == (None, 10)


def difference_of_persistent_latency_from_yasa() -> None:
    broken = stages_of((Stage.WAKE, 5), (Stage.N2, 6), (Stage.WAKE, 1), (Stage.N2, 10), (Stage.WAKE, 2))
    assert (value(night_statistics(broken), "persistent_latency"), of_yasa(broken)["SOL_5min"]) == (12, 5)


def difference_of_rem_latency_from_yasa() -> None:
    ours, theirs = night_statistics(NIGHT), of_yasa(NIGHT)
    assert value(ours, "rem_latency") == theirs["Lat_REM"] - theirs["SOL"] == 58
    assert theirs["Lat_REM"] == value(ours, "sol") + value(ours, "rem_latency")


def difference_of_waso_from_yasa() -> None:
    ours = night_statistics(NIGHT)
    assert (value(ours, "waso"), value(ours, "waso_period"), of_yasa(NIGHT)["WASO"]) == (19, 4, 4)
    assert value(ours, "waso") == value(ours, "tib") - value(ours, "sol") - value(ours, "tst")  # AASM: TRT − latency − TST


def difference_of_waso_from_luna(of_luna: Callable[..., dict[str, float]]) -> None:
    assert of_luna(NIGHT)["WASO"] == 4


def difference_of_awakenings_from_yasa() -> None:
    ours = night_statistics(NIGHT)
    assert value(ours, "awakenings") == 2
    assert of_yasa(NIGHT)["SFI"] == pytest.approx(3 / (value(ours, "tst") / 60), abs=1e-4)


def difference_of_awakenings_from_luna(of_luna: Callable[..., dict[str, float]]) -> None:
    assert of_luna(NIGHT)["SFI"] == pytest.approx(3 / value(night_statistics(NIGHT), "tst"))


CHECKS: dict[str, Any] = {name: check for name, check in globals().items() if name.startswith("difference_of_")}


def test_every_difference_that_the_page_names_is_checked_here() -> None:
    """The manual is no program: what it says differently stands there without a number."""
    named = {f"difference_of_{key}_from_{one.by.lower()}" for key, told in OTHERS.items() for one in told if one.by != AASM}
    assert named == set(CHECKS)
    assert {one.by for told in OTHERS.values() for one in told} == {AASM, YASA, LUNA}


@pytest.mark.parametrize("name", [name for name in CHECKS if name.endswith("_yasa")])
def test_yasa_differs_as_the_page_says(name: str) -> None:
    CHECKS[name]()


@pytest.mark.parametrize("name", [name for name in CHECKS if name.endswith("_luna")])
def test_luna_differs_as_the_page_says(name: str, of_luna: Callable[..., dict[str, float]]) -> None:
    CHECKS[name](of_luna)


def test_the_real_night_has_yasas_and_lunas_numbers(shared: Path, of_luna: Callable[..., dict[str, float]]) -> None:
    stages = read_scoring(shared / "data/psg/ucddb018_expert.csv").stages
    ours, yasas, lunas = night_statistics(stages), of_yasa(stages), of_luna(stages)
    assert value(ours, "tst") > 200
    for key, name in AGREED_WITH_YASA.items():
        assert same(ours[key].value, yasas[name]), key
    for key, name in AGREED_WITH_LUNA.items():
        assert same(ours[key].value, lunas[name]), key
    if not (stages == Stage.UNKNOWN).any():
        assert same(ours["se"].value, yasas["SE"])
        assert same(ours["se"].value, lunas["SE"])
