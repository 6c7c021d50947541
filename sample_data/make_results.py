"""Score the sample responses with tiny-tuned: what the app opens on.

    python sample_data/make_results.py

Runs `python -m kl_core score` on `responses/openrouter` and packs each result file.
"""

from __future__ import annotations

import gzip
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).resolve().parent


def main() -> None:
    """Write `results/` anew."""
    with tempfile.TemporaryDirectory() as scratch:
        plain = Path(scratch) / "results"
        command = [sys.executable, "-m", "kl_core", "score"]
        command += ["--input-dir", str(HERE / "responses" / "openrouter")]
        command += ["--output-dir", str(plain)]
        command += ["--model", str(HERE / "models" / "tiny-tuned"), "--device", "cpu"]
        command += ["--runs-dir", str(Path(scratch) / "runs")]
        subprocess.run(command, check=True, cwd=HERE.parent)
        shutil.rmtree(HERE / "results", ignore_errors=True)
        for path in sorted(plain.rglob("*_kl.json")):
            target = HERE / "results" / path.relative_to(plain).with_suffix(".json.gz")
            target.parent.mkdir(parents=True, exist_ok=True)
            # no name and no time in the header: the same results give the same bytes
            with open(target, "wb") as raw, gzip.GzipFile("", "wb", 9, raw, mtime=0) as packed:
                packed.write(path.read_bytes())
    print(f"{len(list((HERE / 'results').rglob('*.gz')))} result files in {HERE / 'results'}")


if __name__ == "__main__":
    main()
