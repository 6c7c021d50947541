"""The browser side of the token view.

Only `textContent` ever receives token text. The drawn tokens stay as they are while
the selection moves; the page hears of a new position through the state `pos`.
"""

JS = r"""
const STEPS = 24, OPEN = '\ue000', CLOSE = '\ue001';
const CENSORED = 1, UNSCORED = 2, SPECIAL = 4, CONTINUES = 8, BREAK = 16, PARAGRAPH = 32;
const views = new WeakMap();

const make = (tag, cls, text) => {
  const el = document.createElement(tag);
  if (cls) el.className = cls;
  if (text !== undefined) el.textContent = text;
  return el;
};
const finite = (v) => v === 'inf' ? Infinity : v === '-inf' ? -Infinity : v;
const nats = (v) => {
  v = finite(v);
  if (v === null || v === undefined) return '–';
  if (!isFinite(v)) return v > 0 ? '∞' : '−∞';
  if (v === 0) return '0';
  const text = Math.abs(v) < 1e-3 ? v.toExponential(2)
    : Math.abs(v) >= 1000 ? v.toFixed(0) : v.toPrecision(3);
  return text.replace(/-/g, '−');
};

export default function (component) {
  const { parentElement, data, setStateValue } = component;
  let view = views.get(parentElement);
  if (!view) { view = new View(parentElement); views.set(parentElement, view); }
  // a stamp beside the position: going back to a token counts as a move, too
  view.send = (at) => setStateValue('pos', { at, stamp: performance.now() });
  if (view.id !== data.id) view.draw(data);
  if (data.jump && view.jump !== data.jump) view.select(data.start, false, true);
  view.jump = data.jump;
  return () => { view.stop(); views.delete(parentElement); };
}

class View {
  constructor(parent) {
    this.root = make('div', 'root');
    this.map = make('canvas', 'map');
    this.text = make('div', 'text');
    this.peaks = make('div', 'peaks');
    this.foot = make('div', 'foot');
    this.tip = make('div', 'tip');
    this.tip.hidden = true;
    this.root.append(this.map, this.text, this.peaks, this.foot, this.tip);
    parent.append(this.root);
    this.map.setAttribute('aria-hidden', 'true');
    this.map.title = 'The whole response; click to go there';
    this.text.tabIndex = 0;
    this.text.setAttribute('role', 'listbox');
    this.text.setAttribute('aria-label', 'Tokens of the response');
    this.selected = -1;
    this.listen();
  }

  listen() {
    const place = (event) => {
      const el = event.target.closest && event.target.closest('.t');
      return el ? el.place : -1;
    };
    this.text.addEventListener('click', (e) => { const i = place(e); if (i >= 0) this.select(i,
      true); });
    this.text.addEventListener('mousemove', (e) => this.hover(place(e), e));
    this.text.addEventListener('mouseleave', () => { this.tip.hidden = true; });
    this.text.addEventListener('scroll', () => { this.tip.hidden = true; });
    this.text.addEventListener('keydown', (e) => this.key(e));
    this.peaks.addEventListener('click', (e) => {
      const button = e.target.closest('button');
      if (button) this.select(button.place, true, true);
    });
    this.map.addEventListener('click', (e) => {
      const box = this.map.getBoundingClientRect();
      this.select(this.peakNear((e.clientX - box.left) / box.width), true, true);
    });
    this.resized = new ResizeObserver(() => { this.drawMap(); this.trimPeaks(); });
    this.resized.observe(this.map);
    this.theme = setInterval(() => this.shade(), 700);
  }

  stop() { this.resized.disconnect(); clearInterval(this.theme); clearTimeout(this.timer); }

  shade() {
    const probe = getComputedStyle(this.root).getPropertyValue('--st-background-color').trim();
    if (probe === this.background) return;
    this.background = probe;
    const hex = probe.replace('#', '');
    const rgb = hex.length >= 6 ? [0, 2, 4].map((k) => parseInt(hex.slice(k, k + 2), 16))
      : (probe.match(/\d+/g) || [255, 255, 255]).map(Number);
    this.root.dataset.dark = rgb[0] * .3 + rgb[1] * .59 + rgb[2] * .11 < 128 ? '1' : '0';
    if (this.data) this.drawMap();
  }

  draw(data) {
    this.id = data.id;
    this.data = data;
    this.spans = new Array(data.text.length);
    const all = document.createDocumentFragment();
    let line = this.line();
    for (let i = 0; i < data.text.length; i++) {
      line.append(this.spans[i] = this.token(i));
      if (data.flags[i] & BREAK) {
        if (data.flags[i] & PARAGRAPH) line.classList.add('para');
        all.append(line);
        line = this.line();
      }
    }
    if (line.firstChild) all.append(line);
    this.text.replaceChildren(all);
    this.text.scrollTop = 0;
    this.selected = -1;
    this.shade();
    this.legend();
    this.listPeaks();
    this.drawMap();
    if (data.start >= 0) this.select(data.start, false, true);
  }

  line() {
    const line = make('div', 'line');
    line.dir = 'auto';
    return line;
  }

  token(i) {
    const d = this.data, flag = d.flags[i], value = finite(d.values[i]);
    let cls = 't';
    if (flag & SPECIAL) cls += ' special';
    if (flag & CENSORED) cls += ' hatched';
    if (flag & UNSCORED) cls += ' unscored';
    if (value !== null) {
      const step = Math.min(STEPS, Math.round(Math.abs(value) / d.max * STEPS));
      if (step > 0) cls += (d.signed && value > 0 ? ' c' : ' h') + step;
      if (Math.abs(value) >= d.threshold) cls += d.signed && value > 0 ? ' up neg' : ' up';
    }
    const el = make('span', cls);
    el.place = i;
    el.id = 't' + i;
    el.setAttribute('role', 'option');
    el.setAttribute('aria-label', `token ${i}, ${d.label[i]}, ${d.measure} ${nats(d.values[i])}`);
    if (flag & CONTINUES) el.append(make('span', 'cont', '·'));
    else if (d.text[i].includes(OPEN)) this.marked(el, d.text[i], flag);
    else el.textContent = d.text[i];
    return el;
  }

  marked(el, text, flag) {
    const parts = text.split(/[\ue000\ue001]/);
    parts.forEach((part, k) => {
      if (!part) return;
      if (k % 2 === 0) { el.append(document.createTextNode(part)); return; }
      el.append(make('span', 'm', part));
      const last = k >= parts.length - 2 && !parts[parts.length - 1];
      if (part === '⏎' && !(last && flag & BREAK) && parts[k + 2] !== '⏎') el.append(make('br'));
    });
  }

  legend() {
    const d = this.data, round = (v) => nats(v).replace(/\.?0+$/, '') || '0',
      unit = (d.max === 1 ? ' nat' : ' nats') + ' and above, fixed for the run';
    const ramp = make('span', 'ramp');
    ramp.style.background = d.signed
      ? 'linear-gradient(90deg, var(--hot), transparent, var(--cool))'
      : 'linear-gradient(90deg, transparent, var(--hot))';
    const hatch = make('span', 'hatch-key hatched');
    const low = d.signed ? 'model 2 likelier −' + round(d.max) : '0';
    const high = d.signed ? '+' + round(d.max) + unit + ', model 1 likelier'
      : round(d.max) + unit;
    this.foot.replaceChildren(
      make('span', '', low), ramp, make('span', '', high), make('span', '', '·'),
      make('span', 'u', 'underlined'), make('span', '', 'from ' + round(d.threshold)));
    if (d.flags.some((f) => f & CENSORED)) {
      this.foot.append(make('span', '', '·'), hatch, make('span', '', 'only bounded'));
    }
    if (d.flags.some((f) => f & UNSCORED)) {
      this.foot.append(make('span', '', '·'), make('span', 'unscored', 'dotted'), make('span', '',
        'not scored'));
    }
    this.foot.append(make('span', '', '·'), make('span', '', 'n / p next, previous ' + (d.signed
      ? 'far' : 'high') + ' token'));
  }

  listPeaks() {
    const size = (i) => Math.abs(finite(this.data.values[i]));
    const known = [...this.data.values.keys()].filter((i) => this.data.values[i] !== null
      && size(i) > 0);
    known.sort((a, b) => size(b) - size(a));
    this.peaks.replaceChildren(make('span', '', 'Highest'));
    for (const i of known.slice(0, 10)) {
      const button = make('button');
      button.append(make('span', 'what', this.data.label[i]),
        make('span', 'size', nats(this.data.values[i])));
      button.place = i;
      button.title = 'Go to position ' + i;
      this.peaks.append(button);
    }
    this.peaks.hidden = known.length === 0;
    this.peaks.style.display = known.length === 0 ? 'none' : '';
    this.trimPeaks();
  }

  trimPeaks() {
    const buttons = [...this.peaks.querySelectorAll('button')];
    for (const button of buttons) button.hidden = false;
    const line = buttons.map((button) => button.offsetTop <= buttons[0].offsetTop + 6);
    buttons.forEach((button, k) => { button.hidden = !line[k]; });
  }

  drawMap() {
    if (!this.data) return;
    const ratio = devicePixelRatio || 1, width = this.map.clientWidth, n = this.data.values.length;
    if (!width || !n) return;
    this.map.width = width * ratio;
    this.map.height = 14 * ratio;
    const ctx = this.map.getContext('2d'), style = getComputedStyle(this.root);
    const hot = style.getPropertyValue('--hot').trim(),
      cool = style.getPropertyValue('--cool').trim();
    const bar = Math.max(2, width / n) * ratio;
    this.data.values.forEach((raw, i) => {
      const v = finite(raw);
      if (v === null || Math.abs(v) < this.data.max / 40) return;
      ctx.globalAlpha = Math.min(1, .12 + .88 * Math.abs(v) / this.data.max);
      ctx.fillStyle = this.data.signed && v > 0 ? cool : hot;
      ctx.fillRect(i / n * width * ratio, 0, bar, this.map.height);
    });
    if (this.selected >= 0) {
      ctx.globalAlpha = 1;
      ctx.strokeStyle = style.getPropertyValue('--st-text-color').trim() || '#000';
      ctx.lineWidth = 1.5 * ratio;
      ctx.strokeRect(this.selected / n * width * ratio - ratio, ratio, bar + 2 * ratio,
        this.map.height - 2 * ratio);
    }
  }

  size(i) { return Math.abs(finite(this.data.values[i]) ?? 0); }

  peakNear(share) {
    const n = this.data.values.length, middle = Math.floor(share * n);
    const reach = Math.ceil(3 * n / Math.max(1, this.map.clientWidth));
    let best = Math.max(0, Math.min(n - 1, middle));
    for (let i = Math.max(0, middle - reach); i <= Math.min(n - 1, middle + reach); i++) {
      if (this.size(i) > this.size(best)) best = i;
    }
    return best;
  }

  select(i, tell, reveal) {
    if (i < 0 || i >= this.spans.length) return;
    const before = this.spans[this.selected];
    if (before) { before.classList.remove('sel'); before.removeAttribute('aria-selected'); }
    const changed = this.selected !== i, el = this.spans[i];
    this.selected = i;
    el.classList.add('sel');
    el.setAttribute('aria-selected', 'true');
    this.text.setAttribute('aria-activedescendant', el.id);
    if (reveal) this.reveal(el);
    this.drawMap();
    if (tell && changed) { clearTimeout(this.timer); this.timer = setTimeout(() => this.send(i),
      tell === 'later' ? 120 : 0); }
  }

  reveal(el) {
    for (let round = 0; round < 2; round++) {
      const box = this.text.getBoundingClientRect(), at = el.getBoundingClientRect();
      if (at.top < box.top + 8) this.text.scrollTop += at.top - box.top - box.height / 3;
      else if (at.bottom > box.bottom - 8) this.text.scrollTop += at.bottom - box.bottom
        + box.height / 3;
    }
  }

  key(e) {
    if (e.ctrlKey || e.metaKey || e.altKey) return;
    const last = this.spans.length - 1, at = this.selected;
    const high = (i) => Math.abs(finite(this.data.values[i]) ?? 0) >= this.data.threshold;
    const seek = (step) => { let i = at + step; while (i >= 0 && i <= last && !high(i)) i += step;
      return i; };
    const to = { ArrowRight: Math.min(last, at + 1), ArrowLeft: Math.max(0, at - 1), Home: 0,
      End: last,
      ArrowDown: this.vertical(1, e), ArrowUp: this.vertical(-1, e), n: seek(1), p: at < 0 ? -1
        : seek(-1) }[e.key];
    if (e.key === 'Enter' || e.key === ' ') {
      e.preventDefault();
      if (at >= 0) this.send(at);
    } else if (to !== undefined) {
      e.preventDefault();
      if (to >= 0 && to <= last) this.select(to, 'later', true);
    }
  }

  vertical(step, e) {
    if (e.key !== 'ArrowDown' && e.key !== 'ArrowUp') return -1;
    const from = this.spans[Math.max(0, this.selected)].getBoundingClientRect();
    const middle = (from.left + Math.min(from.right, from.left + 200)) / 2;
    let best = -1, gap = Infinity, row = null;
    for (let i = this.selected + step; i >= 0 && i < this.spans.length; i += step) {
      const box = this.spans[i].getBoundingClientRect();
      if (Math.abs(box.top - from.top) < from.height / 2) continue;
      if (row === null) row = box.top;
      if (Math.abs(box.top - row) > from.height / 2) break;
      const away = Math.abs((box.left + box.right) / 2 - middle);
      if (away < gap) { gap = away; best = i; }
    }
    return best < 0 ? Math.max(0, this.selected) : best;
  }

  hover(i, event) {
    if (i < 0) { this.tip.hidden = true; return; }
    if (this.tip.place !== i || this.tip.of !== this.id) {
      this.tip.textContent = this.describe(i); this.tip.place = i; this.tip.of = this.id; }
    this.tip.hidden = false;
    const wide = this.tip.offsetWidth, tall = this.tip.offsetHeight;
    this.tip.style.left = Math.max(4, Math.min(event.clientX + 12, innerWidth - wide - 12)) + 'px';
    this.tip.style.top = (event.clientY + 18 + tall > innerHeight ? event.clientY - tall - 12
      : event.clientY + 18) + 'px';
  }

  describe(i) {
    const d = this.data, parts = [`#${i} "${d.label[i]}"`];
    if (d.text[i].includes(OPEN) && /^[\ue000·\ue001]+$/.test(d.text[i])) {
      parts.push(d.label[i].length > 1 ? '(spaces)' : '(a space)');
    }
    if (d.kl) parts.push(`KL ${nats(d.kl[i])}`);
    if (d.lower && d.lower[i] !== null) parts.push(`≥ ${nats(d.lower[i])}`);
    parts.push(`lnP ${nats(d.logprob1[i])}`);
    if (d.logprob2) parts.push(d.flags[i] & CENSORED ? 'lnQ outside the list'
      : `lnQ ${nats(d.logprob2[i])}`);
    if (d.reasons[i]) parts.push('\n' + d.reasons[i]);
    return parts.join('  ');
  }
}
"""
