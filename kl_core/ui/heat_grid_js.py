"""The browser side of the heatmap: a canvas; only `textContent` receives text."""

from kl_core.ui.browser_js import ELEMENTS, NUMBERS, THEME

CSS = """
.root { --hot: #d0382a; --cool: #2f6fb3; color: var(--st-text-color); font-family: var(--st-font);
  font-size: 12px; display: grid; grid-template-columns: auto minmax(0, 1fr); gap: 2px 8px }
.root[data-dark="1"] { --hot: #f0402c; --cool: #4a90e2 }
.labels { display: flex; flex-direction: column; text-align: right; padding-top: 0;
  font-variant-numeric: tabular-nums; max-width: 150px }
.labels div { overflow: hidden; text-overflow: ellipsis; white-space: nowrap; cursor: pointer;
  unicode-bidi: isolate; color: color-mix(in srgb, var(--st-text-color) 75%, transparent) }
.labels div.on { color: var(--st-text-color); font-weight: 650 }
.area { max-height: 236px; overflow-y: auto; overflow-x: hidden; display: contents }
canvas { width: 100%; display: block; cursor: pointer; border-radius: 3px; outline: none }
canvas:focus-visible { outline: 2px solid color-mix(in srgb, var(--st-text-color) 55%, transparent);
  outline-offset: 2px }
.axis { grid-column: 2; display: flex; justify-content: space-between;
  color: color-mix(in srgb, var(--st-text-color) 65%, transparent);
  font-variant-numeric: tabular-nums; min-height: 15px }
.said { grid-column: 2; min-height: 17px; overflow: hidden; text-overflow: ellipsis;
  white-space: nowrap; unicode-bidi: isolate; font-variant-numeric: tabular-nums;
  color: color-mix(in srgb, var(--st-text-color) 78%, transparent) }
.scroll { grid-column: 1 / -1; display: grid; grid-template-columns: subgrid; max-height: 250px;
  overflow-y: auto; overflow-x: hidden }
"""

_GRID = r"""
const ROW = 17, GAP = 2, UNASKED = 'not asked';
const grids = new WeakMap();
export default function ({ parentElement, data, setStateValue }) {
  let grid = grids.get(parentElement);
  if (!grid) { grid = new Grid(parentElement); grids.set(parentElement, grid); }
  grid.send = (row, at) => setStateValue('cell', { row, at, stamp: performance.now() });
  grid.update(data);
  return () => { grid.stop(); grids.delete(parentElement); };
}

class Grid {
  constructor(parent) {
    this.root = make('div', 'root');
    this.scroll = make('div', 'scroll');
    this.labels = make('div', 'labels');
    this.canvas = make('canvas');
    this.axis = make('div', 'axis');
    this.said = make('div', 'said');
    this.said.setAttribute('aria-live', 'polite');
    this.canvas.tabIndex = 0;
    this.canvas.setAttribute('role', 'application');
    this.scroll.append(this.labels, this.canvas);
    this.root.append(this.scroll, this.axis, this.said);
    parent.append(this.root);
    this.cursor = [0, 0];
    this.canvas.addEventListener('mousemove', (e) => this.say(...this.cell(e)));
    this.canvas.addEventListener('mouseleave', () => this.say(...this.cursor));
    this.canvas.addEventListener('click', (e) => this.choose(...this.peak(...this.cell(e))));
    this.canvas.addEventListener('keydown', (e) => this.key(e));
    this.resized = new ResizeObserver(() => this.draw());
    this.resized.observe(this.canvas);
    this.theme = setInterval(() => this.shade(), 700);
  }

  stop() { this.resized.disconnect(); clearInterval(this.theme); clearTimeout(this.timer); }

  shade() {
    const probe = backgroundOf(this.root);
    if (probe === this.background) return;
    this.background = probe;
    this.root.dataset.dark = isDark(probe);
    this.draw();
  }

  update(data) {
    const fresh = this.id !== data.id;
    this.data = data;
    if (fresh) {
      this.id = data.id;
      this.wide = Math.max(1, ...data.rows.map((row) => row.length));
      this.labels.replaceChildren(...data.labels.map((label, i) => {
        const el = make('div', '', label);
        el.style.height = el.style.lineHeight = (ROW + GAP) + 'px';
        el.title = label;
        el.onclick = () => this.choose(...this.peak(i, -1));
        return el;
      }));
      this.canvas.style.height = (ROW + GAP) * data.rows.length + 'px';
      this.canvas.setAttribute('aria-label', `${data.measure} at each position, one row a response;`
        + ' arrow keys move, Enter opens');
      this.axis.replaceChildren(make('span', '', 'position 0'), make('span', '',
        String(this.wide - 1)));
      this.cursor = [0, 0];
    }
    if (data.selected) this.cursor = [...data.selected];
    [...this.labels.children].forEach((el, i) => {
      el.classList.toggle('on', Boolean(data.selected) && data.selected[0] === i);
    });
    this.shade();
    this.draw();
    this.say(...this.cursor);
  }

  cell(event) {
    const box = this.canvas.getBoundingClientRect();
    const row = Math.min(this.data.rows.length - 1, Math.max(0,
      Math.floor((event.clientY - box.top) / (ROW + GAP))));
    const at = Math.floor((event.clientX - box.left) / box.width * this.wide);
    return [row, Math.max(0, Math.min(this.wide - 1, at))];
  }

  value(row, at) {
    const raw = this.data.rows[row][at] ?? null;
    return raw === UNASKED ? null : finite(raw);
  }

  size(row, at) { return Math.abs(this.value(row, at) ?? 0); }

  peak(row, at) {
    const values = this.data.rows[row];
    if (!values.length) return [row, 0];
    const reach = at < 0 ? values.length : Math.ceil(2 * this.wide
      / Math.max(1, this.canvas.clientWidth));
    const from = at < 0 ? 0 : Math.max(0, at - reach + 1);
    let best = Math.max(0, Math.min(at, values.length - 1));
    const end = Math.min(values.length - 1, at < 0 ? values.length : at + reach - 1);
    for (let i = from; i <= end; i++) if (this.size(row, i) > this.size(row, best)) best = i;
    return [row, best];
  }

  choose(row, at) {
    if (!this.data.rows[row].length) return;
    this.cursor = [row, at];
    this.draw();
    this.say(row, at);
    this.send(row, at);
  }

  say(row, at) {
    const data = this.data, values = data.rows[row] || [];
    if (at >= values.length) {
      this.said.textContent = `${data.labels[row] ?? ''}: ${values.length
        ? `ends at position ${values.length - 1}` : 'nothing to draw'}`;
      return;
    }
    const token = data.tokens ? ` "${data.tokens[row][at]}"` : '';
    this.said.textContent = `${data.labels[row]}, position ${at}${token}: ${data.measure} `
      + (values[at] === null ? 'not known' : values[at] === UNASKED ? data.left_out
        : nats(values[at]));
  }

  key(e) {
    if (e.ctrlKey || e.metaKey || e.altKey) return;
    let [row, at] = this.cursor;
    const moves = { ArrowLeft: [0, -1], ArrowRight: [0, 1], ArrowUp: [-1, 0], ArrowDown: [1, 0] };
    if (e.key === 'Enter' || e.key === ' ') { e.preventDefault(); this.choose(row, at); return; }
    const move = moves[e.key];
    if (move) { row += move[0]; at += move[1]; }
    else if (e.key === 'Home') at = 0;
    else if (e.key === 'End') at = this.wide;
    else return;
    e.preventDefault();
    row = Math.max(0, Math.min(this.data.rows.length - 1, row));
    at = Math.max(0, Math.min(this.data.rows[row].length - 1, at));
    this.cursor = [row, at];
    this.draw();
    this.say(row, at);
  }

  draw() {
    const data = this.data, width = this.canvas.clientWidth;
    if (!data || !width) return;
    const ratio = devicePixelRatio || 1, tall = (ROW + GAP) * data.rows.length;
    this.canvas.width = width * ratio;
    this.canvas.height = tall * ratio;
    const ctx = this.canvas.getContext('2d'), style = getComputedStyle(this.root);
    ctx.scale(ratio, ratio);
    const hot = style.getPropertyValue('--hot').trim();
    const cool = style.getPropertyValue('--cool').trim();
    const text = style.getPropertyValue('--st-text-color').trim() || '#222';
    const step = width / this.wide, bar = Math.max(step - (step > 5 ? 1 : 0), 1);
    data.rows.forEach((values, row) => {
      const y = row * (ROW + GAP);
      ctx.globalAlpha = .06;
      ctx.fillStyle = text;
      ctx.fillRect(0, y, values.length * step, ROW);
      const high = new Map(), partly = values.includes(UNASKED);
      values.forEach((raw, i) => {
        const v = this.value(row, i);
        if (v === null) return;
        // where some were not asked, those that were stand out whatever their value
        if (partly) ctx.fillRect(Math.floor(i * step), y, Math.max(bar, 2), ROW);
        const x = Math.floor(i * step), known = high.get(x);
        if (known === undefined || Math.abs(v) > Math.abs(known)) high.set(x, v);
      });
      for (const [x, v] of high) {
        const size = Math.abs(v), share = Math.max(0, Math.min(1, data.log
          ? Math.log(size / Math.max(data.low, 1)) / Math.log(data.top / Math.max(data.low, 1))
          : (size - data.low) / (data.top - data.low)));
        if (share < .02) continue;
        ctx.globalAlpha = .1 + .9 * share;
        ctx.fillStyle = data.signed && v > 0 ? cool : hot;
        ctx.fillRect(x, y, Math.max(bar, 2), ROW);
        if (data.threshold && Math.abs(v) >= data.threshold) {
          ctx.globalAlpha = 1;
          ctx.fillStyle = text;
          // above the middle for positive values, below for negative ones
          ctx.fillRect(x, data.signed && v > 0 ? y : y + ROW - 2, Math.max(bar, 2), 2);
        }
      }
    });
    const [row, at] = this.cursor;
    if (data.rows[row]) {
      ctx.globalAlpha = 1;
      ctx.strokeStyle = text;
      ctx.lineWidth = 1.5;
      ctx.strokeRect(at * step - 1, row * (ROW + GAP) + .5, Math.max(bar, 2) + 2, ROW - 1);
    }
  }
}
"""

JS = ELEMENTS + NUMBERS + THEME + _GRID
