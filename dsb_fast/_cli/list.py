"""The registered models, by category of the body."""

from __future__ import annotations

import sys


def add_arguments(parser) -> None:
    """Options of the subcommand."""
    parser.add_argument("--json", action="store_true", help="as JSON")


def run(args) -> int:
    """Run the subcommand."""
    from .._models import REGISTERED, by_category

    if args.json:
        import json

        sys.stdout.write(json.dumps(by_category(), indent=1) + "\n")
        return 0
    for category, names in by_category().items():
        sys.stdout.write(f"{category}\n" if names else f"{category} (none yet)\n")
        for name in names:
            sys.stdout.write(f"  {name}  {REGISTERED[name].title}\n")
    return 0
