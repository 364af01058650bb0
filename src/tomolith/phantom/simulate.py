"""The step ``phantom``: simulated scans with exact labels, written block by block."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from tomolith.blocks import Block, plan_blocks, run_blocks
from tomolith.config import settings_hash
from tomolith.core import PRESETS, ClassSchema, Provenance
from tomolith.phantom.phantom import Phantom, label_values
from tomolith.phantom.settings import PhantomSettings
from tomolith.store.intensity import sample_stats
from tomolith.store.scan import Scan

SIMULATED = "simulated: no X-rays, no cell"


def make_phantom(
    settings: PhantomSettings,
    path: Path,
    *,
    scan_id: str | None = None,
    schema: ClassSchema = PRESETS["li-operando"],
) -> Scan:
    """Simulate one scan: its image, ``labels/truth`` and the sparse ``labels/hand``.

    Parameters
    ----------
    settings
        The cell and the scanner.
    path
        Where the scan is written, by custom ``<id>.zarr``; an older scan there is replaced.
    scan_id
        Decides, with the seed, which cell it is; ``None``: the name of ``path``.
    schema
        Classes of the labels; must name ``background``, ``electrode`` and ``dendrite``.

    Returns
    -------
    the finished scan; its provenance says ``phantom`` and *simulated*.

    Raises
    ------
    RecipeError
        The schema leaves out a class. Nothing is written then.
    DiskError
        The disk is full, read-only or not permitted.

    Examples
    --------
    >>> import tempfile
    >>> path = Path(tempfile.mkdtemp()) / "phantom-0.zarr"
    >>> scan = make_phantom(PhantomSettings(preset="tiny", shape_zyx=(4, 64, 64)), path)
    >>> scan.label_names(), scan.image.provenance.step
    (('truth', 'hand'), 'phantom')
    """
    values = label_values(schema)
    phantom = Phantom.build(settings, scan_id or path.name.removesuffix(".zarr"))
    provenance = Provenance.now(
        "phantom", inputs=(SIMULATED,), settings_hash=settings_hash(settings), seed=settings.seed
    )
    scan = Scan.create(path, phantom.grid, settings.dtype, provenance=provenance)
    truth = scan.create_labels("truth", schema, provenance=provenance)
    hand = scan.create_labels("hand", schema, provenance=provenance)

    def work(block: Block) -> None:
        image, material = phantom.render(block.write)
        scan.image.array[block.write.slices] = image
        labels = values[material]
        truth.array[block.write.slices] = labels
        # a person labels whole cross-sections, and nothing between them
        z = np.arange(block.write.start_zyx[0], block.write.stop_zyx[0])
        shown = np.isin(z, settings.hand_slices)[:, None, None]
        hand.array[block.write.slices] = np.where(shown, labels, np.uint8(schema.unlabelled))

    blocks = plan_blocks(scan.grid, shard_zyx=scan.layout.shard_zyx)
    run_blocks(blocks, work, marks=_NoMarks(), title=f"phantom {scan.id}")
    scan.set_stats(sample_stats(scan.image)[0])
    truth.finish()
    hand.finish()
    scan.finish()
    return scan


class _NoMarks:
    """A phantom is made anew after a kill: that takes seconds, and gives the same bytes."""

    def is_done(self, name: str) -> bool:
        return False

    def done(self, name: str, detail: str = "") -> None:
        return None
