"""How archives have masters made: what is set for FFV1, ProRes and DNxHR where the settings leave it open."""

from collections.abc import Mapping

from gpen_video.media import formats
from gpen_video.types import VideoInfo

# FFV1 version 3 (RFC 9043): every frame on its own, range coder with the large context model, checksums.
_FFV1 = {"level": "3", "coder": "1", "context": "1", "g": "1", "slicecrc": "1"}
_SD_PIXELS, _HD_PIXELS = 1024 * 576, 2048 * 1152
_SMALLEST_FOR_SLICES = 32
_FINEST_MPEG = 1 / 61  # seconds
_DNXHR_LEAST = (256, 120)


def master_options(codec: str, info: VideoInfo, pix_fmt: str) -> dict[str, str]:
    """Options of an encoder for a master of that film; none for other encoders.

    FFV1 is cut into 4 slices up to SD, 16 up to HD and 24 above. Slices are coded side by side and a damaged one costs
    only its part of the picture, but each begins with an untrained model and ends in 8 bytes of checksum, so that a
    small picture has few. All three are grids that FFmpeg's encoder accepts (2x2, 4x4, 4x6). The profile of ProRes and
    DNxHR is the one that keeps the chroma and the depth of `pix_fmt`.

    Args:
        codec: FFmpeg's name of the encoder.
        info: The source.
        pix_fmt: The pixel format that the encoder is given.
    """
    if codec == "ffv1":
        return _FFV1 | ({"slices": slices} if (slices := _ffv1_slices(info)) else {})
    coarse, bits = formats.subsampling(pix_fmt) != (0, 0), formats.describe(pix_fmt).components[0].bits
    if codec == "prores_ks":
        return {"profile": "hq" if coarse else "4444"}
    if codec == "dnxhd":
        return {"profile": "dnxhr_444" if not coarse else "dnxhr_hqx" if bits > 8 else "dnxhr_hq"}
    return {}


def _ffv1_slices(info: VideoInfo) -> str | None:
    if min(info.width, info.height) < _SMALLEST_FOR_SLICES:
        return None
    pixels = info.width * info.height
    return "4" if pixels <= _SD_PIXELS else "16" if pixels <= _HD_PIXELS else "24"


def why_refused(codec: str, info: VideoInfo, options: Mapping[str, str]) -> str | None:
    """What an encoder demands, to be said where it refuses a film; `None` where that is not known."""
    if codec in ("mpeg1video", "mpeg2video") and info.time_base.numerator / info.time_base.denominator < _FINEST_MPEG:
        return f"MPEG counts time in frames, of at most 60 a second, this film in ticks of {info.time_base} s; "
    if codec != "dnxhd":
        return None
    if options.get("profile", "dnxhr").startswith("dnxhd"):
        return "DNxHD knows only some sizes, frame rates and bit rates (b): leave out the profile for DNxHR, or "
    if (info.width, info.height) < _DNXHR_LEAST or info.height < _DNXHR_LEAST[1]:
        return f"DNxHR needs at least {_DNXHR_LEAST[0]}x{_DNXHR_LEAST[1]}; "
    return None
