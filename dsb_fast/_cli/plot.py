"""Draw ECGs on ECG paper: 25 mm/s, 10 mm/mV, as PNG, SVG or PDF."""

from __future__ import annotations

import os
import sys


def add_arguments(parser) -> None:
    """Options of the subcommand."""
    parser.add_argument("file", metavar="FILE", help=".asc, .csv, .npy or .hea")
    parser.add_argument("-o", "--output", metavar="FILE", help="*.png, *.svg or *.pdf (default: FILE with .png)")
    parser.add_argument("--layout", default="3x4", choices=("3x4", "6x2", "12x1"), help="rows x columns (default 3x4)")
    parser.add_argument("--sample", type=int, default=0, metavar="K", help="which ECG of an .npy file (default 0)")
    parser.add_argument("--rhythm", default="II", metavar="LEAD", help="lead of the rhythm strip; none for no strip")
    parser.add_argument("--speed", type=float, default=25.0, metavar="MM/S", help="paper speed (default 25)")
    parser.add_argument("--gain", type=float, default=10.0, metavar="MM/MV", help="default 10")
    parser.add_argument("--sampling-rate", type=float, metavar="HZ", help="default: the manifest's, else 500")
    parser.add_argument("--dpi", type=int, default=150, help="resolution of a PNG (default 150)")
    parser.add_argument("--overwrite", action="store_true", help="replace a picture that is there")


def run(args) -> int:
    """Run the subcommand."""
    from .._errors import InputError
    from .._files import check_output
    from .._plot import draw
    from .._signal_file import read

    recording = read(args.file, args.sampling_rate)
    output = args.output or os.path.splitext(args.file)[0] + ".png"
    check_output(output)
    if os.path.exists(output) and not args.overwrite:
        raise InputError(f"{output}: is there already; name another file with -o, or use --overwrite")
    title = os.path.basename(args.file) + (f" [{args.sample}]" if len(recording.signal_uv) > 1 else "")
    rhythm = None if args.rhythm == "none" else args.rhythm
    draw(
        recording, output, sample=args.sample, layout=args.layout, rhythm=rhythm,
        speed_mm_s=args.speed, gain_mm_mv=args.gain, dpi=args.dpi, title=title,
    )  # fmt: skip
    sys.stdout.write(f"{output}\n")
    return 0
