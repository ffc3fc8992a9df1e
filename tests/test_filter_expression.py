"""Conditions: what they keep, against Python's own reading of the same text; and that nothing else gets through."""

from __future__ import annotations

import math
import string

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from dsb_fast._errors import InputError
from dsb_fast._filter.expression import MAX_DEPTH, MAX_NODES, Condition
from dsb_fast._filter.tokens import MAX_CHARACTERS

pytestmark = pytest.mark.variant_independent

NAN = float("nan")
NAMES = ("u", "v", "heart_rate_bpm")  # in none of the functions' names
numbers = st.recursive(
    st.sampled_from([*NAMES, "0", "1", "2.5", ".5", "3.", "1e2", "60", "4E-1"]),
    lambda inner: st.one_of(
        st.tuples(inner, st.sampled_from(["+", "-", "*", "/"]), inner).map(" ".join),
        inner.map("({})".format),
        inner.map("-{}".format),
        inner.map("abs({})".format),
        st.tuples(inner, inner).map("min({0[0]},{0[1]})".format),
        st.tuples(inner, inner, inner).map("max({0[0]}, {0[1]}, {0[2]})".format),
    ),
    max_leaves=5,
)
WORDS = ("a", "b", "and", "or", "not", "(", ")", ",", "<", "<=", "==", "!=", ">", "+", "-", "*", "/", "1", ".5", "1e3",
         "min(", "known(", "abs(", "max(", "\n")  # fmt: skip
SIGNS = st.sampled_from(["<", "<=", ">", ">=", "==", "!="])
comparisons = st.one_of(
    st.tuples(numbers, SIGNS, numbers).map(" ".join), st.tuples(numbers, SIGNS, numbers, SIGNS, numbers).map(" ".join)
)
conditions = st.recursive(
    comparisons,
    lambda inner: st.one_of(
        st.tuples(inner, st.sampled_from([" and ", " or "]), inner).map("".join),
        inner.map("not {}".format),
        inner.map("({})".format),
    ),
    max_leaves=5,
)
values = st.lists(st.sampled_from([0.0, 1.0, -1.0, 2.5, 60.0, 59.99, -100.0]), min_size=3, max_size=3)


def parse(text: str) -> Condition:
    """The condition; what asks for no measurement is none."""
    assume(any(name in text for name in NAMES))
    return Condition.parse(text)


def kept(text: str, **of) -> list[bool]:
    return Condition.parse(text).keeps({name: np.array(value, float) for name, value in of.items()}).tolist()


@settings(max_examples=150, deadline=None)
@given(conditions, values)
def test_means_what_python_means_by_it(text, of):
    known = dict(zip(NAMES, of, strict=True))
    try:
        expected = eval(text, {"__builtins__": {}, "abs": abs, "min": min, "max": max}, known)
    except (ZeroDivisionError, OverflowError):
        assume(False)
    found = parse(text).keeps({name: np.array([value, value]) for name, value in known.items()})
    assert found.tolist() == [expected, expected]


@settings(max_examples=100, deadline=None)
@given(conditions)
def test_its_own_text_is_the_same_condition(text):
    condition = parse(text)
    again = Condition.parse(str(condition))
    assert again == condition and str(again) == str(condition)
    assert str(Condition.parse("( " + text.replace(" ", "  ") + "\n)")) == str(condition)


@settings(max_examples=50, deadline=None)
@given(conditions, st.lists(values, min_size=1, max_size=9), st.integers(0, 9))
def test_how_samples_are_cut_into_batches_changes_nothing(text, rows, cut):
    condition, of = parse(text), np.array([[*row[:2], NAN if row[2] == 1 else row[2]] for row in rows])
    cuts = (of[:cut], of[cut:])
    parts = [condition.keeps(dict(zip(NAMES, part.T, strict=True))) for part in cuts if len(part)]
    whole = condition.keeps(dict(zip(NAMES, of.T, strict=True)))
    assert np.concatenate(parts).tolist() == whole.tolist()


@pytest.mark.parametrize("text, expected", [
    ("a > 1", [False, False, True]), ("not a > 1", [False, True, False]), ("a != 1", [False, True, True]),
    ("a > 1 or not a > 1", [False, True, True]), ("known(a)", [False, True, True]),
    ("not known(a)", [True, False, False]), ("not known(a) or a > 1", [True, False, True]),
    ("a > 1 or b == 1", [True, True, True]), ("not (a > 1 and b == 0)", [True, True, True]),
    ("a - a == 0", [False, True, True]), ("max(a, 5) == 5", [False, True, True]), ("0 < a < 2", [False, False, False]),
    ("not 3 < b < a", [True, True, True]), ("1 / a > 0", [False, False, True]), ("1 / a <= 0", [False, False, False]),
])  # fmt: skip
def test_unknown_is_neither_true_nor_false_as_in_sql(text, expected):
    assert kept(text, a=[NAN, 0, 2], b=[1, 1, 1]) == expected


def test_infinite_values_are_unknown():
    assert kept("a > 1", a=[math.inf, 2]) == [False, True]
    assert kept("a * a > 1", a=[1e200, 2]) == [False, True]


def test_canonical_text():
    assert str(Condition.parse("((a)>=50.0)and(not(b<2e1or b>3))")) == "a >= 50 and not (b < 20 or b > 3)"
    assert str(Condition.parse("a-(b-1)<-2*-a")) == "a - (b - 1) < -2 * -a"
    assert Condition.parse("b<a and known(c)").names == ["a", "b", "c"]


@pytest.mark.parametrize("text, word", [
    ("", "ends where a number"), ("a", "is a number; compare it"), ("a >", "ends where"), ("a > 1 b", "'b' at"),
    ("1 < 2", "asks for no measurement"), ("a & b", "write and"), ("a = 1", "write =="), ("a > 1 | b > 1", "write or"),
    ("(a > 1", "')' should be"), ("a > 1)", "')' at"), ("a and b", "for conditions"), ("(a > 1) + 1 > 2", "numbers"),
    ("(a < b) < 3", "for numbers"), ("not a", "for conditions"), ("a + not b > 1", "'not' at"),
    ("sqrt(a) > 1", "is no"),
    ("__import__(1) > 1", "is no function"), ("a.b > 1", "character 2"), ("a['x'] > 1", "character 2"),
    ("abs(a, b) > 1", "not 1"), ("min(a) > 1", "2 to 20"), ("a > 1e999", "too large"), ("'x' > a", "character 1"),
    ("a > 1;", "character 6"), ("a > 1 AND b > 2", "'AND' at"), ("a ** 2 > 1", "'*' at"), ("lambda: a", "character 7"),
    ("known(a) > 1", "for numbers"), ("known(a > 1)", "for numbers"), ("a > ٣", "character 5"),
    ("é > 1", "character 1"),
])  # fmt: skip
def test_says_in_one_line_what_is_wrong(text, word):
    with pytest.raises(InputError) as error:
        Condition.parse(text)
    assert word in str(error.value) and "\n" not in str(error.value) and len(str(error.value)) < 250


@pytest.mark.parametrize("text", [
    "a > " + "1" * MAX_CHARACTERS, "(" * (MAX_DEPTH + 1) + "a", "-" * 400 + "a > 1", "not " * 200 + "a > 1",
    "a" + "+1" * MAX_NODES + " > 1", "abs(" * 100, "a" + "<a" * 300, "a > 1" + " and a > 1" * 90,
])  # fmt: skip
def test_is_bounded(text):
    with pytest.raises(InputError, match=r"at most|deep"):
        Condition.parse(text)


def test_the_largest_conditions_work():
    deep, long = "(" * (MAX_DEPTH - 2) + "a > 1" + ")" * (MAX_DEPTH - 2), "a" + "-a" * 98 + " < 1"
    assert kept(deep, a=[2.0]) == [True] and kept(long, a=[2.0]) == [True]
    assert str(Condition.parse(str(Condition.parse(long)))).count("a") == 99


@settings(max_examples=200, deadline=None)
@given(st.one_of(
    st.text(max_size=60), st.text(string.printable, max_size=60),
    st.lists(st.sampled_from(WORDS), max_size=40).map(" ".join),
))  # fmt: skip
def test_any_text_is_a_condition_or_one_line(text):
    try:
        condition = Condition.parse(text)
    except InputError as error:
        assert str(error).startswith("keep: ") and "\n" not in str(error)
    else:
        of = {name: np.array([1.0, NAN]) for name in condition.names}
        assert condition.keeps(of).shape == (2,)
