"""Page styles: tighter than the framework's, one column on narrow windows."""

from __future__ import annotations

import streamlit as st

_CSS = """<style>
.stMainBlockContainer { padding: 1.1rem 1.6rem 1.5rem; max-width: none }
header.stAppHeader { background: transparent; pointer-events: none; height: 2.2rem; min-height: 0 }
header.stAppHeader * { pointer-events: none }
header.stAppHeader button, header.stAppHeader button * { pointer-events: auto }
/* the first two entries of a head's menu sort, and would sort the page alone */
[data-testid="stDataFrameColumnMenu"] [role="menuitem"]:nth-child(2),
[data-testid="stDataFrameColumnMenu"] [role="menuitem"]:nth-child(3) { display: none }
[data-testid="stSidebar"][data-collapsed="false"] { width: 200px !important; min-width: 200px }
[data-testid="stSidebarHeader"] { height: 2.6rem; padding-top: .4rem; margin-bottom: 0 }
.stMainBlockContainer [data-testid="stVerticalBlock"] { gap: .55rem }
.stMainBlockContainer h1 { font-size: 1.45rem; padding: 0 0 .6rem }
.stMainBlockContainer h2, .stMainBlockContainer h3 { font-size: 1rem; padding: .2rem 0 }
.st-key-toolbar { padding-right: 2.4rem }
.st-key-tokens_controls [data-testid="stWidgetLabel"],
.st-key-toolbar [data-testid="stWidgetLabel"] { min-height: 0; margin-bottom: 0 }
.st-key-tokens_controls [data-testid="stWidgetLabel"] p,
.st-key-toolbar [data-testid="stWidgetLabel"] p { font-size: .72rem; opacity: .75 }
/* it lies over the filter, and searches and saves the shown page alone */
.st-key-prompts [data-testid="stElementToolbar"] { display: none }
.st-key-turn_order button { padding: 0; min-width: 0 }
.st-key-counts [data-testid="stCaptionContainer"] p { font-size: .72rem }
.st-key-counts { column-gap: .2rem; row-gap: .2rem }
.st-key-counts button { padding: 0 .2rem; min-height: 1.6rem; font-size: .76rem }
.st-key-tokens_pages button { min-height: 1.6rem; padding: 0 .6rem; font-size: .78rem }
.st-key-token_note button { padding: 0 .6rem; min-height: 1.7rem; font-size: .8rem }
[data-testid="stSidebarHeader"]::before { content: "KL Explorer"; font-weight: 700;
  font-size: 1.1rem }
/* at least 4.5:1 in both themes */
[data-testid="stCaptionContainer"] { font-variant-numeric: tabular-nums; color: inherit;
  opacity: .76 }
[data-testid="stBaseButton-primary"], [data-testid="stBaseButton-primaryFormSubmit"] {
  background-color: #b8372a; border-color: #b8372a; color: #fff }
[data-testid="stBaseButton-primary"]:hover, [data-testid="stBaseButton-primaryFormSubmit"]:hover {
  background-color: #a02c20; border-color: #a02c20; color: #fff }
.st-key-toolbar { flex-wrap: wrap; gap: .4rem .5rem !important }
.st-key-toolbar > [data-testid="stLayoutWrapper"]:has(> .st-key-toolbar_run) {
  flex: 1 1 220px; min-width: 210px; max-width: 420px }
.st-key-toolbar > [data-testid="stLayoutWrapper"]:has(> .st-key-toolbar_measure:empty) {
  display: none }
.st-key-response_head { flex-wrap: wrap }
.st-key-response_head > [data-testid="stLayoutWrapper"]:has(> .st-key-response_title) {
  flex: 1 1 180px; min-width: 180px }
@media (min-width: 1151px) {
  .st-key-columns > [data-testid="stLayoutWrapper"] > [data-testid="stHorizontalBlock"] {
    flex-wrap: nowrap }
  .st-key-columns > [data-testid="stLayoutWrapper"] > [data-testid="stHorizontalBlock"]
    > [data-testid="stColumn"]:first-child { min-width: 478px }
}
@media (max-width: 1150px) {
  .st-key-columns > [data-testid="stLayoutWrapper"] > [data-testid="stHorizontalBlock"] {
    flex-direction: column; gap: .6rem }
  .st-key-columns > [data-testid="stLayoutWrapper"] > [data-testid="stHorizontalBlock"]
    > [data-testid="stColumn"] { width: 100%; flex: 1 1 auto; min-width: 100% }
  .st-key-columns > [data-testid="stLayoutWrapper"] > [data-testid="stHorizontalBlock"]
    > [data-testid="stColumn"]:first-child,
  .st-key-columns > [data-testid="stLayoutWrapper"] > [data-testid="stHorizontalBlock"]
    > [data-testid="stColumn"]:first-child > [data-testid="stVerticalBlock"] { display: contents }
  [data-testid="stLayoutWrapper"]:has(> .st-key-charts) { order: 3 }
}
.st-key-toolbar > [data-testid="stLayoutWrapper"]:has(> .st-key-toolbar_run_a),
.st-key-toolbar > [data-testid="stLayoutWrapper"]:has(> .st-key-toolbar_run_b) {
  flex: 1 1 220px; min-width: 210px; max-width: 480px }
.st-key-toolbar > [data-testid="stLayoutWrapper"]:has(> .st-key-toolbar_figure:empty),
.st-key-toolbar > [data-testid="stLayoutWrapper"]:has(> .st-key-toolbar_export:empty) {
  display: none }
[data-testid="stLayoutWrapper"]:has(> .st-key-pair_lists_box) { flex: 1 1 284px; max-width: 420px }
.st-key-pair_lists_box { width: 100% }
@media (min-width: 1151px) {
  .st-key-pair_columns .st-key-columns > [data-testid="stLayoutWrapper"]
    > [data-testid="stHorizontalBlock"] > [data-testid="stColumn"]:first-child { min-width: 384px }
}
</style>"""


_NARROW = "<style>.stMainBlockContainer { max-width: 940px; margin: 0 auto 0 0 }</style>"


def apply(narrow: bool = False) -> None:
    """Put the styles on the page, once a rerun; `narrow` for forms, which read badly wide."""
    st.html(_CSS + _NARROW if narrow else _CSS)
