"""Turn 8-lead ECG files into 12 leads, or ECG files into another format. Originals are never changed."""

from __future__ import annotations

import os


def add_arguments(parser) -> None:
    """Options of the subcommand."""
    parser.add_argument("files", nargs="+", metavar="FILE", help=".asc, .csv, .npy or .hea")
    parser.add_argument("-o", "--output", required=True, metavar="DIR")
    parser.add_argument("--leads", type=int, default=12, choices=(8, 12), help="leads of the result (default 12)")
    parser.add_argument("--format", choices=("asc", "csv", "npy", "wfdb"), help="default: that of each file")
    parser.add_argument("--time-column", action="store_true", help="csv: begin each row with time_s")
    parser.add_argument("--sampling-rate", type=float, metavar="HZ", help="default: the manifest's, else 500")
    parser.add_argument("--overwrite", action="store_true", help="replace files that are there")
    parser.add_argument("--quiet", action="store_true", help="no progress bar")


def run(args) -> int:
    """Run the subcommand."""
    from .._convert import convert_file, plan_outputs
    from .._errors import InputError
    from .common import progress_bar

    if args.time_column and args.format not in (None, "csv"):
        raise InputError(f"--time-column: is for csv, not for {args.format}")
    targets = plan_outputs(args.files, args.output, args.format, args.overwrite)
    progress = progress_bar(args.quiet, "file")
    os.makedirs(args.output, exist_ok=True)
    for done, (path, target) in enumerate(targets, start=1):
        convert_file(path, target, args.leads, args.time_column, args.sampling_rate)
        if progress:
            progress(done, len(targets))
    return 0
