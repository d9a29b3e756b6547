"""Colour tags: FFmpeg's names for the code points of ITU-T H.273 (2021), tables 2 to 4, and back."""

import av

from gpen_video.types import ColourSpec

_UNSPECIFIED = 2  # in all three tables

_MATRICES = {
    0: "gbr",
    1: "bt709",
    4: "fcc",
    5: "bt470bg",
    6: "smpte170m",
    7: "smpte240m",
    8: "ycgco",
    9: "bt2020nc",
    10: "bt2020c",
    11: "smpte2085",
    12: "chroma-derived-nc",
    13: "chroma-derived-c",
    14: "ictcp",
    15: "ipt-c2",
}
_PRIMARIES = {
    1: "bt709",
    4: "bt470m",
    5: "bt470bg",
    6: "smpte170m",
    7: "smpte240m",
    8: "film",
    9: "bt2020",
    10: "smpte428",
    11: "smpte431",
    12: "smpte432",
    22: "ebu3213",
}
_TRANSFERS = {
    1: "bt709",
    4: "gamma22",
    5: "gamma28",
    6: "smpte170m",
    7: "smpte240m",
    8: "linear",
    9: "log100",
    10: "log316",
    11: "iec61966-2-4",
    12: "bt1361e",
    13: "iec61966-2-1",
    14: "bt2020-10",
    15: "bt2020-12",
    16: "smpte2084",
    17: "smpte428",
    18: "arib-std-b67",
}
_RANGES = {None: 0, False: 1, True: 2}  # AVColorRange


def colour_of(frame: av.VideoFrame, *, is_rgb: bool, chroma_location: str | None) -> ColourSpec:
    """What a decoded frame says of its colours.

    Args:
        frame: As it comes from the decoder.
        is_rgb: Its samples are RGB, so that matrix 0 means so; with YUV samples FFmpeg writes it for "not stated".
        chroma_location: By FFmpeg's name, read elsewhere: PyAV does not hand it out.
    """
    full_range = {number: full for full, number in _RANGES.items()}.get(int(frame.color_range))
    if frame.format.name.startswith("yuvj"):
        full_range = True
    matrix = int(frame.colorspace)
    return ColourSpec(
        matrix=_MATRICES.get(matrix) if matrix or is_rgb else None,
        full_range=full_range,
        primaries=_PRIMARIES.get(int(frame.color_primaries)),
        transfer=_TRANSFERS.get(int(frame.color_trc)),
        chroma_location=chroma_location,
    )


def stream_colour(context: av.VideoCodecContext) -> ColourSpec:
    """The container's tags of a stream of which nothing was decoded yet."""
    full_range = {number: full for full, number in _RANGES.items()}.get(int(context.color_range))
    return ColourSpec(
        matrix=_MATRICES.get(int(context.colorspace)),
        full_range=full_range,
        primaries=_PRIMARIES.get(int(context.color_primaries)),
        transfer=_TRANSFERS.get(int(context.color_trc)),
    )


def write_tags(target: av.VideoCodecContext | av.VideoFrame, colour: ColourSpec) -> None:
    """Set the tags of an encoder, before it is opened, or of a frame; what is not stated stays so."""
    target.colorspace = _code_point(_MATRICES, colour.matrix)
    target.color_primaries = _code_point(_PRIMARIES, colour.primaries)
    target.color_trc = _code_point(_TRANSFERS, colour.transfer)
    target.color_range = _RANGES[colour.full_range]


def _code_point(table: dict[int, str], name: str | None) -> int:
    """The number of a name in one of the tables; the number for "not stated" where it is `None` or not in it."""
    return next((number for number, have in table.items() if have == name), _UNSPECIFIED)


def ffmpeg_options(colour: ColourSpec) -> dict[str, str]:
    """The same tags as options of ``ffmpeg``, for a stream that is copied: as numbers, since names have changed."""
    options = {
        "colorspace": _code_point(_MATRICES, colour.matrix) if colour.matrix else None,
        "color_primaries": _code_point(_PRIMARIES, colour.primaries) if colour.primaries else None,
        "color_trc": _code_point(_TRANSFERS, colour.transfer) if colour.transfer else None,
        "color_range": _RANGES[colour.full_range] or None,
        "chroma_sample_location": colour.chroma_location,
    }
    return {name: str(value) for name, value in options.items() if value is not None}
