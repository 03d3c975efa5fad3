"""A cohort of several sites as files: the same in any format, by any number of processes, and after any interruption."""

import csv
import hashlib
import subprocess
import sys
import time
from pathlib import Path

import h5py
import numpy as np
import pytest

from sleepfm.errors import Cancelled, RequestError
from sleepfm.signals.convert import convert
from sleepfm.signals.store import open_signals
from sleepfm.simulation.cohort import COHORT_COLUMNS
from sleepfm.simulation.people import visits
from sleepfm.simulation.sites import FULL, SITES
from sleepfm.simulation.study import simulate
from sleepfm.vocabulary import Modality

SETTINGS = {"studies": 4, "hours": 0.3, "seed": 11}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    out = tmp_path_factory.mktemp("cohort")
    return out, simulate(out, **SETTINGS, format="hdf5", sites=4)


def digests(folder):
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in folder.iterdir()}


def table(path):
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def test_a_cohort_is_signals_scorings_events_and_tables_and_nothing_else(folder):
    out, answer = folder
    files = {f"{study['id']}{end}" for study in answer["studies"] for end in (".hdf5", ".csv", "_events.csv")}
    assert {path.name for path in out.iterdir()} == files | {
        "cohort.csv",
        "demographics.csv",
        "is_event.csv",
        "time_to_event.csv",
    }
    assert all(set(study) == {"id", "hdf5", "scoring", "events"} for study in answer["studies"])
    people, demographics = table(out / "cohort.csv"), table(out / "demographics.csv")
    assert tuple(people[0]) == COHORT_COLUMNS
    for person, row in zip(people, demographics, strict=True):
        assert row == {"Study ID": person["Study ID"], "age": person["age"], "gender": str(int(person["sex"] == "male"))}


def test_the_signals_are_those_that_convert_makes_of_the_edf(folder, tmp_path):
    out, _ = folder
    edfs = simulate(tmp_path / "edf", **SETTINGS, sites=4)["studies"]
    for study in edfs:
        direct = out / f"{study['id']}.hdf5"
        convert(Path(study["edf"]), tmp_path)
        with h5py.File(direct) as ours, h5py.File(tmp_path / direct.name) as theirs:
            about = [
                {name: value for name, value in file.attrs.items() if name not in ("source_sha256", "gaps")}
                for file in (ours, theirs)
            ]
            assert about[0] == about[1]
            assert ours.attrs["simulated"]
            names = []
            ours.visititems(lambda name, item, names=names: names.append(name) if isinstance(item, h5py.Dataset) else None)
            theirs.visititems(lambda name, item, names=names: names.remove(name) if isinstance(item, h5py.Dataset) else None)
            assert names == []
            for group in ours[study["id"]].values():
                for one in group.values():
                    other = theirs[one.name]
                    scale = {"mean": one.attrs["mean"], "std": one.attrs["std"]}
                    assert scale == pytest.approx({name: other.attrs[name] for name in scale}, abs=0.02 * one.attrs["std"])
                    for name in set(one.attrs) - set(scale):
                        assert one.attrs[name] == other.attrs[name]
                    # EDF rounds to 2000 µV / 65535 = 0.03 µV, and the quietest channel has some 2 µV
                    np.testing.assert_allclose(one[:].astype(float), other[:].astype(float), atol=0.03)
                    assert (one.chunks, one.dtype) == (other.chunks, other.dtype)


def test_processes_change_nothing(folder, tmp_path):
    out, _ = folder
    simulate(tmp_path, **SETTINGS, format="hdf5", sites=4, jobs=2)
    assert digests(tmp_path) == digests(out)


@pytest.mark.parametrize("signal_format", ["edf", "hdf5"])
def test_a_stopped_cohort_goes_on_where_it_was_and_becomes_the_same(tmp_path, signal_format):
    settings = {"studies": 3, "hours": 0.05, "seed": 2, "format": signal_format, "sites": 2}
    simulate(tmp_path / "whole", **settings)

    def stop(fraction: float, _: str) -> None:
        if fraction > 0.4:
            raise Cancelled("stopped")

    with pytest.raises(Cancelled):
        simulate(tmp_path / "stopped", progress=stop, **settings)
    first = tmp_path / "stopped" / f"sim-2-0001.{signal_format}"
    before = first.stat()
    assert not (tmp_path / "stopped" / f"sim-2-0003.{signal_format}").exists()
    simulate(tmp_path / "stopped", **settings)
    assert (first.stat().st_ino, first.stat().st_mtime_ns) == (before.st_ino, before.st_mtime_ns)
    assert digests(tmp_path / "stopped") == digests(tmp_path / "whole")


def test_files_of_other_settings_and_damaged_ones_are_made_anew(tmp_path):
    settings = {"studies": 2, "seed": 2, "format": "hdf5"}
    simulate(tmp_path, hours=0.05, **settings)
    wanted = digests(tmp_path)
    simulate(tmp_path, hours=0.06, **settings)
    assert not set(digests(tmp_path).values()) & {digest for name, digest in wanted.items() if name.endswith("hdf5")}
    simulate(tmp_path, hours=0.05, **settings)
    damaged, gone = tmp_path / "sim-2-0001.hdf5", tmp_path / "sim-2-0002_events.csv"
    damaged.write_bytes(damaged.read_bytes()[:-5000])
    gone.unlink()
    simulate(tmp_path, hours=0.05, **settings)
    assert digests(tmp_path) == wanted


def test_sites_differ_in_rates_labels_and_modalities_and_the_night_does_not(tmp_path):
    elsewhere = next(visit for visit in visits(5, 60, 4) if visit.site == "B")
    montages = [montage for site in SITES for montage in site.montages]
    assert len({frozenset(montage.labels.values()) for montage in montages}) == len(montages)
    assert len({montage.rate_hz for montage in montages}) == 3
    for sites in (1, 4):
        simulate(tmp_path / str(sites), elsewhere.number, 0.02, 5, sites=sites, format="hdf5")
    one, other = (tmp_path / str(sites) / f"{elsewhere.study_id}.csv" for sites in (1, 4))
    assert one.read_bytes() == other.read_bytes()
    with open_signals(one.with_suffix(".hdf5")) as full, open_signals(other.with_suffix(".hdf5")) as fewer:
        assert len(full.channels) == len(FULL.labels) - 1 > len(fewer.channels)
        assert {channel.rate_hz for channel in fewer.channels} >= {200.0}


def test_every_montage_is_read_as_what_it_is_and_only_the_small_recorders_lack_a_modality():
    from sleepfm.recording.channels import place

    lacking = []
    for site in SITES:
        for montage in site.montages:
            found = {full: place(label, rate_hz=200.0).modality for full, label in montage.labels.items()}
            usual = {full: place(full, rate_hz=200.0).modality for full in montage.labels}
            assert found == usual
            missing = set(Modality) - set(found.values())
            lacking += [site.name] if missing else []
            assert len(missing) <= 1
    assert lacking == ["D", "D"]


def test_some_people_come_twice_with_one_life():
    cohort = list(visits(7, 1300, 4))
    assert [visit.study_id for visit in cohort] == [f"sim-7-{k + 1:04d}" for k in range(1300)]
    assert [visit.subject for visit in visits(7, 20, 1)] == [visit.subject for visit in cohort[:20]]
    nights: dict[str, list] = {}
    for visit in cohort:
        nights.setdefault(visit.subject_id, []).append(visit)
    twice = [both for both in nights.values() if len(both) == 2]
    assert max(map(len, nights.values())) == 2
    assert len(twice) / len(nights) == pytest.approx(1 / 12, abs=0.025)
    for first, second in twice:
        assert first.subject == second.subject
        assert (first.site, first.montage) == (second.site, second.montage)
        assert first.life_seed is second.life_seed
        assert first.night_seed.spawn_key != second.night_seed.spawn_key
        assert first.fingerprint(60) != second.fingerprint(60)
    shares = {site.name: np.mean([visit.site == site.name for visit in cohort]) for site in SITES}
    assert shares == pytest.approx({site.name: site.share for site in SITES}, abs=0.05)


@pytest.mark.parametrize("wrong", [{"format": "bdf"}, {"sites": 0}, {"sites": 5}, {"jobs": 0}])
def test_wrong_options_are_refused_before_anything_is_written(tmp_path, wrong):
    with pytest.raises(RequestError):
        simulate(tmp_path / "out", 1, 0.1, 0, **wrong)
    assert not (tmp_path / "out").exists()


def test_a_full_disk_in_a_process_is_one_line(tmp_path):
    (tmp_path / "sim-0-0002.hdf5").mkdir()
    with pytest.raises(Exception, match=r"sim-0-0002.hdf5") as caught:
        simulate(tmp_path, 3, 0.02, 0, format="hdf5", jobs=2)
    assert "\n" not in str(caught.value)


@pytest.mark.long
def test_a_killed_cohort_goes_on_and_leaves_nothing_half_written(tmp_path):
    settings = ["--studies", "12", "--hours", "0.3", "--seed", "3", "--format", "hdf5", "--sites", "4", "--jobs", "2"]
    killed = tmp_path / "killed"
    process = subprocess.Popen([sys.executable, "-m", "sleepfm", "simulate", killed, *settings], stdout=subprocess.DEVNULL)
    while process.poll() is None and len(list(killed.glob("*.hdf5"))) < 3:
        time.sleep(0.1)
    process.kill()
    process.wait()
    left = -1
    while left != (left := len(list(killed.iterdir()))) or list(killed.glob(".*")):  # workers finish what they are at
        time.sleep(3)
    assert len(list(killed.glob("*.hdf5"))) < 12
    for out in (killed, tmp_path / "whole"):
        simulate(out, 12, 0.3, 3, format="hdf5", sites=4)
    assert digests(killed) == digests(tmp_path / "whole")
