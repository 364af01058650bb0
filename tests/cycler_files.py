"""The same small test, as each vendor would export it: rest, charge, rest, discharge, rest.

0.75 mA for 600 s each way, 20 s between samples, 0.125 mAh per pulse.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

START = datetime(2024, 3, 1, 8, 30)


@dataclass(frozen=True)
class Row:
    time_s: float
    step: int
    sign: int
    charged_mah: float
    back_mah: float

    @property
    def current_ma(self) -> float:
        return 0.75 * self.sign

    @property
    def voltage_v(self) -> float:
        return 0.1 * self.sign

    @property
    def stamp(self) -> datetime:
        return START + timedelta(seconds=self.time_s)


def rows() -> Iterator[Row]:
    start_s, charged, back = 0.0, 0.0, 0.0
    for step, sign in enumerate((0, 1, 0, -1, 0), start=1):
        for k in range(31):
            part = 0.125 * k / 30
            yield Row(
                start_s + 20 * k, step, sign, charged + part * (sign > 0), back + part * (sign < 0)
            )
        start_s += 600
        charged += 0.125 * (sign > 0)
        back += 0.125 * (sign < 0)


def _table(
    path: Path, head: str, separator: str, columns: dict[str, Callable[[Row], object]]
) -> Path:
    lines = [separator.join(columns)]
    lines += [separator.join(str(value(row)) for value in columns.values()) for row in rows()]
    path.write_text(head + "\n".join(lines) + "\n")
    return path


def write_arbin(folder: Path) -> Path:
    columns: dict[str, Callable[[Row], object]] = {
        "Data Point": lambda r: 1,
        "Date Time": lambda r: "\t" + r.stamp.strftime("%m/%d/%Y %H:%M:%S.%f"),
        "Test Time (s)": lambda r: r.time_s,
        "Step Time (s)": lambda r: 0,
        "Cycle Index": lambda r: 1,
        "Current (A)": lambda r: r.current_ma / 1e3,
        "Voltage (V)": lambda r: r.voltage_v,
        "Charge Capacity (Ah)": lambda r: r.charged_mah / 1e3,
        "Discharge Capacity (Ah)": lambda r: r.back_mah / 1e3,
    }
    return _table(folder / "arbin.csv", "\ufeff", ",", columns)


def write_basytec(folder: Path) -> Path:
    head = (
        "~Resultfile from Basytec Battery Test System\n"
        f"~Start of Test: {START:%d.%m.%Y %H:%M:%S}\n~\n"
    )
    columns: dict[str, Callable[[Row], object]] = {
        "~Time[s]": lambda r: r.time_s,
        "Line": lambda r: r.step,
        "U[V]": lambda r: r.voltage_v,
        "I[A]": lambda r: r.current_ma / 1e3,
        "Ah[Ah]": lambda r: (r.charged_mah - r.back_mah) / 1e3,
    }
    return _table(folder / "basytec.txt", head, "\t", columns)


def write_bdf(folder: Path, **headings: str) -> Path:
    columns: dict[str, Callable[[Row], object]] = {
        headings.get("time", "Test Time / s"): lambda r: r.time_s,
        headings.get("current", "Current / A"): lambda r: r.current_ma / 1e3,
        "Voltage / V": lambda r: r.voltage_v,
        "Charging Capacity / Ah": lambda r: r.charged_mah / 1e3,
        "Discharging Capacity / Ah": lambda r: r.back_mah / 1e3,
    }
    return _table(folder / "cell.bdf.csv", "", ",", columns)


def write_maccor(folder: Path) -> Path:
    def state(row: Row) -> str:
        return "RCD"[row.sign]

    head = f"Today's Date ,02-Mar-24\nDate of Test:,{START:%d-%b-%y %I:%M:%S %p}\n"
    columns: dict[str, Callable[[Row], object]] = {
        "Rec": lambda r: 1,
        "Step": lambda r: r.step,
        "Test Time (sec)": lambda r: r.time_s,
        "Capacity": lambda r: (r.charged_mah if r.sign >= 0 else r.back_mah) / 1e3,
        "Current": lambda r: abs(r.current_ma) / 1e3,
        "Voltage": lambda r: r.voltage_v,
        "State": state,
    }
    return _table(folder / "maccor.csv", head, ",", columns)


def write_mpt(folder: Path, *, comma: bool = False, current: str = "I/mA") -> Path:
    head = [
        "EC-Lab ASCII FILE",
        "Nb header lines : 6",
        "",
        "Galvanostatic Cycling with Potential Limitation",
        f"Acquisition started on : {START:%m/%d/%Y %H:%M:%S}.000",
        "",
    ]
    columns: dict[str, Callable[[Row], object]] = {
        "mode": lambda r: 1 if r.sign else 3,
        "time/s": lambda r: f"{r.time_s:.6E}",
        "(Q-Qo)/mA.h": lambda r: f"{r.charged_mah - r.back_mah:.9E}",
        current: lambda r: f"{r.current_ma:.6E}",
        "Ewe/V": lambda r: f"{r.voltage_v:.6E}",
    }
    path = _table(folder / "cell.mpt", "\n".join(head[:5]) + "\n", "\t", columns)
    lines = path.read_text().split("\n")
    if comma:
        lines[6:] = [line.replace(".", ",") for line in lines[6:]]
    path.write_bytes("\r\n".join(lines).encode())
    return path


def _clock(row: Row) -> str:
    in_step = row.time_s - 600 * (row.step - 1)
    return f"0:{int(in_step // 60):02d}:{in_step % 60:04.1f}"


def write_neware_csv(folder: Path) -> Path:
    """As BTSDA 8 exports it: counters are set back at each step."""
    columns: dict[str, Callable[[Row], object]] = {
        "DataPoint": lambda r: 1,
        "Cycle Index": lambda r: 1,
        "Step Index": lambda r: r.step,
        "Step Type": lambda r: ("Rest", "CC Chg", "CC DChg")[r.sign],
        "Time": _clock,
        "Total Time": lambda r: "0:00:00",
        "Current(A)": lambda r: r.current_ma / 1e3,
        "Voltage(V)": lambda r: r.voltage_v,
        "Capacity(Ah)": lambda r: 0,
        "Chg. Cap.(Ah)": lambda r: r.charged_mah / 1e3 if r.sign > 0 else 0,
        "DChg. Cap.(Ah)": lambda r: r.back_mah / 1e3 if r.sign < 0 else 0,
        "Date": lambda r: r.stamp,
    }
    return _table(folder / "neware.csv", "\ufeff", ",", columns)


def write_neware_layers(folder: Path) -> Path:
    """As BTS 7 exports it: cycles, steps and records in layers, in mA and mAh."""
    lines = [
        "Cycle ID,Cap_Chg(mAh),,,,,,",
        ",Step ID,Step Name,,,,,",
        ",,Record ID,Time(h:min:s.ms),Voltage(V),Current(mA),Capacity(mAh),Realtime",
        "1,0.125,,,,,,",
    ]
    step = 0
    for i, row in enumerate(rows()):
        if row.step != step:
            step = row.step
            lines.append(f",{step},CC,,,,,")
        part = (row.charged_mah if row.sign >= 0 else row.back_mah) if row.sign else 0
        cells = (i + 1, _clock(row), row.voltage_v, row.current_ma, part, row.stamp)
        lines.append(",," + ",".join(map(str, cells)))
    path = folder / "layers.csv"
    path.write_text("\r\n".join(lines) + "\r\n")
    return path


def write_novonix(folder: Path) -> Path:
    head = f"[Summary]\nNovonix UHPC data file\nStarted: {START}\n[End Summary]\n[Data]\n"
    columns: dict[str, Callable[[Row], object]] = {
        "Date and Time": lambda r: r.stamp,
        "Run Time (h)": lambda r: r.time_s / 3600,
        "Current (A)": lambda r: r.current_ma / 1e3,
        "Potential (V)": lambda r: r.voltage_v,
        "Capacity (Ah)": lambda r: (r.charged_mah - r.back_mah) / 1e3,
    }
    return _table(folder / "novonix.csv", head, ",", columns)


WRITERS: dict[str, Callable[[Path], Path]] = {
    "arbin": write_arbin,
    "basytec": write_basytec,
    "bdf": write_bdf,
    "biologic-mpt": write_mpt,
    "maccor": write_maccor,
    "neware-csv": write_neware_csv,
    "novonix": write_novonix,
}
BINARY = {
    "arbin-res": ("access_parser", "arbin/arbin_example.res"),
    "biologic-mpr": ("galvani", "biologic/gcpl.issue_211.mpr"),
    "neware": ("NewareNDA", "neware/test.ndax"),
}
