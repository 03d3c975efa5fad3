"""The Streamlit component that draws traces and owns the keys, and the app's HTTP routes."""
