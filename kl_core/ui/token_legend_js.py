"""The browser side of the token view: the legend, the tooltip's words, names for readers."""

LEGEND = r"""
Object.assign(View.prototype, {
  round(v) {
    if (this.data.log) return String(Math.round(v));
    const text = nats(v);
    return text.includes('.') && !text.includes('e') ? text.replace(/\.?0+$/, '') : text;
  },

  figure(i) {
    const d = this.data, v = this.value(i);
    if (v === null) return '–';
    if (d.log && isFinite(v)) return String(v);
    return d.sign && d.sign.startsWith('≥') ? atLeast(v) : nats(v);
  },

  signed(i) {
    const v = this.value(i);
    return (v === null ? '' : this.data.sign || '') + this.figure(i);
  },

  legend() {
    const d = this.data, low = d.low || 0, unit = d.unit === undefined ? 'nats' : d.unit;
    const many = d.max === 1 && unit === 'nats' ? 'nat' : unit;
    const top = this.round(d.max) + (many ? ' ' + many : '')
      + (d.signed ? ' and beyond' : ' and above');
    const ramp = make('span', 'ramp');
    ramp.style.background = d.signed
      ? 'linear-gradient(90deg, var(--hot), transparent, var(--cool))'
      : 'linear-gradient(90deg, transparent, var(--hot))';
    const said = make('span', 'said', d.said || 'fixed for the run');
    said.title = 'What colours mean stays the same for every response of the run';
    const parts = [];
    if (d.signed) {
      const from = this.round(d.threshold), end = this.round(d.max);
      parts.push([make('span', '', '−' + end), ramp, make('span', '', '+' + top)]);
      if (low > 0) parts.push([make('span', '', 'no colour within ±' + this.round(low))]);
      parts.push([said]);
      parts.push([make('span', 'u plus', d.plus || 'model 1 likelier'), make('span', 'u minus',
        d.minus || 'model 2 likelier'), make('span', '', 'underlined from ±' + from)]);
    } else {
      const start = d.log ? 'rank ' + this.round(low) : this.round(low);
      parts.push([make('span', '', low > 0 && !(d.log && low <= 1) ? start + ' and below' : start),
        ramp, make('span', '', top)]);
      parts.push([said]);
      parts.push([make('span', 'u', 'underlined'),
        make('span', '', 'from ' + this.round(d.threshold))]);
    }
    const any = (bit) => d.flags.some((f) => f & bit);
    if (any(CENSORED)) parts.push([make('span', 'hatch-key hatched'),
      make('span', '', 'only bounded')]);
    if (any(UNSCORED)) parts.push([make('span', 'unscored', 'dotted'),
      make('span', '', 'not scored')]);
    if (d.flags.some((f, i) => f & NOT_ASKED && this.value(i) === null)) {
      parts.push([make('span', 'unasked', 'pale'), make('span', '', d.left_out[0])]);
    }
    if (any(SPAN)) parts.push([make('span', 'span first last', 'joined above'),
      make('span', '', 'one span, compared as a whole')]);
    if (this.soft && !this.cells) parts.push([make('span', '',
      'a line that ends without ⏎ goes on')]);
    const keys = make('button', 'keys-button', 'keys ?');
    keys.title = 'What the keys do';
    keys.addEventListener('click', () => this.openKeys());
    parts.push([keys]);
    this.foot.replaceChildren(...parts.map((items) => {
      const part = make('span', 'part');
      part.append(...items);
      return part;
    }));
  },

  // screen readers hear of the selected token at once, of the others when there is time
  name(i) {
    const el = this.spans[i];
    if (el.hasAttribute('aria-label')) return;
    const d = this.data, flag = d.flags[i], unit = d.unit === undefined ? ' nats'
      : d.unit ? ' ' + d.unit : '';
    const value = this.value(i) === null ? 'no value' : this.signed(i) + unit;
    const said = [`token ${i}`, this.label(i), `${d.measure} ${value}`];
    if (this.high(i)) said.push('at or above the threshold');
    if (flag & SPECIAL) said.push('special token');
    if (flag & CENSORED) said.push('outside the list of model 2, only bounded');
    if (flag & UNSCORED) said.push('not scored');
    if (this.unasked(i)) said.push(d.left_out[0]);
    if (flag & CONTINUES) said.push('continues a character');
    if (d.reasons[i]) said.push(d.reasons[i]);
    el.setAttribute('aria-label', said.join(', '));
    el.setAttribute('aria-posinset', i + 1);
    el.setAttribute('aria-setsize', this.spans.length);
  },

  nameAll() {
    clearTimeout(this.naming);
    let next = 0;
    const some = () => {
      for (const end = Math.min(this.spans.length, next + 250); next < end; next++) this.name(next);
      if (next < this.spans.length) this.naming = setTimeout(some, 60);
    };
    this.naming = setTimeout(some, 1500);
  },

  // a note that says so already is not said twice
  unasked(i) {
    const d = this.data;
    return d.flags[i] & NOT_ASKED && !(d.reasons[i] || '').includes(d.left_out[1]);
  },

  describe(i) {
    const d = this.data, parts = [`#${i} "${this.label(i)}"`];
    if (d.text[i].includes(OPEN) && /^[\ue000·\ue001]+$/.test(d.text[i])) {
      parts.push(this.label(i).length > 1 ? '(spaces)' : '(a space)');
    }
    const apart = !['kl', 'kl_lower', 'surprisal1', 'surprisal2', undefined].includes(d.name);
    if (apart) parts.push(`${d.measure} ${this.signed(i)}`);
    const kl = d.name === 'kl' ? d.values : d.kl;  // sent once
    if (kl) parts.push('KL ' + (kl[i] === null ? '' : d.kl_sign || '') + nats(kl[i]));
    if (d.lower && d.lower[i] !== null) parts.push(`≥ ${atLeast(d.lower[i])}`);
    parts.push(`lnP ${nats(d.logprob1[i])}`);
    if (d.logprob2) parts.push(d.flags[i] & CENSORED ? 'lnQ outside the list'
      : `lnQ ${nats(d.logprob2[i])}`);
    if (this.unasked(i)) parts.push('\n' + d.left_out[1]);
    if (d.reasons[i]) parts.push('\n' + d.reasons[i]);
    return parts.join('  ');
  },
});
"""
