"""This file exists to measure the gateway's data plane beside its peers, doing the same work.

Rounds take turns (A B C A B C ...), so that a machine that drifts drifts for all; figures are
medians and their ratio to nginx + Lua. Then each is offered half of what the slower of ours and
Envoy can do, for the time a request takes. Needs nginx and wrk; a peer that is not there is left
out.

    python -m bench.gateway --peers DIR [--rounds 5] [--seconds 4] [--small]
"""

import argparse
import json
import os
import platform
import statistics
import tempfile
from pathlib import Path

from bench import peers as bench
from bench.peers import Peer


def main() -> None:
    """One table, and one line of JSON."""
    asked = _arguments()
    bench.need("nginx", "wrk", "taskset")
    rounds, seconds = (1, 1) if asked.small else (asked.rounds, asked.seconds)
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        upstream = bench.upstream(folder)
        found: list[Peer] = []
        try:
            by_token = bench.ours(
                folder, "--token", name="with a token", port=bench.OURS_PORT + 1
            )
            found = [bench.ours(folder), by_token, *bench.others(asked.peers, folder)]
            for peer in found:
                peer.start()
                bench.load(peer, 1)  # warm, and proves that it answers 200
            for _ in range(rounds):
                for peer in found:
                    seen = bench.load(peer, seconds)
                    peer.rates.append(seen.rate)
                    peer.p99_ms.append(seen.p99_ms)
            half = _half(found)
            for _ in range(rounds):
                for peer in found:
                    peer.half.append(bench.load(peer, seconds, offered=half))
            for peer in found:
                peer.look()
        finally:
            for peer in found:
                peer.stop()
            bench.stop(upstream)
    _tell(found, half, rounds, seconds, asked.json)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--peers", type=Path, help="folder with nginx-lua, haproxy, envoy")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=int, default=4)
    parser.add_argument("--small", action="store_true", help="one short round, to see it work")
    parser.add_argument("--json", type=Path, help="write the figures here too")
    return parser.parse_args()


def _half(found: list[Peer]) -> float:
    """Requests a second, the same for all: half of the slower one's best of ours and Envoy's."""
    rated = [p for p in found if p.name in ("firmwire", "Envoy")]
    return min(statistics.median(peer.rates) for peer in rated) / 2


def _tell(found: list[Peer], half: float, rounds: int, seconds: int, file: Path | None) -> None:
    base = next((p for p in found if p.name.startswith("nginx")), found[0])
    rows = {}
    for peer in found:
        ratios = [mine / its for mine, its in zip(peer.rates, base.rates, strict=True)]
        rows[peer.name] = {
            "requests_per_s": round(statistics.median(peer.rates)),
            "lowest": round(min(peer.rates)),
            "highest": round(max(peer.rates)),
            "p99_ms": round(statistics.median(peer.p99_ms), 2),
            "half_p50_ms": round(statistics.median(one.p50_ms for one in peer.half), 2),
            "half_p99_ms": round(statistics.median(one.p99_ms for one in peer.half), 2),
            "rss_mb": round(peer.rss_mb, 1),
            "ratio": round(statistics.median(ratios), 3),
        }
    heads = ("req/s", "lowest", "highest", "p99 ms", "half p50", "half p99", "RSS MB", "ratio")
    print(f"{'':14}" + "".join(f"{head:>10}" for head in heads))
    for name, row in rows.items():
        print(f"{name:14}" + "".join(f"{value:>10}" for value in row.values()))
    print(f"half load: {half:.0f} requests/s offered to each; ratio: to {base.name}, by round")
    whole = {
        "case": "gateway", "rounds": rounds, "seconds": seconds, "connections": bench.CONNECTIONS,
        "machine": {"cores": os.cpu_count(), "platform": platform.platform(),
                    "python": platform.python_version()},
        "load_before": os.getloadavg(), "offered_half": round(half), "results": rows,
    }  # fmt: skip
    print(json.dumps(whole))
    if file is not None:
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(json.dumps(whole, indent=1) + "\n")


if __name__ == "__main__":
    main()
