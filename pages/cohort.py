from __future__ import annotations

from typing import Any

import streamlit as st

from sleepfm.administration.roles import Role
from sleepfm.analysis.projection import LEAST_ROWS, Method
from sleepfm.errors import SleepFMError
from sleepfm.home import Home
from sleepfm.inference.simulated_models import simulated_warning
from sleepfm.library import facts, subsets
from sleepfm.library.embedding_index import EmbeddingIndex
from sleepfm.library.job_demo_cohort import SIZE_MB, STUDIES, submit_demo_cohort
from sleepfm.library.job_index import submit_index
from sleepfm.library.job_map import submit_map
from sleepfm.library.library import Library
from sleepfm.library.map_columns import PERSON_COLUMN, SITE_COLUMN, MapColumn, choices, column
from sleepfm.library.map_selection import SelectedStudy, Selection, rows_of, selection_csv, studies_of
from sleepfm.library.maps import MapGrain, MapSpec, StoredMap, read_map, standing
from sleepfm.models.shelf import Shelf
from sleepfm.runs.table import Job
from sleepfm.text import plain, printable
from sleepfm.viewer.chart_export import show_chart
from sleepfm.viewer.job_progress import show_progress
from sleepfm.viewer.map_component import chosen_column, cohort_map
from sleepfm.viewer.map_encoders import MapEncoder, map_encoders
from sleepfm.viewer.map_purity import ColumnPurity, column_purity, purity_figure, purity_words
from sleepfm.viewer.map_selection_table import balance_table, selection_table
from sleepfm.viewer.map_uploads import MOST_BYTES, import_uploads, import_words
from sleepfm.viewer.map_words import UNITS, counted, made_words, standing_words
from sleepfm.viewer.page_style import TIGHT
from sleepfm.viewer.role_widgets import action_button, export_button, may
from sleepfm.viewer.signed_in import require
from sleepfm.viewer.similar_encoders import encoder_choices
from sleepfm.vocabulary import Modality

JOBS = ("map", "index", "demo-cohort")
MOST_SHOWN = 1000  # rows of the table; the CSV has them all
PURITIES_KEPT = 12
WRAPPED = """<style>.stMainBlockContainer [data-testid="stCaptionContainer"] p { white-space: normal; }</style>"""
MEAN = "mean of modalities"
GRAINS = {MapGrain.NIGHT: "a point a night", MapGrain.WINDOW: "a point a 5-min window"}


def say(kind: str, text: str) -> None:
    """Keep a message for the next run, so that it outlives the rerun that an action ends with."""
    st.session_state.setdefault("cohort messages", []).append((kind, text))


def show_messages() -> None:
    """Show what the last action had to say."""
    for kind, text in st.session_state.pop("cohort messages", []):
        {"error": st.error, "warning": st.warning, "info": st.info, "success": st.success}[kind](plain(text))


def pick(label: str, options: list[Any], *, width: int, words: Any = str, key: str | None = None) -> Any:
    """Show a list in the line of choices and return what is chosen."""
    return st.selectbox(
        label, options, format_func=words, key=key or f"cohort {label}", label_visibility="collapsed", width=width
    )


# before there is a map


def offer_demo_cohort(library: Library) -> None:
    """Offer simulated nights to somebody who has too few of their own."""
    takes = f"{STUDIES} simulated nights with what is known of their people; some minutes, about {SIZE_MB} MB on the disk."
    if action_button("Make a simulated cohort to try this with", icon=":material/science:", help=takes):
        submit_demo_cohort(library.home)
        st.rerun()


def show_empty(library: Library) -> None:
    """Say what a map needs, and offer the next step."""
    total = library.count()
    shelf = Shelf(library.home.models)
    encoders = encoder_choices(shelf)
    if not total:
        st.info("No studies yet: the map shows the nights of the library.", icon=":material/scatter_plot:")
        st.page_link("pages/studies.py", label="Add recordings")
    elif not encoders:
        st.info(
            "No encoder is on the shelf. `sleepfm models fetch official` brings the published one.",
            icon=":material/scatter_plot:",
        )
    else:
        studies = counted(total, "study", "studies")
        st.info(f"No study is in an index yet: the map shows what an encoder makes of {studies}.", icon=":material/scatter_plot:")
        with st.container(horizontal=True, vertical_alignment="bottom"):
            labels = {one.name: printable(one.label) for one in encoders}
            name = st.selectbox("Encoder of the index", list(labels), format_func=labels.__getitem__, width=300)
            if action_button("Build the index", type="primary"):
                submit_index(library.home, name)
                st.rerun()
    offer_demo_cohort(library)


def show_jobs(library: Library) -> bool:
    """Show the work that runs (True), with time left and a way to stop it, or what went wrong with the last."""
    jobs = library.jobs.list(kinds=JOBS, limit=1)
    if not jobs:
        return False
    job = jobs[0]
    if not job.open:
        say_what_failed(job)
        return False

    show_progress(library.home, job)
    return True


def say_what_failed(job: Job) -> None:
    """Say why the last work did not do everything, until somebody closes it."""
    failed = (job.result or {}).get("failed", [])
    if st.session_state.get("cohort read") == job.id or not (job.error or failed):
        return
    with st.container(horizontal=True, vertical_alignment="center"):
        if job.error:
            st.error(plain(f"{job.title}: {job.error}"))
        else:
            with st.expander(plain(f"{job.title}: {len(failed)} could not be done")):
                rows = [
                    {"Study": printable(one.get("study", one.get("file", ""))), "Why": printable(one["error"])} for one in failed
                ]
                st.dataframe(rows, hide_index=True)
        if st.button("Close", key=f"close {job.id}"):
            st.session_state["cohort read"] = job.id
            st.rerun()


def offer_map(library: Library, spec: MapSpec, studies: int) -> None:
    """Offer to make the map that is chosen, or say why it cannot be."""
    unit = UNITS[spec.grain]
    least = LEAST_ROWS[spec.method]
    if spec.grain is MapGrain.NIGHT and studies < least:
        st.info(
            f"A {spec.method.upper()} map of nights needs at least {least} of them; the index holds {studies}."
            " Index more studies, or look at their 5-min windows.",
            icon=":material/scatter_plot:",
        )
        with st.container(horizontal=True):
            st.button(
                "Show the windows", type="primary", on_click=lambda: st.session_state.update({"cohort Points": MapGrain.WINDOW})
            )
            offer_demo_cohort(library)
        return
    takes = "some seconds" if spec.method is Method.PCA else "about a minute, with a million windows several"
    st.info(
        f"This map of the {unit} of {counted(studies, 'study', 'studies')} was not made yet; it takes {takes}.",
        icon=":material/scatter_plot:",
    )
    if action_button("Make the map", type="primary"):
        submit_map(library, spec, anew=True)  # one that is damaged is no map to place studies on
        st.rerun()


# the map


def choose_spec(encoders: list[MapEncoder]) -> MapSpec:
    """Let its user choose what the map shows."""
    encoder = encoders[0]
    if len(encoders) > 1:
        encoder = pick("Encoder", encoders, width=200, words=lambda one: printable(one.label))
    grain = pick("Points", list(MapGrain), width=175, words=GRAINS.__getitem__)
    modality = pick("Modality", [MEAN, *Modality], width=175)
    method = pick("Method", list(Method), width=95, words=lambda one: one.value.upper())
    with st.popover("Settings"):
        seed = st.number_input("Seed", 0, 2**31, 0, help="Another seed is another sample and, with UMAP, another arrangement.")
        sample = st.number_input(
            "Fitted on at most",
            100,
            100_000,
            20_000,
            step=1000,
            help="Points drawn with the seed; the others are placed on the map.",
        )
    of = None if modality == MEAN else modality
    return MapSpec(encoder=encoder.weights_sha256, grain=grain, modality=of, method=method, seed=seed, sample=sample)


def upload_table(library: Library) -> None:
    """Take a cohort's table: who the people are, and what became of them."""
    if not may(Role.SCORER):
        return
    with st.popover("Table …"):
        st.caption(
            "A CSV with a column Study ID and any others; Subject ID, site, age and sex have a meaning. Follow-up is the"
            " pair is_event.csv and time_to_event.csv. Each column becomes a colour of the map."
        )
        files = st.file_uploader(
            "Cohort tables",
            type=["csv", "tsv", "txt"],
            accept_multiple_files=True,
            max_upload_size=MOST_BYTES // 1_000_000,
            key="cohort tables",
        )
        if files and action_button("Take it into the library", type="primary"):
            try:
                for name, done in import_uploads(library, {file.name: file.getvalue() for file in files}):
                    say("success" if done.studies else "warning", import_words(name, done))
                    for note in done.notes:
                        say("warning", note)
            except SleepFMError as error:
                say("error", str(error))
            st.rerun()


def show_standing(library: Library, stored: StoredMap, encoder: MapEncoder) -> None:
    """Say what came since the map was made, and offer to place it there."""
    now = standing(library, stored)
    missing = len(EmbeddingIndex(library, stored.spec.encoder).missing())
    if now.current and not missing:
        return
    with st.container(horizontal=True, vertical_alignment="center", key="standing"):
        st.caption(plain(standing_words(now, missing)), width="content")
        if not now.current:
            update = "Place them on the map" if now.new else "Update the map"
            if action_button(update, type="primary", help="What is on the map stays where it is."):
                submit_map(library, stored.spec)
                st.rerun()
        if missing and action_button("Index what is missing"):
            submit_index(library.home, encoder.name)
            st.rerun()


def purity_of(stored: StoredMap, values: MapColumn) -> ColumnPurity:
    """Return a column's purity, computed once as long as nothing changes."""
    kept: dict[tuple[str, ...], ColumnPurity] = st.session_state.setdefault("cohort purities", {})
    made_from = (stored.spec.identifier, stored.created_at.isoformat(), values.key, values.digest)
    if made_from not in kept:
        while len(kept) >= PURITIES_KEPT:
            kept.pop(next(iter(kept)))
        kept[made_from] = column_purity(stored, values)
    return kept[made_from]


def show_purity(library: Library, stored: StoredMap, values: MapColumn) -> None:
    """Show how often neighbours are of the same site, and of the same group of the colour that is chosen."""
    known = facts.SITE in facts.columns(library)
    shown = [column(library, stored, SITE_COLUMN)] if known else []
    if values.key not in (SITE_COLUMN, PERSON_COLUMN):  # neighbours are never of the same person
        shown.append(values)
    unit = UNITS[stored.spec.grain]
    st.markdown("**Neighbours of the same …**", help="In embedding space, not on the map: shares of the nearest neighbours, other"
                " people's only, that are of the same group. The interval is over people (95 %, bootstrap).")  # fmt: skip
    for one in shown:
        found = purity_of(stored, one)
        head, rest = purity_words(found, unit)
        st.markdown(f"{plain(printable(one.title))}: **{plain(head)}**")
        st.caption(plain(rest))
        figure = purity_figure(found)
        if figure is not None:
            show_chart(
                figure, "neighbours_of_the_same_group", key=f"purity {one.key}", alt=f"Neighbours of the same {one.title}: {head}"
            )
    if not known:
        st.caption(
            "Nobody stated where the nights were recorded: a table with a column site shows whether the site shapes the map."
        )


# what is selected


def show_selection(library: Library, stored: StoredMap, studies: list[SelectedStudy], rows: int) -> None:
    """Show the selected studies, and what can be done with them."""
    unit = UNITS[stored.spec.grain]
    people = counted(len({one.person.subject for one in studies}), "person", "people")
    st.markdown(f"**Selected: {rows:,} {unit} of {counted(len(studies), 'study', 'studies')}, {people}**")
    table, actions = st.columns([3, 2])
    with table:
        chosen = st.dataframe(
            selection_table(studies[:MOST_SHOWN], stored.spec.grain),
            hide_index=True,
            height=min(36 + 35 * len(studies), 320),
            on_select="rerun",
            selection_mode="single-row",
            key=f"cohort table {stored.spec.identifier}",
        )
        if len(studies) > MOST_SHOWN:
            st.caption(f"The first {MOST_SHOWN:,} of {len(studies):,} studies; the CSV has them all.")
        with st.container(horizontal=True):
            rows_chosen = [row for row in chosen["selection"]["rows"] if row < len(studies)]
            if st.button("Open in review", disabled=not rows_chosen, help="Click the box at the left of a row first."):
                one = studies[rows_chosen[0]]
                open_in_review(one.person.study, one.first_epoch)
            export_button("CSV", selection_csv(studies, unit), file_name="selection.csv", mime="text/csv")
    with actions:
        show_keeping(library, stored, studies)


def open_in_review(study: str, epoch: int) -> None:
    """Go to the page that shows a night."""
    st.switch_page("pages/review.py", query_params={"study": study, "epoch": str(epoch)})


def show_keeping(library: Library, stored: StoredMap, studies: list[SelectedStudy]) -> None:
    """Offer to keep the selected studies under a name, and to divide them for fine-tuning."""
    if not may(Role.SCORER):
        return
    with st.form("keep", border=True):
        name = st.text_input("Name of the subset", placeholder="such as left-cluster")
        by_site = st.checkbox("Every list has people of every site", value=False)
        with st.container(horizontal=True):
            save = st.form_submit_button("Save subset", type="primary")
            divide = st.form_submit_button("Save and make a fine-tune split", help="70 % of the people to train on, 15 % to"
                                           " validate, 15 % to test; nobody stands in two lists.")  # fmt: skip
    if save or divide:
        ids = [one.person.study for one in studies]
        st.session_state.pop("cohort split", None)
        try:
            name = subsets.check_name(name)
            if name not in subsets.names(library) or set(subsets.load(library, name).studies) != set(ids):
                note = f"{len(ids)} studies selected on a {stored.spec.method.upper()} map of {UNITS[stored.spec.grain]}"
                subsets.save(library, name, ids, note)
            if divide:
                split = subsets.split(library, name, stored.spec.seed, by_site=by_site)
                st.session_state["cohort split"] = (name, split)
            else:
                st.success(plain(f"Saved {name}: {len(ids)} studies."))
        except SleepFMError as error:
            st.error(plain(str(error)))
    if "cohort split" in st.session_state:
        name, split = st.session_state["cohort split"]
        st.success(plain(f"Saved {name} and divided it by person."))
        st.dataframe(balance_table(split, facts.people(library)), hide_index=True)
        for note in split.notes:
            st.warning(plain(note))
        st.caption("To be named as data.splits of a training configuration:")
        st.code(str(split.path), language=None)
        export_button("Download the split", split.path.read_bytes(), file_name=split.path.name, mime="application/json")


@st.fragment
def explore(home: Home) -> None:
    """Show the map that is chosen, how pure it is, and what is selected on it."""
    with Library(home) as library:
        encoders = map_encoders(library)
        with st.container(horizontal=True, vertical_alignment="center", gap="small", key="choices"):
            spec = choose_spec(encoders)
            stored = read_or_say(library, spec)
            upload_table(library)
        encoder = next(one for one in encoders if one.weights_sha256 == spec.encoder)
        working = show_jobs(library)
        if stored is None:
            if not working:
                offer_map(library, spec, encoder.studies)
            return
        key = f"map {spec.identifier}"
        offered = choices(library, stored)
        values = column(library, stored, chosen_column(offered, key))
        above = st.container()
        left, right = st.columns([3, 1])
        with left:
            answer = cohort_map(stored, offered=offered, column=values, note=made_words(stored, encoder.label), key=key)
            show_caption(library, stored, encoder)
        if answer.opened is not None:
            open_in_review(*answer.opened)
        # what takes the app a moment comes after the map has got its new colours
        with above:
            show_standing(library, stored, encoder)
        with right:
            show_purity(library, stored, values)
        with left:
            show_selected(library, stored, answer.selection)


def show_selected(library: Library, stored: StoredMap, selection: Selection | None) -> None:
    """Show what is selected, or how to select."""
    if selection is None:
        st.caption("Draw a lasso on the map, click a line of the legend, or select all in view: the studies appear here.")
        return
    try:
        selected_n = rows_of(library, stored, selection)
    except SleepFMError as error:
        st.error(plain(str(error)))
        return
    studies = studies_of(library, stored, selected_n)
    if studies:
        show_selection(library, stored, studies, int(selected_n.sum()))
    else:
        st.caption("Nothing lies in this selection.")


def read_or_say(library: Library, spec: MapSpec) -> StoredMap | None:
    """Return the map if it was made; a damaged one is said, and can be made again."""
    try:
        return read_map(library.home, spec.identifier)
    except SleepFMError as error:
        st.error(plain(str(error)))
        return None


def show_caption(library: Library, stored: StoredMap, encoder: MapEncoder) -> None:
    """Say what the map leaves out, how it was made, and what to think of it."""
    st.caption(plain(made_words(stored, encoder.label)))
    if encoder.simulated and encoder.name is not None:
        real = library.connection.execute("SELECT COUNT(*) FROM studies WHERE simulated = 0").fetchone()[0]
        (st.warning if real else st.caption)(plain(simulated_warning(encoder.name, simulated_recording=not real)))


def main() -> None:
    """Draw the page."""
    require(Role.VIEWER)
    with Library.open() as library:
        if map_encoders(library):
            st.html(TIGHT + WRAPPED)
            show_messages()
            explore(library.home)
        else:
            show_messages()
            if not show_jobs(library):
                show_empty(library)


main()
