"""The browser side of the token view: its parts, what it listens to, the selection.

Only `textContent` ever receives token text. The drawn tokens stay as they are while
the selection moves; the page hears of a new position through the state `pos`. Another
measure or scale of the same response only colours the tokens anew.
"""

from kl_core.ui.browser_js import ELEMENTS, NUMBERS, THEME
from kl_core.ui.token_draw_js import DRAW
from kl_core.ui.token_keys_js import KEYS
from kl_core.ui.token_legend_js import LEGEND
from kl_core.ui.token_lists_js import LISTS

_HELPERS = r"""
const STEPS = 24, OPEN = '\ue000';
const CENSORED = 1, UNSCORED = 2, SPECIAL = 4, CONTINUES = 8, BREAK = 16, PARAGRAPH = 32,
  SPAN = 64, SPAN_FIRST = 128, SPAN_LAST = 256,
  NOT_ASKED = 512;
const views = new WeakMap();

"""

_VIEW = r"""
export default function (component) {
  const { parentElement, data, setStateValue } = component;
  let view = views.get(parentElement);
  if (!view) { view = new View(parentElement); views.set(parentElement, view); }
  // a stamp beside the position: going back to a token counts as a move, too
  view.send = (at) => setStateValue('pos', { at, stamp: performance.now() });
  if (view.id !== data.id) view.draw(data);
  else if (view.data.look !== data.look) view.paint(data);
  if (data.jump && view.jump !== data.jump) view.select(data.start, false, true);
  view.jump = data.jump;
  return () => { view.stop(); views.delete(parentElement); };
}

class View {
  constructor(parent) {
    for (const name of ['root', 'text', 'peaks', 'foot', 'tip', 'list', 'keys']) {
      this[name] = make('div', name);
    }
    this.map = make('canvas', 'map');
    for (const box of [this.tip, this.list, this.keys]) box.hidden = true;
    this.root.append(this.map, this.text, this.peaks, this.foot, this.list, this.keys, this.tip);
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
    this.text.addEventListener('click', (e) => {
      const i = place(e);
      if (i >= 0) this.select(i, true);
    });
    this.text.addEventListener('mousemove', (e) => this.hover(place(e), e));
    this.text.addEventListener('mouseleave', () => { this.tip.hidden = true; });
    this.text.addEventListener('scroll', () => { this.tip.hidden = true; });
    this.text.addEventListener('keydown', (e) => this.key(e));
    this.root.addEventListener('keydown', (e) => this.shared(e));
    this.peaks.addEventListener('click', (e) => {
      const button = e.target.closest('button');
      if (button === this.more) this.openList();
      else if (button) this.select(button.place, true, true);
    });
    this.map.addEventListener('click', (e) => {
      const box = this.map.getBoundingClientRect();
      this.select(this.peakNear((e.clientX - box.left) / box.width), true, true);
    });
    this.resized = new ResizeObserver(() => { this.drawMap(true); this.trimPeaks(); });
    this.resized.observe(this.map);
    this.theme = setInterval(() => this.shade(), 700);
  }

  stop() {
    this.resized.disconnect();
    clearInterval(this.theme);
    clearTimeout(this.timer);
    clearTimeout(this.naming);
  }

  shade() {
    const probe = backgroundOf(this.root);
    if (probe === this.background) return;
    this.background = probe;
    this.root.dataset.dark = isDark(probe);
    if (this.data) this.drawMap(true);
  }

  value(i) { return finite(this.data.values[i]); }

  label(i) {
    const sent = this.data.label[i];
    if (sent !== undefined) return sent;
    const bare = this.data.text[i].replace(/[\ue000\ue001]/g, '');
    return bare.startsWith(' ') ? '␣' + bare.slice(1) : bare;
  }

  size(i) { return Math.abs(this.value(i) ?? 0); }

  high(i) { return this.value(i) !== null && this.size(i) >= this.data.threshold; }

  select(i, tell, reveal) {
    if (i < 0 || i >= this.spans.length) return;
    const before = this.spans[this.selected];
    if (before) { before.classList.remove('sel'); before.removeAttribute('aria-selected'); }
    const changed = this.selected !== i, el = this.spans[i];
    this.selected = i;
    this.name(i);
    el.classList.add('sel');
    el.setAttribute('aria-selected', 'true');
    this.text.setAttribute('aria-activedescendant', el.id);
    if (reveal) this.reveal(el);
    this.drawMap();
    if (tell && changed) {
      clearTimeout(this.timer);
      this.timer = setTimeout(() => this.send(i), tell === 'later' ? 120 : 0);
    }
  }

  reveal(el) {
    for (let round = 0; round < 2; round++) {
      const box = this.text.getBoundingClientRect(), at = el.getBoundingClientRect();
      if (at.top < box.top + 8) this.text.scrollTop += at.top - box.top - box.height / 3;
      else if (at.bottom > box.bottom - 8) this.text.scrollTop += at.bottom - box.bottom
        + box.height / 3;
    }
  }

  hover(i, event) {
    if (i < 0) { this.tip.hidden = true; return; }
    const of = this.id + this.data.look;
    if (this.tip.place !== i || this.tip.of !== of) {
      this.tip.textContent = this.describe(i);
      this.tip.place = i;
      this.tip.of = of;
    }
    this.tip.hidden = false;
    const wide = this.tip.offsetWidth, tall = this.tip.offsetHeight;
    this.tip.style.left = Math.max(4, Math.min(event.clientX + 12, innerWidth - wide - 12)) + 'px';
    this.tip.style.top = (event.clientY + 18 + tall > innerHeight ? event.clientY - tall - 12
      : event.clientY + 18) + 'px';
  }
}
"""

JS = ELEMENTS + NUMBERS + THEME + _HELPERS + _VIEW + DRAW + LEGEND + LISTS + KEYS
