"""Run benchmarks by name."""

from __future__ import annotations

import argparse
import importlib
import inspect
from pathlib import Path
from types import ModuleType
from typing import Any

from benchmarks.common import Result
from benchmarks.extent import Extent

# Modules of this package with a function ``run(*, quick: bool) -> Result``, or ``run(extent)`` of
# those that train and can be shortened, stopped and gone on with.
BENCHMARKS = (
    "predict_vs_monai",
    "latency",
    "predict_large",
    "demo",
    "phantom_baselines",
    "phantom_stream",
    "faraday",
    "measure_truth",
    "measure_stream",
    "refine_stream",
    "full_route",
    "nmc_cathode",
    "nanoxct_pores",
    "volume_intervals",
    "shape_intervals",
    "table1_binary",
    "weak_supervision",
    "table2_matphase",
    "matphase_parts",
    "table2_nmc",
    "table3_operando",
    "edge_width",
    "phantom_limits",
    "real_sets",
    "ablations",
    "plane_fusion",
    "slices_and_cubes",
    "out_of_distribution",
    "other_scan",
)


def main() -> None:
    """Run the named benchmarks, or all."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help="which ones; all if left out")
    parser.add_argument("--list", action="store_true", help="name them and stop")
    parser.add_argument("--quick", action="store_true", help="small inputs, nothing is written")
    parser.add_argument("--minutes", type=float, help="shortened: so long for each network")
    parser.add_argument("--threads", type=int, help="of the networks; all cores if left out")
    parser.add_argument("--seeds", type=int, help="trainings of each network; shortened: one")
    parser.add_argument(
        "--systems", help="only these of a comparison, with commas; the page is named after them"
    )
    parser.add_argument("--work", type=Path, help="folder to keep what is done in, to go on from")
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
        module = importlib.import_module(f"benchmarks.{name}")
        options = _options(parser, module, given)
        result = module.run(**options)
        print(result.text(name))
        if not given.quick:
            extent = options.get("extent", Extent())
            _write(result, name, page=extent.page_name(name))


def _options(
    parser: argparse.ArgumentParser, module: ModuleType, given: argparse.Namespace
) -> dict[str, Any]:
    """Return the arguments of the benchmark, and refuse options that it does not know."""
    options = {key: getattr(given, key) for key in ("minutes", "threads", "seeds", "work")}
    known = inspect.signature(module.run).parameters
    if "extent" in known:
        systems = tuple(given.systems.split(",")) if given.systems else ()
        return {"extent": Extent(quick=given.quick, systems=systems, **options)}
    if given.systems:
        parser.error(f"{module.__name__} has no --systems")
    found = {key: value for key, value in options.items() if value is not None}
    unknown = sorted(set(found) - set(known))
    if unknown:
        parser.error(f"{module.__name__} has no --{unknown[0]}")
    return {"quick": given.quick, **found}


def _write(result: Result, name: str, *, page: str) -> None:
    folder = Path(__file__).resolve().parents[1] / "docs" / "results"
    images = folder / "images"
    images.mkdir(parents=True, exist_ok=True)
    for file, _, png in result.pictures:
        (images / file).write_bytes(png)
    (folder / f"{page}.md").write_text(result.text(name))
    print(f"written: {folder / page}.md")


if __name__ == "__main__":
    main()
