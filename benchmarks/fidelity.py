"""What pasting faces does to the samples of a film, format by format, and what it costs: makes ``docs/fidelity.md``.

    python benchmarks/fidelity.py [--only samples|hdr|rounding|cost] [FILM ...]

Without ``--only`` the whole page is written; with it, one part is printed. Faces of the films (``examples/sample.mp4``
if none is named) are restored to see how their changes are rounded. Films of noise are written, go through the
product's own decoder, `Aligner`, `Masker`, `paste` and FFV1 encoder, and are decoded again.
"""

import argparse
import platform
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from itertools import product
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
import torch
from numpy.typing import NDArray

from gpen_video.colour import yuv_from_rgb
from gpen_video.config.schema import BlendSettings, EncodeSettings
from gpen_video.faces import Aligner, Masker, RetinaFaceDetector, detection_in_frame, upright_rgb
from gpen_video.faces.mask import face_mask
from gpen_video.faces.paste import paste, paste_change
from gpen_video.faces.planes import PlaneGroup, plane_groups
from gpen_video.faces.support import plane_from_crop
from gpen_video.geometry import TEMPLATES, apply, invert
from gpen_video.media import decode, encode, probe
from gpen_video.media import formats as pixel_formats
from gpen_video.media.picture import frame_of, picture_of
from gpen_video.restore import GpenRestorer
from gpen_video.types import (
    ColourSpec,
    Detection,
    FaceCrop,
    Frame,
    FrameFaces,
    MaskedFace,
    Picture,
    PixelFormat,
    RestoredFace,
    Timestamp,
    TrackedFace,
)
from gpen_video.weights import load_detector, load_gpen

Samples = NDArray[Any]

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs" / "fidelity.md"
SIZE = (131, 99)
CROP = 64
PLACES = ((62.0, 50.0, 74.0, 0.2), (126.0, 4.0, 60.0, -0.6))
"""x, y, size and turn of the faces: one inside, one across a corner of the picture."""
CHANGE = np.array([0.12, -0.07, 0.2], np.float32)

FFV1 = EncodeSettings(codec="ffv1", options={"slices": "1"})
"""FFmpeg's encoder cuts no 4:2:0 picture of odd width into 4 slices."""

PLANAR = [
    name + ("" if bits == 8 else f"{bits}le")
    for name, bits in product(("yuv420p", "yuv422p", "yuv444p", "gray", "gbrp"), (8, 9, 10, 12, 14, 16))
]
PACKED = ["nv12", "p010le", "rgb24", "bgr24", "rgb48le"]
IN_NO_FILE = ["p010le"]
"""What decoders in hardware give; such a frame is handed to the product in the decoder's place."""
MATRICES = ("smpte170m", "bt709", "bt2020nc", "smpte240m")
LOCATIONS = ("left", "center", "topleft", "left")
HDR = {"smpte2084": "PQ", "arib-std-b67": "HLG"}
HDR_FORMATS = ["yuv420p10le", "p010le", "yuv422p10le", "yuv444p12le", "yuv444p16le", "gbrp12le"]


@dataclass(frozen=True, slots=True)
class Found:
    """What became of the samples of one frame."""

    outside: int
    """Changed samples outside of the masks."""
    identity: int
    """Largest deviation from the source where the network changes nothing, in code values."""
    deviation: float
    """Largest deviation from the closed form, where the network changes something, in code values."""


def main() -> None:
    """Write the page, or print one part of it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parts: dict[str, Callable[[], Iterator[str]]] = {
        "samples": samples_part,
        "hdr": hdr_part,
        "cost": cost_part,
        "rounding": lambda: rounding_part(arguments.films),
    }
    parser.add_argument("--only", choices=tuple(parts))
    parser.add_argument("films", nargs="*", type=Path, default=[ROOT / "examples" / "sample.mp4"])
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    if arguments.only is not None:
        for line in parts[arguments.only]():
            print(line, flush=True)
        return
    made_by = "Made by `python benchmarks/fidelity.py [FILM ...]`; every figure is measured by it."
    lines = ["# Fidelity", "", made_by, ""]
    for part in parts.values():
        lines += [*part(), ""]
    PAGE.write_text("\n".join(lines).rstrip() + "\n", encoding="utf-8")


def samples_part() -> Iterator[str]:
    """The table of formats, ranges and matrices."""
    yield "## Samples"
    yield ""
    yield f"A film of noise that has every code value, {SIZE[0]}x{SIZE[1]}, with one face inside and one across the"
    yield "picture's corner, goes through the decoder, the crop, the mask, the paste and the FFV1 encoder, and is"
    yield "decoded again. Each cell: samples changed outside of the masks / largest change of any sample with the"
    yield "identity in the network's place (through its -1 to 1 and back) / largest deviation, with a real change, from"
    yield "`source + mask * matrix * change`, worked out in float64; 0.5 of a code value is rounding. Chroma sits"
    yield f"{', '.join(LOCATIONS[:3])} and {LOCATIONS[3]}, in the order of the columns."
    yield ""
    yield "| format | range | 601 | 709 | 2020 | 240M |"
    yield "|---|---|---|---|---|---|"
    worst: dict[int, list[Found]] = {}
    for name, full in product((*PLANAR, *PACKED), (False, True)):
        fmt = planar_format(name)
        matrices = MATRICES if fmt.family == "yuv" else ("gbr" if fmt.family == "rgb" else None,)
        specs = [ColourSpec(m, full, None, None, at) for m, at in zip(matrices, LOCATIONS, strict=False)]
        found = through_the_product(name, specs)
        worst.setdefault(fmt.bits, []).extend(found)
        cells = [f"{one.outside} / {one.identity} / {one.deviation:.2f}" for one in found]
        cells += [""] * (len(MATRICES) - len(cells))
        yield f"| {name} | {'full' if full else 'limited'} | {' | '.join(cells)} |"
    yield ""
    yield "The worst of each depth:"
    yield ""
    yield "| bits | changed outside | identity | deviation | of the full range |"
    yield "|---|---|---|---|---|"
    for bits, found in sorted(worst.items()):
        deviation = max(one.deviation for one in found)
        sums = f"{sum(one.outside for one in found)} | {max(one.identity for one in found)}"
        yield f"| {bits} | {sums} | {deviation:.2f} | {deviation / 2**bits:.1e} |"
    yield ""
    yield "RGB and gray have no matrix: their figures stand in the first column. No container holds p010le: such frames"
    yield "are handed to the product in the decoder's place."


def hdr_part() -> Iterator[str]:
    """PQ and HLG, which go through a curve on their way to the network."""
    yield "## HDR"
    yield ""
    yield "The same for PQ (SMPTE ST 2084) and HLG (ARIB STD-B67) with matrix and primaries of BT.2020: the crop goes"
    yield "to the network by the curve of `gpen_video/faces/curve.py`, the change comes back by its inverse."
    yield ""
    yield "| format | transfer | range | changed outside | identity |"
    yield "|---|---|---|---|---|"
    for name, transfer, full in product(HDR_FORMATS, HDR, (False, True)):
        matrix = "bt2020nc" if planar_format(name).family == "yuv" else "gbr"
        spec = ColourSpec(matrix, full, "bt2020", transfer, "topleft")
        (found,) = through_the_product(name, [spec])
        yield f"| {name} | {HDR[transfer]} | {'full' if full else 'limited'} | {found.outside} | {found.identity} |"


def planar_format(name: str) -> PixelFormat:
    """The format in which frames of a pixel format arrive."""
    return pixel_formats.pixel_format(pixel_formats.planar_equivalent(name))


def through_the_product(name: str, specs: Sequence[ColourSpec]) -> list[Found]:
    """A film of that pixel format, treated once with each colour specification."""
    fmt = planar_format(name)
    truth = noise(fmt)
    with tempfile.TemporaryDirectory() as folder:
        source, result = Path(folder) / "source.nut", Path(folder) / "result.mkv"
        write_film(source, fmt.name if name in IN_NO_FILE else name, truth, frames=2 * len(specs))
        info = replace(probe(source), colour=specs[0])
        items = [
            treated(with_colour(frame, name, truth, specs[frame.index // 2]), changed=bool(frame.index % 2))
            for frame in decode(info)
        ]
        encode((paste(item, "restore") for item in items), result, like=info, settings=FFV1)
        decoded = [frame.picture.planes for frame in decode(probe(result))]
    return [judged(fmt, truth, items[i : i + 2], decoded[i : i + 2]) for i in range(0, len(decoded), 2)]


def with_colour(frame: Frame, name: str, truth: Sequence[Samples], spec: ColourSpec) -> Frame:
    """A decoded frame as one of a film of these colours, and of a format that no file holds."""
    picture = replace(frame.picture, colour=spec)
    if name in IN_NO_FILE:
        picture = picture_of(in_memory(name, truth), spec)
    return replace(frame, picture=picture, starts_shot=True)


def noise(fmt: PixelFormat) -> list[Samples]:
    """Planes of any code value, in the order of `Picture.planes`."""
    random = np.random.default_rng(0)
    width, height = SIZE
    chroma = (-(-height // 2**fmt.log2_chroma_h), -(-width // 2**fmt.log2_chroma_w))
    shapes = [(height, width)] + [chroma] * (0 if fmt.family == "gray" else 2)
    return [random.integers(0, 2**fmt.bits, shape).astype(np.uint8 if fmt.bits == 8 else np.uint16) for shape in shapes]


def write_film(path: Path, name: str, planes: Sequence[Samples], frames: int) -> None:
    """One picture, repeated; FFV1 where that has the format, else without compression."""
    held = name in {one.name for one in av.Codec("ffv1", "w").video_formats or ()}
    with av.open(str(path), "w", format="nut") as container:
        stream = container.add_stream("ffv1" if held else "rawvideo", rate=25)
        stream.width, stream.height, stream.pix_fmt = *SIZE, name
        for index in range(frames):
            frame = in_memory(name, planes)
            frame.pts, frame.time_base = index, Fraction(1, 25)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))


def in_memory(name: str, planes: Sequence[Samples]) -> av.VideoFrame:
    """The planes as a frame of that pixel format."""
    frame = av.VideoFrame(*SIZE, name)
    for plane, samples in zip(frame.planes, laid_out(name, planes), strict=True):
        data = np.frombuffer(plane, np.uint8)  # type: ignore[call-overload]
        lines = data.reshape(-1, plane.line_size)
        rows = np.ascontiguousarray(samples).view(np.uint8).reshape(len(samples), -1)
        lines[: len(rows), : rows.shape[1]] = rows
    return frame


def laid_out(name: str, planes: Sequence[Samples]) -> list[Samples]:
    """The planes as that pixel format has them in memory."""
    if name in ("nv12", "p010le"):
        shift = 6 if name == "p010le" else 0
        return [planes[0] << shift, np.dstack(planes[1:]) << shift]
    if name in ("rgb24", "bgr24", "rgb48le"):
        green, blue, red = planes
        return [np.dstack((blue, green, red) if name == "bgr24" else (red, green, blue))]
    return list(planes)


def treated(frame: Frame, *, changed: bool) -> FrameFaces[MaskedFace]:
    """The frame's faces, cut out and masked by the product; the network's part is the identity or one even change."""
    aligner, masker = Aligner(CROP), Masker(BlendSettings())
    crops = [aligner.crop(frame, tracked(index, *place)) for index, place in enumerate(PLACES)]
    restored = [
        RestoredFace(
            crop, crop.rgb_hwc + CHANGE if changed else (crop.rgb_hwc * 2 - 1) * np.float32(0.5) + np.float32(0.5)
        )
        for crop in crops
    ]
    item = FrameFaces(frame, tuple(restored))
    return item.with_faces(masker.mask(item))


def tracked(track_id: int, x: float, y: float, size: float, turn: float) -> TrackedFace:
    """A face whose crop has that middle, size and turn."""
    turned = np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]])
    landmarks = (TEMPLATES["gpen"] - 0.5) * size @ turned.T + (x, y)
    box = np.array([x - size / 4, y - size / 4, x + size / 4, y + size / 3], np.float32)
    return TrackedFace(track_id, landmarks, Detection(box, landmarks.astype(np.float32), 0.9))


def judged(
    fmt: PixelFormat,
    truth: Sequence[Samples],
    items: Sequence[FrameFaces[MaskedFace]],
    decoded: Sequence[Sequence[Samples]],
) -> Found:
    """Compare what came out, with the identity and with a change, to what was written into the source."""
    picture = items[1].frame.picture
    outside, identity, deviation = 0, 0, 0.0
    is_hdr = picture.colour.transfer in HDR
    to_samples = yuv_from_rgb(picture.colour, fmt, picture.height).matrix.astype(np.float64)
    for group in plane_groups(picture):
        masks = np.stack([mask_on(group, face, picture) for face in items[1].faces])
        cover = masks.sum(axis=0)
        for index in group.indices:
            before = truth[index].astype(np.int64)
            same, changed = (planes[index].astype(np.int64) for planes in decoded)
            identity = max(identity, int(np.abs(same - before).max()))
            outside += int(((changed != before) & (cover == 0)).sum())
            expected = before + cover / np.maximum(cover, 1) * (to_samples[index] @ CHANGE.astype(np.float64))
            if not is_hdr:
                expected = expected.clip(0, 2**fmt.bits - 1)
                deviation = max(deviation, float(np.abs(changed - expected).max()))
    return Found(outside, identity, deviation)


def mask_on(group: PlaneGroup, face: MaskedFace, picture: Picture) -> Samples:
    """The mask on a plane's grid, bilinear in float64, 0 beyond its edge."""
    height, width = picture.planes[group.indices[0]].shape
    y, x = np.mgrid[:height, :width].reshape(2, -1).astype(np.float64)
    u, v = apply(invert(plane_from_crop(face, group)), np.column_stack([x, y])).T
    padded = np.pad(face.alpha_hw.astype(np.float64), 2)
    left, top = np.floor(u).astype(int), np.floor(v).astype(int)
    right_part, lower_part = u - left, v - top
    total = np.zeros(len(u))
    for down, across in product((0, 1), (0, 1)):
        weight = (lower_part if down else 1 - lower_part) * (right_part if across else 1 - right_part)
        rows = np.clip(top + down + 2, 0, len(padded) - 1)
        columns = np.clip(left + across + 2, 0, len(padded) - 1)
        total += weight * padded[rows, columns]
    return total.reshape(height, width)


def rounding_part(films: Sequence[Path]) -> Iterator[str]:
    """Whether 8 bits band, and what dither would do about it."""
    yield "## Rounding at 8 bits"
    yield ""
    yield "Would the change band, if it is rounded and not dithered? Error of rounding under the mask, in code values:"
    yield "`slow` is what of it is left after a Gaussian of 4 pixels (RMS; what the eye takes for bands), `all` the RMS"
    yield "of the whole, `changed` the part of the samples that are not the source's. Dither here is ordered (8x8"
    yield "Bayer), and nothing where nothing changes."
    yield ""
    yield "| change | plane | its RMS | rounded: slow | all | changed | dithered: slow | all | changed |"
    yield "|---|---|---|---|---|---|---|---|---|"
    for label, item in rounding_scenes(films):
        done = paste_change(item, "restore")
        for change in done.changes:
            for channel, index in enumerate(change.group.indices):
                source = done.source.planes[index][change.roi.slices].astype(np.float64)
                added = change.change_hwc[..., channel].astype(np.float64)
                pattern = np.tile(bayer(8), (-(-added.shape[0] // 8), -(-added.shape[1] // 8)))
                ways = (np.rint(source + added), np.floor(source + added + pattern[: len(added), : added.shape[1]]))
                cells = [rounding_cell(way, source, added) for way in ways]
                name = ("Y", "Cb", "Cr")[index]
                yield f"| {label} | {name} | {added[added != 0].std():.2f} | {' | '.join(cells)} |"
    yield ""
    yield "The change that a network makes has texture, and rounding is dithered by it: what is left of bands lies"
    yield "below what any 8-bit picture of a slow gradient has by itself (first row: no texture at all). Dither"
    yield "would add more error than it takes away, and change more samples. So the change is rounded."


def rounding_cell(result: Samples, source: Samples, added: Samples) -> str:
    """Slow error, whole error and the part of the mask's samples that are not the source's."""
    error, inside = result - source - added, added != 0
    slow = cv2.GaussianBlur(error, (0, 0), 4)[inside]
    return f"{slow.std():.3f} | {error[inside].std():.2f} | {100 * (result != source)[inside].mean():.0f} %"


def rounding_scenes(films: Sequence[Path]) -> Iterator[tuple[str, FrameFaces[MaskedFace]]]:
    """An even change of a flat picture, and what the shipped network makes of films."""
    flat = Picture((np.full((400, 400), 100, np.uint8),), planar_format("gray"), ColourSpec(full_range=True))
    frame = Frame(0, Timestamp(0, Fraction(1, 25)), flat, starts_shot=True)
    crop = Aligner(256).crop(frame, tracked(0, 200, 200, 360, 0.1))
    mask = face_mask(256 * TEMPLATES["gpen"], 256, BlendSettings().feather)
    slope = np.linspace(0.015, 0.03, 256, dtype=np.float32)[None, :, None]
    yield "even, of a flat picture", FrameFaces(frame, (MaskedFace(RestoredFace(crop, crop.rgb_hwc + slope), mask),))
    for film in films:
        frame, crop, restored = restored_face(film)
        landmarks = apply(invert(crop.frame_from_crop_2x3), crop.face.landmarks_5xy)
        mask = face_mask(landmarks, len(restored), BlendSettings().feather)
        for strength in (1.0, 0.5, 0.2):
            face = MaskedFace(RestoredFace(crop, restored), mask * np.float32(strength))
            yield f"gpen-lite-256, {film.name}, strength {strength:g}", FrameFaces(frame, (face,))


def restored_face(film: Path) -> tuple[Frame, FaceCrop, Samples]:
    """The first face of a film, and what the shipped network makes of it."""
    cpu = torch.device("cpu")
    finder = RetinaFaceDetector(load_detector("retinaface-mobile0.25").net, device=cpu, score=0.5, min_face=0)
    gpen = load_gpen("gpen-lite-256")
    restorer = GpenRestorer(gpen.net, device=cpu, batch=1)
    for frame in decode(probe(film)):
        small, frame_from_small = upright_rgb(frame, 640)
        seen = finder.detect(small[None])[0]
        if seen:
            detection = detection_in_frame(seen[0], frame_from_small)
            face = TrackedFace(0, detection.landmarks_5xy.astype(np.float64), detection)
            crop = Aligner(restorer.size, gpen.template).crop(frame, face)
            return frame, crop, restorer.restore(crop.rgb_hwc[None])[0]
    raise SystemExit(f"{film}: no face")


def bayer(side: int) -> Samples:
    """(side, side) thresholds of ordered dither (B. E. Bayer, IEEE ICC 1973), within 0 to 1."""
    order = np.zeros((1, 1))
    while len(order) < side:
        order = np.block([[4 * order, 4 * order + 2], [4 * order + 3, 4 * order + 1]])
    return (order + 0.5) / side**2


def cost_part() -> Iterator[str]:
    """Native planes against the whole frame to RGB and back."""
    yield "## Cost"
    yield ""
    yield "One frame of yuv420p in, one out, faces cut from squares of a fifth of the frame's height, crops of the size"
    yield "of the shipped network (256) and the published one (512), masks and network not counted. *Native*: planes"
    yield "taken out of the decoded frame, faces cut from and pasted into them, a frame for the encoder. *Conversion*:"
    yield "the frame to rgb24 and back by FFmpeg's scaler (PyAV), nothing else. *Usual way*: the conversion, faces cut"
    yield "out by `warpAffine`, warped back and blended over the whole frame, as GPEN's own program does. Best of 9,"
    yield "taken in turn; one thread each."
    yield ""
    yield "| frame | crop | faces | native | conversion | usual way | native / conversion | native / usual way |"
    yield "|---|---|---|---|---|---|---|---|"
    cv2.setNumThreads(1)
    for (width, height), size, count in product(((1920, 1080), (3840, 2160)), (256, 512), (1, 4)):
        native, conversion, usual = timed(width, height, size, count)
        yield (
            f"| {width}x{height} | {size} | {count} | {1000 * native:.0f} ms | {1000 * conversion:.0f} ms "
            f"| {1000 * usual:.0f} ms | {native / conversion:.2f} | {native / usual:.2f} |"
        )
    yield ""
    versions = f"OpenCV {cv2.__version__}, PyAV {av.__version__}, numpy {np.__version__}"
    yield f"{platform.machine()}, {versions}. Only the ratios are meant to be compared with other machines."


def timed(width: int, height: int, size: int, count: int) -> tuple[float, float, float]:
    """Seconds of the native way, of the conversion alone, and of the usual way."""
    frame = av.VideoFrame(width, height, "yuv420p")
    random = np.random.default_rng(0)
    for plane in frame.planes:
        plane.update(random.integers(16, 236, plane.buffer_size, dtype=np.uint8).tobytes())
    colour = ColourSpec("bt709", False, None, None, "left")
    places = [(width * (i + 0.5) / count, height / 2, height / 5, 0.1) for i in range(count)]
    faces = [tracked(i, *place) for i, place in enumerate(places)]
    mask = face_mask(size * TEMPLATES["gpen"], size, BlendSettings().feather)
    ways: tuple[Callable[[], object], ...] = (
        lambda: native_way(frame, colour, faces, mask),
        lambda: from_rgb(frame.to_ndarray(format="rgb24")),
        lambda: usual_way(frame, faces, mask),
    )
    best = [float("inf")] * len(ways)
    for _, (index, way) in product(range(9), enumerate(ways)):
        started = time.perf_counter()
        way()
        best[index] = min(best[index], time.perf_counter() - started)
    return best[0], best[1], best[2]


def native_way(frame: av.VideoFrame, colour: ColourSpec, faces: Sequence[TrackedFace], mask: Samples) -> av.VideoFrame:
    """As the product does it."""
    whole = Frame(0, Timestamp(0, Fraction(1, 25)), picture_of(frame, colour), starts_shot=True)
    aligner = Aligner(len(mask))
    crops = [aligner.crop(whole, face) for face in faces]
    masked = tuple(MaskedFace(RestoredFace(crop, crop.rgb_hwc + np.float32(0.1)), mask) for crop in crops)
    return frame_of(paste(FrameFaces(whole, masked), "restore").picture, "yuv420p", colour)


def usual_way(frame: av.VideoFrame, faces: Sequence[TrackedFace], mask: Samples) -> av.VideoFrame:
    """As the published program does it: everything in the RGB of the whole frame."""
    rgb = frame.to_ndarray(format="rgb24")
    aligner, crop_wh, frame_wh = Aligner(len(mask)), mask.shape[::-1], (frame.width, frame.height)
    for face in faces:
        crop_from_frame = aligner.crop_from_frame(face.landmarks_5xy)
        crop = cv2.warpAffine(rgb, crop_from_frame, crop_wh, flags=cv2.INTER_LINEAR)
        restored = np.clip(crop + np.float32(25.5), 0, 255)
        frame_from_crop = invert(crop_from_frame)
        back = cv2.warpAffine(restored, frame_from_crop, frame_wh, flags=cv2.INTER_LINEAR)
        alpha = cv2.warpAffine(mask, frame_from_crop, frame_wh, flags=cv2.INTER_LINEAR)[..., None]
        rgb = np.rint(rgb * (1 - alpha) + back * alpha).astype(np.uint8)
    return from_rgb(rgb)


def from_rgb(rgb: Samples) -> av.VideoFrame:
    """A yuv420p frame."""
    return av.VideoFrame.from_ndarray(rgb, format="rgb24").reformat(format="yuv420p")


if __name__ == "__main__":
    main()
