"""What several subcommands share: model options and the progress bar."""

from __future__ import annotations

import sys
from argparse import ArgumentTypeError
from collections.abc import Callable


def add_model_arguments(parser, device: bool = True) -> None:
    """MODEL, --checkpoint, --card and, where something runs, --device and --precision."""
    parser.add_argument(
        "model", metavar="MODEL", help="a registered name, a checkpoint, a model folder or an exported ONNX file"
    )
    parser.add_argument("--checkpoint", metavar="FILE", help="other weights for a registered model")
    parser.add_argument("--network", metavar="N", help="image models: ema (averaged, default) or plain")
    parser.add_argument(
        "--card",
        action="append",
        metavar="FILE|KEY=VALUE",
        help="what a checkpoint does not say: length, scale, unit, ...",
    )
    if device:
        parser.add_argument(
            "--device", default="auto", metavar="D", help="auto, cpu, cuda[:N], tensorrt or openvino (default auto)"
        )
        parser.add_argument(
            "--backend", default="auto", metavar="B", help="auto, onnxruntime, native, openvino or torch (default auto)"
        )
        help_ = "fp32 (default), bf16 or fp16 where a model passes its acceptance test"
        parser.add_argument("--precision", default="fp32", metavar="P", help=help_)
        parser.add_argument(
            "--force-precision", action="store_true", help="take a precision that fails that test; the manifest says so"
        )


def add_engine_arguments(parser) -> None:
    """--engine and --ray-address."""
    parser.add_argument(
        "--engine", default="local", metavar="E", help="local (default) or ray, a Ray cluster; changes no byte"
    )
    parser.add_argument(
        "--ray-address",
        metavar="A",
        help="of the cluster: auto, HOST:PORT or ray://HOST:PORT (default RAY_ADDRESS, else one started here)",
    )


def label(text: str):
    """A class, numbers with commas between, or "random", for argparse."""
    try:
        if text == "random":
            return text
        return [float(word) for word in text.split(",")] if "," in text else int(text)
    except ValueError:
        raise ArgumentTypeError(f"{text!r}; it is a class, numbers such as 0.5,0.5,0, or random") from None


def load_model(args, quiet: bool = False):
    """The generator that the model arguments name; assumptions about its card are said on standard error."""
    from .._api import load
    from .._models.ecg import card_values

    card = card_values(args.card)
    settings = {"card": card or None, "network": args.network, "backend": args.backend}
    settings["force_precision"] = args.force_precision
    generator = load(args.model, args.device, args.precision, args.checkpoint, **settings)
    if generator.model.card.assumed and not quiet:
        info = generator.model.info()
        said = ", ".join(f"{key} {info[key]}" for key in generator.model.card.assumed if key != "leads")
        sys.stderr.write(
            f"dsb-fast: note: {info['checkpoint']} does not say these, so they are assumed: {said}; --card sets them\n"
        )
    return generator


def check_parallel(args) -> None:
    """--batch-size and --workers. Raises InputError."""
    from .._errors import InputError

    for name, most in (("batch_size", 65536), ("workers", 1024)):
        value = getattr(args, name)
        if value is not None and not 1 <= value <= most:
            raise InputError(f"--{name.replace('_', '-')}: {value}; it must be from 1 to {most}")


def print_stats(stats) -> None:
    """Where a run's time went, on standard output."""
    from .._backends.base import cores

    sys.stdout.write(stats.table(stats.cores or cores()))


def progress_bar(quiet: bool, unit: str) -> Callable[[int, int], None] | None:
    """A bar with rate and time left on standard error; None if that is no terminal or the user wants quiet.

    ``unit`` "B" counts bytes, in kB and MB.
    """
    if quiet or not hasattr(sys.stderr, "isatty") or not sys.stderr.isatty():  # it may be None, or a notebook's
        return None
    from tqdm import tqdm

    bar = tqdm(unit=unit, unit_scale=unit == "B", file=sys.stderr, dynamic_ncols=True, smoothing=0.05)

    def show(done: int, of: int) -> None:
        if bar.total is None:
            bar.total, bar.initial = of, done  # what was there before does not count toward the rate
            bar.n = done
            bar.refresh()
        else:
            bar.update(done - bar.n)
        if done >= of:
            bar.close()

    return show
