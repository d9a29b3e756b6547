"""A film in words and in JSON."""

from fractions import Fraction
from typing import Any

from gpen_video.types import VideoInfo


def film_line(info: VideoInfo) -> str:
    """Container, size, format, rate and length in one line."""
    parts = [f"{info.codec} {info.width}x{info.height} {info.source_format_name}"]
    if info.average_frame_rate is not None:
        parts.append(f"{float(info.average_frame_rate):.6g} fps")
    if info.frame_count_from_header is not None:
        parts.append(f"{info.frame_count_from_header} frames by its header")
    if info.duration_from_header is not None:
        parts.append(f"{float(info.duration_from_header):.3f} s by its header")
    if info.rotation:
        parts.append(f"turned {info.rotation} degrees for display")
    if info.chapter_count:
        parts.append(f"{info.chapter_count} chapters")
    return f"{info.path}: {info.container}; {', '.join(parts)}"


def stream_rows(info: VideoInfo) -> list[tuple[str, ...]]:
    """Index, kind, codec, language, detail and title of every stream; the restored one is marked."""
    return [
        (
            str(stream.index),
            f"{stream.kind} (restored)" if stream.index == info.stream_index else stream.kind,
            stream.codec,
            stream.language or "",
            stream.detail,
            stream.title or "",
        )
        for stream in info.streams
    ]


def film_json(info: VideoInfo) -> dict[str, Any]:
    """The film for programs; ratios as text, ``30000/1001``."""
    return {
        "file": str(info.path),
        "container": info.container,
        "video": {
            "stream": info.stream_index,
            "codec": info.codec,
            "width": info.width,
            "height": info.height,
            "pixel_format": info.source_format_name,
            "bits": info.format.bits,
            "colour": {
                "matrix": info.colour.matrix,
                "full_range": info.colour.full_range,
                "primaries": info.colour.primaries,
                "transfer": info.colour.transfer,
                "chroma_location": info.colour.chroma_location,
            },
            "time_base": str(info.time_base),
            "average_frame_rate": _ratio(info.average_frame_rate),
            "sample_aspect_ratio": _ratio(info.sample_aspect_ratio),
            "rotation": info.rotation,
            "frame_count_from_header": info.frame_count_from_header,
            "duration_from_header": None if info.duration_from_header is None else float(info.duration_from_header),
        },
        "streams": [
            {
                "index": stream.index,
                "kind": stream.kind,
                "codec": stream.codec,
                "language": stream.language,
                "title": stream.title,
                "detail": stream.detail,
            }
            for stream in info.streams
        ],
        "chapters": info.chapter_count,
    }


def _ratio(value: Fraction | None) -> str | None:
    return None if value is None else str(value)
