import math
import re

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from lighthouse.config import document
from lighthouse.config.document import MAX_DEPTH, parse
from lighthouse.config.scalars import resolve
from lighthouse.config.syntax import DocumentError


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("22:22", "22:22"),
        ("no", "no"),
        ("Yes", "Yes"),
        ("on", "on"),
        ("off", "off"),
        ("0123", "0123"),
        ("007.5", "007.5"),
        ("2024-01-02", "2024-01-02"),
        ("1_000", "1_000"),
        (".inf", ".inf"),
        ("-.nan", "-.nan"),
        ("1e999", "1e999"),
        ("9" * 30, "9" * 30),
        ("٣", "٣"),
        ("true", True),
        ("FALSE", False),
        ("~", None),
        ("null", None),
        ("", None),
        ("0", 0),
        ("-17", -17),
        ("0x1F", 31),
        ("0o17", 15),
        ("1.5", 1.5),
        ("1e3", 1000.0),
        (".5", 0.5),
    ],
)
def test_plain_scalars_are_read_as_yaml_1_2(text, value):
    assert resolve(text) == value
    assert type(resolve(text)) is type(value)


@given(st.text())
def test_any_scalar_resolves_to_something_finite(text):
    value = resolve(text)
    assert not isinstance(value, float) or math.isfinite(value)


LOADERS = [yaml.SafeLoader, *([yaml.CSafeLoader] if hasattr(yaml, "CSafeLoader") else [])]


@pytest.fixture(params=LOADERS, ids=lambda loader: loader.__name__, autouse=True)
def loader(request, monkeypatch):
    monkeypatch.setattr(document, "_LOADER", request.param)


def refusal(text):
    with pytest.raises(DocumentError) as caught:
        parse(text)
    return caught.value


def test_data_and_places():
    found = parse("a: 1\nb:\n  c: 'no'\n  d:\n  - x\n  - {e: \"1\"}\n8080: ok\n? long\n: value\n")
    assert found.data == {"a": 1, "b": {"c": "no", "d": ["x", {"e": "1"}]}, "8080": "ok", "long": "value"}
    assert found.marks["b", "d", 1] == (6, 5)
    assert found.marks["b", "d", 1, "e"] == (6, 6)
    assert found.line(("b", "d", 1, "missing")) == 6
    assert found.line(("nothing",)) == 1


def test_the_first_line_of_the_document_is_that_of_its_first_key():
    assert parse("# a comment\n\nkey: value\n").line(()) == 3


def test_a_byte_order_mark_is_no_part_of_the_first_key():
    assert parse("\ufeffkey: 1\n").data == {"key": 1}


def test_aliases_unfold_and_tags_of_the_core_schema_hold():
    found = parse("a: &x [1, 2]\nb: *x\nc: !!str 5\nd: ! 6\ne: !!float 3\nf: &y z\ng: *y\nh: !!int 0x10\n")
    assert found.data == {"a": [1, 2], "b": [1, 2], "c": "5", "d": "6", "e": 3.0, "f": "z", "g": "z", "h": 16}
    assert found.line(("b", 0)) == 2
    assert isinstance(found.data["e"], float)


@pytest.mark.parametrize("text", ["", "\n\n", "# only a comment\n", "---\n", "~\n"])
def test_an_empty_file_is_refused(text):
    assert "empty" in str(refusal(text))


@pytest.mark.parametrize(
    ("text", "line", "column", "part"),
    [
        ("- a\n", 1, 1, "found a list"),
        ("\nword\n", 2, 1, "found the value 'word'"),
        ("a: 1\nb: 2\na: 3\n", 3, 1, "key 'a' is given twice, first on line 1: keep one"),
        ("a:\n  b: 1\n  'b': 2\n", 3, 3, "key 'b' is given twice, first on line 2"),
        ("a: !!python/object:os.system x\n", 1, 4, "is not understood: remove it"),
        ("a: !custom [1]\n", 1, 4, "tag '!custom' is not understood"),
        ("a: !!set {x}\n", 1, 4, "is not understood"),
        ("a: !!int true\n", 1, 4, "not of the kind that its tag says"),
        ("a: &x {b: 1}\nc:\n  <<: *x\n", 3, 3, "merge key '<<'"),
        ("a: *b\n", 1, 4, "alias '*b' has no finished anchor before it"),
        ("a: &x [*x]\n", 1, 8, "has no finished anchor"),
        ("[1]: 2\n", 1, 1, "a key must be text"),
        ("a: &x 1\n*x : 2\n", 2, 1, "a key must be text, not an alias"),
        ("?\n: 1\n", 1, 2, "a key is missing before ':'"),
        ("a: 1\n---\nb: 2\n", 2, 1, "a second document starts here"),
        ("a: 1\n\tb: 2\n", 2, 1, "indent by spaces, never tabs"),
        ("a: b: c\n", 1, 5, "in the line 'a: b: c'"),
        ("a: [1, 2\n", 2, 1, "brackets"),
        ('a: "open\n', 2, 1, "close the quote or bracket that is open"),
        ("a: b\x01\n", 1, 5, "remove the character"),
    ],
)
def test_what_is_refused_is_told_with_its_place(text, line, column, part):
    error = refusal(text)
    assert part in str(error)
    assert (error.line, error.column) == (line, column)


def test_a_line_that_may_hold_a_secret_is_not_shown():
    assert "hunter2" not in str(refusal("password: hunter2: x\n"))
    assert "line not shown" in str(refusal("password: hunter2: x\n"))


def test_half_a_surrogate_pair_is_refused():
    refusal('a: "\\ud800"\n')


def test_a_key_without_quotes_may_look_like_a_merge_key_with_them():
    assert parse("'<<': 1\n").data == {"<<": 1}


@pytest.mark.parametrize("opening", ["[", "{a: ", "- "])
def test_deep_nesting_is_refused_without_recursion(opening):
    assert "nested more than" in str(refusal("a:\n  " + opening * 20_000))


def test_nesting_up_to_the_limit_is_accepted():
    inner = MAX_DEPTH - 1
    assert parse("a: " + "[" * inner + "]" * inner)
    assert "nested" in str(refusal("a: " + "[" * (inner + 1) + "]" * (inner + 1)))


def test_nesting_through_aliases_counts_too():
    half = MAX_DEPTH // 2
    text = "a: &a " + "[" * half + "]" * half + "\nb: " + "[" * half + "*a" + "]" * half
    assert "aliases unfolded: flatten" in str(refusal(text))


def test_aliases_that_unfold_to_billions_are_refused():
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 12)]
    assert "aliases unfolded: split the file" in str(refusal("\n".join(lines)))


@given(st.text())
def test_any_text_is_read_or_refused(text):
    for loader in LOADERS:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(document, "_LOADER", loader)
            try:
                found = parse(text)
            except DocumentError as error:
                assert error.line >= 1
            else:
                assert isinstance(found.data, dict)


_plain = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(10**17), 10**17)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(min_size=1), inner, max_size=3),
    max_leaves=10,
)


@given(st.dictionaries(st.text(st.characters(codec="utf-8"), min_size=1), _plain, min_size=1, max_size=4))
def test_what_json_writes_is_read_back(data):
    """JSON is YAML 1.2, but for characters that YAML does not allow raw; they are escaped here."""
    import json

    text = json.dumps(data)
    if "\\ud" in text or "\\u007f" in text:
        return  # escaped pairs of surrogates are JSON's own way
    try:
        found = parse(text)
    except DocumentError as error:
        # A key of over 1024 characters is no key in YAML; each loader says so in its own way.
        keys = re.findall(r'"(?:[^"\\]|\\.)*"(?=: )', text)
        assert "surrogate" in str(error) or max(map(len, keys)) > 1000
    else:
        assert found.data == data
