"""The settings: one frozen model a section, unknown keys refused, each value with its range and its one default."""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field


class _Section(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)


class MediaSettings(_Section):
    """Reading the source."""

    tolerant: bool = False
    """Restore a damaged or truncated film up to its last good frame, with a warning, instead of refusing it."""
    prefetch: Annotated[int, Field(ge=1, le=256)] = 8
    """Decoded frames that may wait for the next stage."""
    fields: Literal["auto", "frames", "fields"] = "auto"
    """Interlaced film is restored field by field: ``auto`` where it is found to be interlaced, or always, or never."""
    deinterlace: bool = False
    """Make interlaced film progressive (bwdif), one frame a frame; the whole picture changes."""
    filters: str = ""
    """libavfilter graph that every picture passes first, such as ``deflicker,hqdn3d``; the whole picture changes."""
    frame_rate: str | None = None
    """Of an image sequence that does not state its own, as ``24`` or ``24000/1001``."""


class ShotSettings(_Section):
    """Finding cuts, at which every temporal state is cleared."""

    enabled: bool = True
    """Without it the whole film is one shot."""
    threshold: Annotated[float, Field(gt=0, le=255)] = 27.0
    """Mean change of hue, saturation and brightness (0 to 255) between neighbours that makes a cut."""
    min_length: Annotated[int, Field(ge=1, le=1000)] = 8
    """Shortest shot in frames; a second cut within it is not made."""
    flash: Annotated[int, Field(ge=0, le=12)] = 2
    """Longest flash, and longest run of damaged frames; the picture must be back behind it, else it is a cut. One more
    frame than that is held back."""
    dissolves: bool = True
    """Also find shots that are blended over 6 to 50 frames, and faded; the new one starts about in the middle. Holds
    back 16 frames more."""


class DetectSettings(_Section):
    """Finding faces."""

    weights: str = "retinaface-mobile0.25"
    """Name in the registry, or a file."""
    long_side: Annotated[int, Field(ge=64, le=8192)] = 960
    """The frame is scaled down for detection until its longer side is at most this many pixels."""
    score: Annotated[float, Field(gt=0, lt=1)] = 0.6
    """Least confidence of a detection that may start a track."""
    min_face: Annotated[float, Field(ge=4, le=4096)] = 16.0
    """Shortest side of a face's box, in frame pixels, that is restored."""
    batch: Annotated[int, Field(ge=1, le=64)] = 4
    """Frames that are detected at once."""
    vote: Annotated[float, Field(gt=0, le=1)] = 0.5
    """Overlap from which boxes that are suppressed help to say where a face and its landmarks are; 1 as published."""
    every: Annotated[int, Field(ge=1, le=30)] = 1
    """The detector looks at every n-th frame of a shot; between them optical flow carries the landmarks on."""


class TrackSettings(_Section):
    """Following a face from frame to frame, and steadying its landmarks."""

    max_gap: Annotated[int, Field(ge=0, le=250)] = 8
    """Frames for which a face that is not seen is predicted before its track ends."""
    min_hits: Annotated[int, Field(ge=1, le=100)] = 3
    """Detections that a track needs to be believed; shorter ones are dropped (the lag gives the time to know)."""
    min_overlap: Annotated[float, Field(ge=0, le=1)] = 0.2
    """Least intersection over union of predicted and detected box for the two to be one face."""
    lag: Annotated[int, Field(ge=0, le=120)] = 8
    """Frames of look-ahead of the fixed-lag smoother; 0 filters without looking ahead."""
    motion_noise: Annotated[float, Field(gt=0, le=10)] = 0.03
    """How much a face that moves quickly may change its speed, in face sizes a frame squared; one that moves evenly or
    not at all is steadied more by itself. Larger follows faster, smaller is calmer."""
    landmark_noise: Annotated[float, Field(gt=0, le=10)] = 0.03
    """Standard deviation of a detected landmark, in face sizes, to begin with; each track then measures its own."""
    camera: bool = True
    """Measure how the camera moves and take it off, so that faces are predicted within the scene."""
    memory: Annotated[int, Field(ge=0, le=1000)] = 75
    """Frames for which a face that left is remembered, to be known again within its shot."""


class RestoreSettings(_Section):
    """The network."""

    weights: str = "gpen-lite-256"
    """Name in the registry, or a file."""
    strength: Annotated[float, Field(ge=0, le=1)] = 1.0
    """0 leaves the face as it is, 1 takes the network's face whole."""
    device: str = "auto"
    """``auto``, ``cpu``, ``cuda``, ``cuda:1``, ``mps``; with ``cuda:0,1`` or ``cuda:all`` several GPUs share the faces,
    each with a batch of its own, and the first alone detects."""
    precision: Literal["auto", "fp32", "fp16", "bf16"] = "auto"
    """``auto`` takes half precision where the device is faster with it."""
    batch: Annotated[int, Field(ge=0, le=256)] = 0
    """Face crops restored at once; 0 chooses from free memory. Halved and retried when memory runs out."""
    max_wait: Annotated[int, Field(ge=0, le=512)] = 32
    """Frames that may wait for a batch to fill."""
    steady_latent: Annotated[float, Field(ge=0, le=0.95)] = 0.7
    """Largest weight of the past in the latent code, which holds the global look of a face; 0 switches it off."""
    steady_detail: Annotated[float, Field(ge=0, le=0.95)] = 0.9
    """Largest weight of the motion-compensated past in the restored face, where the two agree; at most 0.8 in a face
    that speaks, blinks or turns; 0 switches it off."""


class BlendSettings(_Section):
    """Putting the restored face back."""

    feather: Annotated[float, Field(ge=0.01, le=0.5)] = 0.12
    """Width of the fade at the mask's edge, as a part of the crop's side."""
    steadiness: Annotated[float, Field(ge=0, lt=1)] = 0.6
    """Weight of the previous frame's mask in this one's, along a track; 0 switches temporal blending off."""
    fade: Annotated[int, Field(ge=0, le=60)] = 4
    """Frames over which a face that appears, or is no longer seen, fades in or out instead of popping."""
    grain: Literal["match", "none"] = "match"
    """``match`` gives the restored face the grain and the softness that the film around it has."""
    chroma: Literal["auto", "keep", "restore"] = "auto"
    """``keep`` writes brightness only; ``auto`` does so where the source is black and white or toned in one colour."""
    parsing: str = "auto"
    """Weights that see hair, glasses and what else is in front of a face, to keep it out of the mask: a name or a file,
    ``off``, or ``auto``, which takes them where they are in the cache already and fetches nothing."""


class GateSettings(_Section):
    """Restoring a face only as far as it needs it; each limit is where its strength begins to fall."""

    enabled: bool = True
    """Without it every face is restored whole."""
    small: Annotated[float, Field(ge=0, le=1000)] = 10.0
    """Distance of the eyes in frame pixels; a face half as large is left alone."""
    sharp: Annotated[float, Field(gt=0, le=10)] = 0.18
    """Fine detail, as a part of coarse, of a face without grain; one 1.5 times as sharp is left alone."""
    turned: Annotated[float, Field(ge=0, le=90)] = 55.0
    """Degrees by which a face is turned aside; one turned by 15 more is left alone."""
    sure: Annotated[float, Field(ge=0, le=1)] = 0.6
    """The detector's confidence, followed along the track; a face half as sure is left alone."""
    large: Annotated[float, Field(gt=0, le=1000)] = 4.0
    """Frame pixels, along a side, for one of the network's; a face twice as large is left alone."""


class GuardSettings(_Section):
    """Keeping a restored face the face of the source."""

    enabled: bool = True
    """Without it likeness is not measured."""
    floor: Annotated[float, Field(ge=0, le=1)] = 0.92
    """Likeness of brows, eyes, nose and mouth, seen coarsely, below which a face is restored less; 0.12 lower, not at
    all."""
    embedding: str = "auto"
    """Weights that know persons apart: a name or a file, ``off``, or ``auto``, which takes them where they are in the
    cache already and fetches nothing."""
    embedding_floor: Annotated[float, Field(ge=-1, le=1)] = 0.35
    """Cosine of the two embeddings below which a face is restored less; 0.12 lower, not at all."""


class EncodeSettings(_Section):
    """Writing the result."""

    codec: str = "libx264"
    """FFmpeg's encoder name: libx264, libx265, libsvtav1, ffv1, prores_ks …"""
    crf: Annotated[float, Field(ge=0, le=63)] | None = 16.0
    """Constant rate factor, for codecs that have one; lower is better and larger."""
    preset: str | None = "slow"
    """The encoder's own speed preset, for codecs that have one."""
    pix_fmt: str | None = None
    """FFmpeg's pixel format; unset keeps the source's chroma and bit depth, or the nearest finer that the codec has."""
    options: dict[str, str] = Field(default_factory=dict)
    """Further options, passed to the encoder as they are."""
    strict: bool = False
    """Refuse to start where the result cannot hold everything that the source has."""


class SegmentSettings(_Section):
    """The parts in which a film is restored: each is on disk when it is finished, and a run that is killed goes on."""

    shortest: Annotated[int, Field(ge=1, le=100_000)] = 1000
    """Frames; a part ends with the first shot that ends after so many."""
    longest: Annotated[int, Field(ge=16, le=100_000)] = 1500
    """Frames; a longer shot is divided. What comes behind is warmed up on the last frames before it."""


class Settings(_Section):
    """Everything that decides what the result looks like."""

    media: MediaSettings = MediaSettings()
    shots: ShotSettings = ShotSettings()
    detect: DetectSettings = DetectSettings()
    track: TrackSettings = TrackSettings()
    restore: RestoreSettings = RestoreSettings()
    gate: GateSettings = GateSettings()
    guard: GuardSettings = GuardSettings()
    blend: BlendSettings = BlendSettings()
    encode: EncodeSettings = EncodeSettings()
    segments: SegmentSettings = SegmentSettings()
