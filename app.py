from pathlib import Path

import streamlit as st

from sleepfm.administration.roles import Role
from sleepfm.viewer.signed_in import current_user

HERE = Path(__file__).parent

st.set_page_config(page_title="SleepFM Workbench", page_icon=str(HERE / "assets" / "icon.svg"), layout="wide")
user = current_user()

# `/` and `/studies` must both load; a default page has no path of its own, so it only leads on
home = st.Page("pages/home.py", title="SleepFM Workbench", default=True, visibility="hidden")
studies = st.Page("pages/studies.py", title="Studies", icon=":material/folder_open:", url_path="studies")
review = st.Page("pages/review.py", title="Review", icon=":material/monitor_heart:", url_path="review")
similar = st.Page("pages/similar.py", title="Similar", icon=":material/join_inner:", url_path="similar")
cohort = st.Page("pages/cohort.py", title="Cohort", icon=":material/scatter_plot:", url_path="cohort")
risk = st.Page("pages/risk.py", title="Risk", icon=":material/monitoring:", url_path="risk")
pages = {"": [home, studies, review], "Explore": [similar, cohort, risk]}

if user.may(Role.ADMIN):  # a page that is not named here cannot be reached by its address either
    pages["Admin"] = [
        st.Page(f"pages/{name}.py", title=title, icon=f":material/{icon}:", url_path=name)
        for name, title, icon in (
            ("models", "Models", "inventory_2"),
            ("pretrain", "Pretrain", "model_training"),
            ("finetune", "Fine-tune", "tune"),
            ("runs", "Runs", "list_alt"),
            ("settings", "Settings", "settings"),
        )
        if (HERE / "pages" / f"{name}.py").is_file()
    ]

if not user.local:
    pages["Account"] = [st.Page("pages/account.py", title=user.name, icon=":material/person:", url_path="account")]

# Streamlit leaves room above a page that a technician's screen does not have
st.html("<style>.stMainBlockContainer { padding-top: 4rem; padding-bottom: 1rem; }</style>")
st.navigation({group: chosen for group, chosen in pages.items() if chosen}, position="top").run()
