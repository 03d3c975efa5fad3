r"""What the authors of SleepFM published: the files, their git blob ids, and what the models were trained on.

The files lie in the public repository `zou-group/sleepfm-clinical` (MIT licence) at one commit. A git blob id is the SHA-1 of
``blob <size>\0`` followed by the content, so it tells whether a file is the published one.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

REPOSITORY = "zou-group/sleepfm-clinical"
COMMIT = "70ce04e6f6c656f46a4857fff74ce04a0a00e5da"
LICENCE = "MIT"
SOURCE = f"https://github.com/{REPOSITORY}/tree/{COMMIT}"


@dataclass(frozen=True)
class OfficialFile:
    """A published file: its path in the repository and its git blob id.

    Attributes
    ----------
    megabytes
        About how long it is, to tell how far all of them are.
    """

    path: str
    blob: str
    megabytes: float = 0.1


@dataclass(frozen=True)
class OfficialModel:
    """A published model, under the name it gets on the shelf."""

    name: str
    weights: OfficialFile
    config: OfficialFile
    trained_on: str
    training_data: str
    labels: OfficialFile | None = None


_PAPER = "Thapa et al., Nature Medicine 2026, doi 10.1038/s41591-025-04133-4"
OFFICIAL_MODELS: tuple[OfficialModel, ...] = (
    OfficialModel(
        "sleepfm-base",
        OfficialFile("sleepfm/checkpoints/model_base/best.pt", "c864ab16d9d2bd9412066c7c3b5c4df678c129c1", 19.4),
        OfficialFile("sleepfm/checkpoints/model_base/config.json", "8e80741d6fd57a1a2006ac6c407778f3e94a9ef1"),
        trained_on="SSC, BioSerenity, MESA, MrOS",
        training_data=f"585,000 h of polysomnography of about 65,000 people ({_PAPER}); SHHS was held out.",
    ),
    OfficialModel(
        "sleepfm-staging",
        OfficialFile("sleepfm/checkpoints/model_sleep_staging/best.pth", "bf4440366bf03a0af10695381cb1c7267194a665", 5.2),
        OfficialFile("sleepfm/checkpoints/model_sleep_staging/config.json", "a2c47ce43db63b79e50648681691ad0623b302ac"),
        trained_on="SSC, MESA, MrOS, SHHS",
        training_data=f"Nights with scored stages of these four cohorts ({_PAPER}).",
    ),
    OfficialModel(
        "sleepfm-disease",
        OfficialFile("sleepfm/checkpoints/model_diagnosis/best.pth", "e8ae634853d29a3c9d9f84c153ddedb2dc15a78a", 3.9),
        OfficialFile("sleepfm/checkpoints/model_diagnosis/config.json", "f22921d6b64c9270487b983d392bf2669299052a"),
        trained_on="SSC",
        training_data=f"Nights of the Stanford Sleep Clinic joined with later diagnoses as phecodes ({_PAPER}).",
        labels=OfficialFile("sleepfm/configs/label_mapping.csv", "eb2ac92d6e908b29b89df807e71d259222bee6eb"),
    ),
)
"""The encoder first: the heads are tied to it."""


def git_blob_id(path: Path) -> str:
    """Return the git blob id of a file."""
    digest = hashlib.sha1(b"blob %d\0" % path.stat().st_size, usedforsecurity=False)
    with path.open("rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


def official_model(weights_blob: str, config_blob: str) -> OfficialModel | None:
    """Return the published model with these weights and this configuration; None when it is not one."""
    for model in OFFICIAL_MODELS:
        if (model.weights.blob, model.config.blob) == (weights_blob, config_blob):
            return model
    return None
