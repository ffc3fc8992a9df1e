"""Make a dataset: samples start to start + count - 1 of a seed, as files in a folder with a manifest."""

from __future__ import annotations

import contextlib
import math
import os
import sys

_WORDS = {"true": True, "false": False, "none": None}
_OPTIONS = ("leads", "truncation", "truncation_cutoff", "label", "noise", "mixing", "numpy_seed")  # of samples


def add_arguments(parser) -> None:
    """Options of the subcommand."""
    from .common import add_engine_arguments, add_model_arguments, label

    add_model_arguments(parser)
    parser.add_argument("-n", "--count", type=int, required=True, help="how many samples")
    parser.add_argument("-o", "--output", required=True, metavar="DIR", help="a folder, or a URL such as s3://bucket/d")
    parser.add_argument("--seed", type=int, default=0, help="0 to 2^64-1 (default 0)")
    parser.add_argument("--start", type=int, default=0, help="number of the first sample (default 0)")
    parser.add_argument(
        "--format",
        metavar="F",
        help="ECGs: asc (default), csv, npy, wfdb, parquet, hdf5, webdataset, zarr, edf, dicom; images: png (default), "
        "jpg, webp, npy, parquet, webdataset, stylegan-zip; both: dummy; others through entry points",
    )
    parser.add_argument("--leads", type=int, metavar="8|12", help="leads of an ECG (default: the network's own)")
    parser.add_argument(
        "--truncation", type=float, metavar="PSI", help="images: 1 none, 0 the mean style (default: the model card's)"
    )
    parser.add_argument("--truncation-cutoff", type=int, metavar="L", help="images: truncate the first L styles only")
    parser.add_argument(
        "--label", type=label, metavar="L", help="conditional image models: a class, or numbers with commas (random)"
    )
    parser.add_argument("--noise", metavar="MODE", help="images: random, const or none")
    parser.add_argument("--mixing", action="store_true", default=None, help="images: two latents, half the blocks each")
    parser.add_argument(
        "--numpy-seed", action="store_true", default=None,
        help="NVIDIA's networks: latents of numpy's RandomState(seed + number), as NVIDIA's tools count seeds",
    )  # fmt: skip
    parser.add_argument("--time-column", action="store_true", help="csv: begin each row with time_s")
    parser.add_argument("--grid", type=int, metavar="N", help="png, jpg, webp: a sheet for every N x N images")
    parser.add_argument("--quality", type=int, metavar="Q", help="jpg, webp: 1 to 100 (default: jpg 95, webp lossless)")
    parser.add_argument(
        "--no-synthetic-mark",
        action="store_true",
        help="png, jpg, webp: write no metadata that says that an image is synthetic",
    )
    parser.add_argument(
        "--format-option",
        action="append",
        default=[],
        metavar="NAME=VALUE",
        help="an option of the format's own, such as compress_level=6 of png; may be given again",
    )
    parser.add_argument(
        "--keep", metavar="EXPR", help="write only samples of which this is true, as in 'heart_rate_bpm < 100 and "
        "noise_uv < 20'; what is rejected is recorded, numbers stay (docs/filters.md)",
    )  # fmt: skip
    parser.add_argument(
        "--until", type=int, metavar="N", help="with --keep: end with the sample that is the N-th kept; -n is then the "
        "most that are tried",
    )  # fmt: skip
    parser.add_argument(
        "--annotate", nargs="?", const="all", metavar="NAMES",
        help="write measurements (all, or names with commas) as labels: columns, or a table beside the samples",
    )  # fmt: skip
    parser.add_argument("--shard-size", type=int, metavar="K", help="samples a shard (default 256)")
    which = parser.add_mutually_exclusive_group()
    which.add_argument(
        "--shard-range", metavar="A:B", help="make shards A to B-1 alone, a part that dsb-fast merge joins with others"
    )
    which.add_argument(
        "--part",
        metavar="K/N",
        help="make part K of N, 0 to N-1; slurm/N and kubernetes/N take K from the array or indexed job they run in",
    )
    parser.add_argument("--batch-size", type=int, metavar="B", help="samples a call of the network; changes no byte")
    parser.add_argument(
        "--workers", type=int, metavar="W", help="processes (default 1, with a thread a core); changes no byte"
    )
    add_engine_arguments(parser)
    parser.add_argument("--overwrite", action="store_true", help="replace a dataset that is there; foreign files stay")
    parser.add_argument(
        "--extend", action="store_true", help="make a dataset longer that is there, to COUNT samples of the same recipe"
    )
    parser.add_argument(
        "--recipe-only", action="store_true", help="write dataset.json alone; dsb-fast regenerate makes the rest of it"
    )
    parser.add_argument("--stats", action="store_true", help="print where the time went, stage by stage")
    parser.add_argument("--quiet", action="store_true", help="no progress bar, no notes")


def _format_options(args) -> dict:
    """The format's own options that were given."""
    given = {"grid": args.grid, "quality": args.quality}
    given = {name: value for name, value in given.items() if value is not None}
    if args.time_column:
        given["time_column"] = True
    if args.no_synthetic_mark:
        given["synthetic_mark"] = False
    return {**given, **dict(map(_pair, args.format_option))}


def _pair(text: str) -> tuple[str, object]:
    """NAME=VALUE, the value a number, true, false, none, or else text. Raises InputError."""
    from .._errors import InputError

    name, is_pair, value = text.partition("=")
    if not is_pair or not name:
        raise InputError(f"--format-option: {text!r}; give NAME=VALUE, as in compress_level=6")
    if value in _WORDS:
        return name, _WORDS[value]
    for kind in (int, float):
        with contextlib.suppress(ValueError, OverflowError):
            if math.isfinite(number := kind(value)):
                return name, number
    return name, value


def run(args) -> int:
    """Run the subcommand."""
    from .._bulk.kept import yield_in_words
    from .._bulk.manifest_file import read_manifest
    from .._bulk.part import asked_part
    from .._bulk.places import resolve
    from .._bulk.run import generate_dataset, make_recipe, write_recipe
    from .._bulk.stats import Stats
    from .._bulk.until import check_until, refuse_fewer
    from .._errors import InputError
    from .common import check_parallel, load_model, print_stats, progress_bar

    check_parallel(args)
    if args.count < 1:
        raise InputError(f"-n: {args.count}; ask for at least 1 sample")
    generator = load_model(args, args.quiet)
    given = {name: getattr(args, name) for name in _OPTIONS}
    options = {name: value for name, value in given.items() if value is not None}
    format_options = _format_options(args)
    recipe, chosen, format_ = make_recipe(
        generator, args.count, args.seed, args.start, args.format, args.shard_size, format_options,
        keep=args.keep, annotate=args.annotate, **options,
    )  # fmt: skip
    recipe = asked_part(recipe, args.shard_range, args.part, os.environ)
    check_until(recipe, args.until, resolve(args.output), args.engine, args.recipe_only)
    if args.recipe_only:
        write_recipe(args.output, recipe, format_, args.overwrite)
        return 0
    stats = Stats()
    written = generate_dataset(
        generator, args.output, recipe, chosen, format_,
        batch_size=args.batch_size, workers=args.workers, overwrite=args.overwrite, extend=args.extend,
        until=args.until,
        progress=progress_bar(args.quiet, "image" if format_.context.kind == "image" else "ECG"), stats=stats,
        engine=args.engine, ray_address=args.ray_address,
    )  # fmt: skip
    if args.keep is not None:
        manifest = read_manifest(resolve(args.output))
        refuse_fewer(args.output, manifest, args.until)
        if not args.quiet:
            sys.stderr.write(f"dsb-fast: {args.output}: {yield_in_words(manifest)}\n")
    if args.stats and written:
        print_stats(stats)
    if not args.quiet and not written:
        sys.stderr.write(f"dsb-fast: {args.output}: finished already; nothing was written\n")
    return 0
