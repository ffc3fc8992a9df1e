"""A model's card: shapes, units, leads, licence, citation, weights, and what would run it here."""

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
    from .common import load_model

    info = load_model(args, quiet=True).info
    if args.json:
        sys.stdout.write(json.dumps(info, indent=1) + "\n")
        return 0
    for key, value in info.items():
        text = value if isinstance(value, str) else json.dumps(value)
        sys.stdout.write(f"{key:17} {text}\n")
    return 0
