"""Join parts that generate --part or --shard-range made: the result is, byte for byte, that of one run."""

from __future__ import annotations

import sys


def add_arguments(parser) -> None:
    """Options of the subcommand."""
    parser.add_argument("parts", nargs="+", metavar="PART", help="folders of finished parts, in any order")
    parser.add_argument("-o", "--output", required=True, metavar="DIR", help="a folder, or a URL")
    parser.add_argument(
        "--copy", action="store_true", help="copy files (default: hard links, copies where there can be no links)"
    )
    parser.add_argument("--move", action="store_true", help="remove the parts when the dataset is finished")
    parser.add_argument("--overwrite", action="store_true", help="replace a dataset that is there; foreign files stay")
    parser.add_argument("--quiet", action="store_true", help="no progress bar, no result")


def run(args) -> int:
    """Run the subcommand."""
    from .._bulk.merge import merge
    from .common import progress_bar

    found = merge(
        args.parts, args.output,
        copy=args.copy, move=args.move, overwrite=args.overwrite, progress=progress_bar(args.quiet, "sample"),
    )  # fmt: skip
    if args.quiet:
        return 0
    if found is None:
        sys.stderr.write(f"dsb-fast: {args.output}: finished already; nothing was written\n")
    else:
        sys.stdout.write(f"{args.output}: {found.sentence()}\n")
    return 0
