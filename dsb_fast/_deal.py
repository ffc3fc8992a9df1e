"""Which blocks of samples which consumer makes: processes of a training job, and the loader workers of each."""

from __future__ import annotations

from collections.abc import Iterator


def dealt(
    start: int, count: int, block_size: int, rank: int = 0, world_size: int = 1, worker: int = 0, workers: int = 1
) -> Iterator[tuple[int, int]]:
    """(first, count) of the blocks of ``start`` to ``start + count - 1`` that fall to a worker of a rank, in order.

    Block b is that of rank ``b % world_size``, there of worker ``b // world_size % workers``. A loader that takes a
    block from each worker in turn so has those of its rank in order, and step t of all ranks together is blocks
    ``t * world_size`` to ``t * world_size + world_size - 1``, whatever the number of workers.
    """
    for block in range(rank + world_size * worker, -(-count // block_size), world_size * workers):
        yield start + block * block_size, min(block_size, count - block * block_size)


def share(count: int, block_size: int, rank: int = 0, world_size: int = 1) -> tuple[int, int]:
    """How many blocks a rank gets of ``count`` samples, and how many samples those are."""
    blocks = -(-count // block_size)
    own = max(0, -(-(blocks - rank) // world_size))
    has_last = blocks > 0 and (blocks - 1) % world_size == rank
    return own, own * block_size - (blocks * block_size - count if has_last else 0)
