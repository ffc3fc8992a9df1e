"""Make a dataset again, from the dataset.json of another or from one that generate --recipe-only wrote."""

from __future__ import annotations

import sys


def add_arguments(parser) -> None:
    """Options of the subcommand."""
    from .common import add_engine_arguments

    parser.add_argument("manifest", metavar="MANIFEST", help="a dataset.json, or the folder that has it")
    parser.add_argument("-o", "--output", required=True, metavar="DIR", help="a folder, or a URL")
    parser.add_argument("--checkpoint", metavar="FILE", help="the weights, if they are in no registered model")
    parser.add_argument("--device", metavar="D", help="default: the kind of device that the manifest names")
    parser.add_argument("--batch-size", type=int, metavar="B", help="samples a call of the network; changes no byte")
    parser.add_argument("--workers", type=int, metavar="W", help="processes (default 1, with a thread a core)")
    add_engine_arguments(parser)
    parser.add_argument("--overwrite", action="store_true", help="replace a dataset that is there; foreign files stay")
    parser.add_argument("--stats", action="store_true", help="print where the time went, stage by stage")
    parser.add_argument("--quiet", action="store_true", help="no progress bar, no result")


def run(args) -> int:
    """Run the subcommand."""
    from .._bulk.regenerate import regenerate
    from .._bulk.stats import Stats
    from .common import check_parallel, print_stats, progress_bar

    check_parallel(args)
    stats = Stats()
    found = regenerate(
        args.manifest, args.output, args.device, args.checkpoint,
        batch_size=args.batch_size, workers=args.workers, overwrite=args.overwrite,
        engine=args.engine, ray_address=args.ray_address,
        progress=progress_bar(args.quiet, "sample"), stats=stats,
    )  # fmt: skip
    if not args.quiet:
        sys.stdout.write(f"{args.output}: {found.sentence()}\n")
    if args.stats and stats.samples:
        print_stats(stats)
    return 0
