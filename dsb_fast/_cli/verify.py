"""Check a dataset: the bytes of every shard, the samples in them, and some samples made anew."""

from __future__ import annotations

import sys


def add_arguments(parser) -> None:
    """Options of the subcommand."""
    parser.add_argument("folder", metavar="DIR", help="a folder, or a URL of a store")
    parser.add_argument("--sample", type=int, default=0, metavar="K", help="make K random samples again and compare")
    parser.add_argument("--checkpoint", metavar="FILE", help="the weights, if they are not the published ones")
    parser.add_argument("--quiet", action="store_true", help="no progress bar, no result")


def run(args) -> int:
    """Run the subcommand."""
    from .._bulk.verify import verify_dataset
    from .._errors import InputError
    from .common import progress_bar

    if args.sample < 0:
        raise InputError(f"--sample: {args.sample}; it can't be negative")
    found = verify_dataset(args.folder, args.sample, args.checkpoint, progress_bar(args.quiet, "sample"))
    if not args.quiet:
        again = f", {found['made_again']} made again" if args.sample else ""
        kept = f"; {found['kept']}" if "kept" in found else ""
        part = f"; a part, {found['part']}" if "part" in found else ""
        sys.stdout.write(
            f"{args.folder}: {found['samples']} samples in {found['shards']} shards are whole{again}{part}{kept}\n"
        )
    return 0
