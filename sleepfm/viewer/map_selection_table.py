"""What is shown of a selection: a table of its studies, and how a split of them came out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from statistics import mean

import pandas as pd

from sleepfm.library.facts import Person
from sleepfm.library.map_selection import SelectedStudy
from sleepfm.library.maps import MapGrain
from sleepfm.library.subsets import SubsetSplit
from sleepfm.text import printable
from sleepfm.training.splits import LISTS

UNKNOWN = "not known"


def selection_table(studies: Sequence[SelectedStudy], grain: MapGrain) -> pd.DataFrame:
    """Return the table of the selected studies; of windows it says how many of each study's."""
    table = pd.DataFrame(
        {
            "Study": [printable(one.person.study) for one in studies],
            "Person": [printable(one.person.subject) if one.person.known_subject else UNKNOWN for one in studies],
            "Age (years)": [one.person.age for one in studies],
            "Sex": [one.person.sex or UNKNOWN for one in studies],
            "Site": [UNKNOWN if one.person.site is None else printable(one.person.site) for one in studies],
        }
    ).astype({"Age (years)": "float64"})
    if grain is MapGrain.WINDOW:
        table["Windows selected"] = [one.selected for one in studies]
        table["of"] = [one.shown for one in studies]
    return table


def balance_table(split: SubsetSplit, people: Mapping[str, Person]) -> pd.DataFrame:
    """Return what each list of a split holds: people, studies, sites, mean age and share of women, each of those known."""
    rows = []
    for name in LISTS:
        studies = getattr(split.splits, name)
        if not studies:
            continue
        who = [people[study] for study in studies]
        ages = [one.age for one in who if one.age is not None]
        sexes = [one.sex for one in who if one.sex is not None]
        sites = sorted({one.site for one in who if one.site is not None})
        counts = ", ".join(f"{printable(site)} {sum(one.site == site for one in who)}" for site in sites)
        rows.append(
            {
                "List": name,
                "People": split.people.get(name, 0),
                "Studies": len(studies),
                "Mean age (years)": f"{mean(ages):.1f}" if ages else UNKNOWN,
                "Women (%)": f"{100 * sexes.count('female') / len(sexes):.0f}" if sexes else UNKNOWN,
                "Studies by site": counts or UNKNOWN,
            }
        )
    return pd.DataFrame(rows)
