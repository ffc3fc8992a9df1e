"""Connecting to a Ray cluster, or starting one on this machine for a run: quietly, and leaving nothing behind."""

from __future__ import annotations

import contextlib
import logging
import os
import shutil
import signal
import socket
import tempfile
import threading
from collections.abc import Iterator

from .._errors import InputError, MissingDependencyError

# What Ray otherwise says or does: usage reports, advice for its own developers, packing the folder of a "uv run".
_QUIET = {
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",
    "RAY_ENABLE_UV_RUN_RUNTIME_ENV": "0",
}
_STORE_BYTES = 80_000_000  # for objects: the least that Ray takes; only records travel, and weights once
_REACH_S = 10.0


def import_ray():
    """The module ray. Raises MissingDependencyError."""
    try:
        with _environment():
            import ray
            import ray.exceptions
    except ImportError:
        raise MissingDependencyError("engine ray: Ray is not there; pip install 'dsb-fast[ray]' brings it") from None
    return ray


@contextlib.contextmanager
def connected(address: str | None, cores: int) -> Iterator:
    """The module ray, connected to the cluster at ``address`` ("auto", "HOST:PORT", "ray://HOST:PORT").

    Without one to that of ``RAY_ADDRESS``, else to one of ``cores`` cores started here, which ends with the context. A
    connection that the process has already is used, and stays. Raises InputError, MissingDependencyError.
    """
    ray = import_ray()
    if ray.is_initialized():
        if address:
            raise InputError("ray_address: this process is connected to Ray already; leave it out to use that")
        yield ray
        return
    address = address or os.environ.get("RAY_ADDRESS") or "local"
    with contextlib.ExitStack() as end:
        how = {"address": address}
        if address == "local":
            how.update(num_cpus=cores, object_store_memory=_STORE_BYTES, include_dashboard=False)
            how["_temp_dir"] = end.enter_context(_short_lived_folder())
        end.enter_context(_silent(ray))
        end.callback(ray.shutdown)
        _start(ray, how)
        yield ray


def _start(ray, how: dict) -> None:
    with _environment(), _own_handlers():
        try:
            _reach(how["address"])
            ray.init(log_to_driver=False, logging_level=logging.CRITICAL, **how)
        except Exception as error:  # which of a dozen classes depends on what is wrong
            said = (str(error).strip() or type(error).__name__).splitlines()[0][:200]
            raise InputError(
                f"ray: no cluster at {how['address']} can be used ({said}); start one there (ray start --head) with "
                "this version of Ray and Python, or leave --ray-address out for one on this machine"
            ) from None


@contextlib.contextmanager
def _silent(ray):
    """Ray prints what died and is tried again on standard output, which is for results; it has no setting for that."""
    module = getattr(getattr(ray, "_private", None), "worker", None)
    printing = getattr(module, "print_worker_logs", None)
    if printing is None:
        yield
        return
    module.print_worker_logs = lambda *_, **__: None
    try:
        yield
    finally:
        module.print_worker_logs = printing


def _reach(address: str) -> None:
    """Raises OSError where nobody listens; Ray itself tries for two minutes, and talks of it."""
    host, _, port = address.removeprefix("ray://").rpartition(":")
    if host and port.isdecimal():
        socket.create_connection((host.strip("[]"), int(port)), _REACH_S).close()


@contextlib.contextmanager
def _environment():
    """Ray's settings, where the user has none, while it starts."""
    added = {name: value for name, value in _QUIET.items() if name not in os.environ}
    os.environ.update(added)
    try:
        yield
    finally:
        for name in added:
            os.environ.pop(name, None)


@contextlib.contextmanager
def _own_handlers():
    """Ray puts its own handler of SIGTERM in place of the command's; this puts that back."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            if handler is not None:
                signal.signal(number, handler)


@contextlib.contextmanager
def _short_lived_folder():
    """For logs and sockets; a socket's path may have 107 characters, of which Ray needs 70: so not in any TMPDIR."""
    folder = tempfile.mkdtemp(prefix="dsb-ray-", dir="/tmp" if os.path.isdir("/tmp") else None)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
