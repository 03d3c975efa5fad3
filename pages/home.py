import streamlit as st

from sleepfm.administration.roles import Role
from sleepfm.viewer.signed_in import require

require(Role.VIEWER)
st.switch_page("pages/studies.py")
