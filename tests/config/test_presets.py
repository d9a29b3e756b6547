from fractions import Fraction
from pathlib import Path

import av
import pytest

from gpen_video.config import Layer, find_presets, load_preset, resolve
from gpen_video.config.presets import shipped_folder
from gpen_video.errors import ConfigError

MASTERS = ("master-dnxhr", "master-ffv1", "master-prores")
SHIPPED = ("archival-bw", "archival-colour", "broadcast", "draft", *MASTERS, "tape", "web")


@pytest.fixture
def user_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    folder = tmp_path / "gpen-video" / "presets"
    folder.mkdir(parents=True)
    return folder


def test_these_presets_come_with_the_program(user_folder: Path) -> None:
    assert tuple(find_presets()) == SHIPPED
    assert {path.parent for path in find_presets().values()} == {shipped_folder()}


@pytest.mark.parametrize("name", SHIPPED)
def test_shipped_preset_is_valid_described_and_commented(name: str) -> None:
    preset = load_preset(name)
    resolved = resolve(preset.layer)
    assert f"preset {name}" in resolved.sources.values()
    assert 20 < len(preset.description) < 120
    text = preset.path.read_text(encoding="utf-8")
    assert text.count("#") >= 2
    assert len(text.splitlines()) < 60


@pytest.mark.parametrize("name", SHIPPED)
def test_shipped_preset_keeps_its_parts_together(name: str) -> None:
    preset = load_preset(name)
    settings = resolve(preset.layer).settings
    stated = preset.layer.values.get("encode", {})
    assert "codec" in stated or "options" not in stated, "options without their codec would reach any other codec"
    assert settings.track.min_hits <= settings.track.lag + 1, "a track is judged with the look-ahead of the smoother"


@pytest.mark.parametrize("name", SHIPPED)
def test_the_encoder_takes_every_option_of_a_shipped_preset(name: str) -> None:
    encode = resolve(load_preset(name).layer).settings.encode
    options = dict(encode.options)
    options |= {"crf": str(encode.crf)} if encode.crf is not None else {}
    options |= {"preset": encode.preset} if encode.preset is not None else {}
    context = av.CodecContext.create(encode.codec, "w")
    assert isinstance(context, av.VideoCodecContext)
    offered = [offer.name for offer in context.codec.video_formats or ()]
    pix_fmt = encode.pix_fmt or ("yuv420p" if "yuv420p" in offered else offered[0])
    context.width, context.height, context.pix_fmt = 256, 128, pix_fmt
    context.time_base = Fraction(1, 25)
    context.options = {"profile": "dnxhr_hq"} | options if encode.codec == "dnxhd" else options
    frame = av.VideoFrame(256, 128, context.pix_fmt)
    frame.pts = 0
    assert context.encode(frame) + context.encode(None)
    assert context.options == {}, "FFmpeg leaves the options that the encoder does not know"


def test_black_and_white_and_faded_film_are_never_coloured() -> None:
    for name in ("archival-bw", "archival-colour"):
        assert resolve(load_preset(name).layer).settings.blend.chroma == "keep"


def test_the_users_own_preset_wins(user_folder: Path) -> None:
    (user_folder / "tape.toml").write_text("description = 'our  tapes'\n[restore]\nstrength = 0.1\n", encoding="utf-8")
    (user_folder / "nitrate.toml").write_text("[restore]\nstrength = 0.2\n", encoding="utf-8")
    assert load_preset("tape").layer == Layer("preset tape", {"restore": {"strength": 0.1}})
    assert load_preset("tape").description == "our tapes"
    assert load_preset("nitrate").description == ""
    assert "nitrate" in find_presets()


def test_a_path_serves_as_preset(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "mine.toml").write_text("[restore]\nstrength = 0.1\n", encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    assert load_preset("mine.toml").name == "mine"
    assert load_preset(tmp_path / "mine.toml").layer.values == {"restore": {"strength": 0.1}}


def test_an_unknown_preset_lists_the_known_ones() -> None:
    with pytest.raises(ConfigError) as caught:
        load_preset("archival-color")
    assert str(caught.value).startswith(
        "archival-color: unknown preset; did you mean archival-colour? The presets are "
    )
    assert "master-ffv1" in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("content", ["description = 3", "[restore", ""])
def test_a_broken_preset_names_its_file(tmp_path: Path, content: str) -> None:
    path = tmp_path / "x.toml"
    path.write_text(content, encoding="utf-8")
    if not content:
        assert resolve(load_preset(path).layer).settings
        return
    with pytest.raises(ConfigError, match=r"x\.toml"):
        load_preset(path)


def test_without_a_home_the_shipped_presets_are_there(monkeypatch: pytest.MonkeyPatch) -> None:
    def no_home() -> Path:
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.delenv("XDG_CONFIG_HOME", raising=False)
    monkeypatch.setattr(Path, "home", no_home)
    assert tuple(find_presets()) == SHIPPED
