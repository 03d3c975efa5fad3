from pathlib import Path

import streamlit as st

from sleepfm.administration.roles import Role
from sleepfm.text import plain
from sleepfm.viewer.signed_in import current_user

st.set_page_config(page_title="SleepFM Workbench", page_icon=str(Path(__file__).parent / "assets" / "icon.svg"), layout="wide")
user = current_user()

# `/` and `/studies` must both load; a default page has no path of its own, so it only leads on
home = st.Page("pages/home.py", title="SleepFM Workbench", default=True, visibility="hidden")
studies = st.Page("pages/studies.py", title="Studies", url_path="studies")
review = st.Page("pages/review.py", title="Review", url_path="review")
finish = st.Page("pages/finish.py", title="Finish", url_path="finish")
similar = st.Page("pages/similar.py", title="Similar", icon=":material/join_inner:", url_path="similar")
cohort = st.Page("pages/cohort.py", title="Cohort", icon=":material/scatter_plot:", url_path="cohort")
risk = st.Page("pages/risk.py", title="Risk", icon=":material/monitoring:", url_path="risk")
agreement = st.Page("pages/agreement.py", title="Agreement", icon=":material/compare_arrows:", url_path="agreement")
batch = st.Page("pages/batch.py", title="Batch", icon=":material/stacks:", url_path="batch")
pages = {
    "": [home, studies, review, finish],
    "Explore": [similar, cohort, risk],
    "Desk": [agreement, batch] if user.may(Role.SCORER) else [agreement],
}

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
    ]

account = st.Page("pages/account.py", title="Account", url_path="account", visibility="hidden")
if not user.local:
    pages[""].append(account)

chosen = st.navigation(pages, position="top")
groups = [{page.url_path for page in members} for name, members in pages.items() if name]
marked = next((number for number, paths in enumerate(groups, start=1) if chosen.url_path in paths), 0)

# Streamlit leaves room above a page that a technician's screen does not have, and marks no group whose page is shown; the account
# is the round sign at the top right
st.html(f"""<style>
.rc-overflow-item:nth-child({marked} of :has(> [data-testid="stTopNavSection"])) > button {{
  background: #e3e8ef; font-weight: 600;
}}
</style>""")
st.html("""<style>
.stMainBlockContainer { padding-top: 4rem; padding-bottom: 1rem; }
.stVerticalBlock > :has(> .st-key-account) {
  position: fixed; top: 0; right: 2.9rem; height: 3.75rem; width: auto; display: grid; place-items: center; z-index: 999999;
}
.st-key-account { width: auto; }
.st-key-account a { padding: 0.1rem 0.25rem; }
.st-key-account a [data-testid="stIconMaterial"] { font-size: 1.4rem; }
.st-key-account p { position: absolute; width: 1px; height: 1px; overflow: hidden; clip-path: inset(50%); }
</style>""")
if not user.local:
    with st.container(key="account"):
        st.page_link(account, label=plain(user.name), icon=":material/account_circle:", help=plain(f"{user.name}, {user.role}"))
chosen.run()
