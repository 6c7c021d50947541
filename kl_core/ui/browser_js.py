"""What the browser side of several components shares; put before a component's own script."""

ELEMENTS = r"""
const make = (tag, cls, text) => {
  const el = document.createElement(tag);
  if (cls) el.className = cls;
  if (text !== undefined) el.textContent = text;
  return el;
};
"""

NUMBERS = r"""
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
// what stands after ≥: rounded down, as at_least in figures.py
const atLeast = (v) => {
  v = finite(v);
  if (!v || !(Math.abs(v) < 1e15)) return nats(v);
  const exponent = Number(v.toExponential().split('e')[1]);
  const digits = Math.min(100, Math.max(0, 2 - exponent)), near = Number(v.toFixed(digits));
  if (near <= v || near - v <= 1e-9 * Math.abs(v)) return nats(near);
  return nats(Number((near - 10 ** -digits).toFixed(digits)));
};
"""

THEME = r"""
// 1 on a dark page: colours that mix with it are chosen by this mark
const isDark = (background) => {
  const hex = background.replace('#', '');
  const rgb = hex.length >= 6 ? [0, 2, 4].map((k) => parseInt(hex.slice(k, k + 2), 16))
    : (background.match(/\d+/g) || [255, 255, 255]).map(Number);
  return rgb[0] * .3 + rgb[1] * .59 + rgb[2] * .11 < 128 ? '1' : '0';
};
const backgroundOf = (root) =>
  getComputedStyle(root).getPropertyValue('--st-background-color').trim();
"""
