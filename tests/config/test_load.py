import math
import pickle
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gpen_video.config import Layer, Settings, parse_assignment, read_settings_file, resolve
from gpen_video.errors import ConfigError


def test_without_layers_everything_is_the_default() -> None:
    resolved = resolve()
    assert resolved.settings == Settings()
    assert set(resolved.sources.values()) == {"default"}
    assert [key for key, _, _ in resolved.items()][:2] == ["media.tolerant", "media.prefetch"]


def test_later_layers_win_and_every_value_knows_its_source() -> None:
    resolved = resolve(
        Layer("preset tape", {"restore": {"strength": 0.9}, "track": {"lag": 12}}),
        Layer("my.toml", {"restore": {"strength": 0.4, "batch": 2}}),
        Layer("command line", {"restore": {"batch": 3}}),
    )
    assert resolved.settings.restore.strength == 0.4
    assert resolved.settings.restore.batch == 3
    assert resolved.settings.track.lag == 12
    assert resolved.settings.track.min_hits == Settings().track.min_hits
    assert resolved.sources["restore.strength"] == "my.toml"
    assert resolved.sources["restore.batch"] == "command line"
    assert resolved.sources["track.lag"] == "preset tape"
    assert resolved.sources["track.min_hits"] == "default"


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (
            {"restore": {"strenght": 1}},
            "restore.strenght (from my.toml): unknown setting; did you mean restore.strength?",
        ),
        ({"restoer": {"batch": 1}}, "restoer.batch (from my.toml): unknown setting; did you mean restore.batch?"),
        ({"crf": 3}, "crf (from my.toml): unknown setting; did you mean encode.crf?"),
        (
            {"media": {"zzz": 1}},
            "media.zzz (from my.toml): unknown setting; media has tolerant, prefetch, fields, deinterlace, filters, "
            "frame_rate",
        ),
        (
            {"shots": 3},
            "shots (from my.toml): is a section, not a setting; "
            "shots has enabled, threshold, min_length, flash, dissolves",
        ),
        (
            {"restore": {"strength": 1.5}},
            "restore.strength = 1.5 (from my.toml): should be less than or equal to 1",
        ),
        ({"restore": {"strength": True}}, "restore.strength = True (from my.toml): should be a valid number"),
        ({"restore": {"strength": "0.5"}}, "restore.strength = '0.5' (from my.toml): should be a valid number"),
        (
            {"restore": {"precision": "fp8"}},
            "restore.precision = 'fp8' (from my.toml): should be 'auto', 'fp32', 'fp16' or 'bf16'",
        ),
        (
            {"encode": {"options": 3}},
            "encode.options = 3 (from my.toml): should be a table of names without dots",
        ),
    ],
)
def test_errors_name_the_setting_its_source_and_the_rule(values: dict[str, object], message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        resolve(Layer("preset tape", {"restore": {"batch": 2}}), Layer("my.toml", values))
    assert str(caught.value) == message


def test_not_a_number_is_out_of_every_range() -> None:
    with pytest.raises(ConfigError, match=r"restore\.strength = nan"):
        resolve(Layer("x", {"restore": {"strength": math.nan}}))


def test_all_wrong_values_are_reported_at_once() -> None:
    with pytest.raises(ConfigError) as caught:
        resolve(Layer("a", {"track": {"lag": -1}}), Layer("b", {"restore": {"batch": 1000}}))
    assert "track.lag = -1 (from a)" in str(caught.value)
    assert "restore.batch = 1000 (from b)" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_none_unsets_what_may_be_unset_and_nothing_else() -> None:
    assert resolve(Layer("x", {"encode": {"crf": "none", "preset": "none"}})).settings.encode.crf is None
    assert resolve(Layer("x", {"encode": {"codec": "none"}})).settings.encode.codec == "none"
    with pytest.raises(ConfigError, match=r"restore\.strength"):
        resolve(Layer("x", {"restore": {"strength": "none"}}))


def test_numbers_are_text_where_text_is_wanted() -> None:
    encode = resolve(Layer("x", {"encode": {"preset": 8, "options": {"g": 1, "fast": True}}})).settings.encode
    assert encode.preset == "8"
    assert encode.options == {"g": "1", "fast": "1"}


def test_encoder_options_merge_one_by_one() -> None:
    resolved = resolve(
        Layer("a", {"encode": {"options": {"g": "1", "slices": "24"}}}),
        Layer("b", {"encode": {"options": {"slices": "4"}}}),
    )
    assert resolved.settings.encode.options == {"g": "1", "slices": "4"}
    assert resolved.sources["encode.options.g"] == "a"
    assert resolved.sources["encode.options.slices"] == "b"


def test_what_was_said_about_a_replaced_codec_goes_with_it() -> None:
    master = Layer("preset m", {"encode": {"codec": "ffv1", "crf": "none", "options": {"level": "3"}, "pix_fmt": "x"}})
    again = resolve(master, Layer("command line", {"encode": {"codec": "libx264"}})).settings.encode
    assert (again.codec, again.crf, again.options, again.pix_fmt) == ("libx264", Settings().encode.crf, {}, "x")


def test_what_was_said_about_no_codec_in_particular_stays() -> None:
    own = Layer("my.toml", {"encode": {"crf": 9.0, "options": {"g": "5"}}})
    encode = resolve(own, Layer("command line", {"encode": {"codec": "libx265"}})).settings.encode
    assert (encode.crf, encode.options) == (9.0, {"g": "5"})
    master = Layer("preset m", {"encode": {"codec": "ffv1", "options": {"level": "3"}}})
    encode = resolve(master, own, Layer("command line", {"encode": {"codec": "libx265"}})).settings.encode
    assert (encode.crf, encode.options) == (9.0, {"g": "5"})
    same = Layer("preset p", {"encode": {"codec": "libx264", "crf": 9.0}})
    assert resolve(same, Layer("command line", {"encode": {"codec": "libx264"}})).settings.encode.crf == 9.0


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("restore.strength=0.5", {"restore": {"strength": 0.5}}),
        (" restore.strength = 0.5 ", {"restore": {"strength": 0.5}}),
        ("restore.device=cuda:1", {"restore": {"device": "cuda:1"}}),
        ('restore.weights="a b.pth"', {"restore": {"weights": "a b.pth"}}),
        ("shots.enabled=false", {"shots": {"enabled": False}}),
        (
            "encode.options.x265-params=aq-mode=3:hdr10=1",
            {"encode": {"options": {"x265-params": "aq-mode=3:hdr10=1"}}},
        ),
        ("restore.weights=1\nb = 2", {"restore": {"weights": "1\nb = 2"}}),
    ],
)
def test_assignments(text: str, value: object) -> None:
    assert parse_assignment(text) == value


@pytest.mark.parametrize("text", ["", "=", "restore.strength", "restore.strength=", "=1", "restore.=1", ".x=1"])
def test_what_is_no_assignment_is_refused(text: str) -> None:
    with pytest.raises(ConfigError, match=r"write section\.key=value"):
        parse_assignment(text)


@given(st.floats(0, 1), st.integers(0, 256), st.booleans())
def test_assignments_carry_values_exactly(strength: float, batch: int, enabled: bool) -> None:
    texts = (f"restore.strength={strength!r}", f"restore.batch={batch}", f"shots.enabled={str(enabled).lower()}")
    settings = resolve(*(Layer("command line", parse_assignment(text)) for text in texts)).settings
    assert (settings.restore.strength, settings.restore.batch, settings.shots.enabled) == (strength, batch, enabled)


_words = st.sampled_from(["restore", "encode", "options", "strength", "crf", "g", "codec", "=", ".", "1", "none", '"'])


@given(st.lists(st.lists(_words | st.text(max_size=4), max_size=7).map("".join), max_size=3))
def test_any_text_gives_settings_or_one_config_error(texts: list[str]) -> None:
    try:
        resolved = resolve(*(Layer("command line", parse_assignment(text)) for text in texts))
    except ConfigError:
        return
    assert Settings.model_validate(resolved.settings.model_dump()) == resolved.settings


def test_settings_file(tmp_path: Path) -> None:
    path = tmp_path / "my.toml"
    path.write_bytes(b"\xef\xbb\xbfdescription = 'mine'\n[restore]\nstrength = 0.25\n")
    layer = read_settings_file(path)
    assert layer == Layer("my.toml", {"restore": {"strength": 0.25}})


@pytest.mark.parametrize(
    ("content", "message"),
    [(b"[restore\n", "not a TOML file"), (b"a = '\xff'", "not a TOML file"), (b"a = " + b"9" * 5000, "not a TOML")],
)
def test_broken_settings_file(tmp_path: Path, content: bytes, message: str) -> None:
    path = tmp_path / "my.toml"
    path.write_bytes(content)
    with pytest.raises(ConfigError, match=message) as caught:
        read_settings_file(path)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_settings_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="cannot be read"):
        read_settings_file(tmp_path / "none.toml")
    with pytest.raises(ConfigError, match="cannot be read"):
        read_settings_file(tmp_path)


def test_resolved_settings_travel_between_processes() -> None:
    resolved = resolve(Layer("my.toml", {"restore": {"strength": 0.4}}))
    again = pickle.loads(pickle.dumps(resolved))
    assert again == resolved
    assert again.sources["restore.strength"] == "my.toml"
    for each in (resolved, again):
        with pytest.raises(TypeError):
            each.sources["restore.strength"] = "somebody else"


def test_tables_within_tables_without_end_are_told(tmp_path: Path) -> None:
    path = tmp_path / "deep.toml"
    path.write_text("x = " + "[" * 5000 + "]" * 5000, encoding="utf-8")
    with pytest.raises(ConfigError, match=r"deep\.toml: .* too deep"):
        read_settings_file(path)
    assert parse_assignment("restore.strength=" + "[" * 5000) == {"restore": {"strength": "[" * 5000}}
