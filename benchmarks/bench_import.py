"""How fast a folder of response files is read: files, positions and entries a second.

python benchmarks/bench_import.py FOLDER
"""

from __future__ import annotations

import argparse
import resource
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from kl_core.formats.reader import read_entries
from kl_core.records import Entry, ProblemLog


def main() -> None:
    """Read everything once and print the figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    folder = parser.parse_args().folder
    log, files, positions, candidates = ProblemLog(), 0, 0, 0
    start, start_cpu = time.perf_counter(), time.process_time()
    for entry in read_entries(folder, None, log):
        files += 1
        responses = entry.responses if isinstance(entry, Entry) else entry.entry.responses
        for response in responses:
            positions += len(response.positions)
            candidates += sum([len(p.dist.tokens) for p in response.positions if p.dist])
    elapsed_s, cpu_s = time.perf_counter() - start, time.process_time() - start_cpu
    peak_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(
        f"{files} entries, {positions} positions, {candidates} candidates in {elapsed_s:.1f} s "
        f"({cpu_s:.1f} s CPU): {files / elapsed_s:.0f} entries/s, "
        f"{candidates / elapsed_s:.0f} candidates/s ({candidates / cpu_s:.0f} per CPU second), "
        f"peak {peak_mb:.0f} MB, {len(log.rows)} problems"
    )


if __name__ == "__main__":
    main()
