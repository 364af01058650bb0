"""tomolith: from X-ray tomograms of lithium-metal cells to lithium numbers."""

from tomolith.core.provenance import code_version

__version__ = code_version()
