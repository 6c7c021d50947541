"""How fast a long response is on the screen, and how fast a click reaches the panel.

    python -m benchmarks.bench_reading --tokens 10000 --repeat 5

Serves the app over a made run of one response and drives headless Chromium at 1440 x 900.
*painted*: from the navigation to two animation frames after the last token is in the page;
*click*: from the press on a token to the panel that names it. Medians, in milliseconds; the
response comes once with line breaks and once as one unbroken paragraph. The first visit,
which also fills the server's caches, is left out and printed apart.
"""

from __future__ import annotations

import argparse
import shutil
import statistics
import tempfile
from pathlib import Path
from typing import Any

from tests.browser.conftest import ARGUMENTS, served
from tests.ui import made_runs

_PAINTED = """(count) => new Promise((done, fail) => {
  const find = (root) => {
    for (const el of root.querySelectorAll('*')) {
      if (el.classList.contains('text') && el.getAttribute('role') === 'listbox') return el;
      const inside = el.shadowRoot && find(el.shadowRoot);
      if (inside) return inside;
    }
  };
  const look = () => {
    const text = find(document);
    if (performance.now() > 60000) { fail(new Error('no tokens after a minute')); return; }
    if (!text || text.querySelectorAll('.t').length < count) { setTimeout(look, 10); return; }
    requestAnimationFrame(() => requestAnimationFrame(() => done(performance.now())));
  };
  look();
})"""
_CLICKED = """([text, position]) => new Promise((done) => {
  const all = (root, pick, out = []) => {
    for (const el of root.querySelectorAll('*')) {
      if (el.matches(pick)) out.push(el);
      if (el.shadowRoot) all(el.shadowRoot, pick, out);
    }
    return out;
  };
  const start = performance.now();
  const look = () => {
    const said = all(document, 'h4').some((el) => el.textContent.endsWith('token ' + position));
    if (said) requestAnimationFrame(() => done(performance.now() - start));
    else setTimeout(look, 5);
  };
  all(document, '.t')[position].click();
  look();
})"""


def unbroken(root: Path, count: int) -> Path:
    """A run with one response of `count` tokens and no line break."""
    words = [text if text.strip() else " and" for text in made_runs.prose(count, 5)]
    words = [text + "." if i % 17 == 16 else text for i, text in enumerate(words)]
    far = {i: 0.02 + 0.4 * ((i * 7919) % 97) / 97 for i in range(5, count, 53)}
    made = made_runs.response(words, far)
    entry = made_runs.entry(0, "Write one very long paragraph.", [made])
    return made_runs.write(root, [entry], short="unbroken")


def measure(browser: Any, url: str, count: int, repeat: int) -> dict[str, float]:
    """Medians in ms over `repeat` visits, each in a session of its own."""
    painted, clicks = [], []
    for _ in range(repeat + 1):
        context = browser.new_context(viewport={"width": 1440, "height": 900})
        page = context.new_page()
        page.goto(url, wait_until="commit")
        painted.append(page.evaluate(_PAINTED, count))
        page.wait_for_timeout(1500)
        clicks += [page.evaluate(_CLICKED, ["", position]) for position in (40, 12, 77)]
        context.close()
    first, *rest = painted
    return {
        "first visit": first,
        "painted": statistics.median(rest),
        "click": statistics.median(clicks[3:]),
    }


def main() -> None:
    """Print one line a response."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tokens", type=int, default=10_000)
    parser.add_argument("--repeat", type=int, default=5)
    parser.add_argument("--layout", default="", help="cells, grid or pair; prose without it")
    options = parser.parse_args()
    from playwright.sync_api import sync_playwright

    with tempfile.TemporaryDirectory() as folder, sync_playwright() as driver:
        root = Path(folder) / "runs"
        made = {
            "with line breaks": made_runs.long(root, options.tokens),
            "one paragraph": unbroken(root, options.tokens),
        }
        browser = driver.chromium.launch(executable_path=shutil.which("chromium"), args=ARGUMENTS)
        with served(root) as address:
            for name, run in made.items():
                url = f"{address}/?run={run.name}"
                url += f"&layout={options.layout}" if options.layout else ""
                found = measure(browser, url, options.tokens, options.repeat)
                figures = ", ".join(f"{what} {ms:.0f} ms" for what, ms in found.items())
                print(f"{options.tokens:,} tokens, {name}: {figures}", flush=True)
        browser.close()


if __name__ == "__main__":
    main()
