"""tomolith: from X-ray tomograms of lithium-metal cells to lithium numbers.

Each step is one function beside its settings; see ``docs/reference/steps``.
"""

from __future__ import annotations


def __getattr__(name: str) -> str:
    """Look the version up only when asked for, so that the command starts fast."""
    if name == "__version__":
        from tomolith.core.provenance import code_version

        return code_version()
    raise AttributeError(f"module 'tomolith' has no attribute '{name}'")
