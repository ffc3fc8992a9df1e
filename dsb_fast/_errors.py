"""The exception tree. Each class carries the exit status that the command line gives for it."""

from __future__ import annotations


class DsbError(Exception):
    """Something dsb_fast was asked to do did not work; the message is one line that says what would."""

    exit_status = 1


class InputError(DsbError, ValueError):
    """An argument, option or file that the caller gave is wrong."""

    exit_status = 2


class CheckpointError(InputError):
    """A model file is damaged, hostile, or not of a kind that is supported."""


class ModelError(InputError):
    """No model of that name, or an option that the model does not have."""


class DeviceError(InputError):
    """A device or precision that is not there, or that the model does not run on."""


class VariantError(InputError):
    """DSB_FORCE_VARIANT names no kernel variant, or one that this CPU lacks."""


class DatasetError(InputError):
    """A dataset folder that can't be worked on as asked."""


class MissingDependencyError(DsbError, ImportError):
    """An optional package is needed; the message names the extra that brings it."""

    exit_status = 2


class DownloadError(DsbError):
    """Published weights could not be fetched: no network, a server that does not have them, a full disk."""


class GenerationError(DsbError):
    """The work itself failed: a full disk, a network whose output is not a number."""


class VerificationError(DsbError):
    """A dataset is not what its manifest says."""


def shown(value) -> str:
    """``value`` as messages have it: on one line, which the text of an array is not, and not too long."""
    return " ".join(repr(value).split())[:80]
