"""Trains the face detector: RetinaFace MobileNet-0.25, by distillation and from labels.

A teacher of the same shape says at every anchor what it sees; the student starts from random weights (its backbone,
where a file is given, from ImageNet) and learns that, the teacher's features, and the labels of the composites. The
teacher often sees the picture before it was degraded, so that the student learns to see through grain and blur what
the teacher sees without. Hinton et al. 2015 (soft targets), Romero et al. 2015 (features).
"""

import json
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from safetensors.torch import save
from torch import Tensor, nn

from gpen_video.errors import IncompatibleWeightsError
from gpen_video.nets.retinaface import DenseFaces, anchors, build_retinaface, dense_faces, match_anchors, network_input
from gpen_video.train.composites import Composite, Image, PortraitPyramid, load_portraits, make_composite
from gpen_video.train.ema import update_average
from gpen_video.weights.load import read_state
from gpen_video.whole_file import whole_file

CHECKPOINT_NAME = "detector.ckpt"
WEIGHTS_NAME = "retinaface-mobile0.25"
TERMS = "Apache-2.0; credits in docs/models/retinaface-mobile0.25.md"


@dataclass(frozen=True, slots=True)
class DetectorTrainConfig:
    """How the detector is trained; the defaults made the weights that ship."""

    steps: int = 5500
    learning_rate: float = 2e-3
    """At the top, after `warmup` steps; falls to a hundredth of it along a cosine."""
    warmup: int = 100
    weight_decay: float = 1e-4
    ema_decay: float = 0.998
    """Of the averaged weights, which are what is exported."""
    shapes: tuple[tuple[int, int, float], ...] = ((256, 4, 0.7), (384, 2, 0.2), (512, 1, 0.1))
    """Side of the pictures in pixels, pictures in a batch, and how often that shape is drawn."""
    clean_teacher: float = 0.6
    """Part of the batches in which the teacher sees the pictures before they were degraded."""
    feature_weight: float = 1.5
    label_weight: float = 1.0
    label_overlap: float = 0.35
    """Intersection over union from which an anchor stands for a labelled face."""
    freeze_statistics_at: float = 0.8
    """Part of the steps after which batch normalisation keeps its statistics."""
    close_up: float = 0.35
    """Part of the pictures that show one large face."""
    trained: tuple[str, ...] = ()
    """Beginnings of the names of the parameters that are trained; all, where none is given."""
    checkpoint_every: int = 250
    backbone: Path | None = None
    """ImageNet weights of the backbone; without them it starts at random too."""
    start: Path | None = None
    """Weights of an earlier training of ours to go on from, with a schedule of its own."""


LARGE_FACES = ("ssh3.", "ClassHead.2.", "BboxHead.2.", "LandmarkHead.2.")
"""What only the coarsest anchors use, for `DetectorTrainConfig.trained`: faces above 150 pixels."""


@dataclass(frozen=True, slots=True)
class TrainProgress:
    """The parts of the loss in one step."""

    step: int
    """Counts from 1."""
    total: float
    classes: float
    places: float
    features: float
    labels: float


@dataclass(slots=True, eq=False)
class _State:
    """Everything that a resumed run needs; random numbers are a function of seed and step."""

    step: int
    student: nn.Module
    average: nn.Module
    optimizer: torch.optim.AdamW
    anchors: dict[int, Tensor] = field(default_factory=dict)

    def anchors_of(self, side: int) -> Tensor:
        """Computed once for each size of picture."""
        if side not in self.anchors:
            self.anchors[side] = anchors(self.student, side, side)
        return self.anchors[side]


def train_detector(
    config: DetectorTrainConfig,
    faces_dir: Path,
    teacher_path: Path,
    out_dir: Path,
    seed: int,
    *,
    on_step: Callable[[TrainProgress], None] | None = None,
) -> Path:
    """Train, or go on from the checkpoint in `out_dir`, and export the averaged weights.

    Args:
        config: the recipe.
        faces_dir: portraits with ``index.csv`` and ``images/``; those held out are left out.
        teacher_path: state dict of a trained RetinaFace MobileNet-0.25.
        out_dir: receives ``detector.ckpt`` and ``retinaface-mobile0.25.safetensors``, replaced at every checkpoint.
        seed: decides the first weights and every composite.
        on_step: called after every step.

    Returns:
        The exported safetensors file.

    Raises:
        InputError: the portraits are missing or unreadable.
        WeightsError: the teacher or the backbone cannot be read.
        IncompatibleWeightsError: teacher, backbone or checkpoint do not fit the network.
    """
    portraits = load_portraits(faces_dir, held_out=False)
    teacher = _load_teacher(teacher_path)
    out_dir.mkdir(parents=True, exist_ok=True)
    state = _start(config, seed)
    checkpoint = out_dir / CHECKPOINT_NAME
    if checkpoint.exists():
        _resume(state, checkpoint)
    exported = out_dir / f"{WEIGHTS_NAME}.safetensors"
    while state.step < config.steps:
        progress = _train_step(config, state, teacher, portraits, seed)
        if on_step is not None:
            on_step(progress)
        if state.step % config.checkpoint_every == 0 or state.step == config.steps:
            _save_checkpoint(state, checkpoint)
            export_detector(state.average, exported)
    return exported


def export_detector(net: nn.Module, path: Path) -> None:
    """Write weights in half precision, under facexlib's names, with what describes them; whole or not at all.

    What half precision cannot hold, as the variance behind the first layer, which sees samples up to 255, stays single.
    """
    tensors = {name: _halve(tensor).contiguous() for name, tensor in net.state_dict().items()}
    metadata = {
        "format": "gpen-video/1",
        "name": WEIGHTS_NAME,
        "config": json.dumps({"arch": "retinaface", "network": "mobile0.25"}),
        "terms": TERMS,
    }
    with whole_file(path, overwrite=True) as file:
        file.write(save(tensors, metadata))


def _halve(tensor: Tensor) -> Tensor:
    fits = tensor.is_floating_point() and float(tensor.abs().max()) <= torch.finfo(torch.float16).max
    return tensor.half() if fits else tensor


def _start(config: DetectorTrainConfig, seed: int) -> _State:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        student = build_retinaface().to(memory_format=torch.channels_last)
    average = build_retinaface().requires_grad_(False)
    if config.backbone is not None:
        _load_backbone(student, config.backbone)
    if config.start is not None:
        _load_whole(student, config.start)
    for name, parameter in student.named_parameters():
        parameter.requires_grad_(_is_trained(name, config))
    average.load_state_dict(student.state_dict())
    return _State(0, student, average, _optimizer(student, config))


def _is_trained(name: str, config: DetectorTrainConfig) -> bool:
    return not config.trained or name.startswith(config.trained)


def _set_statistics(student: nn.Module, config: DetectorTrainConfig, step: int) -> None:
    """Batch normalisation goes on gathering statistics only in parts that are trained, and not near the end."""
    gathers = step < config.freeze_statistics_at * config.steps
    student.eval()
    for name, module in student.named_modules():
        if isinstance(module, nn.BatchNorm2d):
            module.train(gathers and _is_trained(f"{name}.", config))


def _optimizer(student: nn.Module, config: DetectorTrainConfig) -> torch.optim.AdamW:
    trained = [p for p in student.parameters() if p.requires_grad]
    decayed = [p for p in trained if p.ndim > 1]
    others = [p for p in trained if p.ndim <= 1]
    groups = [{"params": decayed, "weight_decay": config.weight_decay}, {"params": others, "weight_decay": 0.0}]
    return torch.optim.AdamW(groups, lr=config.learning_rate)


def _learning_rate(config: DetectorTrainConfig, step: int) -> float:
    if step < config.warmup:
        return config.learning_rate * (step + 1) / config.warmup
    done = (step - config.warmup) / max(config.steps - config.warmup, 1)
    return config.learning_rate * (0.01 + 0.99 * 0.5 * (1 + math.cos(math.pi * done)))


def _train_step(
    config: DetectorTrainConfig, state: _State, teacher: nn.Module, portraits: Sequence[PortraitPyramid], seed: int
) -> TrainProgress:
    rng = np.random.default_rng((seed, state.step))
    weights = np.array([share for *_, share in config.shapes])
    side, count, _ = config.shapes[int(rng.choice(len(weights), p=weights / weights.sum()))]
    batch = [make_composite(portraits, side, rng, close_up=config.close_up) for _ in range(count)]
    degraded = _stack([sample.bgr_hwc for sample in batch])
    sees_clean = rng.random() < config.clean_teacher
    with torch.no_grad():
        wanted = dense_faces(teacher, _stack([s.clean_bgr_hwc for s in batch]) if sees_clean else degraded)
    _set_statistics(state.student, config, state.step)
    for group in state.optimizer.param_groups:
        group["lr"] = _learning_rate(config, state.step)
    given = dense_faces(state.student, degraded)
    classes, places, features = distillation_losses(given, wanted)
    labels = label_loss(given, batch, state.student, state.anchors_of(side), overlap=config.label_overlap)
    total = classes + places + config.feature_weight * features + config.label_weight * labels
    state.optimizer.zero_grad(set_to_none=True)
    total.backward()  # type: ignore[no-untyped-call]
    nn.utils.clip_grad_norm_([p for p in state.student.parameters() if p.requires_grad], 10.0)
    state.optimizer.step()
    state.step += 1
    update_average(state.average, state.student, min(config.ema_decay, (1 + state.step) / (10 + state.step)))
    parts = (float(part.detach()) for part in (total, classes, places, features, labels))
    return TrainProgress(state.step, *parts)


def _stack(pictures: Sequence[Image]) -> Tensor:
    return network_input(torch.from_numpy(np.stack(pictures)))


def anchor_weights(faces: Tensor, features: Sequence[Tensor]) -> Tensor:
    """Weights (A,) that let each of the three levels of anchors count alike, however many faces it holds.

    Small faces have most of the anchors; without weights, faces as large as the picture would hardly be learned.

    Args:
        faces: (N, A), how much of a face each anchor stands for, 0 to 1.
        features: the maps that the levels are read from, finest first.
    """
    anchors_per_place = 2
    levels = torch.split(faces.sum(0), [anchors_per_place * f.shape[2] * f.shape[3] for f in features])
    return torch.cat([torch.full_like(level, 1 / (float(level.sum()) + len(faces))) for level in levels])


def distillation_losses(given: DenseFaces, wanted: DenseFaces) -> tuple[Tensor, Tensor, Tensor]:
    """What the student (`given`) says against what the teacher (`wanted`) says.

    Returns:
        Classes: cross-entropy with the teacher's probability, summed over all anchors, by the number of faces'
        anchors, so that the rare faces weigh as much as all the background. Places: smooth L1 of boxes and landmarks,
        weighted by that probability. Features: squared difference, as a part of the teacher's own square.
    """
    wanted_odds = wanted.logits[..., 1] - wanted.logits[..., 0]
    given_odds = given.logits[..., 1] - given.logits[..., 0]
    face = torch.sigmoid(wanted_odds)
    weights = anchor_weights(face, wanted.features[-3:])
    cross_entropy = F.binary_cross_entropy_with_logits(given_odds, face, reduction="none")
    entropy = F.binary_cross_entropy_with_logits(wanted_odds, face, reduction="none")
    sure = face * (face > 0.1)
    boxes = F.smooth_l1_loss(given.boxes, wanted.boxes, reduction="none", beta=0.2).mean(-1)
    landmarks = F.smooth_l1_loss(given.landmarks, wanted.landmarks, reduction="none", beta=0.2).mean(-1)
    features = torch.stack(
        [(a - b).square().mean() / b.square().mean() for a, b in zip(given.features, wanted.features, strict=True)]
    ).mean()
    classes = ((cross_entropy - entropy) * weights).sum()
    places = (sure * (2 * boxes + 4 * landmarks) * weights).sum()
    return classes, places, features


def label_loss(
    given: DenseFaces, batch: Sequence[Composite], net: nn.Module, priors: Tensor, *, overlap: float
) -> Tensor:
    """What the student says against the labelled faces, at the anchors (`priors`, (A, 4)) that stand for one.

    Labels were measured on the full, clean portraits: for small and degraded faces they are better than any teacher.
    Anchors without a labelled face are left to the teacher, because the picture may hold further faces.
    """
    side = batch[0].bgr_hwc.shape[0]
    positive = torch.zeros(given.logits.shape[:2], dtype=torch.bool)
    boxes, landmarks = torch.zeros_like(given.boxes), torch.zeros_like(given.landmarks)
    for index, sample in enumerate(batch):
        if len(sample.boxes_xyxy):
            labelled = torch.from_numpy(sample.boxes_xyxy / side)
            points = torch.from_numpy(sample.landmarks_n5xy.reshape(-1, 10) / side)
            matched = match_anchors(net, labelled, points, priors, overlap=overlap)
            positive[index], boxes[index], landmarks[index] = matched
    weights = anchor_weights(positive.float(), given.features[-3:]).expand_as(positive)[positive]
    odds = (given.logits[..., 1] - given.logits[..., 0])[positive]
    losses = F.softplus(-odds)
    for share, said, true in ((2, given.boxes, boxes), (4, given.landmarks, landmarks)):
        error = F.smooth_l1_loss(said[positive], true[positive], reduction="none", beta=0.2)
        losses = losses + share * error.mean(-1)
    return (losses * weights).sum()


def _load_teacher(path: Path) -> nn.Module:
    teacher = build_retinaface().requires_grad_(False).to(memory_format=torch.channels_last)
    _load_whole(teacher, path)
    return teacher


def _load_whole(net: nn.Module, path: Path) -> None:
    try:
        net.load_state_dict(read_state(path))
    except RuntimeError as error:
        raise IncompatibleWeightsError(f"{path}: keys or shapes are not those of RetinaFace MobileNet-0.25") from error


def _load_backbone(student: nn.Module, path: Path) -> None:
    own = student.state_dict()
    backbone = {f"body.{name}": tensor for name, tensor in read_state(path).items() if f"body.{name}" in own}
    try:
        missing = student.load_state_dict(backbone, strict=False).missing_keys
    except RuntimeError as error:
        raise IncompatibleWeightsError(f"{path}: shapes are not those of MobileNet-0.25") from error
    if any(name.startswith("body.") for name in missing):
        raise IncompatibleWeightsError(f"{path}: lacks parts of MobileNet-0.25")


def _save_checkpoint(state: _State, path: Path) -> None:
    content = {
        "step": state.step,
        "student": state.student.state_dict(),
        "average": state.average.state_dict(),
        "optimizer": state.optimizer.state_dict(),
    }
    with whole_file(path, overwrite=True) as file:
        torch.save(content, file)


def _resume(state: _State, path: Path) -> None:
    content = torch.load(path, map_location="cpu", weights_only=True)
    try:
        state.student.load_state_dict(content["student"])
        state.average.load_state_dict(content["average"])
        state.optimizer.load_state_dict(content["optimizer"])
        state.step = int(content["step"])
    except (KeyError, RuntimeError, ValueError) as error:
        raise IncompatibleWeightsError(f"{path}: is no checkpoint of this network; remove it to start anew") from error
