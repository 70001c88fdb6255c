"""Run the cases one after another, print what they found, and keep it under bench/results/.

    python -m bench [CASE ...] [--quick] [--peers FOLDER]

A case is a program of its own, so that none warms another. Exit status 1 when one did not run;
a case whose peers are not on this machine is left out and said so. Nothing asserts a time.
"""

import argparse
import json
import os
import platform
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
PEERS = ROOT.parent / "shared" / "bench" / "peers"
LIMIT_S = 900
# by case: arguments in full and in quick size
CASES: dict[str, tuple[list[str], list[str]]] = {
    "evaluation": (["--size", "M"], ["--size", "S", "--rounds", "1"]),
    "posting": ([], ["--invoices", "40", "--latency-ms", "50"]),
    "gateway": (["--peers", "{peers}"], ["--small"]),
    "throttling": ([], ["--small"]),
    "bodies": ([], ["--rounds", "1", "--mb", "8"]),
    "swaps": ([], ["--rounds", "1", "--seconds", "2"]),
}
NOT_HERE = 3


def main() -> None:
    """All cases, or those named."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("cases", nargs="*", help=", ".join(CASES))
    parser.add_argument("--quick", action="store_true", help="small sizes: do they run at all")
    parser.add_argument("--peers", type=Path, default=PEERS, help="the peers' configurations")
    asked = parser.parse_args()
    unknown = set(asked.cases) - CASES.keys()
    if unknown:
        parser.error(f"no case {', '.join(sorted(unknown))}; there are {', '.join(CASES)}")
    found = {case: _run(case, asked) for case in asked.cases or CASES}
    print(json.dumps({name: one["status"] for name, one in found.items()}))
    _keep(found, quick=asked.quick)
    sys.exit(1 if any(one["status"] == "failed" for one in found.values()) else 0)


def _run(case: str, asked: argparse.Namespace) -> dict[str, Any]:
    full, quick = CASES[case]
    arguments = [a.replace("{peers}", str(asked.peers)) for a in (quick if asked.quick else full)]
    print(f"== {case} {' '.join(arguments)}", flush=True)
    command = [sys.executable, "-m", f"bench.{case}", *arguments]
    done = subprocess.run(
        command, cwd=ROOT, text=True, capture_output=True, timeout=LIMIT_S, check=False
    )
    print(done.stdout, end="", flush=True)
    status = "ok"
    if done.returncode:
        print(done.stderr[-2000:], file=sys.stderr)
        status = "left out" if done.returncode == NOT_HERE else "failed"
    return {"status": status, "said": done.stdout}


def _keep(found: dict[str, Any], *, quick: bool) -> None:
    commit = subprocess.run(
        ["git", "rev-parse", "--short", "HEAD"],
        cwd=ROOT, text=True, capture_output=True, check=False,
    ).stdout.strip() or "unknown"  # fmt: skip
    results = ROOT / "bench" / "results"
    results.mkdir(exist_ok=True)
    body = {
        "commit": commit,
        "at": datetime.now(UTC).isoformat(timespec="seconds"),
        "quick": quick,
        "machine": {
            "cores": os.cpu_count(),
            "python": platform.python_version(),
            "kernel": platform.release(),
            "load": os.getloadavg(),
        },
        "cases": found,
    }
    (results / f"{commit}.json").write_text(json.dumps(body, indent=2) + "\n")


if __name__ == "__main__":
    main()
