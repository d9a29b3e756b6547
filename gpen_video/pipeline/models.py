"""The networks of a run, built outside the stages and handed in."""

from collections.abc import Sequence
from copy import deepcopy
from dataclasses import dataclass
from typing import Self

import torch

from gpen_video.config import Settings
from gpen_video.errors import UsageError
from gpen_video.faces import ArcFaceEmbedder, Detector, FaceEmbedder, FaceParser, NetworkParser, RetinaFaceDetector
from gpen_video.nets.gpen import Gpen
from gpen_video.restore import (
    GpenRestorer,
    LatentRestorer,
    LatentRestorerPool,
    Precision,
    Restorer,
    choose_devices,
    choose_precision,
)
from gpen_video.weights import load_detector, load_embedder, load_gpen, load_parser, name_here
from gpen_video.weights.registry import Task

RESCUE_SHARE = 0.5
"""A detection this much less sure than one that starts a track may still continue one (ByteTrack)."""


@dataclass(frozen=True, slots=True, eq=False)
class Models:
    """What a run computes with; as a context manager it ends what restores in threads."""

    detector: Detector
    detector_name: str
    restorer: Restorer
    restorer_name: str
    template: str
    device: str
    """As in the settings' names; several, separated by commas, restore, and the first does everything else."""
    precision: Precision
    parser: FaceParser | None = None
    """Sees what is in front of a face."""
    parser_name: str | None = None
    embedder: FaceEmbedder | None = None
    """Knows persons apart."""
    embedder_name: str | None = None

    def close(self) -> None:
        """End the threads of several devices; nothing can be restored afterwards."""
        if isinstance(self.restorer, LatentRestorerPool):
            self.restorer.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def load_models(settings: Settings, *, offline: bool = False) -> Models:
    """Load the networks onto the device of the settings; the restoring one onto each of several.

    Raises:
        DeviceError: the device is not there.
        WeightsError: weights are missing, not what the registry says, or do not fit.
        UsageError: the weights are not for restoring.
    """
    devices = choose_devices(settings.restore.device)
    device = devices[0]
    precision = choose_precision(settings.restore.precision, *devices)
    restoring = load_gpen(settings.restore.weights, offline=offline)
    if restoring.task != "restore":
        raise UsageError(f"{restoring.name}: these weights are for {restoring.task}, not for restoring")
    detecting = load_detector(settings.detect.weights, offline=offline)
    parser, embedder = None, None
    if (parsing := _wanted(settings.blend.parsing, "parse")) is not None:
        loaded = load_parser(parsing, offline=offline)
        parser = NetworkParser(loaded.net, loaded.kind, device=device)
    recognising = _wanted(settings.guard.embedding, "recognise") if settings.guard.enabled else None
    if recognising is not None:
        net = load_embedder(recognising, offline=offline).net
        embedder = ArcFaceEmbedder(net, device=device, template=restoring.template)
    return Models(
        detector=RetinaFaceDetector(
            detecting.net,
            device=device,
            score=settings.detect.score * RESCUE_SHARE,
            vote_iou=settings.detect.vote,
            min_face=0,
            batch=settings.detect.batch,
        ),
        detector_name=detecting.name,
        restorer=_restorer(restoring.net, devices, precision, settings.restore.batch),
        restorer_name=restoring.name,
        template=restoring.template,
        device=",".join(map(str, devices)),
        precision=precision,
        parser=parser,
        parser_name=parsing,
        embedder=embedder,
        embedder_name=recognising,
    )


def _restorer(net: Gpen, devices: Sequence[torch.device], precision: Precision, batch: int) -> LatentRestorer:
    nets = [net, *(deepcopy(net) for _ in devices[1:])]  # before the first is moved, and prepares its fast form
    restorers = [
        GpenRestorer(net, device=device, precision=precision, batch=batch)
        for net, device in zip(nets, devices, strict=True)
    ]
    return restorers[0] if len(restorers) == 1 else LatentRestorerPool(restorers, devices)


def _wanted(setting: str, task: Task) -> str | None:
    """Name or file of weights that a run can do without: what is set, or with ``auto`` what is in the cache."""
    if setting == "off":
        return None
    return name_here(task) if setting == "auto" else setting
