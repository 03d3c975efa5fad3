from __future__ import annotations

from dataclasses import replace
from typing import Any

import streamlit as st

from sleepfm.administration.roles import Role
from sleepfm.errors import SleepFMError
from sleepfm.inference.simulated_models import SIMULATED_WORDS, simulated_warning
from sleepfm.library.embedding_index import EmbeddingIndex
from sleepfm.library.facts import people
from sleepfm.library.job_demo_cohort import submit_demo_cohort
from sleepfm.library.job_index import submit_index
from sleepfm.library.job_retrieval import measured, submit_retrieval
from sleepfm.library.library import Library
from sleepfm.library.neighbours import Clip, NeighbourAnswer, NeighbourQuery, find_neighbours
from sleepfm.library.resident import in_resident
from sleepfm.library.study import Study
from sleepfm.models.shelf import Shelf
from sleepfm.runs.table import OPEN_STATES, Job
from sleepfm.text import plain, printable
from sleepfm.viewer.clips_component import agreement_address, clips_view, epoch_of, night_strip
from sleepfm.viewer.job_progress import show_progress
from sleepfm.viewer.page_style import TIGHT
from sleepfm.viewer.role_widgets import action_button, export_button
from sleepfm.viewer.signed_in import require
from sleepfm.viewer.similar_encoders import EncoderChoice, encoder_choices, first_choice, offered_by_name
from sleepfm.viewer.similar_query import Asked, read_address
from sleepfm.viewer.similar_retrieval import retrieval_rows, retrieval_words
from sleepfm.viewer.similar_words import clip_words, elapsed, found_words, neighbours_csv, read_time, sentences, window_of
from sleepfm.viewer.visits import arrive, last_study, paged
from sleepfm.vocabulary import Modality

PAGE = "similar"
CHOICES = 200  # studies offered in the list; the others are opened from the Studies page
JOBS = ("index", "demo-cohort", "retrieval")
MOST_NEIGHBOURS = 40


def choose_study(library: Library) -> Study | None:
    """Return the study of the address, else the one looked at last, else the newest; None (and a word) where there is none."""
    state = st.session_state
    wanted = st.query_params.get("study") or last_study(state, page=PAGE) or last_study(state)
    if wanted is not None:
        try:
            return library.study(wanted)
        except SleepFMError as error:
            st.error(plain(str(error)))
            st.page_link("pages/studies.py", label="To the studies")
            return None
    newest = library.studies(limit=1)
    if newest:
        return newest[0]
    st.info("No studies yet: neighbours are looked up among the nights of the library.", icon=":material/bedtime:")
    with st.container(horizontal=True):
        st.page_link("pages/studies.py", label="Add recordings", icon=":material/folder_open:")
        offer_demo_cohort(library)
    show_jobs(library, None)
    return None


def offer_demo_cohort(library: Library) -> None:
    """Offer simulated nights to somebody who has too few of their own."""
    if action_button("Make a simulated cohort to try this with", icon=":material/science:"):
        submit_demo_cohort(library.home)
        st.rerun()


def go(**address: str) -> None:
    """Write into the address and draw the page anew."""
    st.query_params.update(address)
    st.rerun()


def pick(label: str, options: list[Any], current: Any, *, width: int, words: Any = str, place: str = "") -> Any:
    """Show a list in the line of choices and return what is chosen; `place` says what an empty one is for."""
    index = options.index(current) if current in options else None
    return st.selectbox(
        label,
        options,
        index=index,
        format_func=words,
        placeholder=place,
        key=f"{label} {current}",
        label_visibility="collapsed",
        width=width,
    )


def show_choices(
    library: Library, study: Study, encoders: list[EncoderChoice], encoder: EncoderChoice | None, asked: Asked
) -> None:
    """Show what is looked for as a line of lists, and go there when one is changed."""
    ids = [one.id for one in library.studies(limit=CHOICES)]
    ids = ids if study.id in ids else [study.id, *ids]
    chosen = pick("Study", ids, study.id, width=184)
    if chosen != study.id:
        st.query_params.pop("at", None)
        go(study=chosen)
    labels = {one.name: printable(one.label) for one in encoders}
    current = None if encoder is None else encoder.name
    named = pick("Encoder", list(labels), current, width=234, words=labels.__getitem__, place="Choose an encoder")
    if named != current:
        go(encoder=named)
    modalities = [modality.value for modality in Modality]
    query = pick("Query", modalities, asked.modality.value, width=148, words=lambda one: f"ask with {one}")
    if query != asked.modality:
        go(query=query)
    target = pick("Target", modalities, asked.target.value, width=150, words=lambda one: f"look for {one}")
    if target != asked.target:
        go(target=target)
    st.selectbox(
        "How many", [4, 8, 16, MOST_NEIGHBOURS], index=1, format_func=lambda n: f"{n} nearest", key="similar top",
        label_visibility="collapsed", width=115,
    )  # fmt: skip
    st.toggle(
        "same person too",
        key="similar same subject",
        help="Also other nights of the same person, and this night but for ten minutes on either side of the query.",
    )


def named_encoder(shelf: Shelf, encoders: list[EncoderChoice]) -> EncoderChoice | None:
    """Return the encoder that was named, in the address or before, else the one trained on real recordings."""
    name = st.query_params.get("encoder") or st.session_state.get("similar encoder") or first_choice(shelf)
    found = next((one for one in encoders if one.name == name), None)
    if found is not None:
        st.session_state["similar encoder"] = found.name
    return found


def say_about_encoder(shelf: Shelf, study: Study, encoders: list[EncoderChoice], encoder: EncoderChoice | None) -> None:
    """Say what to think of the encoder, or how to come by one."""
    if encoder is not None:
        if encoder.simulated:
            say = st.caption if study.simulated else st.warning
            say(plain(simulated_warning(encoder.name, simulated_recording=study.simulated)))
        return
    if not encoders:
        st.info(
            "No encoder is on the shelf. `sleepfm models fetch official` brings the published one.", icon=":material/inventory_2:"
        )
        return
    offered = offered_by_name(shelf) if study.simulated else None
    with st.container(horizontal=True, vertical_alignment="center", key="choices of encoder"):
        st.markdown(
            ":material/inventory_2: No encoder trained on real recordings is on the shelf: fetch one with"
            " `sleepfm models fetch official`.",
            width="content",
        )
        if offered is not None and st.button(f"Use {offered} for this simulated night", type="primary"):
            go(encoder=offered)


def show_query(study: Study, asked: Asked, others: list[Clip]) -> None:
    """Show the time as a field, and the query's clips as buttons that take them off again."""
    here, state = Clip(study.id, asked.at), st.session_state
    if state.get("similar time of") != here:
        state["similar time of"], state["similar time"] = here, elapsed(here.start_s)

    def typed() -> None:
        try:
            st.query_params["at"] = str(int(window_of(read_time(st.session_state["similar time"]))))
        except SleepFMError as error:
            st.session_state["similar refused"] = str(error)

    def keep(clips: list[Clip]) -> None:
        st.session_state["similar clips"] = clips

    with st.container(horizontal=True, vertical_alignment="center", gap="small", key="choices of clips"):
        st.caption("Query from", width="content")
        st.text_input(
            "Time from the start", key="similar time", on_change=typed, label_visibility="collapsed", width=100,
            help="Hours:minutes:seconds from the start of the recording, or seconds",
        )  # fmt: skip
        words, why = "Keep this clip, choose another", "Of several clips the mean is looked for"
        st.button(words, icon=":material/add:", help=why, disabled=here in others, on_click=keep, args=([*others, here],))
        for clip in others:
            left = [one for one in others if one != clip]
            st.button(
                plain(clip_words(clip)), icon=":material/close:", help="Take this clip off the query", on_click=keep, args=(left,)
            )


def show_jobs(library: Library, study: Study | None) -> None:
    """Show the indexing or measuring that runs, with time left and a way to stop it, or what went wrong with the last one."""
    jobs = library.jobs.list(kinds=JOBS, limit=1)
    if not jobs:
        return
    job = jobs[0]
    if not job.open:
        say_what_failed(job, study)
        return

    show_progress(library.home, job)


def say_what_failed(job: Job, study: Study | None) -> None:
    """Say why the last indexing did not do everything, until somebody closes it."""
    failed = (job.result or {}).get("failed", [])
    if st.session_state.get("similar read") == job.id or not (job.error or failed):
        return
    here = study is not None and any(one.get("study") == study.id for one in failed)
    with st.container(horizontal=True, vertical_alignment="center"):
        if job.error:
            st.error(plain(f"{job.title}: {job.error}"))
        else:
            with st.expander(plain(f"{job.title}: {len(failed)} could not be indexed"), expanded=here):
                rows = [
                    {"Study": printable(one.get("study", one.get("file", ""))), "Why": printable(one["error"])} for one in failed
                ]
                st.dataframe(rows, hide_index=True)
        if st.button("Close", key=f"close {job.id}"):
            st.session_state["similar read"] = job.id
            st.rerun()


def show_alone(library: Library) -> None:
    """Say that a library of one study holds no neighbours, and offer some."""
    st.info("There is one study in the library: neighbours are looked up in other nights.", icon=":material/person:")
    with st.container(horizontal=True, vertical_alignment="center"):
        st.page_link("pages/studies.py", label="Add recordings", icon=":material/folder_open:")
        if not library.jobs.list(states=OPEN_STATES, kinds=JOBS, limit=1):
            offer_demo_cohort(library)


def show_index_state(library: Library, study: Study, encoder: EncoderChoice, indexed: set[str]) -> None:
    """Say which studies are in the encoder's index, and offer to index the others."""
    total, here = library.count(), study.id in indexed
    others = total - len(indexed) - (not here)
    if total == len(indexed) or library.jobs.list(states=OPEN_STATES, kinds=JOBS, limit=1):
        return
    with st.container(horizontal=True, vertical_alignment="center", gap="small", key="choices of index"):
        said = f"{len(indexed):,} of {total:,} studies are in the index of {encoder.name}."
        st.caption(plain(said if here else f"{study.id} is not in the index of {encoder.name} yet; {said}"), width="content")
        if not here and action_button("Index this study", type="primary"):
            submit_index(library.home, encoder.name, [study.id])
            st.rerun()
        words = f"Index the {others:,} other{'s' if others > 1 else ''}" if here else f"Index all {others + 1:,}"
        if others and action_button(words):
            submit_index(library.home, encoder.name)
            st.rerun()


def answer_of(library: Library, query: NeighbourQuery, stamp: str) -> NeighbourAnswer:
    """Return the answer, asked for once a query and state of the index."""
    kept = st.session_state.get("similar answer")
    if kept is not None and kept[:2] == (query, stamp):
        found: NeighbourAnswer = kept[2]
        return found
    loaded = st.session_state.get("similar loaded", False)
    with st.spinner("Searching …" if loaded else "Loading the search engine: a few seconds, once …"):
        answer = in_resident(library.home, find_neighbours, query)
    st.session_state["similar loaded"] = True
    st.session_state["similar answer"] = (query, stamp, answer)
    return answer


def show_answer(library: Library, answer: NeighbourAnswer, agreement: tuple[str, str]) -> None:
    """Show what was found, in words and as traces, and do what is clicked there."""
    query = answer.query
    with st.container(horizontal=True, vertical_alignment="center", gap="small", key="choices of answer"):
        st.markdown(f"**{plain(found_words(answer))}** :gray[· {answer.seconds:.2f} s]", width="content")
        export_button(
            "CSV", neighbours_csv(answer), f"neighbours_{query.modality}_{query.target}.csv", "text/csv",
            icon=":material/download:", on_click="ignore", disabled=not answer.neighbours,
        )  # fmt: skip
    notes = [note for note in answer.notes if SIMULATED_WORDS not in note]  # said above already
    if notes:
        st.caption(plain(sentences(notes)))
    named = {clip.study for clip in query.clips} | {one.study for one in answer.neighbours}
    clicked = clips_view(answer, {name: library.study(name) for name in named}, people(library, named), agreement=agreement)
    if clicked is None:
        return
    if clicked["do"] == "open":
        st.switch_page("pages/review.py", query_params={"study": clicked["study"], "epoch": str(epoch_of(clicked["start"]))})
    elif clicked["do"] == "use":
        go(study=clicked["study"], at=str(int(clicked["start"])))
    elif clicked["do"] == "add":
        others = st.session_state.get("similar clips", [])
        clip = Clip(clicked["study"], float(clicked["start"]))
        st.session_state["similar clips"] = [*others, *([] if clip in others else [clip])]
        st.rerun()


def show_retrieval(library: Library, encoder: EncoderChoice, indexed: str) -> None:
    """Offer the numbers of `sleepfm evaluate retrieval` for what is indexed."""
    with st.expander("How well do the modalities of this library find each other?", key="retrieval"):
        found = measured(library, encoder.name, indexed)
        if found is None:
            st.caption(
                "Each window of the index is looked up in each other modality among all others. Large libraries take minutes."
            )
            if action_button("Measure", disabled=bool(library.jobs.list(states=OPEN_STATES, kinds=JOBS, limit=1))):
                submit_retrieval(library.home, encoder.name, indexed)
                st.rerun()
            return
        st.dataframe(retrieval_rows(found), hide_index=True)
        st.markdown(f":small[{plain(retrieval_words(found))}]")


def main() -> None:
    """Draw the page."""
    require(Role.VIEWER)
    with Library.open() as library:
        study = choose_study(library)
        if study is None:
            return
        st.html(TIGHT)
        if st.query_params.get("study") != study.id:
            st.query_params["study"] = study.id
        visit = arrive(st.session_state, study.id, st.query_params.get("at"), page=PAGE)
        shelf = Shelf(library.home.models)
        encoders = encoder_choices(shelf, named=st.query_params.get("encoder"))
        encoder = named_encoder(shelf, encoders)
        address = {name: st.query_params.get(name, "") for name in ("at", "query", "target")}
        asked = read_address(address, duration_s=study.duration_s, modalities=study.modalities)
        with st.container(horizontal=True, vertical_alignment="center", gap="small", key="choices"):
            show_choices(library, study, encoders, encoder, asked)
        for problem in (*asked.problems, *([refused] if (refused := st.session_state.pop("similar refused", None)) else [])):
            st.error(plain(problem))
        say_about_encoder(shelf, study, encoders, encoder)
        blocks = [] if encoder is None else EmbeddingIndex(library, encoder.weights_sha256).blocks()
        indexed, stamp = {block.study for block in blocks}, f"{len(blocks)}-{sum(block.rows for block in blocks)}"
        agreement = agreement_address(study.id, encoder.name, stamp) if encoder is not None and study.id in indexed else None
        others: list[Clip] = st.session_state.setdefault("similar clips", [])
        scoring = next(iter(library.scorings(study.id)), None)
        picked = night_strip(
            study,
            scoring,
            at=asked.at,
            visit=f"{visit.number}",
            clips=[clip.start_s for clip in others if clip.study == study.id],
            agreement=agreement,
        )
        if picked is not None:
            paged(st.session_state, study.id, int(picked), page=PAGE)
            st.query_params["at"] = str(int(picked))
            asked = replace(asked, at=picked)
        show_query(study, asked, others)
        show_jobs(library, study)
        if library.count() == 1:
            show_alone(library)
        elif encoder is not None:
            show_index_state(library, study, encoder, indexed)
        if encoder is not None and agreement is not None:
            query = NeighbourQuery(
                encoder=encoder.name,
                clips=tuple(dict.fromkeys((Clip(study.id, asked.at), *others))),
                modality=asked.modality,
                target=asked.target,
                top=st.session_state["similar top"],
                same_subject=st.session_state["similar same subject"],
            )
            try:
                show_answer(library, answer_of(library, query, stamp), (study.id, agreement))
                show_retrieval(library, encoder, stamp)
            except SleepFMError as error:
                st.error(plain(str(error)))
        st.caption("Research use. What is similar to a model need not be alike to a physician; nothing here is a diagnosis.")


main()
