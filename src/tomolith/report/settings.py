"""Settings of the step ``report``."""

from __future__ import annotations

from pydantic import Field

from tomolith.config import Settings


class ReportSettings(Settings):
    """What the report shows.

    Examples
    --------
    >>> ReportSettings(title="Cell 7").max_previews
    4
    """

    title: str | None = Field(None, description="Title; the name of the study by default.")
    max_previews: int = Field(4, ge=0, le=50, description="Number of slices shown as pictures.")
    preview_px: int = Field(
        560, ge=100, le=2000, description="Longest side of a preview picture in pixels."
    )
    opacity_frac: float = Field(
        0.5, gt=0, le=1, description="How strongly class colours cover the grey image."
    )
