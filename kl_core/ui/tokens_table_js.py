"""The browser side of the list of tokens. Only `textContent` ever receives token text."""

from kl_core.ui.browser_js import ELEMENTS, THEME

CSS = """
:host, .list { --hot: #d0382a; --hot-line: #a5231a }
.list[data-dark="1"] { --hot: #f0402c; --hot-line: #ff8a7a }
:host { display: block; container-type: inline-size }
.list { color: var(--st-text-color); font-family: var(--st-font); font-size: 13px;
  border: 1px solid var(--st-border-color); border-radius: 8px; overflow: hidden }
.heads, .row { display: grid; grid-template-columns: var(--all); column-gap: 10px;
  align-items: center; padding: 0 12px }
.heads { background: var(--st-secondary-background-color); min-height: 32px;
  border-bottom: 1px solid var(--st-border-color); scrollbar-gutter: stable; overflow: hidden }
.head, .head button { font: inherit; font-size: 12px; white-space: nowrap; overflow: hidden;
  text-overflow: ellipsis; color: color-mix(in srgb, var(--st-text-color) 72%, transparent) }
.head button { border: 0; background: none; padding: 2px 0; cursor: pointer }
.head button:hover, .head.sorted button { color: var(--st-text-color) }
.head.sorted button { font-weight: 600 }
.head.num { text-align: right }
.head.in { padding-left: 54% }
.rows { overflow: auto; scrollbar-gutter: stable; max-height: clamp(280px, calc(100vh - 250px),
  1200px); outline: none }
.rows:focus-visible { box-shadow: inset 0 0 0 2px color-mix(in srgb, var(--st-text-color) 45%,
  transparent) }
.row { min-height: 30px; cursor: pointer; content-visibility: auto;
  contain-intrinsic-size: auto 30px;
  border-bottom: 1px solid color-mix(in srgb, var(--st-border-color) 60%, transparent) }
.row:last-child { border-bottom: 0 }
.row:hover { background: color-mix(in srgb, var(--st-text-color) 4%, transparent) }
.row.at { background: color-mix(in srgb, var(--hot) 9%, transparent);
  box-shadow: inset 3px 0 0 var(--hot-line) }
.row.inner { grid-template-columns: var(--inner); padding-left: 34px;
  background: color-mix(in srgb, var(--st-text-color) 3%, transparent) }
.row.inner.at { background: color-mix(in srgb, var(--hot) 9%, transparent) }
.cell { white-space: nowrap; overflow: hidden; text-overflow: ellipsis; min-width: 0;
  unicode-bidi: isolate }
.num { text-align: right; font-variant-numeric: tabular-nums }
.low { border-bottom: 1px dotted currentColor; cursor: help }
.text { color: color-mix(in srgb, var(--st-text-color) 75%, transparent) }
.cell.in { display: grid; grid-template-columns: 54% minmax(0, 1fr); align-items: center;
  white-space: pre; line-height: 24px;
  font-family: Charter, "Bitstream Charter", "Source Serif 4", "Source Serif Pro", Georgia,
    "DejaVu Serif", serif; font-size: 14.5px }
.before { display: flex; justify-content: flex-end; overflow: hidden;
  mask-image: linear-gradient(90deg, transparent, #000 28px) }
.on { display: flex; min-width: 0; overflow: hidden;
  mask-image: linear-gradient(270deg, transparent, #000 28px) }
.before, .after { color: color-mix(in srgb, var(--st-text-color) 80%, transparent);
  unicode-bidi: isolate }
.before > span, .after, .token { flex: none; unicode-bidi: isolate }
.token { border-radius: 2px; color: var(--st-text-color);
  box-shadow: inset 0 -1px 0 color-mix(in srgb, var(--st-text-color) 30%, transparent) }
.token.high, .word.high { box-shadow: inset 0 -2px 0 var(--hot-line) }
.m { font-family: var(--st-code-font); font-size: .8em; opacity: .65 }
.cell.what { font-family: var(--st-code-font); font-size: 12.5px; display: flex; gap: 7px;
  align-items: center }
.word { white-space: pre; overflow: hidden; text-overflow: ellipsis; padding: 1px 4px;
  border-radius: 2px; unicode-bidi: isolate }
.tag { font-size: 10px; opacity: .7; font-family: var(--st-font) }
.twist { border: 0; background: none; color: inherit; cursor: pointer; font: inherit; padding: 2px;
  width: 18px; flex: none; opacity: .7 }
.twist:hover { opacity: 1 }
.note { padding: 6px 12px 8px 34px; font-size: 12px; opacity: .75 }
@container (max-width: 1080px) { .heads, .row { grid-template-columns: var(--wide) }
  .row.inner { grid-template-columns: var(--inner-wide) } .hide3 { display: none } }
@container (max-width: 860px) { .heads, .row { grid-template-columns: var(--mid) }
  .row.inner { grid-template-columns: var(--inner-mid) } .hide2 { display: none } }
@container (max-width: 600px) { .heads, .row { grid-template-columns: var(--narrow);
  column-gap: 7px; padding-left: 8px; padding-right: 8px }
  .row.inner { grid-template-columns: var(--inner-narrow); padding-left: 18px }
  .hide1 { display: none } .cell.in { font-size: 13.5px } }
"""

_OWN = r"""
const lists = new WeakMap();
const KINDS = { context: 'in', token: 'what', num: 'num', text: 'text' };
const marked = (el, text) => {
  text.split(/[\ue000\ue001]/).forEach((part, k) => {
    if (part) el.append(k % 2 ? make('span', 'm', part) : document.createTextNode(part));
  });
  return el;
};

export default function ({ parentElement, data, setStateValue }) {
  let list = lists.get(parentElement);
  if (!list) { list = new List(parentElement); lists.set(parentElement, list); }
  // a stamp beside what is sent: the same row can be opened twice
  list.send = (name, at) => setStateValue(name, { at, stamp: performance.now() });
  if (list.id !== data.id) list.draw(data);
  return () => { list.stop(); lists.delete(parentElement); };
}

class List {
  constructor(parent) {
    this.root = make('div', 'list');
    this.heads = make('div', 'heads');
    this.rows = make('div', 'rows');
    this.rows.tabIndex = 0;
    this.root.append(this.heads, this.rows);
    parent.append(this.root);
    this.place = -1;
    this.rows.addEventListener('click', (e) => this.click(e));
    this.rows.addEventListener('keydown', (e) => this.key(e));
    this.theme = setInterval(() => this.shade(), 700);
  }

  stop() { clearInterval(this.theme); }

  shade() {
    const probe = backgroundOf(this.root);
    if (probe === this.background) return;
    this.background = probe;
    this.root.dataset.dark = isDark(probe);
  }

  draw(data) {
    const before = this.data && this.data.list === data.list ? this.data.rows[this.place] : null;
    const scrolled = before ? this.rows.scrollTop : 0;
    this.id = data.id;
    this.data = data;
    this.shade();
    this.widths('', data.columns);
    if (data.inner) this.widths('inner', data.inner);
    this.rows.setAttribute('role', data.inner ? 'tree' : 'listbox');
    this.rows.setAttribute('aria-label', data.label);
    this.heads.replaceChildren(...data.columns.map((column) => this.head(column)));
    const all = document.createDocumentFragment();
    this.lines = data.rows.map((row, i) => this.line(row, i));
    data.rows.forEach((row, i) => {
      all.append(this.lines[i]);
      if (row.note) all.append(make('div', 'note', row.note));
    });
    this.rows.replaceChildren(all);
    this.rows.scrollTop = scrolled;
    const wanted = before ? before.key + before.depth : data.start;
    this.place = -1;
    this.go(data.rows.findIndex((row) => row.key + row.depth === wanted), !before);
  }

  widths(prefix, columns) {
    for (const [name, most] of [['all', 9], ['wide', 2], ['mid', 1], ['narrow', 0]]) {
      const shown = columns.filter((column) => (column.hide || 0) <= most);
      const variable = '--' + (prefix ? name === 'all' ? prefix : prefix + '-' + name : name);
      this.root.style.setProperty(variable, shown.map((column) => column.width).join(' '));
    }
  }

  head(column) {
    const el = make('div', `head ${KINDS[column.kind]}${column.hide ? ' hide' + column.hide : ''}`);
    el.title = column.help;
    if (!column.sort) { el.textContent = column.head; return el; }
    const button = make('button', '', column.head + (column.arrow ? ' ' + column.arrow : ''));
    button.setAttribute('aria-label', `sort by ${column.head}: ${column.help}`);
    button.onclick = () => this.send('sort', column.sort);
    if (column.arrow) el.classList.add('sorted');
    el.append(button);
    return el;
  }

  line(row, i) {
    const el = make('div', row.depth ? 'row inner' : 'row');
    el.place = i;
    el.id = 'r' + i;
    el.setAttribute('role', this.data.inner ? 'treeitem' : 'option');
    el.setAttribute('aria-label', row.label);
    if (this.data.inner) el.setAttribute('aria-level', row.depth + 1);
    if (row.open !== undefined) el.setAttribute('aria-expanded', row.open);
    for (const column of row.depth ? this.data.inner : this.data.columns) {
      const cls = `cell ${KINDS[column.kind]}${column.hide ? ' hide' + column.hide : ''}`;
      el.append(this.cell(make('div', cls), row, column));
    }
    return el;
  }

  cell(el, row, column) {
    const value = row.cells[column.name];
    const heat = `color-mix(in srgb, var(--hot) ${(row.heat * 82).toFixed(1)}%, transparent)`;
    if (column.kind === 'context') {
      const token = marked(make('span', row.high ? 'token high' : 'token'), value[1]);
      token.style.backgroundColor = heat;
      token.title = row.part;
      const before = make('span', 'before'), on = make('span', 'on');
      before.append(marked(make('span'), value[0]));
      on.append(token, marked(make('span', 'after'), value[2]));
      el.append(before, on);
    } else if (column.kind === 'token') {
      const twist = make('button', 'twist', row.open ? '▾' : '▸');
      twist.tabIndex = -1;
      twist.title = row.open ? 'hide its occurrences' : 'list its highest occurrences';
      twist.setAttribute('aria-hidden', 'true');
      const word = make('span', row.high ? 'word high' : 'word', value);
      word.style.backgroundColor = heat;
      el.append(twist, word);
      if (row.cells.kind) el.append(make('span', 'tag', row.cells.kind));
    } else {
      el.textContent = value;
      if (column.kind === 'text') el.title = value;
      const said = row.titles[column.name];
      if (said) { el.replaceChildren(make('span', 'low', value)); el.title = said; }
    }
    return el;
  }

  click(event) {
    const el = event.target.closest('.row');
    if (!el) return;
    this.go(el.place, false);
    const row = this.data.rows[el.place];
    if (event.target.closest('.twist')) this.send('group', row.key);
    else this.send('open', row.at);
  }

  go(i, reveal) {
    if (i < 0 || i >= this.lines.length) return;
    if (this.lines[this.place]) {
      this.lines[this.place].classList.remove('at');
      this.lines[this.place].removeAttribute('aria-selected');
    }
    this.place = i;
    const el = this.lines[i];
    el.classList.add('at');
    el.setAttribute('aria-selected', 'true');
    this.rows.setAttribute('aria-activedescendant', el.id);
    if (!reveal) return;
    const box = this.rows.getBoundingClientRect(), at = el.getBoundingClientRect();
    if (at.top < box.top) this.rows.scrollTop += at.top - box.top - 4;
    if (at.bottom > box.bottom) this.rows.scrollTop += at.bottom - box.bottom + 4;
  }

  key(e) {
    if (e.ctrlKey || e.metaKey || e.altKey) return;
    const last = this.lines.length - 1, at = this.place, row = this.data.rows[at];
    const to = { ArrowDown: at + 1, ArrowUp: Math.max(0, at - 1), Home: 0, End: last,
      PageDown: at + 12, PageUp: Math.max(0, at - 12) }[e.key];
    if (to !== undefined) this.go(Math.min(to, last), true);
    else if (!row) return;
    else if (e.key === 'Enter' || e.key === ' ') this.send('open', row.at);
    else if (e.key === 'ArrowRight' && row.open === false) this.send('group', row.key);
    else if (e.key === 'ArrowLeft' && row.open) this.send('group', row.key);
    else return;
    e.preventDefault();
  }
}
"""

JS = ELEMENTS + THEME + _OWN
