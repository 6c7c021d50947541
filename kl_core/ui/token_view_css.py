"""Styles of the token view. Colours come from the app's theme variables."""

HEAT_STEPS = 24
FULL_PERCENT = 82
"""How much of the strongest shade is the colour itself; the rest is the page."""
STRONG_STEP = 12
"""From here on text is as dark (light theme) or as light (dark theme) as it can be."""
LIGHT = {"hot": "#d0382a", "cool": "#2f6fb3", "text": "#000"}
DARK = {"hot": "#e93c2a", "cool": "#3a7fd0", "text": "#fff"}


def share_percent(step: int) -> float:
    """How much of a step's shade is the colour, in percent."""
    return round(step * FULL_PERCENT / HEAT_STEPS, 1)


def _heat(name: str, colour: str) -> str:
    """One class a step, from nearly transparent to the full colour."""
    return "\n".join(
        f".{name}{step} {{ background-color: color-mix(in srgb, var({colour}) "
        f"{share_percent(step)}%, transparent)"
        f"{'; color: var(--strong)' if step >= STRONG_STEP else ''} }}"
        for step in range(1, HEAT_STEPS + 1)
    )


CSS = (
    f"""
:host, .root {{ --hot: {LIGHT["hot"]}; --cool: {LIGHT["cool"]}; --strong: {LIGHT["text"]};
  --hot-line: #a5231a; --cool-line: #22558c }}
.root[data-dark="1"] {{ --hot: {DARK["hot"]}; --cool: {DARK["cool"]}; --strong: {DARK["text"]};
  --hot-line: #ff8a7a; --cool-line: #8fc1ff }}
"""
    """
.root { color: var(--st-text-color); font-family: var(--st-font); font-size: 13px;
  position: relative; --faint: color-mix(in srgb, var(--st-text-color) 72%, transparent);
  --ring: color-mix(in srgb, var(--st-text-color) 55%, transparent) }
.map { display: block; width: 100%; height: 14px; cursor: pointer; border-radius: 3px;
  background: color-mix(in srgb, var(--st-text-color) 6%, transparent) }
.text { margin-top: 6px; padding: 12px 16px; border: 1px solid var(--st-border-color);
  border-radius: 8px; overflow: auto; height: clamp(190px, calc(100vh - 686px), 420px);
  box-sizing: border-box; resize: vertical; min-height: 90px;
  font-family: Charter, "Bitstream Charter", "Source Serif 4", "Source Serif Pro", Georgia,
    "DejaVu Serif", serif;
  font-size: 16.5px; line-height: 1.78; overflow-wrap: anywhere; white-space: pre-wrap;
  outline: none; contain: layout paint; font-variant-ligatures: none; position: relative }
.text:focus-visible, button:focus-visible { outline: 2px solid var(--ring); outline-offset: 1px }
.line { content-visibility: auto; contain-intrinsic-size: auto 30px }
.para { margin-bottom: .55em }
.t { cursor: pointer; padding: 1px 0; border-radius: 2px;
  -webkit-box-decoration-break: clone; box-decoration-break: clone }
.mixed .t { unicode-bidi: isolate }
.t:hover { box-shadow: 0 0 0 1px color-mix(in srgb, var(--st-text-color) 45%, transparent) }
.m { font-family: var(--st-code-font); font-size: .8em; opacity: .6; letter-spacing: 0 }
.up .m { opacity: .9 }
.special { font-family: var(--st-code-font); font-size: .72em; padding: 1px 4px;
  border: 1px solid var(--st-border-color); border-radius: 4px; margin: 0 2px }
.cont { font-family: var(--st-code-font); font-size: .7em; opacity: .5 }
.up { border-bottom: 2px solid var(--hot-line); padding-bottom: 0 }
.up.plus { border-bottom-color: var(--cool-line) }
.up.minus { border-bottom: 4px double var(--hot-line) }
.unscored { border-bottom: 2px dotted color-mix(in srgb, var(--st-text-color) 45%, transparent) }
.unasked { color: color-mix(in srgb, var(--st-text-color) 68%, transparent) }
.span { border-top: 2px solid color-mix(in srgb, var(--st-text-color) 60%, transparent);
  padding-top: 0; border-radius: 0 }
.span.first { border-left: 2px solid color-mix(in srgb, var(--st-text-color) 60%, transparent) }
.span.last { border-right: 2px solid color-mix(in srgb, var(--st-text-color) 60%, transparent) }
.hatched { background-image: repeating-linear-gradient(135deg,
  color-mix(in srgb, var(--st-text-color) 26%, transparent) 0 1px, transparent 1px 5px) }
.sel { outline: 2px solid var(--st-text-color); outline-offset: 0; position: relative; z-index: 1 }
[data-layout="cells"] .text { font-family: var(--st-code-font); font-size: 12.5px;
  line-height: 1.3; padding: 10px 12px }
[data-layout="cells"] .line { display: flex; flex-wrap: wrap; gap: 4px }
[data-layout="cells"] .line:not(:last-child) { padding-bottom: 6px }
[data-layout="cells"] .para { border-bottom: 1px dashed var(--st-border-color);
  margin-bottom: 6px }
[data-layout="cells"] .t { display: flex; flex-direction: column; align-items: center;
  min-width: 34px; max-width: 128px; padding: 2px 5px; margin: 0; font-size: 1em;
  border-radius: 4px; unicode-bidi: isolate; box-sizing: border-box;
  box-shadow: inset 0 0 0 1px var(--st-border-color); opacity: 1 }
[data-layout="cells"] .t .what { max-width: 100%; overflow: hidden; text-overflow: ellipsis;
  white-space: pre }
[data-layout="cells"] .t .size { font-size: .84em; opacity: .8; font-variant-numeric: tabular-nums }
[data-layout="cells"] .t.up .size { opacity: 1 }
.foot { display: flex; flex-wrap: wrap; align-items: center; gap: 2px 14px; margin-top: 6px;
  font-size: 12px; color: var(--faint); font-variant-numeric: tabular-nums;
  min-height: 40px; align-content: flex-start }
.part { display: inline-flex; align-items: center; gap: 6px; white-space: nowrap;
  max-width: 100% }
.part > span { overflow: hidden; text-overflow: ellipsis }
.ramp { width: 84px; flex: none; height: 8px; border-radius: 4px;
  border: 1px solid var(--st-border-color) }
.said { cursor: help }
.u { border-bottom: 2px solid var(--hot-line) }
.u.plus { border-bottom-color: var(--cool-line) }
.u.minus { border-bottom: 4px double var(--hot-line) }
.hatch-key { width: 16px; height: 10px; border: 1px solid var(--st-border-color);
  border-radius: 2px; flex: none }
.peaks { display: flex; gap: 6px; margin-top: 3px; padding: 2px 2px 0; overflow: hidden;
  align-items: center; flex-wrap: wrap; height: 28px; box-sizing: border-box; font-size: 12px;
  font-variant-numeric: tabular-nums; color: var(--faint) }
button { font: inherit; color: var(--st-text-color); background: transparent; cursor: pointer;
  border: 1px solid var(--st-border-color); border-radius: 10px; padding: 1px 8px }
button:disabled { opacity: .5; cursor: default }
button:hover:enabled { border-color: var(--hot-line) }
.peaks button { max-width: 150px; display: flex; gap: 5px; white-space: pre }
.peaks .what { overflow: hidden; text-overflow: ellipsis; unicode-bidi: isolate; min-width: 0 }
.peaks .size, .peaks .more { flex: none }
.peaks button[hidden] { display: none }
.list, .keys { position: absolute; z-index: 20; right: 0; top: 18px; box-sizing: border-box;
  background: var(--st-background-color); border: 1px solid var(--st-border-color);
  border-radius: 8px; box-shadow: 0 4px 18px rgb(0 0 0 / .22); font-size: 12.5px;
  max-width: 100% }
.list { width: 270px; display: flex; flex-direction: column }
.list .head { display: flex; gap: 6px; align-items: center; padding: 6px 8px;
  border-bottom: 1px solid var(--st-border-color) }
.list .head > span { flex: 1; font-variant-numeric: tabular-nums }
.list .rows { overflow-y: auto; padding: 3px 0; flex: 1; min-height: 0 }
.list .row { display: flex; width: 100%; gap: 8px; border: 0; border-radius: 0; padding: 2px 10px;
  text-align: left; font-variant-numeric: tabular-nums; content-visibility: auto;
  contain-intrinsic-size: auto 22px }
.list .row:hover, .list .row:focus { background: color-mix(in srgb, var(--st-text-color) 9%,
  transparent) }
.list .row:focus-visible { outline-offset: -2px }
.list .at { min-width: 46px; color: var(--faint) }
.list .what { flex: 1; overflow: hidden; text-overflow: ellipsis; white-space: pre;
  unicode-bidi: isolate; font-family: var(--st-code-font) }
.rest { padding: 5px 10px; color: var(--faint) }
.keys { padding: 8px 12px }
.keys .close { float: right }
.keys dl { display: grid; grid-template-columns: auto auto; gap: 3px 14px; margin: 2px 0 }
.keys dt { font-family: var(--st-code-font) }
.keys dd { margin: 0 }
.list[hidden], .keys[hidden], .tip[hidden] { display: none }
.keys-button { padding: 0 8px; font-size: 12px }
.tip { position: fixed; z-index: 1000; pointer-events: none; max-width: 420px; padding: 5px 9px;
  border-radius: 6px; background: #22252b; color: #f4f3f0; font-family: var(--st-code-font);
  font-size: 12px; line-height: 1.5; white-space: pre-wrap; overflow-wrap: anywhere;
  font-variant-numeric: tabular-nums; box-shadow: 0 2px 10px rgb(0 0 0 / .3) }
@media (prefers-reduced-motion: no-preference) { .text { scroll-behavior: auto } }
""" + _heat("h", "--hot") + "\n" + _heat("c", "--cool") + "\n"
)
