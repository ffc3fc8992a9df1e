"""Samples straight into training: a dataset of torch's that makes them instead of reading them (docs/training.md)."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing
from functools import partial

from ._api import load, opened_with
from ._deal import dealt, share
from ._errors import InputError, MissingDependencyError, ModelError
from ._filter.expression import Condition
from ._filter.replaced import Block, check_end, make_block
from ._filter.selection import Selection, selecting
from ._generator import Generator, whole_number
from ._parallel import ordered
from .random import check_range

try:
    import torch
    from torch.utils.data import IterableDataset, get_worker_info
except ImportError:
    raise MissingDependencyError("dsb_fast.torch needs torch; pip install 'dsb-fast[torch]' brings it") from None

__all__ = ["SyntheticDataset"]

_ELSEWHERE = {"device": "cpu", "precision": "fp32", "checkpoint": None, "network": None}  # what load is called with


class SyntheticDataset(IterableDataset):
    """Samples ``start`` to ``start + count - 1`` of ``seed`` as torch tensors, made while training runs.

    Each is what ``Generator.sample`` gives, bit for bit: int16 ``[leads, time]`` microvolts or uint8
    ``[height, width, channels]``. Samples come in blocks of ``block_size``, dealt out to ranks and loader workers so
    that none comes twice; with ``DataLoader(dataset, batch_size=block_size)`` the order of the whole job is that of
    the numbers, for any number of workers.

    With ``annotate``, names of measurements or "all" (docs/filters.md), each comes with them as its target, (sample,
    labels float32 ``[L]``). With ``keep``, a condition or a function, in each place is the first of samples i, i +
    2^48, i + 2 * 2^48, ... that it is true of: as many samples come, in the same order.

    Parameters: ``model`` a name or path, as :func:`dsb_fast.load` takes it, or a Generator that it returned;
    ``batched`` gives whole blocks ``[N, ...]``, for ``DataLoader(batch_size=None)``; ``with_index`` gives (index,
    sample), of a block int64 ``[N]`` and the block, and labels after them; ``transform`` is called with each sample, or
    block; ``rank`` and ``world_size`` are torch.distributed's when iteration starts, or 0 and 1, unless both are given;
    ``device``, ``precision``, ``checkpoint`` and ``network`` are load's; ``options`` those of ``Generator.sample``.

    A process opens the model when it first needs it. A loader worker makes samples on one thread, the main process on
    all. Raises InputError for a wrong number here, and what ``load`` raises at the first sample.

    >>> next(iter(SyntheticDataset("cardiovascular.ecg", 64, seed=7))).shape
    torch.Size([8, 5000])
    """

    def __init__(
        self,
        model,
        count: int,
        seed: int = 0,
        start: int = 0,
        *,
        block_size: int = 16,
        batched: bool = False,
        with_index: bool = False,
        transform: Callable | None = None,
        keep: str | Callable | None = None,
        annotate: str | Iterable[str] | None = None,
        rank: int | None = None,
        world_size: int | None = None,
        device: str = "cpu",
        precision: str = "fp32",
        checkpoint=None,
        network: str | None = None,
        **options,
    ):
        self._seed, self._start, self._count = check_range(seed, start, count)
        self._block_size = whole_number("block_size", block_size, 1)
        self._batched, self._with_index, self._transform = batched, with_index, transform
        self._keep = keep
        self._annotate = annotate if annotate is None or isinstance(annotate, str) else list(annotate)
        if keep is not None and options.get("numpy_seed"):
            raise InputError("keep: not with numpy_seed, whose numbers end before those that replace what is rejected")
        self._place = _checked_place(rank, world_size)
        how = {"device": device, "precision": precision, "checkpoint": checkpoint, "network": network}
        self._model, self._options = _model_of(model, how), options
        if isinstance(model, Generator):
            self._selection(model, model.model.options(**options))
        elif isinstance(keep, str):
            Condition.parse(keep)
        self._skipped = 0, 0  # samples, in that epoch
        self._epoch = torch.zeros((), dtype=torch.int64).share_memory_()  # seen by workers that persist
        self.set_epoch(0)

    def set_epoch(self, epoch: int) -> None:
        """Move on to samples ``start + epoch * count`` and following, which no other epoch has.

        To be called before an epoch, as DistributedSampler's; without it every epoch has the samples of epoch 0.
        Raises InputError where the numbers end.
        """
        epoch = whole_number("epoch", epoch, 0)
        _, first, count = check_range(self._seed, self._start + epoch * self._count, self._count)
        if epoch >= 1 << 63:
            raise InputError(f"epoch: {epoch} is out of range; it must be from 0 to {(1 << 63) - 1}")
        if self._with_index and first + count > 1 << 63:
            raise InputError(f"with_index: sample {first + count - 1} does not fit torch's int64")
        if self._keep is not None:
            check_end(first + count)
        self._epoch.fill_(epoch)

    def skip(self, samples: int) -> SyntheticDataset:
        """The same dataset without the first ``samples`` samples of the epoch that is set; other epochs stay whole.

        For going on in mid-epoch: after t steps of every rank ``samples`` is ``t * block_size * world_size``. A
        multiple of that product leaves every sample with its rank and step. Any other number cuts the blocks
        elsewhere: each sample that is left still comes once, but to another rank and in other batches. Raises
        InputError for more samples than there are.
        """
        samples = whole_number("samples", samples, 0)
        _, left = self._range()
        if samples > left:
            raise InputError(f"samples: {samples} can't be skipped, {left} are left in this epoch")
        rest = self.__new__(type(self))  # not by pickling, which would settle the rank
        rest.__dict__.update(self.__dict__)
        epoch = int(self._epoch)
        rest._epoch = self._epoch.clone().share_memory_()
        rest._skipped = epoch, self._count - left + samples
        return rest

    def __len__(self) -> int:
        """Samples of this rank in the epoch that is set; blocks if ``batched``. Ranks may differ by a block."""
        blocks, samples = share(self._range()[1], self._block_size, *self._rank_of_all())
        return blocks if self._batched else samples

    def __iter__(self) -> Iterator:
        info = get_worker_info()
        worker, workers = (info.id, info.num_workers) if info else (0, 1)
        generator = self._model.open()
        options = generator.model.options(**self._options)
        selection = self._selection(generator, options)
        blocks = partial(dealt, *self._range(), self._block_size, *self._rank_of_all(), worker, workers)
        threads = 1 if info else generator.backend.parallel
        if selection is None:
            made = generator.made_ahead(self._seed, blocks(), self._block_size, options, threads=threads)
            return self._items(self._plain(blocks(), made))
        make = partial(generator.make, self._seed, options=options)
        return self._items(ordered(lambda block: make_block(make, selection, *block), blocks(), threads, threads))

    def _selection(self, generator: Generator, options) -> Selection | None:
        """What is kept and measured; None if neither is asked for. Raises InputError."""
        if self._keep is None and self._annotate is None:
            return None
        return selecting(generator.model.context(options), self._keep, self._annotate)

    def _plain(self, blocks, made) -> Iterator[Block]:
        with closing(made):
            for (first, count), samples in zip(blocks, made, strict=True):
                yield Block(samples, range(first, first + count))

    def _items(self, made: Iterator[Block]) -> Iterator:
        with closing(made):
            for block in made:
                samples = torch.from_numpy(block.samples)
                labels = None if self._annotate is None else torch.from_numpy(block.labels)
                if self._batched:
                    yield self._item(block.numbers, samples, labels)
                else:
                    for k, number in enumerate(block.numbers):
                        yield self._item(int(number), samples[k], None if labels is None else labels[k])

    def _item(self, index, sample: torch.Tensor, labels: torch.Tensor | None):
        item = [sample if self._transform is None else self._transform(sample)]
        if self._with_index:
            item.insert(0, torch.tensor(index, dtype=torch.int64) if self._batched else index)
        if labels is not None:
            item.append(labels)
        return tuple(item) if len(item) > 1 else item[0]

    def _range(self) -> tuple[int, int]:
        """First sample and number of samples of the epoch that is set, without those skipped."""
        epoch = int(self._epoch)
        skipped = self._skipped[1] if self._skipped[0] == epoch else 0
        return self._start + epoch * self._count + skipped, self._count - skipped

    def _rank_of_all(self) -> tuple[int, int]:
        return self._place or _distributed_place() or (0, 1)

    def __getstate__(self) -> dict:
        """A loader worker that does not fork knows no process group, so that it is told its rank."""
        return {**self.__dict__, "_place": self._place or _distributed_place()}


class _Model:
    """What to open, and the generator of this process. One from before a fork is useless: its threads are not here."""

    def __init__(self, opened_with: dict | None, generator: Generator | None = None):
        self._opened_with = opened_with
        self._of_process = {os.getpid(): generator} if generator else {}

    def open(self) -> Generator:
        here = os.getpid()
        if here not in self._of_process:  # the parent's is kept: its end might wait for those threads
            if self._opened_with is None:
                raise ModelError("model: a loader worker can't open this Generator again; give the name or path")
            self._of_process[here] = load(**self._opened_with)
        return self._of_process[here]

    def __getstate__(self) -> dict:
        return {"_opened_with": self._opened_with, "_of_process": {}}


def _model_of(model, how: dict) -> _Model:
    if isinstance(model, Generator):
        if how != _ELSEWHERE:
            wrong = ", ".join(name for name, value in how.items() if value != _ELSEWHERE[name])
            raise InputError(f"{wrong}: the Generator has been loaded already; give this to dsb_fast.load")
        return _Model(model.opened_with, model)
    if not isinstance(model, (str, os.PathLike)):
        raise ModelError(f"model: {model!r} is neither a name nor a path nor a Generator")
    return _Model(opened_with(model, **how))


def _checked_place(rank, world_size) -> tuple[int, int] | None:
    if rank is None and world_size is None:
        return None
    if rank is None or world_size is None:
        raise InputError("rank, world_size: one without the other; give both or neither")
    rank, world_size = whole_number("rank", rank, 0), whole_number("world_size", world_size, 1)
    if rank >= world_size:
        raise InputError(f"rank: {rank} of {world_size}; ranks count from 0 to {world_size - 1}")
    return rank, world_size


def _distributed_place() -> tuple[int, int] | None:
    """Rank and world size of torch.distributed, if it is initialised."""
    group = torch.distributed
    return (group.get_rank(), group.get_world_size()) if group.is_available() and group.is_initialized() else None
