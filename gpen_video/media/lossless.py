"""Which encodings give back every sample."""

from collections.abc import Mapping

import av

_EIGHT_BITS = 8


def is_lossless(codec: str, options: Mapping[str, str] | None = None, bits: int = _EIGHT_BITS) -> bool:
    """Whether pictures that were encoded so come out with the same bits.

    Args:
        codec: FFmpeg's name of the codec, as `VideoInfo.codec`.
        options: Of the encoder; they decide for codecs that can do both.
        bits: Of a sample. For x264 a factor or quantiser of 0 is lossless with 8 only.
    """
    decoder = av.Codec(codec, "r")
    if not (decoder.lossless and decoder.lossy):
        return bool(decoder.lossless)
    options = options or {}
    if options.get("lossless") == "1":  # libvpx, NVENC, libwebp
        return True
    if codec == "h264":
        return bits == _EIGHT_BITS and any(options.get(name) in ("0", "0.0") for name in ("qp", "crf"))
    return "lossless=1" in options.get("x265-params", "").split(":")
