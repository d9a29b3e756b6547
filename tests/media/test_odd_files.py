"""Every odd file of the shared folder: decoded whole, or refused in one line.

Counts are ffprobe's: ``ffprobe -count_frames -select_streams v -show_entries stream=nb_read_frames`` (FFmpeg 5.1),
for the stream that is restored; they are in `COUNTS` so that a file is not judged by the library that decodes it.
"""

from pathlib import Path

import pytest

from gpen_video.errors import DecodeError, ProbeError
from gpen_video.media import decode, probe
from tests.media.factories import listed_frames

COUNTS = {
    "odd/-video-with-dash-.mp4": 5,
    "odd/bear-vp9-odd-dimensions.webm": 30,
    "odd/bt709_full_range.mp4": 30,
    "odd/dolbyVision-hdr.MOV": 4,
    "odd/h264_10bits.mp4": 30,
    "odd/h265_with_metadata_track.mp4": 3,
    "odd/minimal.mp4": 1,
    "odd/nasa_13013.mp4": 325,
    "odd/no_duration.webm": 74,
    "odd/nocoding_Err0001.avi": 30,
    "odd/pigs_in_a_polka.gif": 30,
    "odd/roadtrip-vp92-10bit.webm": 72,
    "odd/sample.avi": 96,
    "odd/sample.flv": 30,
    "odd/sample_android_slow_motion.mp4": 7,
    "odd/sample_fragmented.mp4": 30,
    "odd/sample_mdat_too_long.mp4": 30,
    "odd/sample_sef_slow_motion.mp4": 63,
    "odd/sample_with_color_info.mp4": 9,
    "odd/sample_with_colr_mdcv_and_clli.mp4": 60,
    "odd/sample_with_srt.mkv": 30,
    "odd/sample_with_ssa_subtitles.mkv": 30,
    "odd/transparent.webm": 150,
    "odd/unordered.mov": 4,
    "odd/vfr_rotated.mp4": 24,
    "odd/video_180.mov": 3,
    "odd/video_90.mov": 3,
    "odd/video_with_failing_audio.mp4": 280,
    "faces/asl_again.mkv": 77,
    "faces/asl_thanks.mkv": 51,
    "faces/carphone_pristine.mp4": 120,
    "faces/chaplin.mp4": 241,
    "faces/foreman_h264.mp4": 60,
    "faces/grid_bbaf2n.mpg": 75,
    "faces/grid_sbia1a.mpg": 75,
    "faces/portrait_ac3.mkv": 30,
}

REFUSED = {
    "chunk_out_of_range.mp4": "is not a film that FFmpeg can read",
    "full_blocks.mkv": "holds no video stream, only subtitle",
    "invalid-bitstream.webm": "none of its first 51 packets can be decoded as vp9",
    "sample_ac4.mp4": "holds no video stream, only audio",
    "short-cenc.mp4": "is encrypted",
    "subsample_encrypted_altref.webm": "is encrypted",
}
DAMAGED = {"corrupted.mp4": "frame 29 cannot be decoded"}


def test_no_file_is_forgotten(shared: Path) -> None:
    there = {path.name for path in (shared / "media" / "odd").iterdir()}
    assert there == {Path(name).name for name in COUNTS if name.startswith("odd/")} | REFUSED.keys() | DAMAGED.keys()


@pytest.mark.parametrize("name", COUNTS)
def test_good_files_are_decoded_whole_at_their_times(shared: Path, name: str) -> None:
    path = shared / "media" / name
    info = probe(path)
    warnings: list[str] = []
    times, sizes = [], set()
    for frame in decode(info, on_warning=warnings.append):
        times.append(frame.time.seconds)
        sizes.add((frame.picture.width, frame.picture.height, frame.picture.format))
    assert len(times) == COUNTS[name]
    assert sizes == {(info.width, info.height, info.format)}
    assert warnings == []
    assert times == [row.seconds for row in listed_frames(path, info.stream_index)]


@pytest.mark.parametrize("name", REFUSED)
def test_unusable_files_are_refused_at_once(shared: Path, name: str) -> None:
    with pytest.raises(ProbeError, match=REFUSED[name]) as caught:
        probe(shared / "media" / "odd" / name)
    assert "\n" not in str(caught.value) and name in str(caught.value)


@pytest.mark.parametrize("name", DAMAGED)
def test_damaged_files_name_the_frame(shared: Path, name: str) -> None:
    info = probe(shared / "media" / "odd" / name)
    with pytest.raises(DecodeError, match=DAMAGED[name]) as caught:
        list(decode(info))
    assert "\n" not in str(caught.value)
