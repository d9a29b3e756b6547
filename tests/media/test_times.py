"""Every frame's time and duration, from the source to the assembled result, by FFmpeg's own listing of both."""

import re
from fractions import Fraction
from itertools import pairwise
from pathlib import Path

import av
import numpy as np
import pytest

from gpen_video.config.schema import EncodeSettings
from gpen_video.errors import EncodeError
from gpen_video.media import assemble, decode, encode, plan_carriage, probe
from tests.media.factories import ffmpeg, listed_frames

X264 = EncodeSettings(preset="ultrafast", options={"bf": "2"})
B_FRAMES = ("-c:v", "libx264", "-bf", "3", "-b_strategy", "0", "-preset", "fast")
HEADERS = re.compile(rb"\0\0\x01[\0\xb8]..", re.DOTALL)
"""Of pictures and of groups of pictures in MPEG-2."""
MILLISECOND = Fraction(1, 1000)


def film(path: Path, rate: str = "25", graph: str = "null", options: tuple[str, ...] = B_FRAMES) -> Path:
    source = f"testsrc2=s=64x48:r={rate}:d=1.4"
    timing = ("-fps_mode", "passthrough", "-enc_time_base", "1/90000") if "setpts" in graph else ()
    ffmpeg("-f", "lavfi", "-i", source, "-f", "lavfi", "-i", "sine=d=1.4", "-vf", graph, *options, *timing, path)
    return path


def trimmed(path: Path) -> Path:
    """Begins within a group of pictures: an edit list hides what only the decoder needs."""
    whole = film(path.with_name(f"whole{path.suffix}"))
    ffmpeg("-ss", "0.5", "-i", whole, "-c", "copy", path)
    return path


def _display_order(data: bytes) -> list[int]:
    """Where each coded picture is shown, from its temporal_reference, which begins anew in each group of pictures."""
    group = np.cumsum([head[3] == 0xB8 for head in HEADERS.findall(data)])
    coded = [
        (int(group[n]), int.from_bytes(head[4:6], "big") >> 6)
        for n, head in enumerate(HEADERS.findall(data))
        if head[3] == 0
    ]
    return [sorted(coded).index(picture) for picture in coded]


def soft_telecined(path: Path) -> Path:
    """MPEG-2 of progressive pictures that are to be shown for 3, 2, 3, 2 … fields, by flags alone."""
    plain = path.with_name("plain.m2v")
    options = ("-map", "0:v", "-c:v", "mpeg2video", "-flags", "+ilme", "-bf", "2", "-q:v", "3")
    film(plain, "30000/1001", options=options)
    data = bytearray(plain.read_bytes())
    shown = _display_order(data)
    place, count = 0, 0
    while (place := data.find(b"\0\0\1\xb5", place)) >= 0:
        if data[place + 4] >> 4 == 8:  # picture coding extension, ISO/IEC 13818-2, 6.2.3.1
            top_first, repeat_first = ((1, 1), (0, 0), (0, 1), (1, 0))[shown[count] % 4]
            data[place + 7] = data[place + 7] & ~0x82 | top_first << 7 | repeat_first << 1
            data[place + 8] |= 0x80  # progressive_frame
            count += 1
        place += 4
    flagged = path.with_name("flagged.m2v")
    flagged.write_bytes(data)
    fields = [place // 2 * 5 + place % 2 * 3 for place in range(len(shown) + 1)]
    starts = [round(Fraction(1001 * 90000, 60000) * before) for before in fields]
    with av.open(flagged) as raw, av.open(path, "w") as film_file:
        stream = film_file.add_stream_from_template(raw.streams.video[0])
        packets = (packet for packet in raw.demux() if packet.size)
        for coded, (packet, place) in enumerate(zip(packets, shown, strict=True)):
            packet.stream, packet.time_base = stream, Fraction(1, 90000)
            packet.pts, packet.dts = starts[place + 1], starts[coded]
            film_file.mux(packet)
    return path


INTERLACED = ("-c:v", "libx264", "-bf", "2", "-flags", "+ilme+ildct")
FILMS = {
    "24000/1001.mp4": lambda path: film(path, "24000/1001"),
    "30000/1001.mov": lambda path: film(path, "30000/1001"),
    "30000/1001.mkv": lambda path: film(path, "30000/1001"),
    "repeats.mp4": lambda path: film(path, "24", "fps=25"),
    "variable.mp4": lambda path: film(path, "25", "setpts='(N*N+20*N)*0.002/TB'"),
    "variable.mkv": lambda path: film(path, "25", "setpts='(N*N+20*N)*0.002/TB'"),
    "late.mov": lambda path: film(path, "25", "setpts='PTS+1.5/TB'"),
    "late.ts": lambda path: film(path, options=(*B_FRAMES, "-output_ts_offset", "3000")),
    "edit list.mp4": trimmed,
    "edit list.mov": trimmed,
    "fragmented.mp4": lambda path: film(path, options=(*B_FRAMES, "-movflags", "frag_keyframe+empty_moov")),
    "interlaced.ts": lambda path: film(path, "50", "tinterlace=interleave_top", INTERLACED),
    "interlaced.mpg": lambda path: film(path, "50", "tinterlace=interleave_top", ("-c:v", "mpeg2video", "-bf", "2")),
    "soft telecine.ts": soft_telecined,
    "mpeg-4.avi": lambda path: film(path, options=("-c:v", "mpeg4", "-bf", "0")),
}


TARGETS = ("mkv", "mp4", "mov")
CASES = [(name, TARGETS[place % 3]) for place, name in enumerate(FILMS)]
CASES += [(name, target) for name in ("edit list.mov", "soft telecine.ts") for target in TARGETS]


@pytest.mark.parametrize(("name", "target"), sorted(set(CASES)))
def test_every_time_comes_back(tmp_path: Path, name: str, target: str) -> None:
    path = FILMS[name](tmp_path / name.replace("/", "-"))
    info = probe(path)
    frames = list(decode(info))
    want = [row.seconds for row in listed_frames(path)]
    assert [frame.time.seconds for frame in frames] == want

    result = tmp_path / f"result.{target}"
    carriage = plan_carriage(info, result, X264)
    encode(frames, tmp_path / "video", like=info, settings=X264)
    assert [row.seconds for row in listed_frames(tmp_path / "video")] == want
    assemble(tmp_path / "video", info, result, carriage)
    rounding = MILLISECOND / 2 if target == "mkv" else 0
    have = list(decode(probe(result)))
    assert len(have) == len(want)
    assert all(abs(a.time.seconds - b) <= rounding for a, b in zip(have, want, strict=True))
    if not name.startswith("variable"):  # there, MOV's length is that of the steps of decoding
        end = frames[-1].time.seconds + (frames[-1].duration or 0) * info.time_base
        assert probe(tmp_path / "video").duration_from_header in (end, end - want[0])


def test_repeated_fields_show_in_the_steps(tmp_path: Path) -> None:
    frames = list(decode(probe(soft_telecined(tmp_path / "film.ts"))))
    steps = {round(float(b.time.seconds - a.time.seconds) * 60000 / 1001) for a, b in pairwise(frames)}
    assert steps == {2, 3}


def test_times_before_zero_are_told_with_what_helps(tmp_path: Path) -> None:
    """A transport stream whose 33-bit clock runs over: FFmpeg puts what is before that below zero."""
    path = film(tmp_path / "wrap.ts", options=(*B_FRAMES, "-output_ts_offset", "95442"))
    info = probe(path)
    frames = list(decode(info))
    assert frames[0].time.pts < 0
    with pytest.raises(EncodeError, match=r"before zero.*-c copy") as caught:
        encode(frames, tmp_path / "video", like=info, settings=X264)
    assert "\n" not in str(caught.value) and not (tmp_path / "video").exists()
    copy = tmp_path / "copy.mkv"
    ffmpeg("-i", path, "-map", "0", "-c", "copy", copy)
    moved = list(decode(probe(copy)))
    shift = moved[0].time.seconds - frames[0].time.seconds
    assert len(moved) == len(frames) and moved[0].time.pts >= 0
    assert all(abs(a.time.seconds - b.time.seconds - shift) <= MILLISECOND for a, b in zip(moved, frames, strict=True))
    assert encode(moved, tmp_path / "video", like=probe(copy), settings=X264).frame_count == len(frames)


@pytest.mark.parametrize("first", ["top", "bottom"])
@pytest.mark.parametrize("codec", ["libx264", "ffv1", "prores_ks", "libx265"])
def test_interlaced_film_is_flagged_as_its_source_was(tmp_path: Path, codec: str, first: str) -> None:
    path = film(tmp_path / "film.mkv", "50", f"tinterlace=interleave_{first}", ("-c:v", "ffv1"))
    info = probe(path)
    settings = EncodeSettings(codec=codec, preset=None)
    plan = plan_carriage(info, tmp_path / "result.mkv", settings).encoder
    encode(decode(info), tmp_path / "video", like=info, settings=settings)
    written = probe(tmp_path / "video")
    assert info.first_field == first
    if codec == "libx265":
        assert written.first_field is None and any("cannot flag" in line for line in plan.warnings)
    else:
        assert written.first_field == first and not any("cannot flag" in line for line in plan.warnings)
