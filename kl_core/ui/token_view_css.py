"""Styles of the token view. Colours come from the app's theme variables."""

HEAT_STEPS = 24


def _heat(name: str, colour: str) -> str:
    """One class a step, from nearly transparent to the full colour."""
    return "\n".join(
        f".{name}{step} {{ background-color: color-mix(in srgb, var({colour}) "
        f"{round(step * 82 / HEAT_STEPS, 1)}%, transparent) }}"
        for step in range(1, HEAT_STEPS + 1)
    )


CSS = (
    """
:host, .root { --hot: #d0382a; --cool: #2f6fb3; --hot-line: #a5231a; --cool-line: #22558c; }
.root[data-dark="1"] { --hot: #f0402c; --cool: #4a90e2; --hot-line: #ff8a7a; --cool-line: #8fc1ff; }
.root { color: var(--st-text-color); font-family: var(--st-font); font-size: 13px;
  position: relative }
.map { display: block; width: 100%; height: 14px; cursor: pointer; border-radius: 3px;
  background: color-mix(in srgb, var(--st-text-color) 6%, transparent) }
.text { margin-top: 6px; padding: 12px 16px; border: 1px solid var(--st-border-color);
  border-radius: 8px; overflow: auto; max-height: clamp(190px, calc(100vh - 628px), 560px);
  font-family: Charter, "Bitstream Charter", "Source Serif 4", "Source Serif Pro", Georgia,
    "DejaVu Serif", serif;
  font-size: 16.5px; line-height: 1.78; overflow-wrap: anywhere; white-space: pre-wrap;
  outline: none; contain: layout paint; font-variant-ligatures: none; position: relative }
.text:focus-visible, .peaks button:focus-visible {
  outline: 2px solid color-mix(in srgb, var(--st-text-color) 55%, transparent);
  outline-offset: 1px }
.line { content-visibility: auto; contain-intrinsic-size: auto 30px }
.para { margin-bottom: .55em }
.t { unicode-bidi: isolate; cursor: pointer; padding: 1px 0; border-radius: 2px;
  -webkit-box-decoration-break: clone; box-decoration-break: clone }
.t:hover { box-shadow: 0 0 0 1px color-mix(in srgb, var(--st-text-color) 45%, transparent) }
.m { font-family: var(--st-code-font); font-size: .8em; opacity: .6; letter-spacing: 0 }
.special { font-family: var(--st-code-font); font-size: .72em; opacity: .75; padding: 1px 4px;
  border: 1px solid var(--st-border-color); border-radius: 4px; margin: 0 2px }
.cont { font-family: var(--st-code-font); font-size: .7em; opacity: .5 }
.up { border-bottom: 2px solid var(--hot-line); padding-bottom: 0 }
.up.neg { border-bottom-color: var(--cool-line) }
.unscored { border-bottom: 2px dotted color-mix(in srgb, var(--st-text-color) 45%, transparent) }
.hatched { background-image: repeating-linear-gradient(135deg,
  color-mix(in srgb, var(--st-text-color) 26%, transparent) 0 1px, transparent 1px 5px) }
.sel { outline: 2px solid var(--st-text-color); outline-offset: 0; position: relative; z-index: 1 }
.foot { display: flex; flex-wrap: wrap; align-items: center; gap: 2px 8px; margin-top: 6px;
  font-size: 12px; color: color-mix(in srgb, var(--st-text-color) 72%, transparent);
  font-variant-numeric: tabular-nums }
.ramp { width: 110px; height: 8px; border-radius: 4px; border: 1px solid var(--st-border-color) }
.u { border-bottom: 2px solid var(--hot-line) }
.hatch-key { width: 16px; height: 10px; border: 1px solid var(--st-border-color);
  border-radius: 2px }
.peaks { display: flex; gap: 6px; margin-top: 3px; padding: 2px 2px 0; overflow: hidden;
  align-items: center;
  flex-wrap: wrap; max-height: 28px; font-size: 12px; font-variant-numeric: tabular-nums;
  color: color-mix(in srgb, var(--st-text-color) 72%, transparent) }
.peaks button { font: inherit; color: var(--st-text-color); background: transparent;
  cursor: pointer;
  border: 1px solid var(--st-border-color); border-radius: 10px; padding: 1px 8px; max-width: 150px;
  display: flex; gap: 5px; white-space: pre }
.peaks button:hover { border-color: var(--hot-line) }
.peaks .what { overflow: hidden; text-overflow: ellipsis; unicode-bidi: isolate; min-width: 0 }
.peaks .size { flex: none }
.peaks button[hidden] { display: none }
.tip { position: fixed; z-index: 1000; pointer-events: none; max-width: 420px; padding: 5px 9px;
  border-radius: 6px; background: #22252b; color: #f4f3f0; font-family: var(--st-code-font);
  font-size: 12px; line-height: 1.5; white-space: pre-wrap; overflow-wrap: anywhere;
  font-variant-numeric: tabular-nums; box-shadow: 0 2px 10px rgb(0 0 0 / .3) }
.tip[hidden], .none[hidden] { display: none }
.none { padding: 8px 0; opacity: .8 }
@media (prefers-reduced-motion: no-preference) { .text { scroll-behavior: auto } }
"""
    + _heat("h", "--hot")
    + "\n"
    + _heat("c", "--cool")
    + "\n"
)
