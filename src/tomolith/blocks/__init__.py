"""Out-of-core work: block plan, patch grid, memory model, executors, resume."""

from tomolith.blocks.memory import (
    MemoryModel,
    choose_block,
    format_bytes,
    parse_bytes,
)
from tomolith.blocks.patches import PatchGrid
from tomolith.blocks.plan import Block, plan_blocks
from tomolith.blocks.run import run_blocks
from tomolith.errors import MemoryBudgetError

__all__ = [
    "Block",
    "MemoryBudgetError",
    "MemoryModel",
    "PatchGrid",
    "choose_block",
    "format_bytes",
    "parse_bytes",
    "plan_blocks",
    "run_blocks",
]
