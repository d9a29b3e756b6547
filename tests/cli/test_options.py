from pathlib import Path

import pytest

from gpen_video.cli import inspect, measure, presets, restore, train, verify, weights
from gpen_video.cli.options import resolve_options
from gpen_video.config import ResolvedSettings, Settings


def _resolved(*arguments: str) -> ResolvedSettings:
    return resolve_options(restore.build_parser().parse_args(["in.mkv", "out.mkv", *arguments]))


def test_no_option_is_the_default() -> None:
    assert _resolved().settings == Settings()


def test_every_option_reaches_its_setting() -> None:
    resolved = _resolved(
        *("--set", "track.lag=3", "--device", "cpu", "--tolerant", "--weights", "512", "--strength", "0.25"),
        *("--codec", "libx265", "--crf", "9.5", "--pix-fmt", "yuv420p10le", "--encoder-option", "x265-params=a=1:b=2"),
        *("--encoder-option", "tune=grain"),
    )
    settings = resolved.settings
    assert settings.track.lag == 3
    assert settings.media.tolerant
    assert (settings.restore.device, settings.restore.weights, settings.restore.strength) == ("cpu", "512", 0.25)
    encode = settings.encode
    assert (encode.codec, encode.crf, encode.pix_fmt) == ("libx265", 9.5, "yuv420p10le")
    assert encode.options == {"x265-params": "a=1:b=2", "tune": "grain"}
    stated = {key for key, source in resolved.sources.items() if source == "command line"}
    assert stated == {
        *("track.lag", "media.tolerant", "restore.device", "restore.weights", "restore.strength", "encode.codec"),
        *("encode.crf", "encode.pix_fmt", "encode.options.x265-params", "encode.options.tune"),
    }


def test_text_options_are_not_read_as_numbers() -> None:
    assert _resolved("--weights", "1e3", "--codec", "0x10").settings.restore.weights == "1e3"


def test_the_last_one_wins_whatever_its_spelling() -> None:
    assert _resolved("--strength", "0.1", "--set", "restore.strength=0.2").settings.restore.strength == 0.2
    assert _resolved("--set", "restore.strength=0.2", "--strength", "0.1").settings.restore.strength == 0.1


def test_crf_can_be_switched_off() -> None:
    assert _resolved("--crf", "none").settings.encode.crf is None


def test_preset_then_file_then_command_line(tmp_path: Path) -> None:
    (tmp_path / "my.toml").write_text("[restore]\nstrength = 0.3\n[track]\nlag = 5\n", encoding="utf-8")
    resolved = _resolved("--strength", "0.1", "--config", str(tmp_path / "my.toml"), "--preset", "tape")
    picked = {key: (value, source) for key, value, source in resolved.items()}
    assert picked["restore.strength"] == (0.1, "command line")
    assert picked["track.lag"] == (5, "my.toml")
    assert picked["blend.chroma"] == ("restore", "preset tape")
    assert picked["detect.batch"] == (Settings().detect.batch, "default")


def test_another_codec_than_the_presets() -> None:
    encode = _resolved("--preset", "master-ffv1", "--codec", "libx264").settings.encode
    assert (encode.codec, encode.options, encode.crf) == ("libx264", {}, Settings().encode.crf)


@pytest.mark.parametrize(
    ("module", "flags"),
    [
        (
            restore,
            {
                *(
                    "--help",
                    "--version",
                    "--overwrite",
                    "--resume",
                    "--dry-run",
                    "--verbose",
                    "--quiet",
                    "--preset",
                    "--config",
                    "--set",
                ),
                *("--device", "--tolerant", "--offline", "--weights", "--strength", "--codec", "--crf", "--pix-fmt"),
                *("--strict", "--grain", "--chroma", "--deinterlace", "--frame-rate", "--encoder-option"),
                *("--faces", "--cues", "--report", "--verify", "--matte", "--layer", "--framemd5"),
            },
        ),
        (
            inspect,
            {
                *("--help", "--json", "--verbose", "--quiet", "--preset", "--config", "--set", "--device"),
                *("--tolerant", "--offline", "--tracks", "--cues-format", "--overwrite"),
            },
        ),
        (
            measure,
            {
                *("--help", "--verbose", "--quiet", "--preset", "--config", "--set", "--device", "--tolerant"),
                *("--offline", "--reference", "--json", "--plot", "--fail-if"),
            },
        ),
        (presets, {"--help"}),
        (weights, {"--help"}),
        (train, {"--help"}),
        (verify, {"--help", "--json", "--verbose", "--quiet"}),
    ],
    ids=["restore", "inspect", "measure", "presets", "weights", "train", "verify"],
)
def test_few_flags_and_a_new_one_is_a_decision(module: object, flags: set[str]) -> None:
    parser = module.build_parser()  # type: ignore[attr-defined]
    assert {flag for action in parser._actions for flag in action.option_strings if flag.startswith("--")} == flags
