from pathlib import Path

import streamlit as st

FOLDER = Path(__file__).parent
st.set_page_config(page_title="SleepFM Workbench", page_icon=str(FOLDER / "assets" / "icon.svg"), layout="wide")

# `/` and `/studies` must both load; a default page has no path of its own, so it only leads on
home = st.Page("pages/home.py", title="SleepFM Workbench", default=True, visibility="hidden")
studies = st.Page("pages/studies.py", title="Studies", icon=":material/folder_open:", url_path="studies")
review = st.Page("pages/review.py", title="Review", icon=":material/monitor_heart:", url_path="review")
explore = [
    st.Page(f"pages/{name}.py", title=name.capitalize(), icon=icon, url_path=name)
    for name, icon in (
        ("similar", ":material/join_inner:"),
        ("cohort", ":material/scatter_plot:"),
        ("risk", ":material/monitoring:"),
    )
    if (FOLDER / "pages" / f"{name}.py").is_file()
]

# Streamlit leaves room above a page that a technician's screen does not have
st.html("<style>.stMainBlockContainer { padding-top: 4rem; padding-bottom: 1rem; }</style>")
st.navigation({"": [home, studies, review], "Explore": explore}, position="top").run()
