"""Colour tags that contradict each other or the pictures: told, and kept as they are."""

from dataclasses import fields

from gpen_video.types import ColourSpec, VideoInfo

_HDR_TRANSFERS = {"smpte2084": "PQ", "arib-std-b67": "HLG"}
_WIDE_PRIMARIES = ("bt2020", "smpte431", "smpte432")
_BT2020_MATRICES = ("bt2020nc", "bt2020c", "ictcp")
_LEAST_HDR_BITS = 10  # ITU-R BT.2100, table 9
_EQUAL = {  # by H.273: the same formula under several names
    "matrix": {"smpte170m": "bt601", "bt470bg": "bt601"},
    "transfer": dict.fromkeys(("bt709", "smpte170m", "bt2020-10", "bt2020-12"), "bt709"),
}
_WORDS = {
    "matrix": "matrix",
    "full_range": "range",
    "primaries": "primaries",
    "transfer": "transfer",
}


def contradictions(info: VideoInfo, container: ColourSpec) -> tuple[str, ...]:
    """What the colour tags say that cannot all be true, one line each; nothing where they agree or are silent.

    Args:
        info: The source, with the tags of its pictures.
        container: The tags of its container.
    """
    return (*_between(info.colour, container), *_within(info, container))


def _between(pictures: ColourSpec, container: ColourSpec) -> list[str]:
    """Where the container's tags mean something else than the pictures'."""
    lines = []
    for field in fields(ColourSpec):
        ours, theirs = getattr(pictures, field.name), getattr(container, field.name)
        equal = _EQUAL.get(field.name, {})
        if field.name in _WORDS and None not in (ours, theirs) and equal.get(ours, ours) != equal.get(theirs, theirs):
            lines.append(
                f"the colour tags contradict each other: {_WORDS[field.name]} {_text(ours)} in the pictures, "
                f"{_text(theirs)} in the container; the pictures' is believed, both are kept"
            )
    return lines


def _within(info: VideoInfo, container: ColourSpec) -> list[str]:
    """Where the tags do not fit together, or not with the pictures."""
    colour = info.colour
    matrix, primaries, transfer = colour.matrix, colour.primaries, colour.transfer
    lines = []
    if info.format.family == "yuv" and "gbr" in (matrix, container.matrix):
        lines.append(f"the matrix is tagged gbr (RGB), but the pictures are {info.format.name}")
    if info.format.family == "rgb" and matrix not in (None, "gbr"):
        lines.append(f"the matrix is tagged {matrix}, but the pictures are RGB")
    if matrix in _BT2020_MATRICES and primaries is not None and primaries != "bt2020":
        lines.append(f"the matrix is tagged {matrix}, but the primaries {primaries}")
    if primaries == "bt2020" and matrix in ("bt709", "smpte170m", "bt470bg", "smpte240m", "fcc"):
        lines.append(f"the primaries are tagged bt2020, but the matrix {matrix}")
    if transfer in _HDR_TRANSFERS:
        curve = _HDR_TRANSFERS[transfer]
        if primaries is not None and primaries not in _WIDE_PRIMARIES:
            lines.append(f"the transfer is tagged {transfer} ({curve}), but the primaries {primaries}")
        if info.format.bits < _LEAST_HDR_BITS:
            lines.append(f"the transfer is tagged {transfer} ({curve}), but the pictures have {info.format.bits} bits")
    return [f"wrong colour tags: {line}; they are kept as they are" for line in lines]


def _text(value: str | bool) -> str:
    return {True: "full", False: "limited"}[value] if isinstance(value, bool) else value
