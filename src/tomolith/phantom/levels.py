"""How far everything has moved in each scan, so that voxels add up to Faraday's law.

Layers are counted by arithmetic on columns: between two heights lie so many voxel centres. Only
dendrites are counted in 3-D, once, as a list of arrivals; the deposit gets what they leave over.
Large cells are counted on every k-th cross-section.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from tomolith.core import Box
from tomolith.errors import RecipeError
from tomolith.phantom.dendrites import Dendrites, Growth
from tomolith.phantom.history import State
from tomolith.phantom.layers import LAYER_MATERIALS, Amounts, Layers, Plane
from tomolith.phantom.noise import Doubles, axes_um
from tomolith.phantom.settings import PhantomSettings

_MOST_COLUMNS = 1_000_000
_MOST_VOXELS = 48_000_000
_N_HALVINGS = 40
_VOID_AT_FIRST = 0.3  # of its last size, when Li begins to come back
_JUST_BEYOND = 1e-9  # of an arrival: the last voxel that is counted is drawn too


@dataclass(frozen=True, slots=True)
class Levels:
    """The numbers that make one scan of a cell.

    Parameters
    ----------
    amounts
        Of the layers.
    growth
        Of the dendrites.
    """

    amounts: Amounts
    growth: Growth


@dataclass(frozen=True, slots=True)
class _Arrivals:
    """The dendrites' voxels: when Li arrives, and how deep in the deposit they lie.

    ``depth`` is the height above the interface, in units of the deposit's pattern.
    """

    live: Doubles
    doomed: Doubles
    depth: Doubles

    def there(self, growth: Growth) -> npt.NDArray[np.bool_]:
        return (self.live <= growth.live) | (self.doomed <= growth.doomed)


def solve_levels(
    settings: PhantomSettings, layers: Layers, dendrites: Dendrites, pulses: tuple[int, ...]
) -> Mapping[int, Levels]:
    """Return the levels after each of ``pulses``.

    Raises
    ------
    RecipeError
        Pits would go through the electrode.
    """
    return _Solver(settings, layers, dendrites).solve(pulses)


class _Solver:
    def __init__(self, settings: PhantomSettings, layers: Layers, dendrites: Dendrites) -> None:
        n_z, n_y, n_x = settings.shape_zyx
        stride = max(-(-n_z * n_x // _MOST_COLUMNS), -(-n_z * n_y * n_x // _MOST_VOXELS))
        self._settings, self._layers = settings, layers
        z, self._y, x = axes_um(
            settings.shape_zyx, settings.voxel_size_um, Box.whole(settings.shape_zyx)
        )
        self._z, self._x = z[stride // 2 :: stride], x
        self._plane = layers.plane(self._z, self._x)
        self._voxels_per_um = len(self._z) * n_x / settings.voxel_size_um
        self._arrivals = self._list_arrivals(dendrites)

    def solve(self, pulses: tuple[int, ...]) -> dict[int, Levels]:
        s = self._settings
        half = self._charge(State.after(s, s.n_pulses))
        out = {}
        for pulse in pulses:
            state = State.after(s, pulse)
            out[pulse] = (
                self._charge(state) if pulse <= s.n_pulses else self._discharge(state, half)
            )
        return out

    def _charge(self, state: State) -> Levels:
        s = self._settings
        # whole voxels: dendrites then keep the voxels that were counted
        n_swollen = round(s.swelling_um * state.progress[0] / s.voxel_size_um)
        amounts = Amounts(swelling=n_swollen * s.voxel_size_um)
        stripped = self._solve_count(
            lambda um: self._count("electrode", replace(amounts, stripped=um), side=0),
            self._count("electrode", amounts, side=0) - state.stripped_um * self._voxels_per_um,
            most=s.electrode_um,
        )
        deepest = stripped * float(self._layers.loss(self._plane).max())
        if deepest > s.electrode_um - 4 * s.roughness_um:
            raise RecipeError(
                f"pits {deepest:.0f} µm deep would go through an electrode of "
                f"{s.electrode_um:g} µm",
                where="phantom",
                mend="lower 'pit_share', raise 'n_pits' or 'pit_radius_um', or pass less charge",
            )
        amounts = replace(amounts, stripped=stripped)
        visible = state.visible_um * self._voxels_per_um
        growth = self._grown(round(s.dendrite_share * visible))
        n_dendrite = int(self._arrivals.there(growth).sum())
        return self._with_deposit(amounts, growth, visible - n_dendrite)

    def _discharge(self, state: State, half: Levels) -> Levels:
        s = self._settings
        back = state.progress[1]
        there = self._arrivals.there(half.growth)
        dead = self._arrivals.doomed <= half.growth.doomed
        n_dead, n_half = int(dead.sum()), int(there.sum())
        growth = self._shrunk(half.growth, dead, round((n_half - n_dead) * (1 - back)))
        n_dendrite = int(self._arrivals.there(growth).sum())
        visible_half = State.after(s, s.n_pulses).visible_um * self._voxels_per_um
        deposit = (visible_half - n_half) * (1 - back)
        void = s.void_um * (_VOID_AT_FIRST + (1 - _VOID_AT_FIRST) * back)
        levels = self._with_deposit(replace(half.amounts, deposit=0.0, void=void), growth, deposit)
        amounts = levels.amounts
        # what died must come from somewhere: the bulk of the electrode gives it
        n_deposit = self._deposit_voxels(amounts, growth) * (1 - s.deposit_porosity_frac)
        missing = n_dendrite + n_deposit - state.visible_um * self._voxels_per_um
        bulk_loss = self._solve_count(
            lambda um: self._count("electrode", replace(amounts, bulk_loss=um), side=1),
            self._count("electrode", amounts, side=1) - missing,
            most=s.electrode_um,
        )
        amounts = replace(amounts, bulk_loss=bulk_loss)
        porous = state.redeposited_um * self._voxels_per_um / (1 - s.redeposit_porosity_frac)
        refill = self._solve_count(
            lambda um: self._count("redeposited", replace(amounts, refill=um)),
            porous,
            most=s.electrolyte_um,
        )
        return Levels(replace(amounts, refill=refill), growth)

    def _with_deposit(self, amounts: Amounts, growth: Growth, metal_voxels: float) -> Levels:
        s = self._settings
        target = max(metal_voxels, 0.0) / (1 - s.deposit_porosity_frac)
        deposit = self._solve_count(
            lambda um: self._deposit_voxels(replace(amounts, deposit=um), growth),
            target,
            most=s.electrolyte_um,
        )
        return Levels(replace(amounts, deposit=deposit), growth)

    def _deposit_voxels(self, amounts: Amounts, growth: Growth) -> int:
        inside = self._arrivals.there(growth) & (self._arrivals.depth <= amounts.deposit)
        return self._count("deposited", amounts) - int(inside.sum())

    def _count(self, material: str, amounts: Amounts, *, side: int = 0) -> int:
        """Count the voxel centres in the layer of a material; ``side`` chooses the electrode."""
        where = [i for i, name in enumerate(LAYER_MATERIALS) if name == material][side]
        heights = self._layers.boundaries(self._plane, amounts)
        return self._n_below(heights[where]) - self._n_below(heights[where - 1])

    def _n_below(self, height: Doubles) -> int:
        index = np.ceil((height - self._y[0]) / self._settings.voxel_size_um)
        return int(np.clip(index, 0, len(self._y)).sum())

    def _solve_count(self, count: Callable[[float], int], target: float, *, most: float) -> float:
        """Return where a count that rises or falls with its argument comes nearest to a target."""
        at_zero = count(0.0)
        if round(target) == at_zero:
            return 0.0
        rising = count(most) >= at_zero
        low, high = 0.0, most
        for _ in range(_N_HALVINGS):
            middle = (low + high) / 2
            if (count(middle) < target) == rising:
                low = middle
            else:
                high = middle
        return min((low, high), key=lambda um: abs(count(um) - target))

    def _grown(self, n_voxels: int) -> Growth:
        """Return the growth at which dendrites have so many voxels, or all of theirs."""
        first = np.sort(np.minimum(self._arrivals.live, self._arrivals.doomed))
        if n_voxels <= 0 or len(first) == 0:
            return Growth()
        limit = float(first[min(n_voxels, len(first)) - 1]) + _JUST_BEYOND
        return Growth(limit, limit)

    def _shrunk(self, half: Growth, dead: npt.NDArray[np.bool_], n_live: int) -> Growth:
        """Return the growth at which so many voxels are left beside the dead ones."""
        live = np.sort(self._arrivals.live[~dead & (self._arrivals.live <= half.live)])
        if n_live <= 0 or len(live) == 0:
            return Growth(doomed=half.doomed)
        return Growth(float(live[min(n_live, len(live)) - 1]) + _JUST_BEYOND, half.doomed)

    def _list_arrivals(self, dendrites: Dendrites) -> _Arrivals:
        found: list[tuple[Doubles, Doubles, Doubles]] = []
        plane = self._plane
        for i in range(0, len(self._z), 16):
            part = slice(i, i + 16)
            found += self._arrivals_in(dendrites, part, plane)
        if not found:
            return _Arrivals(np.empty(0), np.empty(0), np.empty(0))
        live, doomed, depth = (np.concatenate(parts) for parts in zip(*found, strict=True))
        return _Arrivals(live, doomed, depth)

    def _arrivals_in(
        self, dendrites: Dendrites, rows: slice, plane: Plane
    ) -> list[tuple[Doubles, Doubles, Doubles]]:
        """List the dendrites' voxels of some cross-sections, at most a block at a time."""
        out = []
        # cross-sections of a strided sample lie apart: each is a box of its own
        for k in range(*rows.indices(len(self._z))):
            near = dendrites.arrivals((self._z[k : k + 1], self._y, self._x))
            if near is None:
                continue
            (_, y_part, x_part), live, doomed = near
            above = plane.plating[k, x_part][None, :] - self._y[y_part, None]
            pattern = plane.deposit[k, x_part][None, :]
            depth = np.full(above.shape, np.inf)
            np.divide(above, pattern, out=depth, where=pattern > 0)
            inside = (np.isfinite(live[0]) | np.isfinite(doomed[0])) & (above > 0)
            out.append((live[0][inside], doomed[0][inside], depth[inside]))
        return out
