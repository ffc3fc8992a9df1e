"""What a format of another package is made of; an entry point of group ``dsb_fast.formats`` registers it."""

from ._bulk.plan import Plan, Shard
from ._bulk.writers.base import IMAGE, SIGNAL, Format, FormatContext

__all__ = ["IMAGE", "SIGNAL", "Format", "FormatContext", "Plan", "Shard"]
