"""The browser side of the token view: what the keys do, and the list that says so."""

KEYS = r"""
const HELP = [
  ['← →', 'previous, next token'], ['↑ ↓', 'the token above, below'],
  ['Home End', 'first, last token'], ['Page Up, Page Down', 'a screen up, down'],
  ['n p', 'next, previous underlined token'], ['Enter', 'show the token in the panel again'],
  ['?', 'this list'], ['Esc', 'close it'],
];

Object.assign(View.prototype, {
  key(e) {
    if (e.ctrlKey || e.metaKey || e.altKey) return;
    const last = this.spans.length - 1, at = this.selected;
    const moves = {
      ArrowRight: () => Math.min(last, at + 1), ArrowLeft: () => Math.max(0, at - 1),
      Home: () => 0, End: () => last,
      ArrowDown: () => this.vertical(1), ArrowUp: () => this.vertical(-1),
      PageDown: () => this.page(1), PageUp: () => this.page(-1),
      n: () => this.seek(1), p: () => this.seek(-1),
    };
    if (e.key === 'Enter' || e.key === ' ') {
      e.preventDefault();
      if (at >= 0) this.send(at);
    } else if (Object.hasOwn(moves, e.key)) {
      e.preventDefault();
      const to = moves[e.key]();
      if (to >= 0 && to <= last) this.select(to, 'later', true);
    }
  },

  // keys that work wherever the focus is in the view
  shared(e) {
    if (e.ctrlKey || e.metaKey || e.altKey) return;
    if (e.key === '?') { e.preventDefault(); this.openKeys(); }
    if (e.key === 'Escape' && (!this.list.hidden || !this.keys.hidden)) {
      e.preventDefault();
      this.closeAll();
      this.text.focus({ preventScroll: true });
    }
  },

  seek(step) {
    let i = this.selected < 0 ? (step > 0 ? 0 : -1) : this.selected + step;
    while (i >= 0 && i < this.spans.length && !this.high(i)) i += step;
    return i;
  },

  vertical(step) {
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
  },

  // the token a screen away at about the same place; the first or last where there is no such
  page(step) {
    const from = this.spans[Math.max(0, this.selected)].getBoundingClientRect();
    const aim = from.top + step * (this.text.clientHeight - 40);
    let best = Math.max(0, this.selected);
    for (let i = best + step; i >= 0 && i < this.spans.length; i += step) {
      const box = this.spans[i].getBoundingClientRect();
      const past = step > 0 ? box.top > aim : box.top < aim;
      best = i;
      if (past || (Math.abs(box.top - aim) < from.height && Math.abs(box.left - from.left) < 24)) {
        break;
      }
    }
    return best;
  },

  openKeys() {
    const open = this.keys.hidden;
    this.closeAll();
    if (!open) { this.text.focus({ preventScroll: true }); return; }
    const table = make('dl');
    for (const [key, does] of HELP) table.append(make('dt', '', key), make('dd', '', does));
    const close = make('button', 'close', '×');
    close.setAttribute('aria-label', 'Close the list of keys');
    close.addEventListener('click', () => { this.closeAll(); this.text.focus(); });
    this.keys.replaceChildren(close, table);
    this.keys.setAttribute('role', 'dialog');
    this.keys.setAttribute('aria-label', 'Keys');
    this.keys.hidden = false;
    close.focus({ preventScroll: true });
  },
});
"""
