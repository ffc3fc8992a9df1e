"""Which samples of a batch are kept, and what is written beside them: what a recipe's ``keep`` and ``annotate`` say."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Iterator, Mapping
from contextlib import closing

import numpy as np

from .._errors import InputError
from .expression import Condition
from .measurements import Measurer

KEEP, ANNOTATE, MEASUREMENTS = "keep", "annotate", "measurements"  # entries of a recipe
ALL = "all"  # for annotate


class Selection:
    """A condition and the labels' names, for samples of one kind."""

    def __init__(
        self,
        measurer: Measurer,
        condition: Condition | Callable[[Mapping[str, float]], bool] | None = None,
        annotate: Iterable[str] = (),
    ):
        self._measurer, self._condition = measurer, condition
        self.filters, self.annotate = condition is not None, tuple(annotate)

    @classmethod
    def of(cls, about: dict, call: Callable[[Mapping[str, float]], bool] | None = None) -> Selection | None:
        """What the recipe ``about`` says; None if it keeps all samples and annotates none.

        ``call`` is the function that it names, if it names one. Raises InputError if that is not given, or if a
        measurement is another version's.
        """
        if KEEP not in about and ANNOTATE not in about:
            return None
        measurer, keep = Measurer(about), about.get(KEEP)
        annotate = about.get(ANNOTATE, ())
        measurer.check(annotate, ANNOTATE)
        if isinstance(keep, dict):
            if call is None:
                raise InputError(f"keep: of the function {keep.get('function')!r}, which is not here; pass it as keep=")
            return cls(measurer, call, annotate)
        condition = None if keep is None else Condition.parse(keep)
        if condition:
            measurer.check(condition.names, KEEP)
        for name, version in about.get(MEASUREMENTS, {}).items():
            measurer.check([name], MEASUREMENTS)
            if measurer.version(name) != version:
                raise InputError(
                    f"measurements: {name} was of version {version}, here it is {measurer.version(name)}; "
                    "use the dsb_fast that made the dataset"
                )
        return cls(measurer, condition, annotate)

    def of_batch(self, samples: np.ndarray) -> tuple[np.ndarray, dict[str, np.ndarray]]:
        """Which of ``samples`` [n, ...] are kept, bool [n], and the labels of these, float64 by name."""
        each = list(self._measurer.each(samples))
        kept = np.ones(len(each), np.bool_)
        if isinstance(self._condition, Condition):
            values = {name: np.array([one[name] for one in each], np.float64) for name in self._condition.names}
            kept[:] = self._condition.keeps(values)
        elif self._condition is not None:
            kept[:] = [bool(self._condition(one)) for one in each]
        chosen = [one for one, is_kept in zip(each, kept.tolist(), strict=True) if is_kept]
        return kept, {name: np.array([one[name] for one in chosen], np.float64) for name in self.annotate}


def selected(about: dict, made: Generator, firsts: Iterable[int], keep, with_index: bool) -> Iterator:
    """Of batches [n, ...] ``made`` of the numbers from each of ``firsts`` on, what is kept; with its numbers if asked.

    ``keep`` as :func:`entries` takes it, a function without a name for what it keeps. A batch of which nothing is kept
    is left out. Raises InputError at once.
    """
    return _selected(selecting(about, keep), made, firsts, with_index)


def selecting(about: dict, keep=None, annotate: str | Iterable[str] | None = None) -> Selection:
    """As :func:`entries`, a function without a name for what it keeps. Raises InputError."""
    measurer = Measurer(about)
    if isinstance(keep, str):
        keep = Condition.parse(keep)
        measurer.check(keep.names, KEEP)
    elif keep is not None and not callable(keep):
        raise _no_condition(keep)
    return Selection(measurer, keep, () if annotate is None else label_names(measurer, annotate))


def _selected(selection: Selection, made: Generator, firsts: Iterable[int], with_index: bool) -> Iterator:
    with closing(made):
        for samples, first in zip(made, firsts, strict=False):
            numbers = _numbers(first, len(samples))
            if selection.filters:
                kept, _ = selection.of_batch(samples)
                samples, numbers = samples[kept], numbers[kept]  # noqa: PLW2901
            if len(samples):
                yield (numbers, samples) if with_index else samples


def _numbers(first: int, count: int) -> np.ndarray:
    """``first`` to ``first + count - 1``, int64 [count]; uint64 where they go beyond."""
    numbers = np.arange(count, dtype=np.uint64) + np.uint64(first)
    return numbers if first + count > 1 << 63 else numbers.astype(np.int64)


def measure(about: dict, samples: np.ndarray, names: str | Iterable[str] = ALL) -> dict[str, np.ndarray]:
    """Measurements of ``samples`` [n, ...] by name, float64 [n], NaN where not measurable. Raises InputError."""
    measurer = Measurer(about)
    return Selection(measurer, None, label_names(measurer, names, "names")).of_batch(samples)[1]


def _no_condition(keep) -> InputError:
    return InputError(f"keep: {type(keep).__name__}; it is a condition's text or a function")


def entries(about: dict, keep=None, keep_id: str | None = None, annotate=None) -> dict:
    """What a recipe says of ``keep`` (text or a function) and ``annotate`` (names, or "all"); {} of neither.

    A function is recorded by its name and ``keep_id``, which is to change with what it keeps. Raises InputError.
    """
    if keep is None and annotate is None:
        return {}
    measurer, made, used = Measurer(about), {}, set()
    if callable(keep):
        made[KEEP], names = _function(keep, keep_id), measurer.names
        used.update(names)
    elif isinstance(keep, str):
        condition = Condition.parse(keep)
        measurer.check(condition.names, KEEP)
        made[KEEP] = str(condition)
        used.update(condition.names)
    elif keep is not None:
        raise _no_condition(keep)
    if annotate is not None:
        made[ANNOTATE] = label_names(measurer, annotate)
        used.update(made[ANNOTATE])
    return {**made, MEASUREMENTS: {name: measurer.version(name) for name in sorted(used)}}


def label_names(measurer: Measurer, annotate: str | Iterable[str], argument: str = ANNOTATE) -> list[str]:
    """The names that ``annotate`` asks for, each once: a list, text with commas, or "all". Raises InputError."""
    if isinstance(annotate, str):
        if annotate == ALL:
            return measurer.names
        annotate = annotate.split(",")
    elif not isinstance(annotate, Iterable):
        raise InputError(f"{argument}: {annotate!r}; give names, text with commas between, or {ALL!r}")
    names = [str(name).strip() for name in annotate]
    measurer.check(names, argument)
    if not names or len(set(names)) != len(names):
        raise InputError(f"{argument}: {', '.join(names) or 'no name'}; give each measurement once")
    return names


def _function(call: Callable, keep_id: str | None) -> dict:
    if not isinstance(keep_id, str) or not 0 < len(keep_id) <= 200 or not keep_id.isprintable():
        raise InputError(
            "keep_id: a function as keep needs a name for what it keeps (up to 200 characters, another for another "
            "rule), which the recipe records"
        )
    name = getattr(call, "__qualname__", type(call).__qualname__)
    return {"function": f"{getattr(call, '__module__', None)}.{name}"[:200], "id": keep_id}
