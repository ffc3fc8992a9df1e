"""What the check works with: generators, weights, torch. Each is optional; what is not here is named, with the reason.

Works from an installed dsb_fast and from a bare source tree, where numba stands in for the compiled extension.
"""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path


@dataclass
class Found:
    """Pieces that are here; None for one that is not, and then ``missing`` tells why."""

    cpu: object = None
    device: object = None
    device_name: str = ""
    network: object = None
    torch_network: object = None
    missing: dict[str, str] = field(default_factory=dict)

    def attempt(self, what: str, step):
        """``step()``; an exception of any kind is recorded under ``what`` and gives None."""
        try:
            return step()
        except Exception as error:  # drivers, runtimes and loaders raise whatever they like: name it and go on
            text = " ".join(str(error).split()) or "no message"
            self.missing[what] = f"{type(error).__name__}: {text[:300]}"
            return None


def make_importable(root: Path) -> None:
    """Without an installed dsb_fast take the source tree, whose folder export/ is the package dsb_fast.export."""
    if importlib.util.find_spec("dsb_fast") is None:
        sys.path.append(str(root))
    if importlib.util.find_spec("dsb_fast.export") is None:
        folder = root / "export"
        spec = importlib.util.spec_from_file_location(
            "dsb_fast.export", folder / "__init__.py", submodule_search_locations=[str(folder)]
        )
        sys.modules["dsb_fast.export"] = module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)


class _UncheckedGraph:
    """An exported file of the published network, taken as it is, where the package onnx is not here to check it."""

    def __init__(self, path: str):
        from dsb_fast._cache import Graph
        from dsb_fast._models.ecg import PUBLISHED

        self.path, self.card = path, PUBLISHED
        self._graph = Graph(Path(path).read_bytes(), "unchecked")
        self.weights_sha256 = "unchecked"

    def flavour(self, preferred: str) -> str:
        return "portable"

    def graph(self, length: int, flavour: str):
        return self._graph

    def confirm(self) -> None:
        pass


def _generator(args, device: str):
    import dsb_fast

    if not args.model:
        return dsb_fast.load("cardiovascular.ecg", device=device, checkpoint=args.checkpoint)
    if importlib.util.find_spec("onnx") is not None:
        return dsb_fast.load(args.model, device=device)
    from dsb_fast._generator import Generator
    from dsb_fast._models.ecg import EcgModel

    return Generator(EcgModel(_UncheckedGraph(args.model)), device)


def _weights(args):
    from dsb_fast._models.ecg_source import open_source

    source = open_source(args.checkpoint)
    if not hasattr(source, "network"):
        raise ValueError(f"{args.checkpoint} is an exported graph; the torch network needs a checkpoint")
    return source.network


def _torch_network(network, device: str):
    from published_torch import PublishedNetwork

    return PublishedNetwork(network, device)


def open_all(args) -> Found:
    """Everything that can be had. In a dry run the CPU stands in for the GPU."""
    found = Found()
    device = "cpu" if args.dry_run else args.device
    found.device_name = f"{device} (dry run)" if args.dry_run else device
    found.cpu = found.attempt("portable graph on the CPU", lambda: _generator(args, "cpu"))
    found.device = found.attempt(f"portable graph on {device}", lambda: _generator(args, device))
    found.network = found.attempt("weights for torch", lambda: _weights(args))
    if found.network is not None:
        name = f"original network in torch on {device}"
        found.torch_network = found.attempt(name, lambda: _torch_network(found.network, device))
    return found


def _nvidia_smi(number: str) -> dict:
    fields = ("name", "driver_version", "memory.total", "clocks.max.sm")
    query = ["nvidia-smi", f"--query-gpu={','.join(fields)}", "--format=csv,noheader", "-i", number]
    try:
        done = subprocess.run(query, capture_output=True, text=True, check=True, timeout=60)
        return dict(zip(fields, (part.strip() for part in done.stdout.splitlines()[0].split(",")), strict=False))
    except (OSError, subprocess.SubprocessError, IndexError) as error:
        return {"nvidia_smi": f"not usable: {type(error).__name__}"}


def describe_gpu(args) -> dict:
    """Name, driver, memory from nvidia-smi; capability and versions from torch; what can't be read is left out."""
    found = {} if args.dry_run else _nvidia_smi(args.device.partition(":")[2] or "0")
    try:
        import torch

        found["torch_cuda"] = torch.version.cuda
        found["torch_tf32_convolutions"] = torch.backends.cudnn.allow_tf32
        if not args.dry_run and torch.cuda.is_available():
            found.setdefault("name", torch.cuda.get_device_name(args.device))
            found["compute_capability"] = ".".join(map(str, torch.cuda.get_device_capability(args.device)))
            found["cudnn"] = torch.backends.cudnn.version()
    except Exception as error:  # an unusable driver raises here; the CPU's part still runs
        found["torch"] = f"not usable: {type(error).__name__}"
    return found
