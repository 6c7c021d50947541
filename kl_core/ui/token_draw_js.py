"""The browser side of the token view: tokens, their colours and names, the map above them."""

DRAW = r"""
// a stretch without a line break is cut after a sentence from SOFT tokens on, anywhere at HARD:
// only blocks that are in sight are laid out
const SOFT = 300, HARD = 420, SENTENCE = /[.!?…。！？][)\]"'”’»]*\ue001?$/;
const RIGHT =
  /[\u0590-\u08ff\ufb1d-\ufdff\ufe70-\ufefc]|[\ud802-\ud803\ud83a-\ud83b][\udc00-\udfff]/;

Object.assign(View.prototype, {
  draw(data) {
    this.id = data.id;
    this.data = data;
    this.cells = data.layout === 'cells';
    this.root.dataset.layout = data.layout || 'prose';
    this.spans = new Array(data.text.length);
    this.soft = false;
    const all = document.createDocumentFragment(), n = data.text.length;
    let from = 0, soft = false, direction = null;
    for (let i = 0; i < n; i++) {
      const hard = data.flags[i] & BREAK;
      if (!hard && i < n - 1 && !this.cutsAfter(i, i + 1 - from)) continue;
      const line = this.line(from, i + 1, soft ? direction : null);
      if (hard && data.flags[i] & PARAGRAPH) line.classList.add('para');
      all.append(line);
      if (!soft) direction = line.way;
      soft = !hard;
      if (soft && i < n - 1) this.soft = true;
      from = i + 1;
    }
    this.text.replaceChildren(all);
    this.text.scrollTop = 0;
    this.selected = -1;
    this.closeAll();
    this.shade();
    this.showLook();
    this.nameAll();
    if (data.start >= 0) this.select(data.start, false, true);
  },

  cutsAfter(i, length) {
    if (this.cells) return length >= HARD;
    return length >= HARD || (length >= SOFT && SENTENCE.test(this.data.text[i]));
  },

  paint(data) {
    this.data = data;
    for (let i = 0; i < this.spans.length; i++) {
      this.spans[i].className = this.look(i) + (i === this.selected ? ' sel' : '');
      if (this.cells) this.spans[i].lastChild.textContent = this.figure(i);
      this.spans[i].removeAttribute('aria-label');
    }
    this.closeAll();
    this.showLook();
    this.nameAll();
    if (this.selected >= 0) this.name(this.selected);
  },

  showLook() {
    this.legend();
    this.listPeaks();
    this.drawMap(true);
  },

  line(from, to, way) {
    const line = make('div', 'line');
    let text = '';
    for (let i = from; i < to; i++) {
      line.append(this.spans[i] = this.token(i));
      text += this.data.text[i];
    }
    // directions can only mix where some text runs from the right
    if (RIGHT.test(text)) line.classList.add('mixed');
    const first = /[A-Za-z\u00c0-\u02af\u0370-\u058f\u0900-\u1fff\u3040-\ud7ff]/.exec(text);
    const right = RIGHT.exec(text);
    line.way = way || (right && (!first || right.index < first.index) ? 'rtl' : 'ltr');
    line.dir = way || 'auto';
    const rows = this.cells ? (to - from) / 12 * 1.6 : text.length / 78;
    if (rows > 1.5) line.style.containIntrinsicSize = 'auto ' + Math.ceil(rows) * 30 + 'px';
    return line;
  },

  share(size) {
    const d = this.data, low = d.low || 0;
    if (!d.log) return (size - low) / (d.max - low);
    return Math.log(Math.max(size, 1) / low) / Math.log(d.max / low);
  },

  look(i) {
    const d = this.data, flag = d.flags[i], value = this.value(i);
    let cls = 't';
    if (flag & SPECIAL) cls += ' special';
    if (flag & CENSORED) cls += ' hatched';
    if (flag & UNSCORED) cls += ' unscored';
    if (flag & NOT_ASKED && value === null) cls += ' unasked';
    if (flag & SPAN) cls += ' span' + (flag & SPAN_FIRST ? ' first' : '')
      + (flag & SPAN_LAST ? ' last' : '');
    if (value !== null) {
      const size = Math.abs(value);
      const step = Math.max(0, Math.min(STEPS, Math.round(this.share(size) * STEPS)));
      const minus = d.signed && value < 0;
      if (step > 0) cls += (d.signed && !minus ? ' c' : ' h') + step;
      if (size >= d.threshold) cls += d.signed ? (minus ? ' up minus' : ' up plus') : ' up';
    }
    return cls;
  },

  token(i) {
    const d = this.data, flag = d.flags[i], el = make('span', this.look(i));
    el.place = i;
    el.id = 't' + i;
    el.setAttribute('role', 'option');
    if (this.cells) el.append(make('span', 'what', this.label(i) || '∅'), make('span', 'size',
      this.figure(i)));
    else if (flag & CONTINUES) el.append(make('span', 'cont', '·'));
    else if (d.text[i].includes(OPEN)) this.marked(el, d.text[i], flag);
    else el.textContent = d.text[i];
    return el;
  },

  marked(el, text, flag) {
    const parts = text.split(/[\ue000\ue001]/);
    parts.forEach((part, k) => {
      if (!part) return;
      if (k % 2 === 0) { el.append(document.createTextNode(part)); return; }
      el.append(make('span', 'm', part));
      const last = k >= parts.length - 2 && !parts[parts.length - 1];
      if (part === '⏎' && !(last && flag & BREAK) && parts[k + 2] !== '⏎') el.append(make('br'));
    });
  },

  drawMap(anew) {
    if (!this.data) return;
    const ratio = devicePixelRatio || 1, width = this.map.clientWidth, n = this.spans.length;
    if (!width || !n) return;
    if (anew || !this.base) this.base = this.mapBase(width, ratio, n);
    this.map.width = this.base.width;
    this.map.height = this.base.height;
    const ctx = this.map.getContext('2d'), bar = Math.max(2, width / n) * ratio;
    ctx.drawImage(this.base, 0, 0);
    if (this.selected < 0) return;
    const colour = getComputedStyle(this.root).getPropertyValue('--st-text-color').trim();
    ctx.strokeStyle = colour || '#000';
    ctx.lineWidth = 1.5 * ratio;
    ctx.strokeRect(this.selected / n * width * ratio - ratio, ratio, bar + 2 * ratio,
      this.map.height - 2 * ratio);
  },

  mapBase(width, ratio, n) {
    const base = document.createElement('canvas');
    base.width = width * ratio;
    base.height = 14 * ratio;
    const ctx = base.getContext('2d'), style = getComputedStyle(this.root);
    const hot = style.getPropertyValue('--hot').trim(),
      cool = style.getPropertyValue('--cool').trim();
    const bar = Math.max(2, width / n) * ratio, signed = this.data.signed, half = base.height / 2;
    for (let i = 0; i < n; i++) {
      const v = this.value(i), share = v === null ? 0 : this.share(Math.abs(v));
      if (share < .025) continue;
      ctx.globalAlpha = Math.min(1, .12 + .88 * share);
      ctx.fillStyle = signed && v > 0 ? cool : hot;
      // signed: up from the middle where positive, down where negative
      ctx.fillRect(i / n * width * ratio, signed && v < 0 ? half : 0, bar,
        signed ? half : base.height);
    }
    return base;
  },
});
"""
