"""A model's card: shapes, units, licence, citation, weights. Of a file, or with --device, also what runs it here."""

from __future__ import annotations

import json
import sys


def add_arguments(parser) -> None:
    """Options of the subcommand."""
    from .common import add_model_arguments

    add_model_arguments(parser)
    parser.add_argument("--json", action="store_true", help="as JSON")


def run(args) -> int:
    """Run the subcommand."""
    info = _info(args)
    if args.json:
        sys.stdout.write(json.dumps(info, indent=1) + "\n")
        return 0
    for key, value in info.items():
        text = value if isinstance(value, str) else json.dumps(value)
        sys.stdout.write(f"{key:17} {text}\n")
    return 0


def _info(args) -> dict:
    """The card alone for a registered model, unless the command line asks for more than the card has."""
    from .._models import REGISTERED
    from .common import load_model

    asked = args.checkpoint or args.card or getattr(args, "network", None)
    if args.model not in REGISTERED or asked or (args.device, args.precision, args.backend) != ("auto", "fp32", "auto"):
        return load_model(args, quiet=True).info
    from .._models.weights import place, present

    card = REGISTERED[args.model]
    fetched = {} if card.weights.url is None else {"fetched_to": place(card)}
    return {**card.info(), **fetched, "checkpoint": present(card)}
