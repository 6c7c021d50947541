"""The browser side of the token view: the highest tokens as chips, and all of them as a list."""

LISTS = r"""
const MAX_ROWS = 500;

Object.assign(View.prototype, {
  listPeaks() {
    const known = [...this.data.values.keys()].filter((i) => this.value(i) !== null
      && this.share(this.size(i)) > 0);
    known.sort((a, b) => this.size(b) - this.size(a));
    this.above = known.filter((i) => this.high(i));
    this.more = make('button', 'more', 'all');
    this.more.append(make('span', 'size', this.above.length.toLocaleString('en')));
    this.more.title = 'Every token at or above the underline threshold';
    this.more.setAttribute('aria-haspopup', 'dialog');
    this.more.setAttribute('aria-expanded', 'false');
    this.more.disabled = this.above.length === 0;
    this.peaks.replaceChildren(make('span', '', 'Highest'));
    if (!known.length) this.peaks.append(make('span', 'chip-none', 'no token above the low end'));
    for (const i of known.slice(0, 10)) {
      const button = make('button', 'chip');
      button.append(make('span', 'what', this.label(i)), make('span', 'size', this.figure(i)));
      button.place = i;
      button.title = 'Go to position ' + i;
      this.peaks.append(button);
    }
    this.peaks.append(this.more);
    this.trimPeaks();
  },

  // as many chips as one line holds beside the button at its end
  trimPeaks() {
    const chips = [...this.peaks.querySelectorAll('.chip')];
    for (const chip of chips) chip.hidden = false;
    const first = this.peaks.firstChild.getBoundingClientRect();
    while (chips.length && this.more.getBoundingClientRect().top > first.bottom) {
      chips.pop().hidden = true;
    }
  },

  openList() {
    if (!this.list.hidden) { this.closeAll(); this.more.focus(); return; }
    this.closeAll();
    this.byPosition = this.byPosition || false;
    this.list.hidden = false;
    this.more.setAttribute('aria-expanded', 'true');
    this.list.setAttribute('role', 'dialog');
    this.list.setAttribute('aria-label', 'Every token at or above the threshold');
    this.list.style.height = Math.max(210, this.text.offsetHeight + 4) + 'px';
    this.fillList();
    const button = this.list.querySelector('.row') || this.list.querySelector('button');
    button.focus({ preventScroll: true });
  },

  fillList() {
    const d = this.data, order = [...this.above];
    if (this.byPosition) order.sort((a, b) => a - b);
    const head = make('div', 'head'), rows = make('div', 'rows');
    head.append(make('span', '', `${order.length.toLocaleString('en')} from `
      + this.round(d.threshold)));
    const sort = make('button', 'sort', this.byPosition ? 'by position' : 'by value');
    sort.title = 'Change the order';
    sort.addEventListener('click', () => {
      this.byPosition = !this.byPosition;
      this.fillList();
      this.list.querySelector('.sort').focus();
    });
    const close = make('button', 'close', '×');
    close.setAttribute('aria-label', 'Close the list');
    close.addEventListener('click', () => { this.closeAll(); this.more.focus(); });
    head.append(sort, close);
    for (const i of order.slice(0, MAX_ROWS)) rows.append(this.row(i));
    if (order.length > MAX_ROWS) {
      rows.append(make('div', 'rest', `${(order.length - MAX_ROWS).toLocaleString('en')} more `
        + (this.byPosition ? 'after these' : 'below these') + '; raise the scale to see fewer'));
    }
    this.list.replaceChildren(head, rows);
  },

  row(i) {
    const button = make('button', 'row');
    button.place = i;
    button.append(make('span', 'at', '#' + i), make('span', 'what', this.label(i)),
      make('span', 'size', this.signed(i)));
    button.addEventListener('click', () => this.select(i, true, true));
    button.addEventListener('keydown', (e) => {
      const to = { ArrowDown: button.nextSibling, ArrowUp: button.previousSibling,
        Home: button.parentElement.firstChild, End: button.parentElement.lastChild }[e.key];
      if (to === undefined) return;
      e.preventDefault();
      if (to && to.focus) to.focus();
    });
    return button;
  },

  peakNear(share) {
    const n = this.data.values.length, middle = Math.floor(share * n);
    const reach = Math.ceil(3 * n / Math.max(1, this.map.clientWidth));
    let best = Math.max(0, Math.min(n - 1, middle));
    for (let i = Math.max(0, middle - reach); i <= Math.min(n - 1, middle + reach); i++) {
      if (this.size(i) > this.size(best)) best = i;
    }
    return best;
  },

  closeAll() {
    this.list.hidden = this.keys.hidden = true;
    if (this.more) this.more.setAttribute('aria-expanded', 'false');
  },
});
"""
