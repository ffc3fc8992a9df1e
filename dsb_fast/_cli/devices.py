"""What this machine can run on, best first, and which kernel variant runs."""

from __future__ import annotations

import sys


def add_arguments(parser) -> None:
    """Options of the subcommand."""
    parser.add_argument("--json", action="store_true", help="as JSON")


def run(args) -> int:
    """Run the subcommand."""
    from .. import _kernels
    from .._api import devices

    rows, active = devices(), _kernels.active_variant()
    clash = _two_runtimes()
    if args.json:
        import json

        variants = [{"name": n, "available": a, "active": n == active} for n, a in _kernels.variants()]
        sys.stdout.write(json.dumps({"devices": rows, "variants": variants, "active_variant": active}, indent=1) + "\n")
        return 0
    for row in rows:
        state = "yes" if row["available"] else "no"
        text = "; ".join(t for t in (row["detail"], row["reason"]) if t)
        sys.stdout.write(f"{row['device']:10} {state:4} {text}\n")
    for name, available in _kernels.variants():
        state = "runs" if name == active else "can run" if available else "this CPU lacks it"
        sys.stdout.write(f"kernels    {name}: {state}\n")
    if not _kernels.variants():
        sys.stdout.write("kernels    numba: runs (the compiled extension is not built)\n")
    if clash:
        sys.stdout.write(clash)
    return 0


def _two_runtimes() -> str:
    from importlib.metadata import PackageNotFoundError, version

    found = []
    for name in ("onnxruntime", "onnxruntime-gpu"):
        try:
            version(name)
            found.append(name)
        except PackageNotFoundError:
            pass
    if len(found) < 2:
        return ""
    return "warning    onnxruntime and onnxruntime-gpu are both installed and overwrite each other; keep one\n"
