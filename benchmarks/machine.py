"""What a result depends on: processor, packages, kernel variant, commit."""

from __future__ import annotations

import os
import platform
import subprocess
from importlib import metadata
from pathlib import Path

_FLAGS = ("fma", "avx2", "avx512f", "avx512vl", "avx512_vnni", "avx512_bf16", "amx_tile", "amx_bf16")
_PACKAGES = (
    "dsb-fast",
    "numpy",
    "onnx",
    "onnxruntime",
    "onnxruntime-gpu",
    "openvino",
    "torch",
    "deepfake-ecg",
    "numba",
)


def cores() -> int:
    """Cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _cpuinfo() -> dict[str, str]:
    fields: dict[str, str] = {}
    try:
        for line in Path("/proc/cpuinfo").read_text(errors="replace").splitlines():
            if not line.strip():
                break
            key, _, value = line.partition(":")
            fields[key.strip()] = value.strip()
    except OSError:
        fields["model name"] = platform.processor() or platform.machine()
    return fields


def _memory_mb() -> int | None:
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") >> 20
    except (ValueError, OSError, AttributeError):
        return None


def processor() -> dict:
    """Model, family, cores, and those instruction sets that kernels are chosen by."""
    fields = _cpuinfo()
    flags = set(fields.get("flags", "").split())
    return {
        "model": fields.get("model name", "unknown"),
        "family": fields.get("cpu family", "?"),
        "cores": cores(),
        "flags": [flag for flag in _FLAGS if flag in flags],
        "memory_mb": _memory_mb(),
        "system": f"{platform.system()} {platform.machine()}",
        "load_average": list(os.getloadavg()) if hasattr(os, "getloadavg") else None,
    }


def packages() -> dict[str, str]:
    """Versions of what takes part; a package that is not here is missing from the result."""
    versions = {"python": platform.python_version()}
    for name in _PACKAGES:
        try:
            versions[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return versions


def commit() -> str | None:
    """The repository's commit, with ``+changes`` for a work tree that differs; None outside a repository."""

    def git(*words: str) -> str:
        here = Path(__file__).resolve().parent
        return subprocess.run(["git", "-C", here, *words], capture_output=True, text=True, check=True).stdout.strip()

    try:
        changed = git("status", "--porcelain", "--untracked-files=no", "--", "../dsb_fast", "../csrc", "../export", ".")
        return git("rev-parse", "HEAD") + ("+changes" if changed else "")
    except (OSError, subprocess.CalledProcessError):
        return None


def describe() -> dict:
    """All of it, for the head of a report and its JSON."""
    from dsb_fast import _kernels

    return {"machine": processor(), "packages": packages(), "variant": _kernels.active_variant(), "commit": commit()}
