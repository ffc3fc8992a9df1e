"""What other processes run in the tests of SyntheticDataset; they find it by its name."""

from __future__ import annotations

import torch
from torch.utils.data import DataLoader


def halved(sample):
    """A transform."""
    return sample.float() / 2


def indices_of_a_rank(rank, world_size, file, dataset, batch_size, workers, results):
    """Join a process group and put rank, length and, by context, the indices that so many loader workers give."""
    torch.distributed.init_process_group("gloo", init_method=f"file://{file}", rank=rank, world_size=world_size)
    try:
        loaders = [
            DataLoader(dataset, batch_size, num_workers=n, multiprocessing_context=c) for c, n in workers.items()
        ]
        results.put((rank, len(dataset), [[int(k) for index, _ in loader for k in index] for loader in loaders]))
        torch.distributed.barrier()
    finally:
        torch.distributed.destroy_process_group()
