"""Read a cycler file of any supported kind, with its units checked."""

from __future__ import annotations

from pathlib import Path

from tomolith.config import Registry
from tomolith.core.cycler import CyclerRecord
from tomolith.errors import ReadError
from tomolith.store.cyclers.base import CyclerReader
from tomolith.store.cyclers.check import check_charge
from tomolith.store.cyclers.headings import CyclerUnits

CYCLERS = Registry(
    "cycler reader",
    {
        "arbin": "tomolith.store.cyclers.arbin:ArbinReader",
        "arbin-res": "tomolith.store.cyclers.arbin_res:ArbinResReader",
        "basytec": "tomolith.store.cyclers.basytec:BasytecReader",
        "bdf": "tomolith.store.cyclers.bdf:BdfReader",
        "biologic-mpr": "tomolith.store.cyclers.biologic_mpr:BiologicMprReader",
        "biologic-mpt": "tomolith.store.cyclers.biologic_mpt:BiologicMptReader",
        "maccor": "tomolith.store.cyclers.maccor:MaccorReader",
        "neware": "tomolith.store.cyclers.neware:NewareReader",
        "neware-csv": "tomolith.store.cyclers.neware_csv:NewareCsvReader",
        "novonix": "tomolith.store.cyclers.novonix:NovonixReader",
    },
    group="tomolith.cyclers",
)


def sniff_cycler(path: Path) -> str | None:
    """Return the name of the reader that knows the file; ``None`` if none does."""
    if not path.is_file():
        return None
    for name in CYCLERS.names():
        reader: CyclerReader = CYCLERS.load(name)()
        if reader.sniff(path):
            return name
    return None


def read_cycler(path: str | Path, *, units: CyclerUnits | None = None) -> CyclerRecord:
    r"""Read a cycler file, and refuse it if its charge and current × time differ by over 1 %.

    Parameters
    ----------
    path
        A file of any kind in `CYCLERS`, told by its content.
    units
        Units that go before those of the headings.

    Raises
    ------
    ReadError
        The file is missing, damaged or of no supported kind.
    MismatchError
        The units cannot be right: see :func:`tomolith.store.cyclers.check.check_charge`.
    MissingExtraError
        The library that reads this kind is not installed.

    Examples
    --------
    >>> import tempfile
    >>> file = Path(tempfile.mkdtemp()) / "cell.bdf.csv"
    >>> _ = file.write_text(
    ...     "Test Time / s,Current / A,Voltage / V,Net Capacity / Ah\n"
    ...     "0,0.00075,0.1,0\n600,0.00075,0.1,0.000125\n"
    ... )
    >>> record = read_cycler(file)
    >>> record.reader, round(float(record.passed_mah()[-1]), 3)
    ('bdf', 0.125)
    """
    path = Path(path)
    name = sniff_cycler(path)
    if not path.is_file():
        raise ReadError(
            "it is a folder" if path.is_dir() else "there is no such file",
            expected="the file that the cycler wrote",
            where=path,
            mend="correct the path of the cycler file",
        )
    if name is None:
        known = "; ".join(CYCLERS.summary(n).rstrip(".") for n in CYCLERS.names())
        raise ReadError(
            "no cycler reader knows this file",
            expected=f"one of: {known}",
            where=path,
            mend="export the test as .mpt, CSV or Battery Data Format",
        )
    reader: CyclerReader = CYCLERS.load(name)()
    return check_charge(reader.read(path, units=units or CyclerUnits()), path)
