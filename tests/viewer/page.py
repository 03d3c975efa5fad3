"""A page with nothing but the viewer: /?study=<id>&epoch=<n>&upper=<scoring>&lower=<scoring>."""

import streamlit as st

from sleepfm.viewer.component import trace_viewer

st.set_page_config(layout="wide")
st.html("<style>.stMainBlockContainer { padding: 3.4rem 0.6rem 0 0.6rem; }</style>")
st.session_state.runs = st.session_state.get("runs", 0) + 1
study = st.query_params.get("study", "night")
start = int(st.query_params.get("epoch", 1))
st.session_state.setdefault("visit", f"{study} {start}")


@st.fragment
def viewer() -> None:
    epoch = trace_viewer(
        study,
        epoch=start if "opened" not in st.session_state else st.session_state.opened,
        visit=st.session_state.visit,
        scorings=[one for one in (st.query_params.get("upper"), st.query_params.get("lower")) if one],
    )
    st.session_state.setdefault("opened", start)
    if epoch:
        st.query_params["epoch"] = str(epoch)
    st.caption(f"runs {st.session_state.runs} epoch {epoch}")


viewer()
