"""The browser side of the token panel: both models' candidates, back to back."""

CSS = """
:host { display: block; container-type: inline-size }
.panel { --m1: #3a6ea5; --m2: #c2402f; color: var(--st-text-color); font-family: var(--st-font);
  font-size: 13px; display: grid; grid-template-columns: minmax(0, 1fr) minmax(170px, 26%);
  gap: 6px 18px; align-items: start }
.panel.alone { grid-template-columns: minmax(0, 1fr) minmax(170px, 34%) }
h4 { grid-column: 1 / -1; margin: 2px 0 0; font-size: 13.5px; font-weight: 600;
  overflow-wrap: anywhere }
.grid { display: grid; grid-template-columns: minmax(90px, 1fr) minmax(70px, auto) minmax(90px,
  1fr) 74px;
  font-family: var(--st-code-font); font-size: 12px; font-variant-numeric: tabular-nums;
  align-items: center; max-height: 280px; overflow: auto }
.alone .grid { grid-template-columns: minmax(90px, auto) minmax(60px, 1fr) }
.grid > * { padding: 2px 0; min-height: 17px }
.head { color: color-mix(in srgb, var(--st-text-color) 65%, transparent); overflow: hidden;
  text-overflow: ellipsis; white-space: nowrap; position: sticky; top: 0; z-index: 1;
  background: var(--st-background-color) }
.one { display: flex; justify-content: flex-end; align-items: center; gap: 6px; min-width: 0 }
.two { display: flex; align-items: center; gap: 6px; min-width: 0 }
.bar { height: 12px; min-width: 2px; border-radius: 2px; flex: none; max-width: calc(100% - 62px) }
.one .bar { background: var(--m1) } .two .bar { background: var(--m2) }
.alone .two .bar { background: var(--m1) }
.bar.bounded { background: repeating-linear-gradient(135deg,
  color-mix(in srgb, var(--st-text-color) 48%, transparent) 0 1.5px, transparent 1.5px 4px);
  min-width: 14px }
.num { white-space: nowrap }
.name { text-align: center; padding: 2px 8px; border-radius: 4px; unicode-bidi: isolate;
  white-space: pre-wrap; overflow-wrap: anywhere; max-width: 150px; margin: 0 6px;
    justify-self: center }
.alone .name { text-align: left; margin-left: 0; justify-self: start }
.sampled .name, .name.sampled { background: var(--st-text-color); color: var(--st-background-color);
  font-weight: 600 }
.tag { font-size: 10px; opacity: .7; margin-left: 4px }
.delta { text-align: right; white-space: nowrap; color: color-mix(in srgb,
  var(--st-text-color) 75%, transparent) }
.rest { color: color-mix(in srgb, var(--st-text-color) 65%, transparent) }
.why { background: var(--st-secondary-background-color); border-radius: 8px; padding: 10px 12px;
  line-height: 1.5; font-variant-numeric: tabular-nums; overflow-wrap: anywhere }
.why p { margin: 0 0 7px } .why p:last-child { margin: 0 } .why b { font-size: 1.08em }
.why p:not(:first-child) { font-size: 12px; color: color-mix(in srgb, var(--st-text-color) 78%,
  transparent) }
.more { grid-column: 1 / -1; justify-self: start; margin-top: 2px; font: inherit; border: 0;
  cursor: pointer;
  background: none; color: var(--st-link-color); padding: 2px 0 }
@container (max-width: 600px) {
  .panel, .panel.alone { grid-template-columns: minmax(0, 1fr) }
}
"""

JS = r"""
const SHOWN = 9;
const make = (tag, cls, text) => {
  const el = document.createElement(tag);
  if (cls) el.className = cls;
  if (text !== undefined) el.textContent = text;
  return el;
};

export default function ({ parentElement, data }) {
  let panel = parentElement.querySelector('.panel');
  if (!panel) { panel = make('div'); parentElement.append(panel); }
  panel.className = data.model2 ? 'panel' : 'panel alone';
  panel.setAttribute('role', 'region');
  panel.setAttribute('aria-live', 'polite');
  panel.setAttribute('aria-label', 'What each model would have said');
  const what = data.model2 ? 'What each model would have said at token '
    : 'What the model would have said at token ';
  const grid = make('div', 'grid');
  const draw = (all) => {
    grid.replaceChildren();
    head(grid, data);
    data.rows.forEach((row, i) => { if (all || i < SHOWN || row.sampled) line(grid, row, data); });
    rest(grid, data, data.rows.filter((row, i) => all || i < SHOWN || row.sampled));
    const hidden = data.rows.filter((row, i) => i >= SHOWN && !row.sampled).length;
    if (!all && hidden) {
      const more = make('button', 'more', `show ${hidden} more`);
      more.onclick = () => draw(true);
      grid.append(more);
    }
  };
  draw(false);
  const why = make('div', 'why');
  for (const sentence of data.sentences) {
    const p = make('p');
    for (const [text, strong] of sentence) p.append(make(strong ? 'b' : 'span', '', text));
    why.append(p);
  }
  const body = data.rows.length ? grid : make('div', '', 'No candidate list at this position.');
  panel.replaceChildren(make('h4', '', what + data.position), body, why);
}

function head(grid, data) {
  const one = make('div', 'head', 'model 1 · ' + data.model1);
  one.title = data.name1;
  if (!data.model2) { grid.append(make('div', 'head', 'token'), one); return; }
  one.style.textAlign = 'right';
  const two = make('div', 'head', 'model 2 · ' + data.model2);
  two.title = data.name2;
  const delta = make('div', 'head delta', 'Δ nats');
  delta.title = 'ln P − ln Q: positive where model 1 likes the token more';
  grid.append(one, make('div', 'head'), two, delta);
}

function bar(side, flip, besides) {
  const box = make('div', flip ? 'one' : 'two');
  const fill = make('div', side.bounded ? 'bar bounded' : 'bar');
  const number = make('span', 'num', side.text);
  if (side.p === null && !side.bounded) return box;
  fill.style.width = side.bounded ? '14px' : `calc((100% - 62px) * ${side.p})`;
  box.title = side.bounded ? "outside this model's list: at most its smallest listed probability"
    : side.beside ? besides : '';
  if (side.beside && besides) number.textContent = side.text + '*';
  box.append(...(flip ? [number, fill] : [fill, number]));
  return box;
}

function line(grid, row, data) {
  const name = make('div', row.sampled ? 'name sampled' : 'name', row.token);
  name.title = (row.sampled ? 'the sampled token' : '') + (row.id === null ? '' : `  id ${row.id}`);
  if (row.kind) name.append(make('span', 'tag', row.kind));
  if (!data.model2) { grid.append(name, bar(row.side1, false, data.besides)); return; }
  const delta = make('div', 'delta', row.delta);
  delta.title = row.share;
  grid.append(bar(row.side1, true, data.besides), name, bar(row.side2, false, data.besides), delta);
}

function rest(grid, data, shown) {
  const label = make('div', 'name rest', 'rest');
  label.title = 'probability outside everything shown of that model';
  const text = (value) => value ? value + ' ' + data.outside : '';
  if (!data.model2) { grid.append(label, make('div', 'rest', text(data.rest1))); return; }
  const one = make('div', 'one rest', text(data.rest1));
  grid.append(one, label, make('div', 'two rest', text(data.rest2)), make('div'));
  if (data.besides && shown.some((row) => row.side1.beside || row.side2.beside)) {
    const note = make('div', 'rest', '* ' + data.besides);
    note.style.gridColumn = '1 / -1';
    grid.append(note);
  }
}
"""
