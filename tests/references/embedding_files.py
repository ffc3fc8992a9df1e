"""Writes the files that the native tests of the C library open into a folder, the one argument; prints their paths."""

from __future__ import annotations

import sys
from pathlib import Path

import torch

import dsb_fast

sys.path.insert(0, str(Path(__file__).parent.parent))
from references.make_checkpoint import state_dict

DATA = Path(__file__).parent.parent / "data"


def main(folder: Path) -> None:
    """A small ECG network and a small image network, each in both flavours."""
    torch.save(state_dict(6), folder / "net.pt")
    models = {
        "ecg": dsb_fast.load(folder / "net.pt", device="cpu", card={"length": 2500}).model,
        "image": dsb_fast.load(DATA / "lucid/models/rgba_noconst32", device="cpu").model,
    }
    for name, model in models.items():
        for flavour in ("portable", "fused"):
            path = folder / f"{name}-{flavour}.onnx"
            model.export(path, flavour)
            print(path)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
