"""``dummy``: generates, encodes nothing, writes nothing. For timing, and for digests without the data."""

from __future__ import annotations

from .base import Format


class DummyFormat(Format):
    """No files; the manifest still has the digest of every shard's samples."""

    name, suffixes, file_per_sample = "dummy", (), False
    sparse = True

    def encode(self, samples, first=0):
        return []

    def decode(self, files, shard):
        return iter(())
