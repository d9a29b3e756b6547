"""Films with everything in them, treated with a face that is made up, and ways to spoil the result."""

import subprocess
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path

import av
import imageio_ffmpeg
import numpy as np

from gpen_video.config.schema import BlendSettings, EncodeSettings
from gpen_video.faces.align import Aligner
from gpen_video.faces.layer import LayerWish, paste_layers
from gpen_video.faces.mask import face_mask
from gpen_video.media import Carriage, assemble, decode, encode, plan_carriage, probe
from gpen_video.pipeline.record import Recorder, compared, recorded
from gpen_video.pipeline.treatment import carried_streams
from gpen_video.report import (
    EncoderUsed,
    Setting,
    TreatmentRecord,
    film_file,
    tool_used,
)
from gpen_video.types import Frame, FrameFaces, MaskedFace
from tests.faces.scenes import carrier, masked, tracked_at

SIZE = 32
FRAMES = 12
FACE_FRAMES = range(3, 9)
FFV1 = EncodeSettings(codec="ffv1")
X264_LOSSLESS = EncodeSettings(codec="libx264", crf=0, preset="ultrafast")
X264 = EncodeSettings(codec="libx264", crf=20, preset="ultrafast")
PRORES = EncodeSettings(codec="prores_ks", crf=None, preset=None)

Edit = Callable[[Iterable[Frame]], Iterator[Frame]]

ALL = ("-map", "0", "-map", "-0:d", "-c", "copy")
"""All streams but those that the MOV writer makes by itself."""

CHAPTERS = """;FFMETADATA1
title=The Film
comment=scanned in 1999
[CHAPTER]
TIMEBASE=1/1000
START=0
END=200
title=First
[CHAPTER]
TIMEBASE=1/1000
START=200
END=480
title=Second
"""


@dataclass(frozen=True)
class Treated:
    """A source, its result, and the record of what was done."""

    source: Path
    result: Path
    record: TreatmentRecord
    carriage: Carriage
    how: EncodeSettings


def ffmpeg(*arguments: str | Path) -> None:
    """The program that imageio-ffmpeg brings."""
    command = [imageio_ffmpeg.get_ffmpeg_exe(), "-nostdin", "-y", "-v", "error", *map(str, arguments)]
    subprocess.run(command, check=True)


def make_source(path: Path, *, codec: str = "ffv1", pix_fmt: str = "yuv420p", rate: Fraction = Fraction(25)) -> Path:
    """Moving noise in 4:2:0 with sound, made by PyAV; subtitles, chapters, tags and an attachment where they go."""
    bare, folder = path.with_stem("bare"), path.parent
    with av.open(str(bare), "w") as container:
        film = container.add_stream(codec, rate=rate)
        film.width, film.height, film.pix_fmt = 160, 120, pix_fmt
        film.codec_context.time_base = 1 / rate
        sound = container.add_stream("aac", rate=48000)
        rng = np.random.default_rng(1)
        for index in range(FRAMES):
            gray = rng.integers(40, 200, (120, 160), np.uint8)
            frame = av.VideoFrame.from_ndarray(gray, "gray").reformat(format=pix_fmt)
            frame.pts, frame.time_base = index, 1 / rate
            container.mux(film.encode(frame))
        container.mux(film.encode(None))
        for index in range(20):
            tone = rng.normal(0, 0.2, (1, 1024)).astype(np.float32)
            block = av.AudioFrame.from_ndarray(tone, "fltp", "mono")
            block.rate, block.pts = 48000, 1024 * index
            container.mux(sound.encode(block))
        container.mux(sound.encode(None))
    (folder / "meta.txt").write_text(CHAPTERS)
    (folder / "words.srt").write_text("1\n00:00:00,100 --> 00:00:00,300\nWords\n")
    (folder / "note.txt").write_text("attached")
    words = "srt" if path.suffix == ".mkv" else "mov_text"
    attached = ["-attach", folder / "note.txt", "-metadata:s:t", "mimetype=text/plain"] if path.suffix == ".mkv" else []
    ffmpeg(
        *("-i", bare, "-i", folder / "words.srt", "-f", "ffmetadata", "-i", folder / "meta.txt"),
        *("-map", "0", "-map", "1", "-map_metadata", "2", "-map_chapters", "2", "-c", "copy", "-c:s", words),
        *("-metadata:s:a:0", "language=eng", "-metadata:s:s:0", "language=eng", "-disposition:s:0", "forced"),
        *("-color_primaries", "bt709", "-color_trc", "bt709", "-colorspace", "bt709", *attached, path),
    )
    return path


def treat(source: Path, result: Path, how: EncodeSettings) -> Treated:
    """All of a run but the networks."""
    carriage = plan_carriage(probe(source), result, how)
    recorder = Recorder()
    _write(source, result, how, carriage, recorder, iter)
    treatment = recorder.treatment()
    record = TreatmentRecord(
        tool=tool_used(),
        source=film_file(source, treatment.frames),
        result=film_file(result, treatment.frames),
        encoder=EncoderUsed(carriage.encoder.codec, carriage.encoder.pix_fmt, carriage.encoder.options),
        settings=(Setting("media.filters", "", "default"),),
        weights=(),
        carried=carried_streams(carriage, probe(source)),
        lost=carriage.losses,
        warnings=carriage.notes,
        shots=treatment.shots(),
        tracks=treatment.tracks(),
        decisions=(),
    )
    return Treated(source, result, record, carriage, how)


def spoilt(treated: Treated, edit: Edit) -> Treated:
    """The same run, spoilt before the encoder; the record is the honest one but for the result's hash."""
    result = treated.result.with_stem("spoilt")
    _write(treated.source, result, treated.how, treated.carriage, Recorder(), edit)
    return rewritten(treated, result)


def _write(source: Path, result: Path, how: EncodeSettings, carriage: Carriage, recorder: Recorder, edit: Edit) -> None:
    info, video = probe(source), result.with_suffix(".video")
    faces = recorded(map(with_face, decode(info)), recorder)
    pasted = compared(paste_layers(faces, BlendSettings(grain="none"), LayerWish()), recorder)
    encode(edit(item.frame for item in pasted), video, like=info, settings=how)
    assemble(video, info, result, carriage)


def with_face(frame: Frame) -> FrameFaces[MaskedFace]:
    """A face that the network made darker, in some of the frames."""
    if frame.index not in FACE_FRAMES:
        return carrier(frame)
    aligner = Aligner(SIZE)
    crop = aligner.crop(frame, tracked_at(80 + frame.index, 60, 48))
    return carrier(frame, masked(crop, crop.rgb_hwc - np.float32(0.1), face_mask(aligner._template_5xy, SIZE, 0.12)))


def rewritten(treated: Treated, result: Path) -> Treated:
    """The same with another result, whose hash the record has."""
    frames = treated.record.result.frames
    return replace(treated, result=result, record=replace(treated.record, result=film_file(result, frames)))


def remuxed(treated: Treated, *options: str | Path) -> Treated:
    """The result copied by ffmpeg with other options."""
    spoilt = treated.result.with_stem("spoilt")
    ffmpeg("-copyts", "-i", treated.result, *ALL, "-avoid_negative_ts", "disabled", *options, spoilt)
    return rewritten(treated, spoilt)


def with_flipped_sound(treated: Treated, packet: int) -> Treated:
    """One bit of one packet of sound is another in the file."""
    with av.open(str(treated.result)) as container:
        payload = [bytes(p) for p in container.demux(audio=0) if p.size][packet]
    data = treated.result.read_bytes()
    assert data.count(payload) == 1
    spoilt = treated.result.with_stem("spoilt")
    spoilt.write_bytes(data.replace(payload, payload[:9] + bytes([payload[9] ^ 1]) + payload[10:]))
    return rewritten(treated, spoilt)


def with_sample_changed(frame: int, plane: int, x: int, y: int, by: int = 1) -> Edit:
    """One sample is another."""

    def edit(frames: Iterable[Frame]) -> Iterator[Frame]:
        for item in frames:
            if item.index == frame:
                planes = [samples.copy() for samples in item.picture.planes]
                planes[plane][y, x] ^= by
                item = replace(item, picture=replace(item.picture, planes=tuple(planes)))
            yield item

    return edit


def with_frame_dropped(frame: int) -> Edit:
    """One frame is not there."""
    return lambda frames: (item for item in frames if item.index != frame)


def with_time_shifted(frame: int, ticks: int = 1) -> Edit:
    """One frame is shown too late."""

    def edit(frames: Iterable[Frame]) -> Iterator[Frame]:
        for item in frames:
            late = replace(item.time, pts=item.time.pts + ticks)
            yield replace(item, time=late) if item.index == frame else item

    return edit
