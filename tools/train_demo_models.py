"""Make the demo models in `assets/models` from nothing: simulate a cohort, pretrain, fine-tune, evaluate, and write the cards.

    python tools/train_demo_models.py --work demo-training

Everything is done by `sleepfm` commands with the configurations in `sleepfm/configs/demo`. A step that is done is not done again,
and a run that was stopped goes on from its last checkpoint, so the script may be killed and started again. It needs about 15 GB
of disk and, on two cores, about 75 minutes. The models know simulated signals only: they are for trying the software.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
ASSETS = ROOT / "assets" / "models"
STEPS_FILE = "steps.json"
MODELS = ("demo-encoder", "demo-staging", "demo-breathing", "demo-disease", "demo-demographics")
TASKS = ("staging", "breathing", "disease", "retrieval", "probe")


@dataclass(frozen=True)
class Step:
    """One `sleepfm` command; `resumes` when it may be given `--resume`."""

    name: str
    words: tuple[str, ...]
    resumes: bool = False


def steps(*, nights: int, hours: float, seed: int, processes: int) -> list[Step]:
    """Return the commands in order."""
    simulate = ("simulate", "cohort", "--studies", str(nights), "--hours", str(hours), "--seed", str(seed))
    simulate += ("--format", "hdf5", "--sites", "4", "--jobs", str(processes))
    devices = ("--devices", str(processes))
    shares = ("--shares", "0.33", "0.32", "0.1", "0.25")
    made = [
        Step("simulate", simulate),
        Step(
            "splits",
            ("splits", "cohort/cohort.csv", "--out", "cohort/splits.json", "--by", "site", *shares),
        ),
        Step("pretrain on 1-min windows", ("pretrain", "demo/pretrain-short", *devices), resumes=True),
        Step("pretrain on 5-min windows", ("pretrain", "demo/pretrain", *devices), resumes=True),
    ]
    made += [
        Step(f"finetune {task}", ("finetune", task, f"demo/{task}"), resumes=True) for task in ("staging", "breathing", "disease")
    ]
    made.append(Step("finetune demographics", ("finetune", "disease", "demo/demographics"), resumes=True))
    made += [
        Step(
            f"evaluate {task}",
            ("evaluate", task, f"demo/evaluate-{task}", "--out", f"evaluation/{task}", "--update-card"),
            resumes=True,
        )
        for task in TASKS
    ]
    return made


def main() -> int:
    """Run the steps that are not done and copy the models."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--work", type=Path, default=Path("demo-training"), help="folder for everything in between")
    parser.add_argument("--nights", type=int, default=520)
    parser.add_argument("--hours", type=float, default=2.0)
    parser.add_argument("--seed", type=int, default=2026)
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--out", type=Path, default=ASSETS, help="where the models go (default: the project's assets)")
    options = parser.parse_args()
    work: Path = options.work.absolute()
    work.mkdir(parents=True, exist_ok=True)
    record = work / STEPS_FILE
    done: dict[str, float] = json.loads(record.read_text()) if record.exists() else {}
    environment = os.environ | {"SLEEPFM_HOME": str(work / "home"), "PYTHONPATH": str(ROOT)}
    planned = steps(nights=options.nights, hours=options.hours, seed=options.seed, processes=options.processes)
    for step in planned:
        if step.name in done:
            continue
        print(f"== {step.name}", flush=True)
        started = time.monotonic()
        words = [*step.words, *(["--resume"] if step.resumes else [])]
        code = subprocess.call([sys.executable, "-m", "sleepfm", *words], cwd=work, env=environment)
        if code != 0:
            print(f"{step.name} failed; mend the reason and start the script again, it goes on from here", file=sys.stderr)
            return code
        done[step.name] = round(time.monotonic() - started, 1)
        record.write_text(json.dumps(done, indent=1))
    for name in MODELS:
        shutil.rmtree(options.out / name, ignore_errors=True)
        shutil.copytree(work / "home" / "models" / name, options.out / name)
    minutes = sum(done.values()) / 60
    print("\n".join(f"{seconds:8.0f} s  {name}" for name, seconds in done.items()) + f"\n{minutes:8.1f} min in all")
    return 0


if __name__ == "__main__":
    sys.exit(main())
