"""The command ``dsb-fast``. Only the module of the subcommand that was asked for is imported."""

from __future__ import annotations

import argparse
import sys
from importlib import import_module

from .._errors import DsbError, InputError
from .._version import __version__

COMMANDS = {
    "generate": "make a dataset",
    "export": "write a model as an ONNX file",
    "merge": "join the parts of a dataset that were made by themselves",
    "verify": "check a dataset against its manifest",
    "regenerate": "make a dataset again from its manifest or recipe",
    "convert": "turn 8-lead ECG files into 12 leads, or into another format",
    "interpolate": "an animation of a way through an image network's latents",
    "plot": "draw ECGs on ECG paper",
    "list": "the registered models, by category",
    "info": "a model's card",
    "devices": "what this machine can run on",
    "bench": "measure this machine, and say what it means",
}
_LONGEST_LINE = 2000  # of an error, which may quote what a file or a caller said


class _Parser(argparse.ArgumentParser):
    """Errors in one line, status 2."""

    def error(self, message):
        raise InputError(f"{message} (see {self.prog} --help)")


def _help() -> str:
    lines = [f"  {name:11} {text}" for name, text in COMMANDS.items()]
    more = "dsb-fast COMMAND --help tells the rest, dsb-fast --version the version."
    return "usage: dsb-fast COMMAND [options]\n\n" + "\n".join(lines) + f"\n\n{more}\n"


def _dispatch(arguments: list[str]) -> int:
    if not arguments or arguments[0] in ("-h", "--help"):
        sys.stdout.write(_help())
        return 0 if arguments else 2
    if arguments[0] == "--version":
        sys.stdout.write(f"dsb-fast {__version__}\n")
        return 0
    name = arguments[0]
    if name not in COMMANDS:
        raise InputError(f"'{name}' is no command; there are {', '.join(COMMANDS)}")
    command = import_module(f"{__name__}.{name}")
    parser = _Parser(prog=f"dsb-fast {name}", description=command.__doc__, allow_abbrev=False)
    command.add_arguments(parser)
    parser.add_argument("--debug", action="store_true", help="show the traceback of an error")
    return command.run(parser.parse_args(arguments[1:])) or 0


def main(arguments: list[str] | None = None) -> int:
    """Run the command; returns the exit status: 0 done, 1 failed, 2 wrong input, 130 interrupted, 143 terminated."""
    from . import streams
    from .signals import Terminated, raise_on_sigterm

    streams.settle()
    arguments = sys.argv[1:] if arguments is None else arguments
    raise_on_sigterm()
    try:
        return _dispatch(arguments)
    except BrokenPipeError:  # the reader of our output has gone, as in "| head"
        sys.stderr.close()
        return 1
    except (DsbError, OSError, MemoryError) as error:
        if "--debug" in arguments:
            raise
        text = _one_line(error)
        sys.stderr.write(f"dsb-fast: {text}\n")
        return getattr(error, "exit_status", 1)
    except KeyboardInterrupt:
        sys.stderr.write(f"dsb-fast: interrupted{_goes_on(arguments)}\n")
        return 130
    except Terminated:
        sys.stderr.write(f"dsb-fast: terminated{_goes_on(arguments)}\n")
        return 143


def _goes_on(arguments: list[str]) -> str:
    begun = arguments[0] if arguments else ""
    return "; the same command goes on where it stopped" if begun in ("generate", "regenerate", "merge") else ""


def _one_line(error: BaseException) -> str:
    if isinstance(error, MemoryError):
        return "out of memory; a smaller --batch-size needs less"
    if isinstance(error, OSError) and error.strerror:
        text = f"{error.filename}: {error.strerror}" if error.filename else error.strerror
    else:
        text = str(error)
    text = "".join(c if c.isprintable() else "?" for c in " ".join(text.split()))
    return text if len(text) <= _LONGEST_LINE else f"{text[: _LONGEST_LINE - 200]} ... {text[-200:]}"
