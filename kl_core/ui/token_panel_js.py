"""The browser side of the token panel: both models' candidates, back to back.

Only `textContent` ever receives text of the input. What numbers are shown and whether the
details are open stays as it is from token to token.
"""

from kl_core.ui.browser_js import ELEMENTS

_OWN = r"""
const VISIBLE = 9;
const MODES = [['text', 'p', 'probabilities'], ['log', 'ln p', 'log-probabilities, in nats'],
  ['rank', 'rank', 'place in each list; * known besides the list']];
const kept = { mode: 'text', details: false };

export default function ({ parentElement, data }) {
  let panel = parentElement.querySelector('.panel');
  if (!panel) { panel = make('div'); parentElement.append(panel); }
  panel.className = data.model2 ? 'panel' : 'panel alone';
  panel.setAttribute('role', 'region');
  panel.setAttribute('aria-label', 'What each model would have said');
  const draw = () => {
    const left = make('div');
    left.append(...(data.rows.length ? table(data)
      : [make('div', 'none', 'No candidate list at this position.')]));
    const details = facts(data);
    details.hidden = !kept.details;
    panel.replaceChildren(head(data, draw, details), left, why(data), details);
  };
  draw();
}

function head(data, draw, details) {
  const top = make('div', 'top'), tools = make('div', 'tools'), pick = make('span', 'pick');
  top.append(make('h4', '', (data.model2 ? 'What each model would have said at token '
    : 'What the model would have said at token ') + data.position), tools);
  pick.setAttribute('role', 'radiogroup');
  pick.setAttribute('aria-label', 'Numbers shown');
  for (const [mode, name, help] of MODES) {
    const button = make('button', '', name);
    button.title = 'show ' + help;
    button.setAttribute('role', 'radio');
    button.setAttribute('aria-checked', kept.mode === mode);
    button.onclick = () => {
      kept.mode = mode;
      const host = button.getRootNode();
      draw();
      host.querySelector('.pick [aria-checked="true"]').focus();
    };
    pick.append(button);
  }
  const more = make('button', 'more', kept.details ? 'fewer details' : 'details');
  more.title = 'entropies, unseen mass, what would tighten the bound';
  more.setAttribute('aria-expanded', kept.details);
  more.onclick = () => {
    kept.details = details.hidden;
    details.hidden = !kept.details;
    more.textContent = kept.details ? 'fewer details' : 'details';
    more.setAttribute('aria-expanded', kept.details);
  };
  if (data.rows.length) tools.append(pick);
  tools.append(more);
  return top;
}

function why(data) {
  const box = make('div', 'why');
  box.tabIndex = 0;
  box.setAttribute('aria-live', 'polite');
  box.setAttribute('aria-label', 'What the figures mean');
  for (const sentence of data.sentences) {
    const p = make('p');
    for (const [text, strong] of sentence) p.append(make(strong ? 'b' : 'span', '', text));
    box.append(p);
  }
  return box;
}

function table(data) {
  const grid = make('div', 'grid'), says = make('div', 'says');
  const sampled = data.rows.findIndex((row) => row.sampled), order = [...data.rows.keys()];
  // the sampled token is always among those seen without scrolling
  if (sampled >= VISIBLE) order.splice(VISIBLE - 1, 0, ...order.splice(sampled, 1));
  const lines = order.map((place, i) => line(data.rows[place], data, i));
  grid.append(heads(data), ...lines, rest(data));
  const standing = [data.sum ? data.sum.says : '', data.besides && data.rows.some((row) =>
    row.side1.beside || row.side2.beside) ? '* ' + data.besides + '.' : '',
    data.rows.length > VISIBLE ? `${data.rows.length} candidates, scroll for all.` : '']
    .filter(Boolean).join(' ');
  says.textContent = standing;
  let at = -1;
  const go = (i) => {
    if (at >= 0) { lines[at].classList.remove('at'); lines[at].removeAttribute('aria-selected'); }
    at = i;
    says.textContent = i < 0 ? standing : data.rows[order[i]].says;
    if (i < 0) { grid.removeAttribute('aria-activedescendant'); return; }
    lines[i].classList.add('at');
    lines[i].setAttribute('aria-selected', 'true');
    grid.setAttribute('aria-activedescendant', lines[i].id);
  };
  const reveal = (el) => {
    const box = grid.getBoundingClientRect(), one = el.getBoundingClientRect(), edge = 22;
    if (one.top < box.top + edge) grid.scrollTop -= box.top + edge - one.top;
    if (one.bottom > box.bottom - edge) grid.scrollTop += one.bottom - box.bottom + edge;
  };
  grid.tabIndex = 0;
  grid.setAttribute('role', 'listbox');
  grid.setAttribute('aria-label', 'Candidates, the likeliest first');
  grid.addEventListener('mousemove', (e) => {
    const el = e.target.closest('.cand');
    if (!el || el.place !== at) go(el ? el.place : -1);
  });
  grid.addEventListener('mouseleave', () => go(-1));
  grid.addEventListener('blur', () => go(-1));
  grid.addEventListener('keydown', (e) => {
    const last = lines.length - 1;
    const to = { ArrowDown: Math.min(at + 1, last), ArrowUp: Math.max(at - 1, 0), Home: 0,
      End: last }[e.key];
    if (to === undefined || e.ctrlKey || e.metaKey || e.altKey) return;
    e.preventDefault();
    go(to);
    reveal(lines[to]);
  });
  return [grid, says];
}

function heads(data) {
  const box = make('div', 'line heads'), one = model(1, data.model1, data.name1);
  if (!data.model2) { box.append(make('div', 'head', 'token'), one); return box; }
  one.classList.add('one');
  if (!data.second) {  // nothing was asked: empty columns have no heads
    box.append(one, make('div'), make('div'), make('div'), make('div'));
    return box;
  }
  const delta = make('div', 'head delta', 'Δ nats');
  delta.title = 'ln P − ln Q: positive where model 1 likes the token more';
  const adds = make('div', 'head adds', data.sum ? data.adds : '');
  adds.title = 'what the token adds to the KL shown: p·ln(p/q)';
  box.append(one, make('div'), model(2, data.model2, data.name2), delta, adds);
  return box;
}

function model(number, name, whole) {
  const head = make('div', 'head model');
  head.append(make('span', 'word', 'model '), number + ' · ' + name);
  head.title = `model ${number}: ${whole || name}`;
  return head;
}

function bar(side, flip) {
  const box = make('div', flip ? 'one' : 'two'), text = side[kept.mode];
  const number = make('span', 'num', side.beside && text ? text + '*' : text);
  if (side.p === null && !side.bounded) return box;
  const fill = make('div', side.bounded ? 'bar bounded' : 'bar');
  fill.style.width = side.bounded ? '14px' : `calc((100% - 62px) * ${side.p})`;
  box.append(...(flip ? [number, fill] : [fill, number]));
  return box;
}

function line(row, data, i) {
  const box = make('div', 'line cand');
  const name = make('div', row.sampled ? 'name sampled' : 'name', row.token);
  box.place = i;
  box.id = 'c' + i;
  box.setAttribute('role', 'option');
  box.setAttribute('aria-label', (row.sampled ? 'the sampled token ' : '') + row.says);
  name.title = (row.sampled ? 'the sampled token' : '') + (row.id === null ? '' : `  id ${row.id}`);
  if (row.kind) name.append(make('span', 'tag', row.kind));
  if (!data.model2) { box.append(name, bar(row.side1, false)); return box; }
  box.append(bar(row.side1, true), name, bar(row.side2, false), make('div', 'delta', row.delta),
    term(row.term));
  return box;
}

function term(part) {
  const box = make('div', 'term');
  if (!part) return box;
  const axis = make('div', 'axis'), fill = make('div', part.assumed ? 'part assumed' : 'part');
  const half = Math.abs(part.bar) * 50;
  fill.style.width = half + '%';
  fill.style.left = (part.bar < 0 ? 50 - half : 50) + '%';
  axis.append(fill);
  box.append(axis, make('span', 'num', part.text));
  return box;
}

function rest(data) {
  const box = make('div', 'line rest'), label = make('div', 'name', 'rest');
  label.title = 'probability outside everything shown of that model';
  const text = (value) => value ? value + ' ' + data.outside : '';
  if (!data.model2) { box.append(label, make('div', '', text(data.rest1))); return box; }
  const sum = make('div', 'sum', data.sum ? data.sum.text : '');
  sum.title = data.sum ? data.sum.says : '';
  box.append(make('div', 'one', text(data.rest1)), label, make('div', 'two', text(data.rest2)),
    make('div', 'delta'), sum);
  return box;
}

function facts(data) {
  const box = make('div', 'details'), rows = make('table');
  const top = make('tr');
  top.append(make('th'), make('th', 'n', 'model 1'));
  if (data.model2) top.append(make('th', 'n', 'model 2'));
  top.append(make('th'));
  rows.append(top);
  for (const fact of data.facts) {
    const row = make('tr');
    row.append(make('td', '', fact.label), make('td', 'n', fact.one));
    if (data.model2) row.append(make('td', 'n', fact.two));
    row.append(make('td', '', fact.help));
    rows.append(row);
  }
  box.append(rows, ...data.notes.map((note) => make('p', '', note)));
  return box;
}
"""

JS = ELEMENTS + _OWN
