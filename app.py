from pathlib import Path

import streamlit as st

st.set_page_config(page_title="SleepFM Workbench", page_icon=str(Path(__file__).parent / "assets" / "icon.svg"), layout="wide")

# `/` and `/studies` must both load; a default page has no path of its own, so it only leads on
home = st.Page("pages/home.py", title="SleepFM Workbench", default=True, visibility="hidden")
studies = st.Page("pages/studies.py", title="Studies", icon=":material/folder_open:", url_path="studies")
review = st.Page("pages/review.py", title="Review", icon=":material/monitor_heart:", url_path="review")
similar = st.Page("pages/similar.py", title="Similar", icon=":material/join_inner:", url_path="similar")
cohort = st.Page("pages/cohort.py", title="Cohort", icon=":material/scatter_plot:", url_path="cohort")
risk = st.Page("pages/risk.py", title="Risk", icon=":material/monitoring:", url_path="risk")

# Streamlit leaves room above a page that a technician's screen does not have
st.html("<style>.stMainBlockContainer { padding-top: 4rem; padding-bottom: 1rem; }</style>")
st.navigation({"": [home, studies, review], "Explore": [similar, cohort, risk]}, position="top").run()
