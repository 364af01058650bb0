"""Run benchmarks by name."""

from __future__ import annotations

import argparse
import importlib
from pathlib import Path

# Modules of this package with a function ``run(*, quick: bool) -> Result``.
BENCHMARKS = (
    "predict_vs_monai",
    "latency",
    "predict_large",
    "demo",
    "phantom_baselines",
    "phantom_stream",
    "faraday",
    "full_route",
    "nmc_cathode",
    "nanoxct_pores",
    "examples_other_scan",
)


def main() -> None:
    """Run the named benchmarks, or all."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help="which ones; all if left out")
    parser.add_argument("--list", action="store_true", help="name them and stop")
    parser.add_argument("--quick", action="store_true", help="small inputs, nothing is written")
    given = parser.parse_args()
    unknown = sorted(set(given.names) - set(BENCHMARKS))
    if unknown:
        parser.error(f"unknown: {', '.join(unknown)}; known are: {', '.join(BENCHMARKS)}")
    if given.list:
        for name in BENCHMARKS:
            module = importlib.import_module(f"benchmarks.{name}")
            print(f"{name:<20} {(module.__doc__ or '').splitlines()[0]}")
        return
    for name in given.names or BENCHMARKS:
        result = importlib.import_module(f"benchmarks.{name}").run(quick=given.quick)
        print(result.text(name))
        if not given.quick:
            path = Path(__file__).resolve().parents[1] / "docs" / "results" / f"{name}.md"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(result.text(name))
            print(f"written: {path}")


if __name__ == "__main__":
    main()
