"""Make an animation of a way through a network's latents: GIF, animated WebP or MP4."""

from __future__ import annotations

import sys


def add_arguments(parser) -> None:
    """Options of the subcommand."""
    from .common import add_model_arguments, label

    add_model_arguments(parser)
    parser.add_argument("-o", "--output", required=True, metavar="FILE", help="*.gif, *.webp or *.mp4")
    parser.add_argument("--seed", type=int, default=0, help="of end points and noise map, 0 to 2^64-1 (default 0)")
    parser.add_argument("--seeds", metavar="S,S,...", help="a seed for every end point: the latent of its sample 0")
    parser.add_argument("--points", type=int, metavar="K", help="end points, drawn from --seed (default 2)")
    parser.add_argument("--steps", type=int, default=30, metavar="N", help="frames from point to point (default 30)")
    parser.add_argument("--space", default="z", metavar="z|w", help="before or after the mapping network (default z)")
    parser.add_argument("--method", default="slerp", metavar="M", help="slerp (default) or linear")
    parser.add_argument("--loop", action="store_true", help="come back to the first point")
    parser.add_argument("--fps", type=float, default=12.5, metavar="F", help="frames a second (default 12.5)")
    parser.add_argument("--truncation", type=float, metavar="PSI", help="default: the model's own")
    parser.add_argument("--truncation-cutoff", type=int, metavar="L", help="truncate the first L styles only")
    parser.add_argument("--label", type=label, metavar="L", help="of a conditional network (default: random)")
    parser.add_argument("--noise", metavar="MODE", help="random, const or none (default: the model's own)")
    parser.add_argument("--numpy-seed", action="store_true", help="seeds as NVIDIA's tools count them")
    parser.add_argument("--save-frames", metavar="DIR", help="every frame too, as DIR/0.png, DIR/1.png, ...")
    parser.add_argument(
        "--no-synthetic-mark", action="store_true", help="write no metadata that says that it is synthetic"
    )
    parser.add_argument("--overwrite", action="store_true", help="replace files that are there")
    parser.add_argument("--quiet", action="store_true", help="no progress bar, no notes, no result")


def run(args) -> int:
    """Run the subcommand."""
    from .._errors import InputError
    from .._interpolate import Way, interpolate, parse_seeds
    from .common import load_model, progress_bar

    if args.seeds is not None and args.points is not None:
        raise InputError("--seeds, --points: the seeds say how many points there are; give one or the other")
    way = Way(
        seed=args.seed,
        seeds=None if args.seeds is None else parse_seeds(args.seeds),
        points=2 if args.points is None else args.points,
        steps=args.steps,
        space=args.space,
        method=args.method,
        loop=args.loop,
        truncation=args.truncation,
        truncation_cutoff=args.truncation_cutoff,
        label=args.label,
        noise=args.noise,
        numpy_seed=args.numpy_seed,
    )
    count = interpolate(
        load_model(args, args.quiet), args.output, way,
        fps=args.fps, save_frames=args.save_frames, overwrite=args.overwrite,
        synthetic_mark=not args.no_synthetic_mark, progress=progress_bar(args.quiet, "frame"),
    )  # fmt: skip
    if not args.quiet:
        sys.stdout.write(f"{args.output}: {count} frames\n")
    return 0
