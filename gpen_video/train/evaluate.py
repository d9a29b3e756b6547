"""How much better than its input a restorer makes held-out faces, with fixed seeds.

Every face is degraded, restored and compared with what it was; the same figures are taken of the degraded face,
enlarged bicubically, which is the very crop that the network gets.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from gpen_video.errors import InputError
from gpen_video.faces import Detector, RetinaFaceDetector
from gpen_video.geometry import iou_matrix
from gpen_video.restore import Restorer
from gpen_video.train.data import FaceSource
from gpen_video.train.degrade import PUBLISHED, USUAL, archival, grey, published
from gpen_video.train.feed import to_network
from gpen_video.train.frechet import FeatureNet, detector_features, fit_gaussian, frechet_distance, imagenet_features
from gpen_video.train.metrics import landmark_error, psnr, sharpness, ssim
from gpen_video.types import Detection
from gpen_video.weights import load_detector

Image = NDArray[np.float32]
Degradation = Callable[[Image, np.random.Generator], tuple[Image, Image]]
"""(S, S, 3) in 0..1 and a generator -> the degraded face, and the one that is asked for."""

_BATCH = 16
_SURE = 0.5
_LOWEST_SCORE = 0.05
_SAME_FACE_IOU = 0.35


def _archival_grey(face: Image, rng: np.random.Generator) -> tuple[Image, Image]:
    target = grey(face, rng)
    return archival(target, rng), target


DEGRADATIONS: Mapping[str, Degradation] = MappingProxyType(
    {
        "published": lambda face, rng: (published(face, rng, PUBLISHED, cv2.INTER_CUBIC), face),
        "usual": lambda face, rng: (published(face, rng, USUAL, cv2.INTER_CUBIC), face),
        "archival": lambda face, rng: (archival(face, rng), face),
        "archival, black and white": _archival_grey,
    }
)
"""The release ranges, narrower ones with stronger JPEG, and film, by name."""


@dataclass(frozen=True, slots=True)
class BeforeAfter:
    """One figure of the degraded faces and of the restored ones."""

    degraded: float
    restored: float

    @property
    def gain(self) -> float:
        """Restored minus degraded."""
        return self.restored - self.degraded


@dataclass(frozen=True, slots=True)
class DegradationScores:
    """What a restorer makes of one kind of degradation; means over the faces unless stated otherwise."""

    name: str
    psnr: BeforeAfter
    """dB."""
    ssim: BeforeAfter
    better: float
    """Share of the faces whose PSNR rose."""
    sharpness: BeforeAfter
    """Gradient energy as a part of the original's, the median; noise counts too."""
    landmark_error: BeforeAfter | None
    """In eye distances, against the detector's own landmarks on the original; of faces found in both."""
    faces_found: BeforeAfter | None
    """Share of those that the detector is sure of in the original."""
    frechet: Mapping[str, BeforeAfter]
    """Fréchet distance to the original faces, by the name of the network whose features they are."""


@dataclass(frozen=True, slots=True)
class RestorerReport:
    """All figures of one restorer."""

    size: int
    """Side of the faces in pixels."""
    faces: int
    seed: int
    degradations: tuple[DegradationScores, ...]
    notes: tuple[str, ...] = ()
    """What was left out, and why."""

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return asdict(self)


@dataclass(frozen=True, slots=True, eq=False)
class Judges:
    """The networks whose opinion of a face is asked for."""

    detector: Detector | None = None
    features: tuple[FeatureNet, ...] = ()
    notes: tuple[str, ...] = ()
    """Who is missing, and why."""


def load_judges(imagenet: Path | None = None, *, detector: str = "retinaface-mobile0.25") -> Judges:
    """The shipped detector for landmarks and features and, where its file is, ImageNet's MobileNet.

    Args:
        imagenet: ``mobilenetV1X0.25_pretrain.tar``; without it that figure is left out.
        detector: a RetinaFace MobileNet-0.25, name or file.

    Raises:
        WeightsError: a file is there but cannot be used.
    """
    loaded = load_detector(detector)
    finder = RetinaFaceDetector(loaded.net, device=torch.device("cpu"), score=_LOWEST_SCORE, min_face=0)
    own = detector_features(loaded.net, loaded.name)
    if imagenet is None or not imagenet.is_file():
        reason = f"{imagenet}: no such file" if imagenet else "its weights were not given"
        return Judges(finder, (own,), (f"Fréchet distance on ImageNet features left out: {reason}",))
    return Judges(finder, (own, imagenet_features(imagenet)))


class NetworkRestorer:
    """A network in training as a `Restorer`: it stays as it is, on its device and in its mode.

    Args:
        net: (B, 3, S, S) in [-1, 1] to the same, with a `config.size`.
        batch: faces at once.
    """

    def __init__(self, net: nn.Module, batch: int = _BATCH) -> None:
        parts: Any = net
        self._net = net
        self.size: int = parts.config.size
        self.batch = batch

    @torch.no_grad()
    def restore(self, rgb_nhwc: Image) -> Image:
        """See `Restorer.restore`."""
        place = next(self._net.parameters())
        was_training = self._net.training
        self._net.eval()
        try:
            made = [
                self._net(to_network(torch.from_numpy(part).to(place))).float().cpu()
                for part in np.split(rgb_nhwc, range(self.batch, len(rgb_nhwc), self.batch))
            ]
        finally:
            self._net.train(was_training)
        faces = (torch.cat(made) * 0.5 + 0.5).clamp(0, 1).permute(0, 2, 3, 1)
        return np.ascontiguousarray(faces.numpy())


def as_restorer(restorer: Restorer | nn.Module) -> Restorer:
    """What `evaluate_restorer` takes, as a `Restorer`."""
    return NetworkRestorer(restorer) if isinstance(restorer, nn.Module) else restorer


def spread(count: int | None, total: int) -> list[int]:
    """`count` indices of `total`, evenly apart from the first to the last; all of them for `None`."""
    return [int(index) for index in np.linspace(0, total - 1, min(count or total, total))]


def evaluate_restorer(
    restorer: Restorer | nn.Module,
    source: FaceSource,
    *,
    degradations: Mapping[str, Degradation] = DEGRADATIONS,
    seed: int = 7,
    count: int | None = None,
    judges: Judges | None = None,
    on_faces: Callable[[int, int], None] | None = None,
) -> RestorerReport:
    """Degrade, restore and compare faces.

    Args:
        restorer: or a network in training, which is left as it is.
        source: faces never trained on, of the restorer's size.
        degradations: by name.
        seed: with a face's index in `source`, decides its degradation.
        count: of faces, spread evenly over `source`; all for `None`.
        judges: from `load_judges`; without them there are neither landmark errors nor Fréchet distances.
        on_faces: called with the faces done and the faces to do, over all degradations.

    Raises:
        InputError: there are no faces, or their size is not the restorer's.
    """
    restorer, judges = as_restorer(restorer), judges or Judges()
    indices = spread(count, len(source))
    if not indices:
        raise InputError("no held-out faces to evaluate on")
    if source.size != restorer.size:
        raise InputError(f"the faces are of {source.size} pixels, the network takes {restorer.size}")
    scores = []
    for place, (name, degrade) in enumerate(degradations.items()):
        tally = _Tally(judges)
        for triples in _restored(restorer, source, indices, degrade, seed):
            tally.add(*triples)
            if on_faces is not None:
                on_faces(place * len(indices) + tally.faces, len(degradations) * len(indices))
        scores.append(tally.scores(name))
    return RestorerReport(restorer.size, len(indices), seed, tuple(scores), judges.notes)


def degraded_pair(source: FaceSource, index: int, degrade: Degradation, seed: int) -> tuple[Image, Image]:
    """A face degraded, and as it should be; depends on the index and the seed alone."""
    return degrade(source.crop(index), np.random.default_rng((seed, index)))


def _restored(
    restorer: Restorer, source: FaceSource, indices: list[int], degrade: Degradation, seed: int
) -> Iterator[tuple[Image, Image, Image]]:
    """Batches of (degraded, restored, original) faces, each (n, S, S, 3)."""
    for start in range(0, len(indices), _BATCH):
        pairs = [degraded_pair(source, index, degrade, seed) for index in indices[start : start + _BATCH]]
        degraded, target = (np.stack(faces) for faces in zip(*pairs, strict=True))
        yield degraded, restorer.restore(degraded), target


@dataclass(slots=True, eq=False)
class _Tally:
    """Collects the figures of one degradation; of the pictures themselves nothing is kept."""

    judges: Judges
    faces: int = 0
    rows: list[Tensor] = field(default_factory=list)
    """(n, 6) a batch: PSNR, SSIM and sharpness, each degraded and restored."""
    errors: list[tuple[float | None, float | None]] = field(default_factory=list)
    """Landmark errors of each face that is sure in the original; `None` where it is not found."""
    features: list[list[tuple[NDArray[np.float64], ...]]] = field(default_factory=list)
    """A batch, a network: features of degraded, restored and original faces."""

    def add(self, degraded: Image, restored: Image, original: Image) -> None:
        """Take a batch in, each (n, S, S, 3) in 0..1."""
        low, made, true = (to_network(torch.from_numpy(faces)) for faces in (degraded, restored, original))
        edges = sharpness(true)
        columns = [psnr(low, true), psnr(made, true), ssim(low, true), ssim(made, true)]
        self.rows.append(torch.stack([*columns, sharpness(low) / edges, sharpness(made) / edges], dim=1))
        self.faces += len(true)
        groups = (degraded, restored, original)
        if self.judges.detector is not None:
            self.errors += _landmark_errors(self.judges.detector, *groups)
        self.features.append([tuple(net.features(group) for group in groups) for net in self.judges.features])

    def scores(self, name: str) -> DegradationScores:
        """Over all faces so far."""
        rows = torch.cat(self.rows).double().numpy()
        mean, median = rows.mean(axis=0), np.median(rows, axis=0)
        found = np.array([[error is not None for error in pair] for pair in self.errors]).reshape(-1, 2)
        errors = np.array([pair for pair in self.errors if None not in pair], np.float64).reshape(-1, 2)
        return DegradationScores(
            name=name,
            psnr=_before_after(mean[0:2]),
            ssim=_before_after(mean[2:4]),
            better=float((rows[:, 1] > rows[:, 0]).mean()),
            sharpness=_before_after(median[4:6]),
            landmark_error=_before_after(errors.mean(axis=0)) if len(errors) else None,
            faces_found=_before_after(found.mean(axis=0)) if len(found) else None,
            frechet={net.name: self._frechet(place) for place, net in enumerate(self.judges.features)},
        )

    def _frechet(self, place: int) -> BeforeAfter:
        groups = zip(*(batch[place] for batch in self.features), strict=True)
        degraded, restored, original = (fit_gaussian(np.concatenate(group)) for group in groups)
        return BeforeAfter(frechet_distance(degraded, original), frechet_distance(restored, original))


def _before_after(values: NDArray[np.float64]) -> BeforeAfter:
    return BeforeAfter(float(values[0]), float(values[1]))


def _landmark_errors(
    detector: Detector, degraded: Image, restored: Image, original: Image
) -> Iterator[tuple[float | None, float | None]]:
    for low, made, true in zip(
        *(detector.detect(framed(group)) for group in (degraded, restored, original)), strict=True
    ):
        if true and true[0].score >= _SURE:
            yield _error_against(true[0], low), _error_against(true[0], made)


def _error_against(true: Detection, found: tuple[Detection, ...]) -> float | None:
    """Landmark error of the surest find at the place of the true face."""
    same = (face for face in found if iou_matrix(true.box_xyxy[None], face.box_xyxy[None])[0, 0] >= _SAME_FACE_IOU)
    match = next(same, None)
    return None if match is None else landmark_error(match.landmarks_5xy, true.landmarks_5xy)


def framed(rgb_nhwc: Image) -> NDArray[np.uint8]:
    """Faces in a frame: 8 bits, with a border of a quarter of their size, continued from their edges.

    A crop is filled by its face as hardly a film's frame is; with the border the detector has it as it knows faces.
    """
    border = rgb_nhwc.shape[1] // 4
    wide = np.pad(rgb_nhwc, ((0, 0), (border, border), (border, border), (0, 0)), mode="edge")
    return np.rint(wide * 255).clip(0, 255).astype(np.uint8)
