"""The style of pages that draw signals: no room is given away, and the choices stand beside the pages' names."""

from __future__ import annotations

TIGHT = """<style>
.stMainBlockContainer { padding: 4rem 0.8rem 0 0.8rem; }
.stMainBlockContainer > .stVerticalBlock { gap: 0.35rem; }
.stMainBlockContainer [data-testid="stElementContainer"]:has(> .stHtml) { display: none; }
.stMainBlockContainer [data-testid="stCaptionContainer"] p { font-size: 12px; line-height: 18px;
  white-space: nowrap; overflow: hidden; text-overflow: ellipsis; }
[class*="st-key-choices"] {
  gap: 0.4rem;
  :is([data-testid="stSelectbox"], [data-testid="stTextInput"]) input { padding-top: 4px; padding-bottom: 4px; }
  [data-testid="stSelectbox"] [role="group"], [data-testid="stTextInputRootElement"] { min-height: 30px; height: 30px; }
  :is(.stButton, .stPopover, .stDownloadButton) button { min-height: 30px; height: 30px; padding: 0 0.7rem; }
}
[data-testid="stLayoutWrapper"]:has(> .st-key-running) { flex: 0 0 auto; }
.st-key-running {
  .stVerticalBlock { gap: 0; }
  [data-testid="stProgress"] > :first-child { height: 18px; overflow: hidden; }
  [data-testid="stProgress"] p {
    font-size: 12px; line-height: 18px; white-space: nowrap; overflow: hidden; text-overflow: ellipsis;
  }
}
@media (min-width: 1300px) {
  .st-key-choices { flex-wrap: nowrap; }
  .st-key-choices > [data-testid="stElementContainer"]:has(> [data-testid="stSelectbox"]) { flex: 0 1 auto; min-width: 6rem; }
  .st-key-choices > :not([data-testid="stElementContainer"]:has(> [data-testid="stSelectbox"])) { flex-shrink: 0; }
}
@media (min-width: 1150px) {
  .stMainBlockContainer { padding-top: 0.4rem; }
  .stAppHeader { height: 2.7rem; min-height: 2.7rem; background: transparent; }
  .stVerticalBlock > :has(> .st-key-account) { height: 2.7rem; }
  .stAppHeader, .stAppHeader * { pointer-events: none; }
  .stAppHeader :is(a, button), .stAppHeader :is(a, button) * { pointer-events: auto; }
  .st-key-choices { width: calc(100% - 27.4rem); margin-left: 27.4rem; padding-right: 4.4rem; }
  .stVerticalBlock > :has(> .st-key-choices) {
    position: sticky; top: 0; z-index: 5; background: #fff; padding: 0.3rem 0; margin: -0.3rem 0;
  }
}
</style>"""
"""Traces need the room that Streamlit leaves around a page; on a wide screen the container "choices" stands beside the names.
Other containers whose key begins so have its small controls."""
