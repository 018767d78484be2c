from __future__ import annotations

import json

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sightline.errors import UserError
from sightline.readers import json_stream
from sightline.readers.json_stream import mentions, read_items, read_lists

VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(10**12), 10**12)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=8,
)
OBJECTS = st.lists(st.dictionaries(st.text(max_size=4), VALUES, max_size=4), max_size=6)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    entries=OBJECTS,
    others=st.dictionaries(st.text(min_size=2, max_size=4), VALUES, max_size=3),
    indent=st.sampled_from([None, 1]),
)
@pytest.mark.parametrize("chunk", [1, 7, 2**20])
def test_a_window_of_any_size_reads_what_the_library_reads(tmp_path, monkeypatch, chunk, entries, others, indent):
    monkeypatch.setattr(json_stream, "CHUNK", chunk)
    path = tmp_path / "a.json"
    path.write_text(json.dumps({**others, "a": entries, "b": []}, indent=indent), encoding="utf-8")
    assert read_lists(path, ["a", "b"]) == {"a": entries, "b": []}
    path.write_text(json.dumps(entries, indent=indent, ensure_ascii=False), encoding="utf-8")
    assert list(read_items(path)) == entries


@pytest.mark.parametrize("chunk", range(1, 30))
def test_numbers_are_never_cut_in_two(tmp_path, monkeypatch, chunk):
    monkeypatch.setattr(json_stream, "CHUNK", chunk)
    path = tmp_path / "a.json"
    path.write_text('{"x":10.25,"y":-1e+5,"z":0.5,"a":[{"n":12345}],"w":1.5E-7}')
    assert read_lists(path, ["a"]) == {"a": [{"n": 12345}]}


def test_members_that_nobody_needs_are_dropped(tmp_path):
    path = tmp_path / "a.json"
    path.write_text('{"a": [{"x": 1, "segmentation": [[1, 2, 3]]}], "info": {"a": [1]}, "other": [1, "two", []]}')
    assert read_lists(path, ["a"], drop=["segmentation"]) == {"a": [{"x": 1}]}


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_marks_at_the_start_are_understood(tmp_path, encoding):
    path = tmp_path / "a.json"
    path.write_text('{"a": [{"name": "caf\u00e9"}]}', encoding=encoding)
    assert read_lists(path, ["a"]) == {"a": [{"name": "caf\u00e9"}]}


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("", "starts with ''"),
        ("[]", r"starts with '\['"),
        ('{"a": [{}]', "a.json:1 is not JSON: expected ','"),
        ('{"a": [{"x": 1}, {"x"', "is not JSON"),
        ('{\n"a":\n[{"x": nope}]}', "a.json:3 is not JSON"),
        ('{"a": [{}]} more', "something follows"),
        ('{"a": [{}], 3: 4}', "a key in quotes"),
        ('{"a": [1]}', "'a' holds 1, expected objects"),
        ('{"a": {}}', 'has no list of objects "a"'),
        ('{"b": []}', 'has no list of objects "a"'),
        ('{"a": [{"x": ' + "9" * 5000 + "}]}", "is not JSON"),
        ('{"a": [{"x": ' + "[" * 100_000, "is not JSON"),
    ],
)
def test_what_is_no_json_is_refused_with_the_place(tmp_path, text, found):
    path = tmp_path / "a.json"
    path.write_text(text)
    with pytest.raises(UserError, match=found):
        read_lists(path, ["a"])


def test_bytes_of_another_encoding_are_refused(tmp_path):
    path = tmp_path / "a.json"
    path.write_bytes('{"a": [{"name": "caf\u00e9"}]}'.encode("latin-1"))
    with pytest.raises(UserError, match="not UTF-8"):
        read_lists(path, ["a"])


def test_an_entry_without_end_is_refused_at_the_limit(tmp_path, monkeypatch):
    monkeypatch.setattr(json_stream, "MOST", 1000)
    monkeypatch.setattr(json_stream, "CHUNK", 100)
    path = tmp_path / "a.json"
    path.write_text('{"a": [{"x": "' + "y" * 10_000 + '"}]}')
    with pytest.raises(UserError, match="more than 1,000 characters"):
        read_lists(path, ["a"])


def test_a_large_file_is_read_with_a_small_window(tmp_path, monkeypatch):
    """Peak memory of the text itself stays at the window's size, however long the file is."""
    monkeypatch.setattr(json_stream, "CHUNK", 1000)
    path = tmp_path / "a.json"
    path.write_text(json.dumps({"a": [{"n": i} for i in range(20_000)]}))
    longest = 0
    fill = json_stream._Text._fill

    def watched(self):
        nonlocal longest
        done = fill(self)
        longest = max(longest, len(self._window))
        return done

    monkeypatch.setattr(json_stream._Text, "_fill", watched)
    assert len(read_lists(path, ["a"])["a"]) == 20_000
    assert path.stat().st_size > 200_000
    assert longest < 5000


def test_names_are_looked_for_with_their_quotes(tmp_path):
    path = tmp_path / "a.json"
    path.write_text('{"images": 1, "annotations_of": 2}')
    assert mentions(path, "images")
    assert not mentions(path, "images", "annotations")
    path.write_text("")
    assert not mentions(path, "images")
