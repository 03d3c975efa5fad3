"""Commands that look across the library: index, similar."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sleepfm.cli.console import Console
from sleepfm.cli.options import add_home, command, positive_int
from sleepfm.errors import RequestError
from sleepfm.home import open_home
from sleepfm.text import printable
from sleepfm.vocabulary import Modality

if TYPE_CHECKING:
    from sleepfm.library.neighbours import Neighbour


def register(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the commands."""
    index = command(
        commands,
        "index",
        _index,
        does="embed studies and make them findable as neighbours",
        example="sleepfm index nights/ --model sleepfm-base",
    )
    index.add_argument(
        "inputs",
        nargs="*",
        metavar="INPUT",
        help="recordings or folders, added to the library when they are not there, or studies (default: all that are missing)",
    )
    _add_model(index)
    add_home(index)

    similar = command(
        commands,
        "similar",
        _similar,
        does="the clips of a modality, across the library, that are nearest to five minutes of another",
        example="sleepfm similar night.edf --query RESP --at 7200 --target BAS",
    )
    similar.add_argument("file", metavar="FILE", help="a study of the library, or any recording or signals file")
    modalities = ", ".join(Modality)
    similar.add_argument("--query", required=True, metavar="MODALITY", help=f"of the query: {modalities}")
    similar.add_argument("--at", required=True, type=float, metavar="SECONDS", help="a time in the five minutes that are meant")
    similar.add_argument("--target", required=True, metavar="MODALITY", help=f"of the neighbours: {modalities}")
    similar.add_argument("--top", type=positive_int, default=8, metavar="K", help="how many (default: 8)")
    similar.add_argument("--same-subject", action="store_true", help="search the same person's nights too")
    _add_model(similar)
    add_home(similar)


def _add_model(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--model",
        metavar="ENCODER",
        help="an encoder on the shelf (default: the best one); on real recordings one trained on simulated signals must be named",
    )


def _index(options: argparse.Namespace, console: Console) -> int:
    from sleepfm.library.adding import add_prepared  # noqa: PLC0415 - commands load only what they use
    from sleepfm.library.encoder_choice import choose_encoder  # noqa: PLC0415
    from sleepfm.library.job_index import index  # noqa: PLC0415
    from sleepfm.models.shelf import Shelf  # noqa: PLC0415
    from sleepfm.progress import part  # noqa: PLC0415

    home = open_home(options.home)
    choose_encoder(Shelf(home.models), options.model)  # before any recording is read
    added, not_added = add_prepared(home, options.inputs, part(console.progress, 0.0, 0.3))
    studies = added if options.inputs else None
    made = index(home, {"encoder": options.model, "studies": studies}, part(console.progress, 0.3, 1.0))
    failed = [*not_added, *made["failed"]]
    for one in failed:
        console.say(f"{one['study']}: {one['error']}" if "study" in one else one["error"])
    console.result(
        {**made, "failed": failed},
        f"{len(made['indexed'])} studies indexed for {made['encoder']}; {made['rows']} five-minute windows are in its index",
    )
    return 1 if failed else 0


def _similar(options: argparse.Namespace, console: Console) -> int:
    from sleepfm.library.adding import known_study  # noqa: PLC0415
    from sleepfm.library.encoder_choice import choose_encoder, require_named  # noqa: PLC0415
    from sleepfm.library.library import Library  # noqa: PLC0415
    from sleepfm.library.neighbours import Clip, NeighbourQuery, find_neighbours, neighbours_of_file  # noqa: PLC0415
    from sleepfm.models.shelf import Shelf  # noqa: PLC0415

    home, named = open_home(options.home), options.model is not None
    modality, target = _modality(options.query), _modality(options.target)
    encoder = choose_encoder(Shelf(home.models), options.model)

    def query(study: str) -> NeighbourQuery:
        clip = Clip(study, options.at)
        return NeighbourQuery(encoder.name, (clip,), modality, target, options.top, options.same_subject)

    with Library(home) as library:
        try:
            study = library.study(known_study(library, options.file))
        except RequestError:
            if not Path(options.file).is_file():
                raise
            study = None
    if study is None:
        answer = neighbours_of_file(home, Path(options.file), query(options.file), named=named, progress=console.progress)
    else:
        require_named(encoder, named=named, simulated_recording=study.simulated, study=study.id)
        answer = find_neighbours(home, query(study.id))
    for note in answer.notes:
        console.say(note)
    neighbours = [_neighbour(one) for one in answer.neighbours]
    found = {
        "query": {
            "study": answer.query.clips[0].study,
            "at_s": options.at,
            "modality": modality.value,
            "target": target.value,
            "encoder": encoder.name,
            "top": options.top,
            "same_subject": options.same_subject,
        },
        "neighbours": neighbours,
        "true_partner_rank": answer.true_partner_rank,
        "candidates": answer.candidates,
        "seconds": round(answer.seconds, 4),
        "notes": list(answer.notes),
    }
    console.result(found, _table(found))
    return 0


def _modality(text: str) -> Modality:
    try:
        return Modality(text.upper())
    except ValueError:
        raise RequestError(f"no modality {printable(text)!r}: there are {', '.join(Modality)}") from None


def _neighbour(one: Neighbour) -> dict[str, Any]:
    from sleepfm.library.facts import age_band  # noqa: PLC0415

    return {
        "study": one.study,
        "start_s": one.start_s,
        "similarity": one.similarity,
        "subject": one.person.subject if one.person.known_subject else None,
        "site": one.person.site,
        "age_band": None if one.person.age is None else age_band(one.person.age),
        "sex": one.person.sex,
    }


def _table(found: dict[str, Any]) -> str:
    lines = [
        printable(f"{one['similarity']:7.4f}  {one['study']}  {_clock(one['start_s'])}  " + _person(one))
        for one in found["neighbours"]
    ]
    rank = found["true_partner_rank"]
    among = f"{found['candidates']} clips of {found['query']['target']} were compared"
    return "\n".join([*lines, among if rank is None else f"{among}; the query's own ranks {rank}"])


def _person(one: dict[str, Any]) -> str:
    return ", ".join(str(one[key]) for key in ("age_band", "sex", "site") if one[key] is not None)


def _clock(start_s: float) -> str:
    minutes, seconds = divmod(int(start_s), 60)
    return f"{minutes // 60:d}:{minutes % 60:02d}:{seconds:02d}"
