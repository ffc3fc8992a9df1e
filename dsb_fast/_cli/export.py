"""Write a model as an ONNX file that runs in ONNX Runtime without dsb_fast."""

from __future__ import annotations


def add_arguments(parser) -> None:
    """Options of the subcommand."""
    from .common import add_model_arguments

    add_model_arguments(parser, device=False)
    place = parser.add_mutually_exclusive_group(required=True)
    place.add_argument("-o", "--output", metavar="FILE.onnx")
    place.add_argument(
        "--cached", action="store_true", help="into the cache, where C programs open a registered model by its name"
    )
    parser.add_argument(
        "--flavour", help="portable: standard operators only (default); fused: operators of ours (default of --cached)"
    )
    parser.add_argument("--noise", metavar="MODE", help="image models: input, const or none (stylegan2-pytorch: input)")
    parser.add_argument("--precision", metavar="P", help="fp32 (default); fp16, of NVIDIA's and rosinality's networks")
    parser.add_argument("--part", metavar="PART", help="image models: whole (default), mapping or synthesis")
    parser.add_argument(
        "--fidelity", action="store_true", default=None, help="image models: the graph that torch-fidelity takes"
    )


def run(args) -> int:
    """Run the subcommand."""
    import os

    from .. import _cache
    from .._errors import InputError
    from .._models import REGISTERED
    from .._models.ecg import card_values
    from .._models.opening import open_model

    flavour = args.flavour or ("fused" if args.cached else "portable")
    if flavour not in ("portable", "fused"):
        raise InputError(f"--flavour: '{flavour}' is not known; there are portable and fused")
    if args.cached and args.model not in REGISTERED:
        raise InputError(f"--cached: '{args.model}' is no registered model; -o names a file for it")
    model = open_model(args.model, args.checkpoint, card_values(args.card), args.network)
    given = {"noise": args.noise, "part": args.part, "fidelity": args.fidelity, "precision": args.precision}
    output = args.output
    if args.cached:
        output = _cache.exported(args.model)
        os.makedirs(os.path.dirname(output), exist_ok=True)
    model.export(output, flavour, **{name: value for name, value in given.items() if value is not None})
    return 0
