"""Messages for players (captions, active format) put into a coded picture, beside what the encoder wrote."""

import re
from collections.abc import Sequence

_START = b"\x00\x00\x01"
_COUNTRY = 3  # bytes of a T.35 message that MPEG-2's user data do without: country and provider
_SEI_REGISTERED = 4  # payloadType of user_data_registered_itu_t_t35, in H.264 and H.265 alike
_STOP_BIT = b"\x80"
_H264_HEAD, _H265_HEAD = b"\x06", b"\x4e\x01"  # a NAL unit of SEI; in H.265 one that goes before the picture
_MPEG2_USER_DATA = _START + b"\xb2"

CARRIERS = ("h264", "hevc", "mpeg2video")
"""FFmpeg's names of the codecs whose pictures can take messages."""


def with_messages(picture: bytes, codec: str, messages: Sequence[bytes]) -> bytes:
    """A coded picture with messages before its first slice.

    Args:
        picture: One access unit with start codes (ITU-T H.264 and H.265, annex B), or one picture of MPEG-2.
        codec: One of `CARRIERS`.
        messages: ITU-T T.35 messages, from the country code on.

    Raises:
        ValueError: There is no slice, or the codec is none of these.
    """
    if not messages:
        return picture
    place = _first_slice(picture, codec)
    inserted = b"".join(_as_unit(message, codec) for message in messages)
    return picture[:place] + inserted + picture[place:]


def _first_slice(picture: bytes, codec: str) -> int:
    for match in re.finditer(rb"\x00?\x00\x00\x01(.)", picture, re.DOTALL):
        first = match.group(1)[0]
        is_slice = {
            "h264": 1 <= first & 0x1F <= 5,
            "hevc": first >> 1 & 0x3F < 32,
            "mpeg2video": 0x01 <= first <= 0xAF,
        }[codec]
        if is_slice:
            return match.start()
    raise ValueError(f"a {codec} packet holds no slice")


def _as_unit(message: bytes, codec: str) -> bytes:
    if codec == "mpeg2video":
        return _MPEG2_USER_DATA + message[_COUNTRY:]
    size = b"\xff" * (len(message) // 255) + bytes((len(message) % 255,))
    payload = bytes((_SEI_REGISTERED,)) + size + message + _STOP_BIT
    head = _H264_HEAD if codec == "h264" else _H265_HEAD
    return b"\x00" + _START + head + _without_start_codes(payload)


def _without_start_codes(payload: bytes) -> bytes:
    """Emulation prevention (ITU-T H.264, 7.4.1.1): no two zero bytes may be followed by a byte below four."""
    return re.sub(rb"\x00\x00(?=[\x00-\x03])", b"\x00\x00\x03", payload)
