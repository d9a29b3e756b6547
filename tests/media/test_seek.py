"""Starting in mid-film: the frames are those of a decode from the start, whatever the film, or there is an error."""

import itertools
import pickle
import sys
import threading
import zlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

from gpen_video.errors import DecodeError, InputError
from gpen_video.media import decode, probe
from gpen_video.media.decode import decode_side_data
from gpen_video.media.place import Place, place_of
from gpen_video.types import ColourSpec, Frame, Picture, PixelFormat, Timestamp, VideoInfo
from tests.media.factories import Clip, ffmpeg, make_clip

SECONDS, RATE, GROUP = 12, 25, 25
COUNT, LATE = SECONDS * RATE, 230
SOURCE = ("-f", "lavfi", "-i", f"testsrc2=s=96x64:r={RATE}:d={SECONDS}", "-f", "lavfi", "-i", f"sine=d={SECONDS}")
X264 = ("-c:v", "libx264", "-preset", "veryfast", "-bf", "3", "-b_strategy", "0", "-g", f"{GROUP}")
OPEN = (*X264, "-x264-params", "open-gop=1:b-pyramid=normal")
X265 = (
    "-c:v",
    "libx265",
    "-preset",
    "ultrafast",
    "-x265-params",
    f"log-level=none:keyint={GROUP}:open-gop=1:bframes=3",
)
MPEG2 = ("-c:v", "mpeg2video", "-bf", "2", "-g", "12")
BY_CHANCE = np.random.default_rng(3)
VARIABLE = tuple(itertools.accumulate(BY_CHANCE.choice([3003, 1, 9009, 450, 6006, 12000, 77, 1500], COUNT).tolist()))


@dataclass(frozen=True)
class Known:
    """All of a frame that must come again; its samples by their checksum."""

    place: Place
    time: Timestamp
    duration: int | None


def known(frames: Iterator[Frame]) -> list[Known]:
    return [Known(place_of(frame), frame.time, frame.duration) for frame in frames]


def places(frames: Sequence[Known], index: int, count: int = 3) -> list[Place]:
    return [frame.place for frame in frames[index : index + count]]


def encoded(*options: str | Path) -> Callable[[Path], None]:
    return lambda path: ffmpeg(*SOURCE, *options, path) and None


def copied(how: Callable[[Path], None], suffix: str, *options: str) -> Callable[[Path], None]:
    """Encoded, and then remuxed without being encoded again; `options` before ``-i`` until an empty one."""

    def make(path: Path) -> None:
        first = path.with_name(f"first{suffix}")
        how(first)
        cut = options.index("") if "" in options else 0
        ffmpeg(*options[:cut], "-i", first, "-c", "copy", *[option for option in options[cut:] if option], path)

    return make


def variable(container: str) -> Callable[[Path], None]:
    options = (("bf", "3"), ("b_strategy", "0"), ("g", f"{GROUP}"))
    clip = Clip("libx264", container, time_base=Fraction(1, 90000), pts=VARIABLE, options=options, noise=True)
    return lambda path: make_clip(path, clip) and None


SOUGHT = {
    "b-frames.mp4": encoded(*X264),
    "open.mp4": encoded(*OPEN),
    "open.ts": encoded(*OPEN),
    "fragmented.mp4": encoded(*X264, "-movflags", "frag_keyframe+empty_moov"),
    "edit list.mov": copied(encoded(*X264), ".mp4", "-ss", "1.7", ""),
    "variable.mov": variable("mov"),
    "film.mkv": encoded(*X264),
    "no cues.mkv": copied(encoded(*X264), ".mp4", "-live", "1", "-cluster_time_limit", "1000"),
    "film.flv": encoded(*X264, "-ar", "44100"),
    "interlaced.ts": encoded(*X264, "-flags", "+ilme+ildct"),
    "late.ts": encoded(*X264, "-output_ts_offset", "3000"),
    "hevc.mkv": encoded(*X265),
    "hevc.ts": encoded(*X265),
    "vp9.webm": encoded("-c:v", "libvpx-vp9", "-deadline", "realtime", "-cpu-used", "8", "-g", f"{GROUP}"),
    "ffv1.mkv": encoded("-c:v", "ffv1"),
    "ffv1 of groups.mkv": encoded("-c:v", "ffv1", "-g", "10"),
    "prores.mov": encoded("-c:v", "prores_ks"),
    "mjpeg.avi": encoded("-c:v", "mjpeg"),
    "mpeg4.avi": encoded("-c:v", "mpeg4", "-bf", "0"),
    "mpeg2.ts": encoded(*MPEG2),
    "mpeg2.mxf": encoded(*MPEG2, "-ar", "48000"),
}
FROM_THE_START = {
    "refreshed.mp4": encoded(*X264, "-bf", "0", "-x264-params", "intra-refresh=1"),
    "one group.mp4": encoded(*X264, "-g", "9999"),
    "no times.h264": encoded("-map", "0:v", *X264),
    "no times.avi": encoded("-c:v", "mpeg4", "-bf", "2"),
    "film.mpg": encoded(*MPEG2),
    "film.gif": encoded("-map", "0:v"),
}
KINDS = SOUGHT | FROM_THE_START


@pytest.fixture(scope="module")
def film(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], tuple[VideoInfo, list[Known]]]:
    """Makes a film once, and decodes it once from the start."""
    folder = tmp_path_factory.mktemp("films")
    made: dict[str, tuple[VideoInfo, list[Known]]] = {}

    def get(name: str) -> tuple[VideoInfo, list[Known]]:
        if name not in made:
            path = folder / name
            KINDS[name](path)
            info = probe(path)
            made[name] = info, known(decode(info))
        return made[name]

    return get


@pytest.fixture
def packets_read(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The count of the film's packets that were decoded, as its only entry."""
    module: Any = sys.modules["gpen_video.media.pictures"]
    original, count = module._packets, [0]

    def counted(*arguments: object) -> Iterator[object]:
        for packet in original(*arguments):
            count[0] += 1
            yield packet

    monkeypatch.setattr(module, "_packets", counted)
    return count


@pytest.mark.parametrize("name", KINDS)
def test_frames_are_those_of_a_decode_from_the_start(
    film: Callable[[str], tuple[VideoInfo, list[Known]]], packets_read: list[int], name: str
) -> None:
    info, whole = film(name)
    late = len(whole) * 9 // 10
    on_key = late - late % GROUP
    for index, count in ((1, 1), (on_key, 1), (on_key - 1, 3), (len(whole) - 1, 1)):
        assert known(decode(info, since=places(whole, index, count))) == whole[index:], index
    packets_read[0] = 0
    assert known(decode(info, since=places(whole, late))) == whole[late:]
    assert (packets_read[0] < len(whole) / 2) == (name in SOUGHT)


@pytest.mark.parametrize("ending", ["dpx", "png"])
def test_image_sequences_start_at_the_image(tmp_path: Path, packets_read: list[int], ending: str) -> None:
    ffmpeg("-f", "lavfi", "-i", "testsrc2=s=64x48:r=24:d=2", "-start_number", "86400", tmp_path / f"a_%06d.{ending}")
    info = probe(tmp_path, "24")
    whole = known(decode(info))
    packets_read[0] = 0
    assert known(decode(info, since=places(whole, 40))) == whole[40:]
    assert packets_read[0] == 8 + 1  # and the empty one


def test_what_only_the_first_packet_says_holds_behind_a_seek(tmp_path: Path) -> None:
    """FFmpeg makes up for a fault of x264 up to build 33, which names itself in the first picture alone."""
    source = ("-f", "lavfi", "-i", f"testsrc2=s=96x64:r={RATE}:d=8,noise=alls=20:allf=t")
    ffmpeg(*source, *X264, "-x264-params", "direct=spatial:ref=4", tmp_path / "new.mp4")
    data = (tmp_path / "new.mp4").read_bytes()
    place = data.index(b"x264 - core ") + len(b"x264 - core ")
    path = tmp_path / "old.mp4"
    path.write_bytes(data[:place] + b"033" + data[place + 3 :])
    info, new = probe(path), known(decode(probe(tmp_path / "new.mp4")))
    whole = known(decode(info))
    assert whole != new
    index = next(n for n in range(120, 200) if places(whole, n) == places(new, n))  # so that these tell nothing
    assert known(decode(info, since=places(whole, index))) == whole[index:]


REAL = ("faces/bikes.mp4", "faces/grid_bbaf2n.mpg", "odd/nasa_13013.mp4", "odd/nocoding_Err0001.avi", "odd/sample.avi")
REAL += ("odd/transparent.webm", "odd/video_with_failing_audio.mp4", "odd/roadtrip-vp92-10bit.webm")
REAL += ("odd/sample_sef_slow_motion.mp4", "odd/unordered.mov", "odd/vfr_rotated.mp4")


def real_film_comes_again(path: Path, parts: Sequence[float]) -> None:
    info = probe(path)
    whole = known(decode(info))
    for index in sorted({int(len(whole) * part) for part in parts}):
        assert known(decode(info, since=places(whole, index))) == whole[index:], index


@pytest.mark.parametrize("name", REAL)
def test_real_films(shared: Path, name: str) -> None:
    real_film_comes_again(shared / "media" / name, (0.5, 0.96))


@pytest.mark.slow
def test_all_real_films(shared: Path) -> None:
    for path in sorted((shared / "media").glob("*/*")):
        try:
            probe(path)
            whole = known(decode(probe(path)))
        except InputError:
            continue
        if whole:
            real_film_comes_again(path, (0.01, 0.3, 0.51, 0.75, 0.99))


@pytest.mark.parametrize("name", ["b-frames.mp4", "mpeg2.ts", "film.mpg"])
@pytest.mark.parametrize("tolerant", [False, True])
def test_another_film_is_refused(
    film: Callable[[str], tuple[VideoInfo, list[Known]]], name: str, tolerant: bool
) -> None:
    info, whole = film(name)
    right = places(whole, LATE)
    beyond = [Place(len(whole), whole[-1].place.pts + whole[-1].time.pts - whole[-2].time.pts, 0)]
    wrong = [right[0], replace(right[1], crc=right[1].crc ^ 1), right[2]]
    early = [replace(right[0], pts=right[0].pts - 1), *right[1:]]
    told: list[str] = []
    for since, index in ((beyond, len(whole)), (wrong, LATE + 1), (early, LATE)):
        with pytest.raises(DecodeError, match=rf"frame {index} is not .*has changed.*--resume never") as caught:
            list(decode(info, since=since, tolerant=tolerant, on_warning=told.append))
        assert "\n" not in str(caught.value) and str(info.path) in str(caught.value)
    assert told == []


def test_a_film_that_changed_in_the_middle_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "film.mkv"
    make_clip(path, Clip("ffv1", "matroska", pts=tuple(range(200)), noise=True))
    info = probe(path)
    whole = known(decode(info))
    make_clip(path, Clip("ffv1", "matroska", pts=tuple(range(200))))
    with pytest.raises(DecodeError, match="frame 100 is not the one that it was"):
        list(decode(info, since=places(whole, 100)))


def _spoil(path: Path, index: int) -> None:
    """Fill a part of one packet with noise."""
    with av.open(str(path)) as container:
        victim = [packet for packet in container.demux(video=0) if packet.size][index]
    assert victim.pos is not None
    data = bytearray(path.read_bytes())
    start, count = victim.pos + victim.size // 3, victim.size // 3
    data[start : start + count] = np.random.default_rng(1).bytes(count)
    path.write_bytes(data)


def _cut_before(path: Path, index: int) -> None:
    """End the file between two packets."""
    with av.open(str(path)) as container:
        first_lost = [packet for packet in container.demux(video=0) if packet.size][index]
    path.write_bytes(path.read_bytes()[: first_lost.pos])


def _cut(path: Path, part: float) -> None:
    path.write_bytes(path.read_bytes()[: int(path.stat().st_size * part)])


DAMAGED = {
    "spoilt.mkv": (encoded(*X264, "-x264-params", "cabac=0"), lambda path: _spoil(path, 270)),
    "spoilt.avi": (encoded("-c:v", "mpeg4", "-bf", "0"), lambda path: _spoil(path, 270)),
    "ffv1.mkv": (encoded("-c:v", "ffv1", "-slicecrc", "1"), lambda path: _spoil(path, 270)),
    "cut.mp4": (encoded(*X264, "-movflags", "+faststart"), lambda path: _cut(path, 0.9)),
    "between.mp4": (encoded("-map", "0:v", *X264, "-movflags", "+faststart"), lambda path: _cut_before(path, 270)),
    "fragmented.mp4": (encoded(*X264, "-movflags", "frag_keyframe"), lambda path: _cut(path, 0.87)),
    "cut.mkv": (encoded(*X264), lambda path: _cut(path, 0.9)),
    "cut.flv": (encoded("-c:v", "flv1", "-ar", "44100"), lambda path: _cut(path, 0.9)),
    "cut.avi": (encoded("-c:v", "mpeg4", "-bf", "0"), lambda path: _cut(path, 0.9)),
}


@pytest.mark.parametrize("name", DAMAGED)
def test_damage_is_told_as_from_the_start(tmp_path: Path, name: str) -> None:
    make, harm = DAMAGED[name]
    path = tmp_path / name
    make(path)
    harm(path)
    info = probe(path)
    from_start: list[str] = []
    whole = known(decode(info, tolerant=True, on_warning=from_start.append))
    assert LATE < len(whole) < COUNT and len(from_start) == 1
    sought: list[str] = []
    since = places(whole, LATE)
    assert known(decode(info, tolerant=True, on_warning=sought.append, since=since)) == whole[LATE:]
    assert sought == from_start
    with pytest.raises(DecodeError) as caught:
        list(decode(info, since=since))
    assert str(caught.value).split(" (")[0] == from_start[0].split(" (")[0]
    before = [replace(whole[0].place, index=len(whole) + 5, pts=whole[-1].place.pts + 10**6)]
    with pytest.raises(DecodeError, match=f"frame {len(whole) + 5} is not the one that it was"):
        list(decode(info, since=before, tolerant=True))


def test_what_concerns_the_beginning_is_not_told_again(tmp_path: Path) -> None:
    ffmpeg(*SOURCE, "-map", "0:v", *X264, "-bf", "0", tmp_path / "film.ts")
    data = (tmp_path / "film.ts").read_bytes()
    path = tmp_path / "late.ts"
    path.write_bytes(data[len(data) // 20 // 188 * 188 :])
    info = probe(path)
    whole = known(decode(info))
    told: list[str] = []
    for index in (2, len(whole) - 30):
        assert known(decode(info, since=places(whole, index), on_warning=told.append)) == whole[index:]
    assert told == []


@pytest.mark.parametrize("name", ["b-frames.mp4", "open.ts", "film.mpg"])
def test_closing_early_leaves_no_thread(film: Callable[[str], tuple[VideoInfo, list[Known]]], name: str) -> None:
    info, whole = film(name)
    before = threading.active_count(), len(list(Path("/proc/self/task").glob("*")))
    frames = decode(info, since=places(whole, LATE))
    assert next(frames).index == LATE
    frames.close()
    assert (threading.active_count(), len(list(Path("/proc/self/task").glob("*")))) == before


@pytest.mark.parametrize("name", ["b-frames.mp4", "open.ts", "mpeg2.ts", "film.mpg"])
def test_side_data_are_those_of_a_decode_from_the_start(
    film: Callable[[str], tuple[VideoInfo, list[Known]]], packets_read: list[int], name: str
) -> None:
    info, whole = film(name)
    want = list(decode_side_data(info))
    assert [time for time, _ in want] == [frame.time for frame in whole]
    packets_read[0] = 0
    assert list(decode_side_data(info, whole[LATE].time)) == want[LATE:]
    assert (packets_read[0] < LATE) == (name in SOUGHT)
    between = Timestamp(whole[LATE].time.pts - 1, info.time_base)
    assert list(decode_side_data(info, between)) == want[LATE:]


def test_places_must_follow_one_another(film: Callable[[str], tuple[VideoInfo, list[Known]]]) -> None:
    info, whole = film("ffv1.mkv")
    negative = [replace(whole[0].place, index=-1)]
    for since in ([whole[5].place, whole[7].place], [whole[6].place, whole[5].place], negative):
        with pytest.raises(ValueError, match=r"follow|numbered"):
            next(decode(info, since=since))


def test_a_place_depends_on_samples_and_shape_alone() -> None:
    time = Timestamp(7, Fraction(1, 25))

    def place(samples: np.ndarray[Any, Any], bits: int) -> Place:
        picture = Picture((samples,), PixelFormat("any", "gray", bits), ColourSpec())
        return place_of(Frame(3, time, picture))

    samples = np.arange(6000, dtype=np.uint16).reshape(60, 100)
    wide = np.zeros((60, 200), np.uint16)
    wide[:, ::2] = samples
    assert place(samples, 16) == place(wide[:, ::2], 16) == pickle.loads(pickle.dumps(place(samples, 16)))
    assert place(samples, 16) == Place(3, 7, zlib.crc32(b"60x100;" + samples.astype("<u2").tobytes()))
    assert place(samples, 16) != place(samples.reshape(100, 60), 16)
    assert place(samples.astype(np.uint8), 8) != place(samples, 16)
