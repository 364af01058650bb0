"""The step ``report``: one HTML file that shows what a study found.

Reads the files of a study and draws them; computes nothing.
"""

from __future__ import annotations

from pathlib import Path

from tomolith.report.settings import ReportSettings

__all__ = ["ReportSettings", "write_report"]


def write_report(study: Path, settings: ReportSettings) -> Path:
    """Write ``report/index.html`` of a study folder, and its figures beside it as PNG files.

    The page is one self-contained file: pictures and style lie inside, no script is needed.
    Parts whose files are missing are left out, with a sentence that names the step that makes
    them.

    Parameters
    ----------
    study
        Folder of the study.
    settings
        Title and previews.

    Returns
    -------
    Path
        The page.

    Raises
    ------
    InputError
        ``study`` is no folder, or holds nothing of a study.
    DiskError
        The page cannot be written.

    Examples
    --------
    >>> import tempfile
    >>> folder = Path(tempfile.mkdtemp())
    >>> _ = (folder / "recipe.yaml").write_text("name: cell 7")
    >>> write_report(folder, ReportSettings()).relative_to(folder).as_posix()
    'report/index.html'
    """
    from tomolith.report.page import write_page  # matplotlib and jinja2 are slow to import

    return write_page(study, settings)
