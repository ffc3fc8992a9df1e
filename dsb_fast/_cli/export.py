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
    parser.add_argument("--noise", metavar="MODE", help="image models: input, const or none (stylegan2-pytorch: input)")
    parser.add_argument("--precision", metavar="P", help="fp32 (default); fp16, of NVIDIA's and rosinality's networks")
    parser.add_argument("--part", metavar="PART", help="image models: whole (default), mapping or synthesis")
    parser.add_argument(
        "--fidelity", action="store_true", default=None, help="image models: the graph that torch-fidelity takes"
    )


def run(args) -> int:
    """Run the subcommand."""
    from .._errors import InputError
    from .._models.ecg import card_values
    from .._models.opening import open_model

    if args.flavour not in ("portable", "fused"):
        raise InputError(f"--flavour: '{args.flavour}' is not known; there are portable and fused")
    model = open_model(args.model, args.checkpoint, card_values(args.card), args.network)
    given = {"noise": args.noise, "part": args.part, "fidelity": args.fidelity, "precision": args.precision}
    model.export(args.output, args.flavour, **{name: value for name, value in given.items() if value is not None})
    return 0
