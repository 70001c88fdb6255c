"""This file exists to measure what a snapshot swapped every second under load costs.

One key and one route, beside 10,000 keys and 1,000 routes of which another snapshot is taken each
second, in turns. Every reply must be a 200.

    python -m bench.swaps [--rounds 5] [--seconds 4]
"""

import argparse
import json
import statistics
import tempfile
from pathlib import Path

from bench import peers as bench


def main() -> None:
    """One line of JSON: requests a second of both, and their ratio."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=int, default=4)
    asked = parser.parse_args()
    bench.need("nginx", "wrk", "taskset")
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        upstream = bench.upstream(folder)
        small = bench.ours(folder, name="small")
        large = bench.ours(
            folder, "--large", "--swaps", name="large", port=bench.OURS_PORT + 1
        )
        try:
            for peer in (small, large):
                peer.start()
                bench.load(peer, 1)
            for _ in range(asked.rounds):
                for peer in (small, large):
                    seen = bench.load(peer, asked.seconds)
                    peer.rates.append(seen.rate)
                    peer.p99_ms.append(seen.p99_ms)
            large.look()
        finally:
            small.stop()
            large.stop()
            bench.stop(upstream)
    ratios = [b / a for a, b in zip(small.rates, large.rates, strict=True)]
    told = {
        "case": "swaps", "keys": 10_000, "routes": 1_000, "swaps_per_s": 1,
        "small_per_s": round(statistics.median(small.rates)),
        "large_per_s": round(statistics.median(large.rates)),
        "small_p99_ms": round(statistics.median(small.p99_ms), 2),
        "large_p99_ms": round(statistics.median(large.p99_ms), 2),
        "large_rss_mb": round(large.rss_mb, 1),
        "ratio": round(statistics.median(ratios), 3), "errors": 0,
    }  # fmt: skip
    print(json.dumps(told))


if __name__ == "__main__":
    main()
