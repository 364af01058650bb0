"""What one run left: a JSON row beside its model."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from tomolith.measure.confusion import ConfusionRecord
from tomolith.measure.reliability import ReliabilityRecord
from tomolith.measure.rows import ScoreRow
from tomolith.store.atomic import write_text

FILE = "compare.json"


@dataclass(frozen=True, slots=True)
class ImageScore:
    """Pixel accuracy of one test slice."""

    scan: str
    z: int
    accuracy: float


@dataclass(frozen=True, slots=True)
class SystemResult:
    """One finished run.

    Parameters
    ----------
    run, system, method, seed
        Which one it is.
    key
        Hash of all that its training depends on.
    scored, labels_key
        Hash of all that its scores, and its label maps, depend on; empty while it has none.
    seconds
        Time of training.
    n_epochs
        ``None`` for what is not trained in epochs.
    weights
        Of an ensemble: its members with their shares, which sum to 1.
    images
        Accuracy of each test slice.
    scores
        As ``evaluate`` gives them.
    confusion
        ``None`` while it has no scores.
    reliability
        How probabilities keep their word on the test slices; ``None`` where there are none.

    Examples
    --------
    >>> import tempfile
    >>> folder = Path(tempfile.mkdtemp())
    >>> SystemResult("unet-s0", "unet", "unet", 0, key="00ff").save(folder)
    >>> SystemResult.read(folder).run, SystemResult.read(folder / "other")
    ('unet-s0', None)
    """

    run: str
    system: str
    method: str
    seed: int | None
    key: str
    scored: str = ""
    labels_key: str = ""
    seconds: float = 0.0
    n_epochs: int | None = None
    weights: tuple[tuple[str, float], ...] = ()
    images: tuple[ImageScore, ...] = ()
    scores: tuple[ScoreRow, ...] = ()
    confusion: ConfusionRecord | None = None
    reliability: ReliabilityRecord | None = None

    def save(self, folder: Path) -> None:
        """Write ``compare.json``, whole or not at all.

        Raises
        ------
        DiskError
            The folder cannot be written.
        """
        write_text(folder / FILE, json.dumps(asdict(self), indent=1) + "\n")

    @classmethod
    def read(cls, folder: Path) -> SystemResult | None:
        """Return what :meth:`save` wrote; ``None`` where there is nothing readable."""
        try:
            values: dict[str, Any] = json.loads((folder / FILE).read_text(encoding="utf-8"))
            plain = {"images": (), "scores": (), "confusion": None, "reliability": None}
            found = cls(**{**values, **plain})
            trust = values["reliability"]
            return replace(
                found,
                weights=tuple((name, share) for name, share in found.weights),
                images=tuple(ImageScore(**image) for image in values["images"]),
                scores=tuple(ScoreRow(**row) for row in values["scores"]),
                confusion=_confusion(values["confusion"]),
                reliability=trust and ReliabilityRecord.from_dict(trust),
            )
        except (OSError, ValueError, KeyError, TypeError):
            return None


def _confusion(values: dict[str, Any] | None) -> ConfusionRecord | None:
    if values is None:
        return None
    lists = ("classes", "n_prediction_unlabelled")
    counts = tuple(tuple(row) for row in values["counts"])
    return ConfusionRecord(**{**values, **{k: tuple(values[k]) for k in lists}, "counts": counts})
