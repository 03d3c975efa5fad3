"""A page with nothing but the viewer and a text field: /?study=<id>&epoch=<n>&upper=<scoring>&lower=<scoring>."""

import streamlit as st

from sleepfm.viewer.component import trace_viewer
from sleepfm.viewer.visits import arrive, paged

st.set_page_config(layout="wide")
st.session_state.runs = st.session_state.get("runs", 0) + 1
st.text_input("Note", key="note")
study = st.query_params["study"]
visit = arrive(st.session_state, study, st.query_params.get("epoch"))
scorings = [st.query_params[name] for name in ("upper", "lower") if name in st.query_params]


@st.fragment
def viewer() -> None:
    epoch = trace_viewer(study, epoch=visit.opened_at, visit=str(visit.number), scorings=scorings)
    if epoch is not None:
        paged(st.session_state, study, epoch)
        st.query_params["epoch"] = str(epoch)


viewer()
st.caption(f"script runs: {st.session_state.runs}")
