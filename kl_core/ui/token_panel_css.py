"""Styles of the token panel. Its height stays the same from token to token."""

CSS = """
:host { display: block; container-type: inline-size }
.panel { --m1: #3a6ea5; --m2: #c2402f; --dim: color-mix(in srgb, var(--st-text-color) 68%,
  transparent);
  color: var(--st-text-color); font-family: var(--st-font);
  font-size: 13px; display: grid; grid-template-columns: minmax(0, 1fr) minmax(190px, 28%);
  gap: 4px 16px; align-items: start; font-variant-numeric: tabular-nums }
.panel.alone { grid-template-columns: minmax(0, 1fr) minmax(180px, 38%) }
.top { grid-column: 1 / -1; display: flex; flex-wrap: wrap; gap: 2px 14px; align-items: center;
  justify-content: space-between; min-height: 24px }
h4 { margin: 0; font-size: 13.5px; font-weight: 600; overflow-wrap: anywhere }
.tools { display: flex; gap: 12px; align-items: center; font-size: 12px; color: var(--dim) }
.pick { display: inline-flex; border: 1px solid var(--st-border-color); border-radius: 6px;
  overflow: hidden }
.tools button { font: inherit; color: inherit; border: 0; background: none; cursor: pointer;
  padding: 1px 8px }
.pick button + button { border-left: 1px solid var(--st-border-color) }
.pick button[aria-checked="true"] { background: var(--st-secondary-background-color);
  color: var(--st-text-color); font-weight: 600 }
.tools .more { color: var(--st-link-color); padding: 1px 0 }
.grid { font-family: var(--st-code-font); font-size: 12px; height: 236px; overflow: auto;
  outline: none; scrollbar-width: thin; border-radius: 3px }
.grid:focus-visible, .tools button:focus-visible, .why:focus-visible { outline: 2px solid
  color-mix(in srgb, var(--st-text-color) 55%, transparent); outline-offset: -1px }
.grid { display: grid; align-content: start; column-gap: 5px;
  grid-template-columns: minmax(88px, 1fr) fit-content(166px) minmax(88px, 1fr)
    minmax(58px, max-content) 94px }
.line { display: grid; align-items: center; min-height: 21px; grid-template-columns: subgrid;
  grid-column: 1 / -1 }
.alone .grid { grid-template-columns: minmax(70px, auto) minmax(90px, 1fr) }
.line.cand { cursor: default; border-radius: 3px }
.line.cand.at { background: color-mix(in srgb, var(--st-text-color) 8%, transparent) }
.line.heads, .line.rest { position: sticky; z-index: 1; background: var(--st-background-color);
  color: var(--dim) }
.line.heads { top: 0 } .line.rest { bottom: 0 }
.line > * { min-width: 0; overflow: hidden; text-overflow: ellipsis; white-space: nowrap }
.one { display: flex; justify-content: flex-end; align-items: center; gap: 6px }
.two { display: flex; align-items: center; gap: 6px }
.bar { height: 12px; min-width: 2px; border-radius: 2px; flex: 0 1 auto;
  max-width: calc(100% - 62px) }
.one .bar { background: var(--m1) } .two .bar { background: var(--m2) }
.alone .two .bar { background: var(--m1) }
.bar.bounded { background: repeating-linear-gradient(135deg,
  color-mix(in srgb, var(--st-text-color) 48%, transparent) 0 1.5px, transparent 1.5px 4px);
  min-width: 14px }
.num { white-space: nowrap; flex: none }
.name { text-align: center; padding: 1px 8px; border-radius: 4px; unicode-bidi: isolate;
  max-width: 100%; box-sizing: border-box; justify-self: center; white-space: pre !important }
.alone .name { justify-self: start; max-width: min(150px, 100%) }
.name.sampled { background: var(--st-text-color); color: var(--st-background-color);
  font-weight: 600 }
.tag { font-size: 10px; opacity: .7; margin-left: 4px }
.delta, .head.delta, .head.adds { text-align: right } .delta { color: var(--dim) }
.head { font-family: var(--st-font) }
.head.one { display: block; text-align: right }
.term { display: grid; grid-template-columns: minmax(0, 1fr) 52px; gap: 4px; align-items: center }
.term .num { text-align: right; overflow: hidden; text-overflow: ellipsis }
.axis { position: relative; height: 12px; background: linear-gradient(var(--st-border-color),
  var(--st-border-color)) 50% 0 / 1px 100% no-repeat }
.part { position: absolute; top: 1px; bottom: 1px; min-width: 1px; border-radius: 1px;
  background: color-mix(in srgb, var(--st-text-color) 62%, transparent) }
.part.assumed { background: repeating-linear-gradient(135deg,
  color-mix(in srgb, var(--st-text-color) 62%, transparent) 0 1.5px, transparent 1.5px 3.5px) }
.sum { text-align: right }
.says { font-size: 12px; line-height: 1.4; height: 34px; overflow: auto; color: var(--dim);
  overflow-wrap: anywhere; margin-top: 4px; scrollbar-width: thin }
.why { background: var(--st-secondary-background-color); border-radius: 8px; padding: 9px 12px;
  line-height: 1.45; overflow: auto; overflow-wrap: anywhere; height: 276px;
  box-sizing: border-box; scrollbar-width: thin; outline: none }
.why p { margin: 0 0 6px } .why p:last-child { margin: 0 } .why b { font-size: 1.06em }
.why p:not(:first-child) { font-size: 12px; color: color-mix(in srgb, var(--st-text-color) 80%,
  transparent) }
.none { color: var(--dim); height: 274px }
.details { grid-column: 1 / -1; border-top: 1px solid var(--st-border-color); padding-top: 8px;
  font-size: 12px; line-height: 1.5 }
.details[hidden] { display: none }
.details table { border-collapse: collapse; margin: 0 0 6px }
.details th, .details td { text-align: left; font-weight: 400; padding: 1px 14px 1px 0;
  vertical-align: top }
.details td.n { text-align: right; font-family: var(--st-code-font); white-space: nowrap }
.details th.n { text-align: right; white-space: nowrap; color: var(--dim) }
.details td:last-child { color: var(--dim) }
.details p { margin: 0 0 5px; max-width: 100ch }
@container (max-width: 760px) { .head .word { display: none } }
@container (max-width: 620px) {
  .panel, .panel.alone { grid-template-columns: minmax(0, 1fr) }
  .why { height: auto; min-height: 118px; max-height: 190px }
}
@container (max-width: 460px) {
  .grid { grid-template-columns: minmax(81px, 1fr) fit-content(92px) minmax(81px, 1fr) 84px;
    font-size: 11px }
  .alone .grid { grid-template-columns: minmax(60px, auto) minmax(80px, 1fr) }
  .line > .delta { display: none }
  .name { padding: 1px 5px }
  .alone .name { max-width: 92px }
}
"""
