"""Measure this machine for a minute: which device is fastest, how long a million samples take, what limits it."""

from __future__ import annotations

import json
import os
import sys
import tempfile
import time


def add_arguments(parser) -> None:
    """Options of the subcommand."""
    parser.add_argument(
        "model", nargs="?", default="cardiovascular.ecg", metavar="MODEL",
        help="a registered name, a checkpoint or an exported ONNX file (default cardiovascular.ecg)",
    )  # fmt: skip
    parser.add_argument("--format", action="append", metavar="F", help="file formats to measure (asc and npy, or png)")
    parser.add_argument("--seconds", type=float, default=60, metavar="S", help="about how long to measure (default 60)")
    parser.add_argument("--rounds", type=int, default=5, metavar="R", help="turns of every alternative (default 5)")
    parser.add_argument(
        "--folder", metavar="DIR", help="where files are written and deleted again (default: the temporary folder)"
    )
    parser.add_argument("--json", metavar="FILE", help="write everything that was measured")
    parser.add_argument("--quiet", action="store_true", help="say nothing while measuring")


def _check(args) -> None:
    from .._errors import InputError

    if not 1 <= args.seconds <= 3600:
        raise InputError(f"--seconds: {args.seconds:g}; it must be from 1 to 3600")
    if not 1 <= args.rounds <= 100:
        raise InputError(f"--rounds: {args.rounds}; it must be from 1 to 100")
    if args.folder and not os.path.isdir(args.folder):
        raise InputError(f"--folder: {args.folder}: there is no such folder")
    if args.json and not os.path.isdir(os.path.dirname(os.path.abspath(args.json))):
        raise InputError(f"--json: {args.json}: its folder does not exist")


def _open_all(model: str):
    """Ways without files on every device and in every precision that are here, the device that auto takes, and what
    is missing, each with the reason."""
    from .. import _backends
    from .._api import devices, load
    from .._bench.measure import IN_MEMORY, Way
    from .._errors import DeviceError

    auto = load(model).backend.device
    ways, missing = [], {}
    for row in devices():
        if not row["available"]:
            missing[row["device"]] = row["reason"]
            continue
        for precision in _backends.PRECISIONS:
            try:
                ways.append(Way(load(model, row["device"], precision), row["device"], IN_MEMORY))
            except DeviceError as error:
                missing[f"{row['device']} {precision}"] = str(error)
    return ways, auto, missing


def _table(ways, cores: int) -> list[str]:
    from .._bench.findings import MILLION, duration
    from .._bench.measure import IN_MEMORY

    rows = [("device", "precision", "files", "a second", "smallest..largest", "a million")]
    for way in ways:
        rows.append(
            (
                way.device,
                way.generator.precision,
                "none" if way.format == IN_MEMORY else way.format,
                f"{way.rate:.0f}",
                f"{min(way.rates):.0f}..{max(way.rates):.0f}",
                duration(MILLION / way.rate),
            )
        )
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]


def _document(ways, args, about: dict, missing: dict, advice: list[str]) -> dict:
    rows = [
        {
            "device": way.device,
            "backend": way.generator.backend.name,
            "flavour": way.generator.flavour,
            "precision": way.generator.precision,
            "format": way.format,
            "samples_a_round": way.count,
            "samples_a_second": way.rates,
            "stats": way.stats.as_dict() | {"elapsed_s": way.stats.elapsed_s},
        }
        for way in ways
    ]
    return {"format_version": 1, **about, "model": args.model, "ways": rows, "missing": missing, "findings": advice}


def run(args) -> int:
    """Run the subcommand."""
    from .. import __version__, _kernels
    from .._backends.base import cores
    from .._backends.onnx_runtime import cpu_type
    from .._bench.findings import advice
    from .._bench.measure import Way, latency_ms, measure_all

    _check(args)
    begin = time.perf_counter()
    ways, auto, missing = _open_all(args.model)
    opening = time.perf_counter() - begin
    taken = next(way.generator for way in ways if way.device == auto and way.generator.precision == "fp32")
    signal = taken.model.default_format == "asc"
    formats = args.format or (["asc", "npy"] if signal else ["png", "npy"])
    ways += [Way(taken, auto, name) for name in dict.fromkeys(formats)]
    shown = sys.stderr.isatty() and not args.quiet

    def said(text: str) -> None:
        if shown:
            sys.stderr.write(f"\r{text[:78]:78}")

    measure_all(ways, args.folder or tempfile.gettempdir(), args.seconds, args.rounds, said)
    if shown:
        sys.stderr.write(f"\r{'':78}\r")
    about = {
        "version": __version__, "processor": cpu_type(), "cores": cores(), "variant": _kernels.active_variant(),
        "opening_s": opening, "latency_ms": latency_ms(taken),
    }  # fmt: skip
    findings = advice(ways, auto, cores(), "ECGs" if signal else "images")
    lines = [
        f"dsb_fast {__version__} on {about['processor']}, {cores()} cores, kernels {about['variant']}",
        f"{args.model}, {args.rounds} rounds in turns; one sample by itself: {about['latency_ms']:.1f} ms", "",
        *_table(ways, cores()), "",
        *(f"- {line}" for line in findings),
        *(f"not measured: {name}: {reason}" for name, reason in missing.items()),
    ]  # fmt: skip
    sys.stdout.write("\n".join(lines) + "\n")
    if args.json:
        with open(args.json, "w", encoding="utf-8") as file:
            json.dump(_document(ways, args, about, missing, findings), file, indent=1)
            file.write("\n")
    return 0
