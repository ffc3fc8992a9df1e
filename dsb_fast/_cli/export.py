"""Write a model as an ONNX file that runs in ONNX Runtime without dsb_fast."""

from __future__ import annotations


def add_arguments(parser) -> None:
    """Options of the subcommand."""
    from .common import add_model_arguments

    add_model_arguments(parser, device=False)
    parser.add_argument("-o", "--output", required=True, metavar="FILE.onnx")
    parser.add_argument(
        "--flavour", default="portable", help="portable: standard operators only (default); fused: operators of ours"
    )


def run(args) -> int:
    """Run the subcommand."""
    from .._errors import InputError
    from .._models import REGISTERED
    from .._models.ecg import card_values
    from .._models.ecg_source import open_registered, open_source

    if args.flavour not in ("portable", "fused"):
        raise InputError(f"--flavour: '{args.flavour}' is not known; there are portable and fused")
    values = card_values(args.card)
    if args.model in REGISTERED:
        source = open_registered(REGISTERED[args.model], args.checkpoint, values)
    else:
        source = open_source(args.model, values)
    source.export(args.output, args.flavour)
    return 0
