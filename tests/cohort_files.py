"""Small look-alikes of published cohorts: the folders, names and tables of the real ones around signals that are made up."""

from __future__ import annotations

from pathlib import Path

from make_edf import write_edf
from nsrr_files import scored_event, write_nsrr
from wfdb_files import annotation_bytes, write_cinc

SECONDS = 150
SHHS_LABELS = ("SaO2", "H.R.", "EEG(sec)", "ECG", "EMG", "EOG(L)", "EOG(R)", "EEG", "THOR RES", "ABDO RES", "POSITION", "LIGHT")
MESA_LABELS = ("EKG", "EOG-L", "EOG-R", "EMG", "EEG1", "EEG2", "EEG3", "Pres", "Flow", "Thor", "Abdo", "SpO2", "HR", "Pleth")
MROS_LABELS = ("C3", "C4", "A1", "A2", "LOC", "ROC", "ECG L", "ECG R", "L Chin", "R Chin", "Cannula Flow", "Thoracic", "SaO2")
RUNS = [("W", 1), ("N2", 2), ("S4", 1), ("?", 1)]
STAGES = [0, 2, 2, 3, -1]
HYPOPNEA = scored_event("Respiratory|Respiratory", "Hypopnea|Hypopnea", 61, 12, SignalLocation="THOR RES")


def nsrr_study(root: Path, folder: str, name: str, labels: tuple[str, ...]) -> Path:
    """Write an EDF and its annotations; return the EDF."""
    write_nsrr(root / "polysomnography/annotations-events-nsrr" / folder / f"{name}-nsrr.xml", RUNS, [HYPOPNEA])
    return write_edf(root / "polysomnography/edfs" / folder / f"{name}.edf", seconds=SECONDS, labels=labels)


def table(path: Path, *lines: str) -> Path:
    """Write a CSV."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join(lines) + "\n", encoding="latin-1")
    return path


def write_shhs(root: Path) -> Path:
    """Write two people, one of them with both visits."""
    for visit, subject in ((1, 200001), (1, 200077), (2, 200077)):
        nsrr_study(root, f"shhs{visit}", f"shhs{visit}-{subject}", SHHS_LABELS)
    table(
        root / "datasets/shhs1-dataset-0.21.0.csv",
        "nsrrid,pptid,race,gender,age_s1,bmi_s1,remark,ahi_a0h3a",
        "200001,1,1,1,55,21.77,caf\xe9,4.5",
        "200077,77,2,2,41,32.95,,17.25",
    )
    table(root / "datasets/shhs2-dataset-0.21.0.csv", "nsrrid,race,gender,age_s2,bmi_s2,ahi_a0h3a", "200077,2,2,46,33.5,21")
    return root


def write_mesa(root: Path) -> Path:
    """Write two people."""
    for subject in ("0001", "0002"):
        nsrr_study(root, "", f"mesa-sleep-{subject}", MESA_LABELS)
    table(
        root / "datasets/mesa-sleep-dataset-0.8.0.csv",
        "mesaid,examnumber,race1c,gender1,sleepage5c,bmi5c,ahi_a0h3a",
        "1,5,3,0,68,29.1,12.75",
        "2,5,4,1,90,,",
    )
    return root


def write_mros(root: Path) -> Path:
    """Write two men, one of them with both visits."""
    for visit, subject in ((1, "aa0001"), (1, "aa0002"), (2, "aa0002")):
        nsrr_study(root, f"visit{visit}", f"mros-visit{visit}-{subject}", MROS_LABELS)
    table(
        root / "datasets/mros-visit1-dataset-0.6.0.csv",
        "nsrrid,visit,gender,gierace,hwbmi,vsage1,poahi3a",
        "AA0001,1,2,1,27.5,76,8.1",
        "AA0002,1,2,5,31.25,71,30",
    )
    table(root / "datasets/mros-visit2-dataset-0.6.0.csv", "NSRRID,VISIT,GENDER,GIERACE,HWBMI,VS2AGE1", "AA0002,2,2,5,30.5,77")
    return root


def write_cinc2018(root: Path) -> Path:
    """Write two scored records and one of the test half."""
    for k, name in enumerate(("tr03-0005", "tr03-0029")):
        header = write_cinc(root / "training" / name, name, seconds=SECONDS, seed=k)
        notes = [(0, "W"), (6000, "N2"), (9000, "(resp_hypopnea"), (12000, "resp_hypopnea)"), (18000, "N3"), (24000, "U")]
        header.with_suffix(".arousal").write_bytes(annotation_bytes(notes))
    write_cinc(root / "test" / "te03-0006", "te03-0006", seconds=SECONDS)
    table(root / "age-sex.csv", "Record,Age,Sex", "tr03-0005,60,M", "tr03-0029,42,F", "te03-0006,51,F")
    return root
