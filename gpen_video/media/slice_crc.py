"""FFV1's own checksums: RFC 9043, sections 4.9 (slice footer) and 4.9.3 (``slice_crc_parity``).

FFmpeg's decoder only logs a mismatch and patches the slice up from the frame before, so it is looked for here.
"""

import zlib

_FOOTER = 8  # bytes: 3 of size, 1 of error status, 4 of parity
_SEEDS = (0, 0x7A8C4079)  # of version 3, and of version 4 as FFmpeg writes it
_REVERSED = bytes(int(f"{byte:08b}"[::-1], 2) for byte in range(256))


class SliceCrc:
    """Checks the packets of one FFV1 stream."""

    def __init__(self) -> None:
        self._seed: int | None = None  # until a packet shows that the stream has checksums, and which

    def is_damaged(self, packet: bytes) -> bool:
        """Whether a slice of the packet fails its check; False for streams without checksums."""
        if self._seed is None:
            self._seed = next((seed for seed in _SEEDS if _all_pass(packet, seed)), None)
            return False
        return not _all_pass(packet, self._seed)


def _all_pass(packet: bytes, seed: int) -> bool:
    """Walk the slices from the last to the first, by the sizes in their footers."""
    end = len(packet)
    while end >= _FOOTER:
        start = end - _FOOTER - int.from_bytes(packet[end - _FOOTER : end - _FOOTER + 3], "big")
        if start < 0 or _crc(packet[start:end], seed) != seed:
            return False
        end = start
    return end == 0 < len(packet)


def _crc(data: bytes, seed: int) -> int:
    """CRC-32 with the most significant bit first and no inversions, by way of zlib's, which is its mirror image."""
    mirrored_seed = int(f"{seed:032b}"[::-1], 2)
    mirrored = zlib.crc32(data.translate(_REVERSED), mirrored_seed ^ 0xFFFFFFFF) ^ 0xFFFFFFFF
    return int(f"{mirrored:032b}"[::-1], 2)
