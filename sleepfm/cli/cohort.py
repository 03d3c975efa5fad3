"""Commands on the people of the library: cohort add, show, subset, assess."""

from __future__ import annotations

import argparse
from collections import Counter
from pathlib import Path
from typing import Any

from sleepfm.cli.console import Console
from sleepfm.cli.options import add_home, command, group
from sleepfm.errors import RequestError, SleepFMError
from sleepfm.text import printable

_NAMED = 5


def register(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the commands."""
    actions = group(commands, "cohort", does="what is known of the library's people: tables, follow-up, subsets, splits")
    add = command(
        actions,
        "add",
        _add,
        does="read tables into the library: people (Study ID, Subject ID, site, age, sex, …) and follow-up"
        " (is_event.csv with time_to_event.csv beside it)",
        example="sleepfm cohort add cohort/cohort.csv",
    )
    add.add_argument("tables", nargs="+", type=Path, metavar="CSV")
    show = command(actions, "show", _show, does="what is known, and of how many", example="sleepfm cohort show")
    subset = command(
        actions,
        "subset",
        _subset,
        does="keep studies under a name, and divide them by person for training",
        example="sleepfm cohort subset elderly --studies night1 night2 night3 --split",
    )
    subset.add_argument("name", metavar="NAME")
    subset.add_argument("--studies", nargs="+", metavar="ID", help="keep these under the name (default: those kept before)")
    subset.add_argument("--replace", action="store_true", help="where the name is taken, keep these in place of the older ones")
    subset.add_argument("--note", default="", help="where the subset came from")
    subset.add_argument("--remove", action="store_true", help="forget the name; the studies stay")
    subset.add_argument("--split", action="store_true", help="divide the subset and write the splits file")
    subset.add_argument(
        "--out", type=Path, metavar="JSON", help="where the splits go (default: splits/NAME.json in the home folder)"
    )
    subset.add_argument(
        "--shares",
        nargs=4,
        type=float,
        default=(0.0, 0.7, 0.15, 0.15),
        metavar=("PRETRAIN", "TRAIN", "VALIDATION", "TEST"),
        help="shares of the people (default: 0 0.7 0.15 0.15)",
    )
    subset.add_argument("--by-site", action="store_true", help="divide each site for itself")
    subset.add_argument("--seed", type=int, default=0, help="(default: 0)")
    assess = command(
        actions,
        "assess",
        _assess,
        does="queue the risk of every study whose age and sex are known",
        example="sleepfm cohort assess --model demo-disease",
    )
    assess.add_argument("--model", required=True, metavar="NAME", help="a disease model on the shelf")
    assess.add_argument("--subset", metavar="NAME", help="only of this subset (default: the whole library)")
    for parser in (add, show, subset, assess):
        add_home(parser)


def _add(options: argparse.Namespace, console: Console) -> int:
    from sleepfm.library.cohort_tables import import_table  # noqa: PLC0415 - slow to import, for this command only
    from sleepfm.library.library import Library  # noqa: PLC0415

    tables: list[dict[str, Any]] = []
    failed: list[dict[str, str]] = []
    with Library.open(options.home) as library:
        for path in options.tables:
            try:
                found = import_table(library, path, progress=console.progress)
            except SleepFMError as error:
                if len(options.tables) == 1:
                    raise
                console.say(f"sleepfm cohort add: {error}")
                failed.append({"file": str(path), "error": str(error)})
                continue
            for note in found.notes:
                console.say(note)
            if found.unknown_studies:
                named = ", ".join(found.unknown_studies[:_NAMED]) + (", …" if len(found.unknown_studies) > _NAMED else "")
                console.say(f"{path}: {len(found.unknown_studies)} studies are not in the library: {named}")
            tables.append({
                "file": str(path),
                "columns": list(found.columns),
                "studies": list(found.studies),
                "unknown_studies": list(found.unknown_studies),
                "outcomes": found.outcomes,
                "notes": list(found.notes),
            })  # fmt: skip
    lines = [
        printable(f"{one['file']}: {len(one['studies'])} studies, {len(one['columns'])} columns, {one['outcomes']} follow-ups")
        for one in tables
    ]
    console.result({"tables": tables, "failed": failed}, "\n".join(lines))
    return 1 if failed else 0


def _show(options: argparse.Namespace, console: Console) -> int:
    from sleepfm.library import facts, follow_up, subsets  # noqa: PLC0415
    from sleepfm.library.library import Library  # noqa: PLC0415

    with Library.open(options.home) as library:
        who = list(facts.people(library).values())
        conditions = {}
        for condition in follow_up.conditions(library):
            outcomes = follow_up.outcomes(library, condition).values()
            conditions[condition] = {"studies": len(outcomes), "events": sum(event for event, _ in outcomes)}
        kept = [subsets.load(library, name) for name in subsets.names(library)]
        columns = facts.columns(library)
    ages = [one.age for one in who if one.age is not None]
    found = {
        "studies": len(who),
        "people": len({one.subject for one in who}),
        "unknown_people": sum(not one.known_subject for one in who),
        "sites": dict(Counter(one.site for one in who if one.site is not None)),
        "ages": {"known": len(ages), "youngest": min(ages, default=None), "oldest": max(ages, default=None)},
        "sexes": dict(Counter(one.sex for one in who if one.sex is not None)),
        "columns": columns,
        "conditions": conditions,
        "subsets": {one.name: len(one.studies) for one in kept},
    }
    console.result(found, _shown(found))
    return 0


def _shown(found: dict[str, Any]) -> str:
    """Return what `show` prints for people."""

    def counted(counts: dict[str, int]) -> str:
        return ", ".join(f"{name} {number}" for name, number in sorted(counts.items())) or "nothing known"

    ages = found["ages"]
    lines = [
        f"{found['studies']} studies of {found['people']} people"
        + (f" ({found['unknown_people']} studies of which nobody stated whose they are)" if found["unknown_people"] else ""),
        f"sites: {counted(found['sites'])}",
        f"sexes: {counted(found['sexes'])}",
        f"ages: {ages['known']} known" + (f", {ages['youngest']:g} to {ages['oldest']:g} years" if ages["known"] else ""),
        f"columns: {', '.join(found['columns']) or 'none'}",
        *(f"condition {name}: {one['studies']} studies, {one['events']} events" for name, one in found["conditions"].items()),
        *(f"subset {name}: {number} studies" for name, number in found["subsets"].items()),
    ]
    return "\n".join(printable(line) for line in lines)


def _subset(options: argparse.Namespace, console: Console) -> int:
    from sleepfm.library import subsets  # noqa: PLC0415
    from sleepfm.library.library import Library  # noqa: PLC0415
    from sleepfm.training.splits import LISTS  # noqa: PLC0415

    if options.remove and (options.studies or options.split):
        raise RequestError("--remove goes with nothing else")
    with Library.open(options.home) as library:
        if options.remove:
            name = subsets.load(library, options.name).name
            subsets.remove(library, name)
            console.result({"name": name, "removed": True}, printable(f"{name}: forgotten; its studies stay"))
            return 0
        if options.studies:
            kept = subsets.save(library, options.name, options.studies, options.note, replace=options.replace)
        else:
            kept = subsets.load(library, options.name)
        found: dict[str, Any] = {"name": kept.name, "studies": list(kept.studies), "gone": kept.gone}
        lines = [f"{kept.name}: {len(kept.studies)} studies"]
        if options.split or options.out is not None:
            made = subsets.split(
                library,
                kept.name,
                options.seed,
                shares=dict(zip(LISTS, options.shares, strict=True)),
                by_site=options.by_site,
                out=None if options.out is None else options.out.expanduser().absolute(),
            )
            for note in made.notes:
                console.say(note)
            found["split"] = {
                "path": str(made.path),
                "people_path": str(made.people_path),
                "people": made.people,
                "studies": {name: len(getattr(made.splits, name)) for name in LISTS},
                "notes": list(made.notes),
            }
            people = ", ".join(f"{name} {number}" for name, number in made.people.items())
            lines.append(f"{made.path}: people in {people}; name it as data.splits, and {made.people_path} as data.cohort")
    console.result(found, "\n".join(printable(line) for line in lines))
    return 0


def _assess(options: argparse.Namespace, console: Console) -> int:
    from sleepfm.library.cohort_risk import queue_risks  # noqa: PLC0415
    from sleepfm.library.library import Library  # noqa: PLC0415

    with Library.open(options.home) as library:
        queued = queue_risks(library, options.model, options.subset)
    for study, reason in queued.left_out.items():
        console.say(f"{study}: {reason}")
    console.result(
        {"queued": list(queued.queued), "there": list(queued.there), "left_out": queued.left_out},
        f"{len(queued.queued)} queued, {len(queued.there)} were there already, {len(queued.left_out)} left out;"
        " follow them with sleepfm runs list",
    )
    return 0
