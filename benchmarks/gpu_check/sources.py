"""What the check works with: packages, the machine. Each is optional; what is not here is named, with the reason.

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
    """What could not be had, and why."""

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
