"""A checkpoint on the disk: its digest, its object tree, and whose it is."""

from __future__ import annotations

from typing import Any

from .. import _files
from .._errors import CheckpointError

_TORCH_LEGACY = b"\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19."  # the pickled number that PyTorch's own files begin with


def read_tree(path: str) -> tuple[Any, str]:
    """The object tree of a checkpoint, PyTorch's or a network pickle of NVIDIA's, and its SHA-256.

    Raises CheckpointError, one line that begins with the path.
    """
    from ..export import nv_pickle, torch_file

    with _files.open_regular(path) as file:
        start = file.read(len(_TORCH_LEGACY))
    is_pickle = start[:1] == b"\x80" and start != _TORCH_LEGACY
    return (nv_pickle if is_pickle else torch_file).load(path)


class CheckpointFile:
    """A checkpoint, known by its digest. It is read only when something of it is not cached."""

    def __init__(self, path: str):
        self.path, self.sha256 = path, _files.sha256_of(path)
        self._tree: tuple[Any, str] | None = None

    @property
    def tree(self) -> tuple[Any, str]:
        """Its object tree, and its digest. Raises CheckpointError."""
        if self._tree is None:
            self._tree = read_tree(self.path)
            if self._tree[1] != self.sha256:
                raise CheckpointError(f"{self.path}: the file has changed since it was loaded; load it again")
        return self._tree

    def forget(self) -> None:
        """Give the tree's memory back."""
        self._tree = None


def kind_of(tree: Any) -> str:
    """Whose checkpoint an object tree is: "lucid", "nvlabs", "rosinality", "pulse2pulse", or "" of none of them."""
    from ..export import lucid, nvlabs, pulse2pulse, rosinality

    readers = {"lucid": lucid, "nvlabs": nvlabs, "rosinality": rosinality, "pulse2pulse": pulse2pulse}
    return next((name for name, reader in readers.items() if reader.looks_like(tree)), "")
