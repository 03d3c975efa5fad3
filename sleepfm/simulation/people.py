"""Who comes to which laboratory for which study, before anything is simulated: study k of a seed is the same in any cohort."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from sleepfm import __version__
from sleepfm.simulation.sites import Montage, draw_site
from sleepfm.simulation.subject import Subject, draw_subject

SIMULATOR = 2
"""Counts changes of what a seed gives; files of another simulator are not taken for finished ones."""
_SECOND_NIGHT = 1 / 12  # of all people


@dataclass(frozen=True)
class Visit:
    """One study of one person.

    Attributes
    ----------
    number
        From 1 on.
    study_id, subject_id
        Two nights of a person have two study ids and one subject id, which is numbered by the person's first study.
    subject
        Who sleeps.
    site, montage
        Where, and by which recorder.
    night_seed
        Chance of this night.
    life_seed
        Chance of the person's follow-up, the same for both nights.
    """

    number: int
    study_id: str
    subject_id: str
    subject: Subject
    site: str
    montage: Montage
    night_seed: np.random.SeedSequence
    life_seed: np.random.SeedSequence

    def fingerprint(self, duration_s: int) -> str:
        """Return 64 hexadecimal digits that stand for the content of the study's files: equal settings, equal content."""
        seed = self.night_seed
        settings = {
            "simulator": SIMULATOR,
            "version": __version__,
            "seed": [str(seed.entropy), *map(int, seed.spawn_key)],
            "study": self.study_id,
            "subject": self.subject_id,
            "site": self.site,
            "montage": [self.montage.rate_hz, *self.montage.labels.items()],
            "duration_s": duration_s,
        }
        return hashlib.sha256(json.dumps(settings, sort_keys=True).encode()).hexdigest()


def visits(seed: int, studies: int, sites: int) -> Iterator[Visit]:
    """Yield the studies of a cohort in order; about one person in twelve comes for a second night, right after the first.

    Parameters
    ----------
    seed
        Seed, 0 or larger.
    studies
        How many.
    sites
        Of how many laboratories, see `sleepfm.simulation.sites`.
    """
    first: Visit | None = None
    for number, branch in enumerate(np.random.SeedSequence(seed).spawn(studies), start=1):
        night_seed, life_seed, who_seed, place_seed, again_seed = branch.spawn(5)
        study_id = f"sim-{seed}-{number:04d}"
        again = np.random.default_rng(again_seed).random() < _SECOND_NIGHT
        if first and again:
            yield Visit(number, study_id, first.subject_id, first.subject, first.site, first.montage, night_seed, first.life_seed)
            first = None  # nobody comes three times
            continue
        site, montage = draw_site(np.random.default_rng(place_seed), sites)
        first = Visit(
            number=number,
            study_id=study_id,
            subject_id=f"sim-{seed}-p{number:04d}",
            subject=draw_subject(np.random.default_rng(who_seed)),
            site=site.name,
            montage=montage,
            night_seed=night_seed,
            life_seed=life_seed,
        )
        yield first
