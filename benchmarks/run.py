"""Time dsb_fast against its alternatives: ``python benchmarks/run.py CASE...``; docs/benchmarks.md tells the rest."""

from __future__ import annotations

import argparse
import importlib
import sys
from datetime import datetime, timezone
from pathlib import Path

import fma_probe
import machine
import report
from harness import Missing, WrongAnswer, interleave

from dsb_fast import DsbError

FORMAT_VERSION = 1
CASES = tuple(sorted(path.stem for path in (Path(__file__).parent / "cases").glob("[a-z]*.py")))


def run_case(name: str, rounds: int, count: int | None) -> dict:
    """Check, then time. A failure is a result with ``error``, one line."""
    module = importlib.import_module(f"cases.{name}")
    result = {"summary": module.SUMMARY}
    try:
        if hasattr(module, "measure"):
            return {**result, **module.measure(count)}
        if hasattr(module, "comparisons"):
            parts = module.comparisons(count)
            return {**result, "parts": {part: interleave(c, rounds, fma_probe.gflops) for part, c in parts}}
        comparison = module.prepare(count)
        try:
            return {**result, **interleave(comparison, rounds, fma_probe.gflops)}
        finally:
            comparison.release()
    except (Missing, WrongAnswer, DsbError, OSError) as error:
        kind = {Missing: "baseline missing: ", WrongAnswer: "wrong answer: "}.get(type(error), "")
        return {**result, "error": " ".join(f"{kind}{error}".split())}


def list_cases() -> None:
    """Names and what each compares, on standard output."""
    width = max(map(len, CASES))
    for name in CASES:
        module = importlib.import_module(f"cases.{name}")
        print(f"{name.ljust(width)}  {module.SUMMARY}; --count: {module.COUNT}")


def parse(arguments: list[str] | None) -> argparse.Namespace:
    """The command line; a mistake ends the process with one line and status 2."""
    parser = argparse.ArgumentParser(prog="benchmarks/run.py", description=__doc__)
    parser.error = lambda message: fail(f"{message}; --help names the options")
    parser.add_argument("cases", nargs="*", metavar="CASE", help=f"any of {', '.join(CASES)}, or all")
    parser.add_argument("--rounds", type=int, default=7, help="rounds in which every alternative runs once (default 7)")
    parser.add_argument("-n", "--count", type=int, help="size of the case; --list says what it counts in each")
    parser.add_argument("--json", metavar="FILE", help="write everything that was measured")
    parser.add_argument("--list", action="store_true", help="name the cases")
    args = parser.parse_args(arguments)
    unknown = [name for name in args.cases if name not in (*CASES, "all")]
    if unknown:
        fail(f"case: '{unknown[0]}' is not known; there are {', '.join(CASES)}, and all")
    for option in ("rounds", "count"):
        value = getattr(args, option)
        if value is not None and value < 1:
            fail(f"--{option}: {value}; it must be at least 1")
    if not args.cases and not args.list:
        fail(f"case: none was named; there are {', '.join(CASES)}, and all")
    if args.json and not Path(args.json).absolute().parent.is_dir():
        fail(f"--json: {args.json}: its folder does not exist")
    return args


def fail(message: str):
    """One line on standard error, status 2."""
    sys.stderr.write(f"benchmarks: {message}\n")
    sys.exit(2)


def main(arguments: list[str] | None = None) -> int:
    """Run the program; returns the exit status, 1 if any case failed."""
    args = parse(arguments)
    if args.list:
        list_cases()
        return 0
    names = CASES if "all" in args.cases else tuple(dict.fromkeys(args.cases))
    about = machine.describe()
    document = {
        "format_version": FORMAT_VERSION,
        "date": datetime.now(timezone.utc).isoformat(timespec="seconds"),
        **about,
        "cases": {},
    }
    print(report.head(about), flush=True)
    failed = False
    for name in names:
        result = document["cases"][name] = run_case(name, args.rounds, args.count)
        print(report.case(name, result), flush=True)
        if "error" in result:
            failed = True
            sys.stderr.write(f"benchmarks: {name}: {result['error']}\n")
        if args.json:
            report.write_json(args.json, document)
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
