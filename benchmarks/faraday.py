"""The phantom against Faraday's law: what voxels hold, and what the charge should have moved."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from benchmarks.common import Result, table
from tomolith.core import Box
from tomolith.phantom import Cell, PhantomSettings, State
from tomolith.phantom.truth import TruthCounter

N_SEEDS = {"tiny": 20, "demo": 3}
QUICK_SEEDS, QUICK_PULSES = {"tiny": 2}, (0, 6, 12, 18, 24)
PULSES = tuple(range(25))
QUANTITIES = (
    "Li that left the stripping electrode",
    "Li that the plating side gained (electrode, deposit, dendrites)",
    "redeposited Li",
    "all Li of the cell",
)


@dataclass(frozen=True)
class Deviation:
    """One quantity of one scan: what was expected and found, as µm of Li metal."""

    size: str
    seed: int
    pulse: int
    quantity: str
    expected_um: float
    found_um: float

    @property
    def um(self) -> float:
        """Return how far off, in µm of Li metal."""
        return abs(self.found_um - self.expected_um)


def run(*, quick: bool) -> Result:
    """Count the lithium of every scan, and return the page."""
    seeds, pulses = (QUICK_SEEDS, QUICK_PULSES) if quick else (N_SEEDS, PULSES)
    rows: list[tuple[object, ...]] = []
    worst, whole_um = 0.0, PhantomSettings().charge_um
    for size, n_seeds in seeds.items():
        found = [d for seed in range(1, n_seeds + 1) for d in deviations(size, seed, pulses)]
        for quantity in QUANTITIES:
            most = max((d for d in found if d.quantity == quantity), key=lambda d: d.um)
            worst = max(worst, most.um)
            share = f"{100 * most.um / whole_um:.4f} %"
            where = f"seed {most.seed}, pulse {most.pulse}"
            numbers = (f"{most.expected_um:.4f}", f"{most.found_um:.4f}", f"{most.um:.5f}")
            rows.append((f"`{size}`, {n_seeds} cells", quantity, *numbers, share, where))
    header = ("cells", "quantity", "Faraday (µm)", "voxels (µm)", "off (µm)", "of all charge", "at")
    what = (
        f"Simulated cells are drawn after each of {len(pulses)} numbers of pulses, and the true "
        "labels are counted: voxels times volume times the share of a layer that is metal, over "
        "the area, which is a thickness of Li metal. Expected is what Faraday's law gives for the "
        "charge passed, less the shares that the settings take off (coulombic efficiency, Li too "
        "fine to see). Of every quantity the scan that is farthest off is shown; the whole charge "
        f"of one half cycle is {whole_um:.2f} µm."
    )
    notes = [
        f"Farthest off is {worst:.5f} µm, {100 * worst / whole_um:.4f} % of the charge.",
        "It is the count of whole voxels that limits the agreement: in a small field of view a "
        "layer cannot be thinner by less than one voxel over the area.",
    ]
    return Result("The phantom and Faraday's law", what, [table(header, rows)], notes)


def deviations(size: str, seed: int, pulses: tuple[int, ...]) -> Iterator[Deviation]:
    """Yield every quantity of every scan of one cell."""
    settings = PhantomSettings(preset=size, seed=seed, scans=pulses)
    cell = Cell.build(settings, 0)
    n_z, _, n_x = settings.shape_zyx
    area_um2 = n_z * n_x * settings.voxel_size_um**2
    fresh = _lithium_um(cell, 0, area_um2)
    for pulse in pulses:
        state, li = State.after(settings, pulse), _lithium_um(cell, pulse, area_um2)
        lost = fresh.stripping - li.stripping
        gained = li.plating - fresh.plating
        expected = (state.stripped_um, state.visible_um, state.redeposited_um)
        moved = expected[1] + expected[2] - expected[0]
        all_li = fresh.stripping + fresh.plating
        pairs = zip(
            QUANTITIES,
            (*expected, all_li + moved),
            (lost, gained, li.redeposited, li.stripping + li.plating + li.redeposited),
            strict=True,
        )
        for quantity, wanted, counted in pairs:
            yield Deviation(size, seed, pulse, quantity, wanted, counted)


@dataclass(frozen=True)
class _Lithium:
    """What one scan holds, as µm of Li metal over the field of view."""

    stripping: float
    plating: float
    redeposited: float


def _lithium_um(cell: Cell, pulse: int, area_um2: float) -> _Lithium:
    counter, box = TruthCounter(cell, pulse), Box.whole(cell.settings.shape_zyx)
    counter.add(box, cell.draw(box, pulse).material)
    um = {
        row.region: (row.value or 0.0) / area_um2
        for row in counter.rows("counted", 0)
        if row.quantity == "li_volume"
    }
    return _Lithium(
        um["electrode, stripping side"],
        um["electrode, plating side"] + um["deposited"] + um["dendrite"],
        um["redeposited"],
    )
