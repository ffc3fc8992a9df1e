"""The networks on an NVIDIA GPU: the same samples as the CPU, how many a second, and how near to the floor.

``python benchmarks/gpu_check`` needs torch and no network access. A piece that is missing is named and the rest goes
on; docs/gpu.md tells what to carry to such a machine.
"""

from __future__ import annotations

import argparse
import re
import sys
import tempfile
from datetime import datetime, timezone
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE.parent)]
PARTS = ("build", "kernels", "ecg", "gi", "nv", "compiled")


def parse(arguments: list[str] | None) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(prog="gpu_check", description=__doc__.splitlines()[0])
    parser.add_argument("--checkpoint", metavar="FILE", help="ECG weights (default: those of package deepfake-ecg)")
    parser.add_argument("--gi", metavar="FILE", help="a stylegan2-pytorch checkpoint (default: random weights)")
    parser.add_argument("--device", default="cuda", help="cuda or cuda:N (default cuda)")
    parser.add_argument("--only", metavar="PART,...", help=f"some of {', '.join(PARTS)} (default: all)")
    parser.add_argument("--minutes", type=float, default=8.0, help="what it may take (default 8)")
    parser.add_argument("--samples", type=int, help="ECGs whose parity is checked (default 256; of images an eighth)")
    parser.add_argument("--rounds", type=int, help="rounds of the timing (default 5)")
    parser.add_argument("--json", metavar="FILE", help="default: benchmarks/results/gpu_<device>_<date>.json")
    parser.add_argument("--dry-run", action="store_true", help="all steps with the CPU in the GPU's place, and small")
    parser.error = lambda message: fail(f"{message}; --help names the options")
    args = parser.parse_args(arguments)
    for path in filter(None, (args.checkpoint, args.gi)):
        if not Path(path).exists():
            fail(f"{path}: no such file")
    args.parts = args.only.split(",") if args.only else list(PARTS)
    if unknown := sorted(set(args.parts) - set(PARTS)):
        fail(f"--only: there is no part {', '.join(unknown)}; there are {', '.join(PARTS)}")
    args.samples = (8 if args.dry_run else 256) if args.samples is None else args.samples
    args.rounds = (1 if args.dry_run else 5) if args.rounds is None else args.rounds
    if min(args.samples, args.rounds) < 1 or not args.minutes > 0:
        fail("--samples and --rounds must be at least 1, --minutes above 0")
    if args.json and not Path(args.json).absolute().parent.is_dir():
        fail(f"--json: {args.json}: its folder does not exist")
    return args


def fail(message: str):
    """One line on standard error, status 2."""
    sys.stderr.write(f"gpu_check: {message}\n")
    sys.exit(2)


def default_json(device_name: str) -> Path:
    """Dated, named after the device."""
    slug = re.sub(r"[^a-z0-9]+", "-", device_name.lower()).strip("-")
    folder = HERE.parent / "results"
    folder.mkdir(exist_ok=True)
    return folder / f"gpu_{slug}_{datetime.now(timezone.utc):%Y-%m-%d}.json"


def main(arguments: list[str] | None = None) -> int:
    """Run the check. 0: all that is promised holds; 1: something does not, or the GPU could not be used; 2: usage."""
    args = parse(arguments)
    import builds
    import sources
    from clock import Clock

    clock, root, found = Clock(60 * args.minutes), HERE.parent.parent, sources.Found()
    built = {}
    # Before dsb_fast is imported, which looks for its extension once; a dry run needs no other than is there.
    if "build" in args.parts and not (args.dry_run and builds.has_extension(root)):
        with tempfile.TemporaryDirectory(prefix="dsb-gpu-build-") as folder:
            built = builds.build(root, Path(folder), clock.left() * 0.4, cuda=not args.dry_run)
        if "reason" in built:
            found.missing["compiled kernels"] = built["reason"]
    sources.make_importable(root)
    import machine
    import report

    about = {**machine.describe(), "gpu": sources.describe_gpu(args)}
    document = {
        "format_version": 2,
        "date": datetime.now(timezone.utc).isoformat(timespec="seconds"),
        "dry_run": args.dry_run,
        **about,
        "build": built,
        "missing": found.missing,
    }
    path = args.json or default_json("dry run" if args.dry_run else about["gpu"].get("name", "none"))
    print(report.head(about))
    print("gpu      " + ", ".join(f"{key} {value}" for key, value in about["gpu"].items()), flush=True)
    _parts(args, found, clock, document, lambda: report.write_json(path, document))
    _print(document, path)
    return 0 if _holds(document) else 1


def _parts(args, found, clock, document: dict, save) -> None:
    """Every part that was asked for; what there is, is written after each."""
    import device_peaks as peaks
    import kernels
    import networks
    import parity
    import speed
    import ways

    device = "cpu" if args.dry_run else args.device
    if args.dry_run:
        import torch

        torch.set_num_threads(1)  # what is small waits for others longer than it computes
    document["peaks"] = found.attempt("peaks", lambda: peaks.measure(device, args.dry_run)) or {}
    if "kernels" in args.parts:
        document["kernels"] = kernels.measure(found, document["peaks"], clock.part(0.2), args)
        save()
    opened = {
        name: found.attempt(name, lambda m=make: m(args)) for name, make in networks.CASES.items() if name in args.parts
    }
    opened = {name: case for name, case in opened.items() if case is not None}
    document["cases"] = {}
    for left, (name, case) in zip(range(len(opened), 0, -1), opened.items(), strict=True):
        part = clock.part(1 / (left + (1 if "compiled" in args.parts else 0)))
        own = [ways.own(case, precision, device) for precision in peaks.TYPES]
        able = own + ways.other(case, found, device, args.dry_run)
        result = {"weights": case.weights, "reference": case.referee}
        result["parity"] = found.attempt(f"{name}: parity", lambda c=case, a=able: parity.check(c, a, found)) or []
        if name == "ecg":
            result["float64"] = (
                found.attempt(f"{name}: float64", lambda c=case: parity.against_float64(c, device, found)) or []
            )
        result["alone"] = speed.shares(case, document["peaks"], found, part, device, args)
        result["speed"] = speed.measure(case, able, found, part, args)
        document["cases"][name] = result
        save()
    if "compiled" in args.parts and not args.dry_run:
        for name, case in opened.items():
            again = [ways.own(case, "fp32", device), *ways.other(case, found, device, args.dry_run)[-1:]]
            before = [b for way in again if (b := speed.best(case, way, found, clock, args.dry_run)) is not None]
            document["cases"][name]["compiled"] = speed.compiled(case, device, found, clock, args, before)
            own = speed.shares(case, document["peaks"], found, clock.part(0.3), device, args, ("compiled",))
            document["cases"][name]["alone"] += own
            save()
    for case in opened.values():
        for place in filter(None, case.kept):
            place.release()
    save()


def _holds(document: dict) -> bool:
    """Whether something was compared and all that was promised held."""
    rows = [row for case in document["cases"].values() for row in (*case["parity"], *case.get("float64", ()))]
    rows = [row["holds"] for row in rows if row["required"]]
    same = [row.get("same_bits_in_other_batches", True) for c in document["cases"].values() for row in c["parity"]]
    kernels = [row["holds"] for row in document.get("kernels", [])]
    return bool(rows or kernels) and all(rows) and all(kernels) and all(same)


def _print(document: dict, path) -> None:
    """What is missing, then the tables, the short ones last."""
    import kernels
    import parity
    import report
    import speed

    for what, reason in document["missing"].items():
        print(f"missing: {what}: {reason}")
    print(f"written: {path}")
    for name, case in document["cases"].items():
        for timed in filter(None, (case["speed"], case.get("compiled"))):
            print(speed.table(timed))
        print(f"\n{name} against {case['reference']}; weights: {case['weights']}")
        print(report.table(parity.rows(case["parity"])))
        if case.get("float64"):
            print("signals against float64 torch\n" + report.table(parity.float64_rows(case["float64"])))
    print("\npeaks, measured\n" + report.table(speed.peak_rows(document["peaks"])))
    if document.get("kernels"):
        print("\nkernels\n" + report.table(kernels.rows(document["kernels"])))
    alone = [row for case in document["cases"].values() for row in case["alone"]]
    print("\nnetworks alone, of the floor at the measured peaks\n" + report.table(speed.rows(alone)))


if __name__ == "__main__":
    sys.exit(main())
