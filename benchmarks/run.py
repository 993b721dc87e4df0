"""`make bench`: run the benchmarks and print a table. See docs/benchmarks.md for what each figure means.

.venv/bin/python benchmarks/run.py [--quick] [--seconds N] [--json FILE] [NAME ...]
"""

from __future__ import annotations

import argparse
import importlib
import json
import os
import platform
import signal
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from types import FrameType
from typing import NoReturn

from measure import Options, Row

TESTS = Path(__file__).resolve().parent.parent / "tests"
NAMES = (
    *("ctl", "startup", "join", "leave", "balancer", "scale", "churn", "crash", "footprint"),
    *("zk_join", "zk_picture", "zk_fleet"),
)
WIDTHS = (54, 5, 10, 10, 6)


def main() -> int:
    """Run what the command line names."""
    arguments = parse()
    signal.signal(signal.SIGTERM, leave)
    sys.path.insert(0, str(TESTS))  # the one place: how a host is started is shared with the tests
    options = Options(arguments.quick, arguments.seconds)
    machine = about()
    print("  ".join(f"{key} {value}" for key, value in machine.items()))
    print(line(("figure", "unit", "median", "p99", "count"), "against", "target"), flush=True)
    results: dict[str, list[Row]] = {}
    for name in arguments.names or NAMES:
        results[name] = []
        for row in importlib.import_module(name).rows(options):
            results[name].append(row)
            print(shown(row), flush=True)
    if arguments.json:
        arguments.json.write_text(json.dumps(document(machine, options, results), indent=1) + "\n")
    return 0


def parse() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description="Measure Lighthouse; see docs/benchmarks.md.")
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"which to run, of {', '.join(NAMES)}; default: all")
    parser.add_argument("--quick", action="store_true", help="fewer repetitions and short windows: a few minutes")
    parser.add_argument(
        "--seconds", type=float, help="length of the longest footprint window; default: 600, or 25 with --quick"
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write everything as JSON")
    arguments = parser.parse_args()
    if unknown := set(arguments.names) - set(NAMES):
        parser.error(f"there is no benchmark {', '.join(sorted(unknown))}; known are {', '.join(NAMES)}")
    if arguments.seconds is not None and arguments.seconds <= 0:
        parser.error("--seconds must be more than 0")
    return arguments


def leave(_number: int, _frame: FrameType | None) -> NoReturn:
    """Asked to end: by an exception, so that everything that was started is stopped on the way out."""
    raise SystemExit(1)


def about() -> dict[str, str]:
    """On what it was measured."""
    version = subprocess.run(["haproxy", "-v"], stdout=subprocess.PIPE, check=True, text=True).stdout.split()[2]
    return {
        "cores": str(os.cpu_count()),
        "kernel": platform.release(),
        "python": platform.python_version(),
        "haproxy": version,
        "load": f"{os.getloadavg()[0]:.1f}",
    }


def shown(row: Row) -> str:
    """A row as a line of the table."""
    against = f"{row.ratio:.1f} x {row.against}" if row.ratio is not None else ""
    limits = [f"< {row.target:g} {row.unit}"] if row.target is not None else []
    limits += [f"{row.most:g} x at most"] if row.most is not None else []
    target = f"{', '.join(limits)}: {row.verdict}" if limits else ""
    return line((row.figure, row.unit, f"{row.median:.2f}", f"{row.p99:.2f}", str(row.count)), against, target)


def line(cells: Sequence[str], against: str, target: str) -> str:
    """Cells side by side: text to the left, numbers to the right."""
    figure, unit, *numbers = (
        cell.ljust(width) if index < 2 else cell.rjust(width)
        for index, (cell, width) in enumerate(zip(cells, WIDTHS, strict=True))
    )
    return "  ".join((figure, unit, *numbers, against.ljust(26), target)).rstrip()


def document(machine: dict[str, str], options: Options, results: dict[str, list[Row]]) -> dict[str, object]:
    """Everything as plain data."""
    rows = {name: [{**asdict(row), "ratio": row.ratio} for row in found] for name, found in results.items()}
    return {"machine": machine, "options": asdict(options), "results": rows}


if __name__ == "__main__":
    sys.exit(main())
