"""Makes an installed torchvision importable beside a CPU-only torch.

Networks of the extra ``zoo`` bring torchvision. Its wheel on PyPI links CUDA: beside a CPU-only
torch its operators cannot be loaded, so its import fails (``operator torchvision::nms does not
exist``), and with it that of every library that tries it, Lightning among them. Nothing here uses
these operators; it is enough that their names are known.
"""

from __future__ import annotations

import importlib
import re
from importlib.util import find_spec
from pathlib import Path

import torch

from tomolith.errors import ResourceError

_SCHEMA = "(Tensor dets, Tensor scores, float iou_threshold) -> Tensor"
_NAMED = re.compile(r"register_fake\(\s*[\"']torchvision::(\w+)[\"']")
_kept: list[torch.library.Library] = []  # what a library defines goes when it is collected


def mend_torchvision() -> bool:
    """Import torchvision where it is installed, first naming its operators if that is what fails.

    To be called before anything that may import torchvision. A torchvision that works, such as
    one beside a torch with CUDA, is left as it is.

    Returns
    -------
    bool
        Whether torchvision can be imported.

    Raises
    ------
    ResourceError
        torchvision is installed, cannot be imported, and naming its operators does not help.

    Examples
    --------
    >>> mend_torchvision() == (find_spec("torchvision") is not None)
    True
    """
    spec = find_spec("torchvision")
    if spec is None:
        return False
    try:
        importlib.import_module("torchvision")
    except RuntimeError as error:
        if "operator torchvision::" not in str(error):
            raise _broken(error) from error
        folder = Path((spec.submodule_search_locations or ["."])[0])
        _define_operators(folder / "_meta_registrations.py")
        try:
            importlib.import_module("torchvision")
        except RuntimeError as second:
            raise _broken(second) from second
    except OSError as error:  # a shared library that the wheel needs is missing
        raise _broken(error) from error
    return True


def _define_operators(registrations: Path) -> None:
    library = torch.library.Library("torchvision", "FRAGMENT")
    _kept.append(library)
    for name in dict.fromkeys(_NAMED.findall(registrations.read_text(encoding="utf-8"))):
        library.define(f"{name}{_SCHEMA}")


def _broken(error: Exception) -> ResourceError:
    return ResourceError(
        f"torchvision is installed but cannot be imported: {(str(error).splitlines() or [''])[0]}",
        expected=f"the torchvision that was built for torch {torch.__version__}",
        mend="install both from the same place (see 'Get started' on pytorch.org), "
        "or 'pip uninstall torchvision'",
    )
