import os
import stat

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lighthouse.config.lastgood import LastGood, Version

KEPT = LastGood(
    {
        "clusters/web.yaml": Version(
            "discovery: zk\n", "web", {"discovery": "zk", "options": {"haproxy": {"port": 80}}}
        ),
        "lighthouse.yaml": Version("password: hunter2 ü\n"),
    }
)


def test_what_is_saved_is_loaded(tmp_path):
    KEPT.save(tmp_path / "good")
    assert LastGood.load(tmp_path / "good") == (KEPT, None)
    assert KEPT.text("clusters/web.yaml") == "discovery: zk\n"
    assert KEPT.text("clusters/other.yaml") is None


def test_nothing_saved_is_nothing_known(tmp_path):
    assert LastGood.load(tmp_path / "good") == (LastGood(), None)


def test_only_its_owner_may_read_it_and_nothing_else_is_left(tmp_path):
    previous = os.umask(0)
    try:
        KEPT.save(tmp_path / "good")
        KEPT.save(tmp_path / "good")
    finally:
        os.umask(previous)
    assert stat.S_IMODE((tmp_path / "good").stat().st_mode) == 0o600
    assert os.listdir(tmp_path) == ["good"]


def test_a_failed_save_leaves_the_old_file_and_no_litter(tmp_path):
    KEPT.save(tmp_path / "good")
    with pytest.raises(TypeError):
        LastGood({"x": Version("text", "x", {"bad": object()})}).save(tmp_path / "good")
    (tmp_path / "folder").mkdir()
    with pytest.raises(OSError):
        KEPT.save(tmp_path / "folder")
    assert sorted(os.listdir(tmp_path)) == ["folder", "good"]
    assert LastGood.load(tmp_path / "good") == (KEPT, None)


def damaged(raw):
    yield b""
    yield raw[:-1]
    yield raw + b"x"
    yield raw[:40] + bytes([raw[40] ^ 1]) + raw[41:]
    yield b"something else"


def test_a_damaged_file_is_set_aside_with_a_warning(tmp_path):
    path = tmp_path / "good"
    KEPT.save(path)
    for content in damaged(path.read_bytes()):
        path.write_bytes(content)
        found, warning = LastGood.load(path)
        assert found == LastGood()
        assert "damaged" in warning
        assert not path.exists()
        assert (tmp_path / "good.damaged").read_bytes() == content


def test_what_cannot_be_read_is_told_and_left_alone(tmp_path):
    path = tmp_path / "good"
    path.mkdir()
    found, warning = LastGood.load(path)
    assert found == LastGood()
    assert "cannot be read" in warning
    assert path.is_dir()


def test_compiled_forms_of_another_shape_are_dropped_and_the_texts_kept(tmp_path, monkeypatch):
    KEPT.save(tmp_path / "good")
    monkeypatch.setattr("lighthouse.config.lastgood._COMPILED", 999)
    found, warning = LastGood.load(tmp_path / "good")
    assert warning is None
    assert found.text("clusters/web.yaml") == "discovery: zk\n"
    assert found.versions["clusters/web.yaml"].compiled is None


def test_no_text_is_shown(tmp_path):
    assert "hunter2" not in repr(KEPT)


@given(st.dictionaries(st.text(), st.text()))
def test_any_texts_survive(tmp_path_factory, texts):
    encodable = {key: text for key, text in texts.items() if (key + text).isprintable()}
    kept = LastGood({key: Version(text) for key, text in encodable.items()})
    path = tmp_path_factory.mktemp("kept") / "good"
    kept.save(path)
    assert LastGood.load(path) == (kept, None)
