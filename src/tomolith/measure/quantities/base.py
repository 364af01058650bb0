"""What every quantity gets and gives."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, ClassVar, Self, TypeVar

import numpy as np
import numpy.typing as npt

from tomolith.core import Box, ClassSchema, Grid, Interval
from tomolith.measure.quantities.frame import Frame

Counts = npt.NDArray[np.int64]
UNLABELLED = "unlabelled"
Found = TypeVar("Found")


@dataclass(frozen=True, slots=True)
class Region:
    """A block of labels with the halo that the quantity asked for.

    Parameters
    ----------
    labels
        Stored label values (z, y, x), uint8, of ``read``.
    read
        The voxels in ``labels``, in coordinates of the volume; cut at its faces.
    core
        The voxels to be counted; cores of all regions tile the volume without overlap.
    """

    labels: npt.NDArray[Any]
    read: Box
    core: Box
    cache: dict[Any, Any] = field(default_factory=dict, init=False, repr=False, compare=False)
    """What quantities have worked out of this region and others may use."""

    @property
    def core_labels(self) -> npt.NDArray[Any]:
        """The labels of ``core`` alone."""
        return np.asarray(self.labels[self.core.relative_to(self.read).slices])


@dataclass(frozen=True, slots=True)
class ClassValue:
    """The number found for one class, or for a part of the cell; ``None`` where there is none.

    ``method`` says in words how it was found or why not; empty where voxels were counted.
    ``interval`` holds what the number would be if faces lay up to half a voxel elsewhere, where
    only the quantity can tell.
    """

    class_name: str
    value: float | int | None
    method: str = field(default="", compare=False, repr=False)
    interval: Interval | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True, eq=False)
class QuantityMap:
    """A map over the plan that a quantity gives beside its numbers.

    Parameters
    ----------
    name
        Name of its file: letters, digits and ``_``.
    unit
        As of numbers.
    values
        Shape (n_u, n_v), u and v the axes of the plan; NaN where there is nothing.
    nothing
        The number that nothing stands for where maps are compared, such as a depth of 0; ``None``
        where NaN says that nothing is known.
    """

    name: str
    unit: str
    values: npt.NDArray[np.float32]
    nothing: float | None = None


class Quantity(ABC):
    """A number per class or part, added up block by block: update, merge, finish.

    Only integers are kept, so the order and the size of the blocks cannot change a digit. The
    cores of all regions are tiles of one grid.

    Parameters
    ----------
    schema
        The classes; all of :attr:`needs` are among them.
    frame
        How the cell lies in the volume.
    """

    unit: ClassVar[str]
    """Unit of the numbers, as stored."""

    formula: ClassVar[str] = ""
    """How the number follows from the labels, in one line."""

    source: ClassVar[str] = ""
    """Where the definition comes from."""

    is_physical: ClassVar[bool] = False
    """Whether the voxel size must be known, and neighbours along z be neighbours in space."""

    needs: ClassVar[tuple[str, ...]] = ()
    """Classes without which there is no such number."""

    halo_zyx: ClassVar[tuple[int, int, int]] = (0, 0, 0)
    """Voxels needed around the core on each side."""

    map_names: ClassVar[tuple[str, ...]] = ()
    """Names of what :meth:`maps` returns, known before anything is measured."""

    no_interval: ClassVar[str] = ""
    """Why its numbers have no 95 % interval; empty where a rule gives one."""

    def __init__(self, schema: ClassSchema, frame: Frame | None = None) -> None:
        self.schema = schema
        self.frame = frame or Frame()
        self._shared: dict[Any, Any] | None = None

    @property
    def parts(self) -> tuple[str, ...]:
        """What :meth:`finish` names, in that order: the classes, unless told otherwise."""
        return self.schema.names

    @abstractmethod
    def update(self, region: Region) -> None:
        """Add the core of ``region``."""

    @abstractmethod
    def merge(self, other: Self) -> None:
        """Add what ``other`` counted."""

    @abstractmethod
    def finish(self, grid: Grid) -> tuple[ClassValue, ...]:
        """Return one number per part, in the order of :attr:`parts`."""

    def share(self, shared: dict[Any, Any]) -> None:
        """Let :meth:`once` keep its finds in ``shared``, with all quantities of the same regions.

        Nothing may be updated or merged afterwards.
        """
        self._shared = shared

    def once(self, key: Any, make: Callable[[], Found]) -> Found:
        """Return what ``make`` returns, made once for all quantities that :meth:`share`."""
        if self._shared is None:
            return make()
        if key not in self._shared:
            self._shared[key] = make()
        found: Found = self._shared[key]
        return found

    def maps(self, grid: Grid) -> tuple[QuantityMap, ...]:
        """Return the maps over the plan that this quantity makes; none unless told otherwise.

        Asked for only where the voxel size is known.
        """
        return ()
