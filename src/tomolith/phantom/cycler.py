"""What a cycler records of the simulated cell: current, voltage and charge, and files of them.

The current is that of the :class:`~tomolith.phantom.protocol.Protocol`, exactly, and the charge is
its exact integral. The voltage is a plain model of a symmetric Li | polymer | Li cell near 80 °C:

- *ohmic drop* of the polymer, and of an interphase that grows with all charge passed;
- *charge transfer* at both electrodes (Butler-Volmer with symmetric transfer, an arsinh);
- *concentration overpotential* that approaches a limit in a pulse and fades in a rest, both
  exponentially with the same time constant;
- *nucleation*: a spike where a pulse starts, whatever its current: highest in the first pulse of
  a half cycle, smaller where Li comes back to an electrode that stripping has roughened;
- white noise, then rounding to the resolution of the instrument.

The sizes are those of polymers based on polyethylene oxide and were fitted to no measured curve.
Charge is positive current: Li leaves the stripping side and is plated. There is no short circuit
and no side reaction in the voltage; what becomes of the metal is the business of the history.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from tomolith.core import Box
from tomolith.phantom.noise import make_key, white_noise
from tomolith.phantom.protocol import Protocol
from tomolith.store.atomic import write_bytes

Doubles = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]

TEMPERATURE_DEG_C = 80.0
SIMULATED = "simulated by the tomolith phantom; not measured"

_THERMAL_V = 8.314462618 * (TEMPERATURE_DEG_C + 273.15) / 96485.33212  # R T / F
_POLYMER_OHM_CM2 = 30.0  # 140 µm at 0.47 mS/cm
_INTERPHASE_OHM_CM2_PER_MAH_CM2 = 1.2
_EXCHANGE_MA_CM2 = 2.0
_CONCENTRATION_OHM_CM2 = 30.0
_CONCENTRATION_S = 240.0
_NUCLEATION_V = 0.06
_NUCLEATION_S = 25.0
_NUCLEATION_FADE = 0.45  # from one pulse to the next
_NUCLEATION_RETURN = 0.5  # on the electrode that was stripped before
_NOISE_V = 1e-4
_RESOLUTION_DIGITS = 5  # of a volt


@dataclass(frozen=True, slots=True, eq=False)
class CyclerLog:
    """What the cycler recorded, one entry per sample, in the order of time.

    Parameters
    ----------
    protocol
        What was run.
    sample_s
        Time between two samples; the end of a step comes sooner where it is no multiple.
    time_s
        Shape (n,), on the clock of the scanner, from the start of the first rest. Every edge of a
        pulse is there twice: as last sample of the old step and as first of the new one.
    current_ma, voltage_v
        Shape (n,), positive on charge.
    charge_mah
        Shape (n,), what has passed on balance: Q - Q0.
    step
        Shape (n,): 0 the first rest, ``2 i - 1`` pulse ``i``, ``2 i`` the rest after it.
    half_cycle
        Shape (n,): 0 on charge, 1 on discharge; a rest belongs to the half cycle before it.
    """

    protocol: Protocol
    sample_s: float
    time_s: Doubles
    current_ma: Doubles
    voltage_v: Doubles
    charge_mah: Doubles
    step: Integers
    half_cycle: Integers

    def __len__(self) -> int:
        return len(self.time_s)


@dataclass(frozen=True, slots=True)
class _Step:
    """A rest or a pulse; ``sign`` is that of the current, ``n_net`` the pulses before, on balance.

    ``rank`` counts the pulses of the half cycle from 0.
    """

    number: int
    start_s: float
    stop_s: float
    sign: int
    n_net: int
    rank: int
    half_cycle: int


def simulate_cycler(protocol: Protocol, *, key: int, sample_s: float = 10.0) -> CyclerLog:
    """Return what a cycler records while ``protocol`` runs.

    Parameters
    ----------
    key
        Names the stream of noise: the same key gives the same numbers.
    sample_s
        Time between two samples.

    Raises
    ------
    ValueError
        ``sample_s`` is not positive and finite.

    Notes
    -----
    The model of the voltage stands at the top of this module. Butler-Volmer with symmetric
    transfer: Newman and Thomas-Alyea, Electrochemical Systems, chapter 8.

    Examples
    --------
    >>> log = simulate_cycler(Protocol(n_pulses=2), key=1)
    >>> float(log.charge_mah.max()), float(log.charge_mah[-1])
    (0.25, 0.0)
    >>> pulse = log.step == 1
    >>> float(log.time_s[pulse][0]), float(log.time_s[pulse][-1]), float(log.current_ma[pulse][0])
    (1200.0, 1800.0, 0.75)
    """
    if not (math.isfinite(sample_s) and sample_s > 0):
        raise ValueError(f"'sample_s' is {sample_s}; give a positive, finite number of seconds")
    columns: list[tuple[npt.NDArray[np.generic], ...]] = []
    concentration_v = 0.0
    for step in _steps(protocol):
        duration_s = step.stop_s - step.start_s
        local_s = _sample(duration_s, sample_s)
        voltage_v, concentration_v = _voltage_v(protocol, step, local_s, concentration_v)
        # as a share of the pulse, so that its end is a whole number of pulses to the last bit
        n_passed = step.n_net + step.sign * (local_s / duration_s)
        time_s = step.start_s + local_s
        time_s[-1] = step.stop_s
        columns.append(
            (
                time_s,
                np.full(len(local_s), step.sign * protocol.current_ma),
                voltage_v,
                n_passed * protocol.charge_per_pulse_mah,
                np.full(len(local_s), step.number),
                np.full(len(local_s), step.half_cycle),
            )
        )
    time, current, voltage, charge, number, half = map(np.concatenate, zip(*columns, strict=True))
    noise = white_noise(make_key(key, "cycler"), Box((0, 0, 0), (1, 1, len(time))))[0, 0]
    voltage = np.round(voltage + _NOISE_V * noise.astype(np.float64), _RESOLUTION_DIGITS)
    voltage += 0.0  # no "-0.0" in files
    return CyclerLog(protocol, sample_s, time, current, voltage, charge, number, half)


def _steps(protocol: Protocol) -> Iterator[_Step]:
    n = protocol.n_pulses
    yield _Step(0, *protocol.rest_s_range(0), sign=0, n_net=0, rank=0, half_cycle=0)
    for i in range(1, protocol.n_states):
        half, rank = divmod(i - 1, n)
        net = (i - 1, i) if not half else (n - rank, n - rank - 1)
        start_s, stop_s = protocol.pulse_s_range(i)
        yield _Step(2 * i - 1, start_s, stop_s, (1, -1)[half], net[0], rank, half)
        yield _Step(2 * i, *protocol.rest_s_range(i), 0, net[1], rank, half)


def _sample(duration_s: float, sample_s: float) -> Doubles:
    """Return times from 0 to ``duration_s``, both of them exactly there."""
    n_samples = max(math.ceil(duration_s / sample_s - 1e-6), 1)
    return np.append(np.arange(n_samples) * sample_s, duration_s)


def _voltage_v(
    protocol: Protocol, step: _Step, local_s: Doubles, concentration_v: float
) -> tuple[Doubles, float]:
    """Return the voltage without noise, and the concentration overpotential at the end."""
    density = step.sign * protocol.current_density_ma_cm2
    limit_v = 1e-3 * density * _CONCENTRATION_OHM_CM2
    faded = np.exp(-local_s / _CONCENTRATION_S)
    slow_v = limit_v + (concentration_v - limit_v) * faded
    n_before = (step.number // 2) if step.sign else 0
    passed = n_before * protocol.charge_per_pulse_mah_cm2 + abs(density) * local_s / 3600.0
    ohm_cm2 = _POLYMER_OHM_CM2 + _INTERPHASE_OHM_CM2_PER_MAH_CM2 * passed
    transfer_v = 2 * 2 * _THERMAL_V * math.asinh(density / (2 * _EXCHANGE_MA_CM2))
    peak_v = _NUCLEATION_V * _NUCLEATION_FADE**step.rank * _NUCLEATION_RETURN**step.half_cycle
    spike_v = step.sign * peak_v * np.exp(-local_s / _NUCLEATION_S)
    return 1e-3 * density * ohm_cm2 + transfer_v + slow_v + spike_v, float(slow_v[-1])


def write_bdf_csv(log: CyclerLog, path: Path, *, clock_offset_s: float = 0.0) -> None:
    """Write a log in the Battery Data Format: CSV with the preferred labels as header.

    Parameters
    ----------
    path
        Best ends in ``.bdf.csv``; replaced as a whole.
    clock_offset_s
        How far the cycler's clock is ahead of the scanner's: added to every time.

    Raises
    ------
    ValueError
        ``clock_offset_s`` is not finite.
    DiskError
        See :func:`tomolith.store.atomic.disk_errors`.

    Notes
    -----
    Labels, and charge as positive current, after the Battery Data Alliance's ontology 1.1; its
    capacities never reset. The format has no place for a comment, so a column beyond the standard,
    ``Protocol Name / 1``, says that the data are simulated.

    Examples
    --------
    >>> import tempfile
    >>> path = Path(tempfile.mkdtemp()) / "cell.bdf.csv"
    >>> write_bdf_csv(simulate_cycler(Protocol(n_pulses=1), key=1), path)
    >>> path.read_text().splitlines()[0].split(",")[:3]
    ['Test Time / s', 'Current / A', 'Voltage / V']
    """
    charged_ah = np.maximum.accumulate(log.charge_mah) / 1000.0
    net_ah = log.charge_mah / 1000.0
    kinds = np.array(["discharge", "rest", "charge"])[np.sign(log.current_ma).astype(int) + 1]
    columns: dict[str, Iterable[object]] = {
        "Test Time / s": _on_cycler_clock(log, clock_offset_s).tolist(),
        "Current / A": (log.current_ma / 1000.0).tolist(),
        "Voltage / V": log.voltage_v.tolist(),
        "Cycle Count / 1": (log.half_cycle // 2 + 1).tolist(),
        "Step Count / 1": (log.step + 1).tolist(),
        "Ambient Temperature / degC": [TEMPERATURE_DEG_C] * len(log),
        "Charging Capacity / Ah": charged_ah.tolist(),
        "Discharging Capacity / Ah": (charged_ah - net_ah).tolist(),
        "Net Capacity / Ah": net_ah.tolist(),
        "Step Type / 1": kinds.tolist(),
        "Protocol Name / 1": [SIMULATED] * len(log),
    }
    lines = [",".join(columns)]
    lines += [",".join(map(str, row)) for row in zip(*columns.values(), strict=True)]
    write_bytes(path, ("\n".join(lines) + "\n").encode())


def write_mpt(log: CyclerLog, path: Path, *, clock_offset_s: float = 0.0) -> None:
    r"""Write a log as BioLogic's EC-Lab exports text (``.mpt``).

    Latin-1, CRLF, tabs. The technique is galvanostatic cycling with rests after the pulses:
    sequence 0 is the first rest, 1 the charge, 2 the discharge. The date is made up, so that the
    same log gives the same bytes; a comment in the header says that the data are simulated.

    Parameters
    ----------
    path
        Ends in ``.mpt``; replaced as a whole.
    clock_offset_s
        How far the cycler's clock is ahead of the scanner's: added to every time.

    Raises
    ------
    ValueError
        ``clock_offset_s`` is not finite.
    DiskError
        See :func:`tomolith.store.atomic.disk_errors`.

    Examples
    --------
    >>> import tempfile
    >>> path = Path(tempfile.mkdtemp()) / "cell.mpt"
    >>> write_mpt(simulate_cycler(Protocol(n_pulses=1), key=1), path)
    >>> lines = path.read_bytes().split(b"\r\n")
    >>> n_header = int(lines[1].split(b":")[1])
    >>> lines[0], lines[n_header - 1].split(b"\t")[:2]
    (b'EC-Lab ASCII FILE', [b'mode', b'ox/red'])
    """
    columns = _mpt_columns(log, _on_cycler_clock(log, clock_offset_s))
    # EC-Lab ends the line of titles with a tab, but not the rows
    lines = [*_mpt_header(log), "\t".join(columns) + "\t"]
    lines[1] = f"Nb header lines : {len(lines)}".ljust(46)
    lines += ["\t".join(row) for row in zip(*columns.values(), strict=True)]
    write_bytes(path, ("\r\n".join(lines) + "\r\n").encode("latin-1"))


def _on_cycler_clock(log: CyclerLog, clock_offset_s: float) -> Doubles:
    if not math.isfinite(clock_offset_s):
        raise ValueError(f"'clock_offset_s' is {clock_offset_s}; give a finite number of seconds")
    return log.time_s + clock_offset_s


def _mpt_columns(log: CyclerLog, time_s: Doubles) -> dict[str, list[str]]:
    """Return the text of each column; of the flags some toggle and some mark one row."""
    pulse = (log.step + 1) // 2
    sequence = np.where(pulse == 0, 0, log.half_cycle + 1)
    n_loops = np.maximum(pulse - 1, 0) - log.half_cycle
    starts = np.diff(pulse, prepend=-1) > 0
    return {
        "mode": _whole(np.where(log.current_ma == 0, 3, 1)),
        "ox/red": _whole(log.current_ma > 0),
        "error": _whole(np.zeros(len(log))),
        "control changes": _whole(log.step % 2),
        "Ns changes": _whole(starts),
        "counter inc.": _whole(n_loops % 2),
        "Ns": _whole(sequence),
        "time/s": _real(time_s, 15),
        "dq/mA.h": _real(np.diff(log.charge_mah, prepend=0.0), 15),
        "(Q-Qo)/mA.h": _real(log.charge_mah, 15),
        "control/V/mA": _real(log.current_ma, 7),
        "Ewe/V": _real(log.voltage_v, 7),
        "half cycle": _whole(log.half_cycle),
        "cycle number": _real(log.half_cycle // 2, 15),
        "I/mA": _real(log.current_ma, 15),
    }


def _whole(values: npt.NDArray[np.generic]) -> list[str]:
    return [str(value) for value in values.astype(int).tolist()]


def _real(values: npt.NDArray[np.generic], n_digits: int) -> list[str]:
    """Write numbers as EC-Lab does, with three digits of exponent."""
    parts = (f"{value:.{n_digits}E}".split("E") for value in values.tolist())
    return [f"{mantissa}E{int(exponent):+04d}" for mantissa, exponent in parts]


def _mpt_header(log: CyclerLog) -> list[str]:
    protocol = log.protocol
    charge_mah = protocol.n_pulses * protocol.charge_per_pulse_mah
    return [
        "EC-Lab ASCII FILE",
        "Nb header lines : ",
        "",
        "Galvanostatic Cycling with Potential Limitation",
        "",
        "Run on channel : 1 (simulated)",
        "User : ",
        "Electrode connection : standard",
        "Potential control : Ewe",
        "Ewe ctrl range : min = -2.50 V, max = 2.50 V",
        "Acquisition started on : 01/01/2000 00:00:00.000",
        "Device : tomolith phantom",
        "Electrode material : Li",
        "Initial state : fresh symmetric cell",
        "Electrolyte : polymer",
        f"Comments : {SIMULATED}",
        f"Comments : GITT, modelled at {TEMPERATURE_DEG_C:g} deg C; the date is made up",
        f"Battery capacity : {charge_mah:.3f} mA.h",
        f"Electrode surface area : {protocol.area_cm2:.3f} cm²",
        "Cycle Definition : Charge/Discharge alternance",
        *_mpt_sequences(log),
        "",
    ]


def _mpt_sequences(log: CyclerLog) -> list[str]:
    """Return the block that says what each sequence does, in columns of 20 characters."""
    protocol = log.protocol
    signs: Sequence[int] = (0, 1, -1) if protocol.n_pulses else (0,)
    last_loop = str(max(protocol.n_pulses - 1, 0))
    rows = {
        "Ns": [str(i) for i in range(len(signs))],
        "Set I/C": ["I"] * 3,
        "Is": [f"{sign * protocol.current_ma:.6f}" for sign in signs],
        "unit Is": ["mA"] * 3,
        "vs.": ["<None>"] * 3,
        "I sign": ["> 0", "> 0", "< 0"],
        "t1 (h:m:s)": [_clock(protocol.pulse_s if sign else 0.0) for sign in signs],
        "I Range": [_current_range(protocol.current_ma)] * 3,
        "dt1 (s)": [f"{log.sample_s:.2f}"] * 3,
        "E range min (V)": ["-2.500"] * 3,
        "E range max (V)": ["2.500"] * 3,
        "tR (h:m:s)": [_clock(protocol.rest_s)] * 3,
        "dtR (s)": [f"{log.sample_s:.2f}"] * 3,
        "goto Ns'": ["0", "1", "2"],
        "nc cycles": ["0", last_loop, last_loop],
    }
    return [
        "".join(text.ljust(20) for text in (title, *values[: len(signs)]))
        for title, values in rows.items()
    ]


def _current_range(current_ma: float) -> str:
    ranges = ((0.01, "10 µA"), (0.1, "100 µA"), (1.0, "1 mA"), (10.0, "10 mA"), (100.0, "100 mA"))
    return next((name for limit_ma, name in ranges if current_ma <= limit_ma), "1 A")


def _clock(duration_s: float) -> str:
    minutes, seconds = divmod(duration_s, 60.0)
    return f"{int(minutes) // 60}:{int(minutes) % 60:02d}:{seconds:.4f}"
