"""ECG network on an NVIDIA GPU: the same signals as the CPU, and how many ECGs a second.

``python benchmarks/gpu_check`` needs neither network access nor, with ``--model`` or a filled graph cache, the package
onnx. A piece that is missing is named and the rest goes on; docs/benchmarks.md tells what to carry to such a machine.
"""

from __future__ import annotations

import argparse
import re
import sys
from datetime import datetime, timezone
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE.parent)]


def parse(arguments: list[str] | None) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(prog="gpu_check", description=__doc__.splitlines()[0])
    parser.add_argument("--checkpoint", metavar="FILE", help="weights (default: those of package deepfake-ecg)")
    parser.add_argument("--model", metavar="FILE.onnx", help="an exported portable graph to run instead of building it")
    parser.add_argument("--device", default="cuda", help="cuda or cuda:N (default cuda)")
    parser.add_argument("--samples", type=int, help="samples whose parity is checked (default 256)")
    parser.add_argument("--rounds", type=int, help="rounds of the timing (default 7)")
    parser.add_argument("--json", metavar="FILE", help="default: benchmarks/results/gpu_<device>_<date>.json")
    parser.add_argument("--dry-run", action="store_true", help="all steps with the CPU in the GPU's place, and small")
    parser.error = lambda message: fail(f"{message}; --help names the options")
    args = parser.parse_args(arguments)
    for path in filter(None, (args.checkpoint, args.model)):
        if not Path(path).is_file():
            fail(f"{path}: no such file")
    args.samples = (8 if args.dry_run else 256) if args.samples is None else args.samples
    args.rounds = (1 if args.dry_run else 7) if args.rounds is None else args.rounds
    if min(args.samples, args.rounds) < 1:
        fail("--samples and --rounds must be at least 1")
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
    """Run the check. 0: parity holds; 1: it does not, or the GPU could not be used; 2: the command line is wrong."""
    args = parse(arguments)
    import sources

    sources.make_importable(HERE.parent.parent)
    import machine
    import parity
    import report
    import speed

    found = sources.open_all(args)
    about = {**machine.describe(), "gpu": sources.describe_gpu(args)}
    document = {
        "format_version": 1,
        "date": datetime.now(timezone.utc).isoformat(timespec="seconds"),
        "dry_run": args.dry_run,
        **about,
        "missing": found.missing,
    }
    print(report.head(about))
    print("gpu      " + ", ".join(f"{key} {value}" for key, value in about["gpu"].items()), flush=True)
    document["parity"] = parity.check(found, args.samples)
    document["speed"] = speed.measure(found, args.rounds, args.dry_run)
    path = args.json or default_json("dry run" if args.dry_run else about["gpu"].get("name", "none"))
    report.write_json(path, document)

    for peer, reason in found.missing.items():
        print(f"missing: {peer}: {reason}")
    print(f"written: {path}")
    if document["speed"]:
        print(report.case("speed", document["speed"]))
    print("\nparity\n" + report.table(parity.rows(document["parity"])))
    held = [row["holds"] for row in document["parity"] if row["required"]]
    return 0 if found.device is not None and held and all(held) else 1


if __name__ == "__main__":
    sys.exit(main())
