"""Export an ECG checkpoint to ONNX and check the file against the torch reference.

``python -m dsb_fast.export.ecg -o ecg.onnx`` and ``python export/ecg.py -o ecg.onnx`` are the same program.
"""

from __future__ import annotations

import argparse
import sys

import numpy as np


def check(path: str, network, samples: int = 4) -> float:
    """Worst difference between the file's signal and the float64 reference over the first samples of seed 0."""
    from dsb_fast.export import reference

    import dsb_fast
    from dsb_fast import random

    generator = dsb_fast.load(path, device="cpu")
    shape = (network.leads, generator.info["length"])
    noise = random.uniform(0, 0, samples, shape, low=-1.0, high=1.0)
    return float(np.abs(generator.run(noise=noise)["signal"] - reference.signal(network, noise)).max())


def main(arguments: list[str] | None = None) -> int:
    """Run the program; returns the exit status."""
    from dsb_fast._errors import DsbError, MissingDependencyError
    from dsb_fast._models.ecg import card_values
    from dsb_fast._models.ecg_source import open_source

    parser = argparse.ArgumentParser(prog="dsb_fast.export.ecg", description=__doc__.splitlines()[0])
    parser.add_argument("-o", "--output", required=True, metavar="FILE.onnx")
    parser.add_argument("--check", action="store_true", help="write nothing; check the FILE.onnx that is there")
    parser.add_argument("--checkpoint", metavar="FILE", help="default: the published weights of deepfake-ecg 1.1.2")
    parser.add_argument(
        "--card", action="append", metavar="FILE|KEY=VALUE", help="scale, unit, length, ... of the checkpoint"
    )
    parser.add_argument("--samples", type=int, default=4, help="how many samples the check compares (default 4)")
    args = parser.parse_args(arguments)
    try:
        source = open_source(args.checkpoint, card_values(args.card))
        if not args.check:
            source.export(args.output)
            print(f"{args.output}: written")
        try:
            worst = check(args.output, source.network, args.samples)
        except MissingDependencyError as error:
            print(f"{args.output}: not checked: {error}", file=sys.stderr)
            return 0
        print(
            f"{args.output}: worst error of the signal against float64 torch over {args.samples} samples: {worst:.2e}"
        )
    except DsbError as error:
        print(f"dsb_fast.export.ecg: {error}", file=sys.stderr)
        return error.exit_status
    return 0 if worst < 1e-4 else 1


if __name__ == "__main__":
    sys.exit(main())
