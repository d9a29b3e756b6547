"""Finds faces and their five landmarks in pictures."""

from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from gpen_video.geometry import iou_matrix
from gpen_video.nets.retinaface import anchors, decode, folded, network_input, suppress_overlaps
from gpen_video.types import Detection


class Detector(Protocol):
    """Anything that finds faces."""

    def detect(self, rgb_nhwc: NDArray[np.uint8]) -> list[tuple[Detection, ...]]:
        """Find the faces of N pictures of one size.

        Args:
            rgb_nhwc: (N, H, W, 3), full-range R'G'B'; not written to.

        Returns:
            For each picture its faces, the surest first, in the picture's pixels.
        """
        ...


class RetinaFaceDetector:
    """Finds faces with RetinaFace (Deng et al., CVPR 2020).

    A box is tight around the face, from brow or hairline to chin, and may reach beyond the picture. What is found in
    a picture does not depend on the pictures that it is batched with, to the last bit: the network always sees batches
    of one size. It does depend on that size.
    """

    def __init__(
        self,
        net: nn.Module,
        *,
        device: torch.device,
        score: float,
        nms_iou: float = 0.4,
        vote_iou: float = 0.5,
        min_face: float,
        batch: int = 1,
    ) -> None:
        """Take a trained network.

        Args:
            net: from `nets.retinaface.build_retinaface`, with weights loaded; it is copied.
            device: where the network runs.
            score: least confidence of a detection, 0 to 1.
            nms_iou: of two boxes whose intersection over union is larger than this, the less sure one is dropped.
            vote_iou: boxes that overlap a kept one by as much say, by their scores, where it and its landmarks are;
                1 lets the surest alone decide, as published.
            min_face: least length of a box's shorter side, in pixels of the picture handed to `detect`.
            batch: pictures that the network looks at at once; where there are fewer, it sees one of them repeatedly.

        Raises:
            ValueError: a number is out of range.
        """
        if not (0 <= score < 1 and 0 < nms_iou <= 1 and 0 < vote_iou <= 1 and min_face >= 0 and batch >= 1):
            raise ValueError(f"out of range: {score = }, {nms_iou = }, {vote_iou = }, {min_face = }, {batch = }")
        self._net = folded(net.eval()).to(device)
        self._device = device
        self._score = score
        self._nms_iou = nms_iou
        self._vote_iou = vote_iou
        self._min_face = min_face
        self._batch = batch
        self._anchors = torch.empty(0, 4)
        self._anchored_size = (0, 0)

    @torch.inference_mode()
    def detect(self, rgb_nhwc: NDArray[np.uint8]) -> list[tuple[Detection, ...]]:
        """See `Detector.detect`.

        Raises:
            ValueError: the array is not (N, H, W, 3) of uint8, or a picture is empty.
        """
        if rgb_nhwc.ndim != 4 or rgb_nhwc.shape[3] != 3 or rgb_nhwc.dtype != np.uint8 or 0 in rgb_nhwc.shape[1:3]:
            raise ValueError(f"rgb_nhwc: expected (N, H, W, 3) of uint8, got {rgb_nhwc.shape} of {rgb_nhwc.dtype}")
        parts = [rgb_nhwc[start : start + self._batch] for start in range(0, len(rgb_nhwc), self._batch)]
        return [faces for part in parts for faces in self._look(part)]

    def _look(self, rgb_nhwc: NDArray[np.uint8]) -> list[tuple[Detection, ...]]:
        """At most a batch, which is filled up with its last picture."""
        count, height, width, _ = rgb_nhwc.shape
        if count < self._batch:
            rgb_nhwc = rgb_nhwc[np.minimum(np.arange(self._batch), count - 1)]
        bgr_nhwc = torch.from_numpy(np.ascontiguousarray(rgb_nhwc[..., ::-1])).to(self._device)
        encoded_boxes, probabilities, encoded_landmarks = self._net(network_input(bgr_nhwc))
        priors = self._anchors_for(height, width)
        boxes, landmarks = decode(self._net, encoded_boxes.float(), encoded_landmarks.float(), priors)
        size = torch.tensor([width, height], device=self._device)
        boxes, landmarks = boxes * size.repeat(2), landmarks * size.repeat(5)
        scores = probabilities[..., 1].float()
        pictures = list(zip(boxes.cpu(), landmarks.cpu(), scores.cpu(), strict=True))
        return [self._select(*picture) for picture in pictures[:count]]

    def _anchors_for(self, height: int, width: int) -> Tensor:
        if self._anchored_size != (height, width):
            self._anchors = anchors(self._net, height, width).to(self._device)
            self._anchored_size = (height, width)
        return self._anchors

    def _select(self, boxes: Tensor, landmarks: Tensor, scores: Tensor) -> tuple[Detection, ...]:
        """The faces of one picture from boxes (A, 4), landmarks (A, 10) and scores (A,) at all anchors."""
        shorter_side = (boxes[:, 2:] - boxes[:, :2]).amin(dim=1)
        candidates = torch.nonzero((scores >= self._score) & (shorter_side >= self._min_face)).flatten()
        # Candidates come in descending order, so that equally sure ones stay in the order of their anchors.
        candidates = candidates[torch.argsort(scores[candidates], descending=True, stable=True)]
        kept = candidates[suppress_overlaps(boxes[candidates], scores[candidates], self._nms_iou)]
        votes = self._votes(boxes, scores, kept, candidates)
        agreed = torch.cat([boxes, landmarks], dim=1)[candidates].T @ votes.T
        return tuple(
            Detection(place[:4].numpy().copy(), place[4:].numpy().reshape(5, 2).copy(), float(scores[i]))
            for i, place in zip(kept.tolist(), agreed.T.contiguous(), strict=True)
        )

    def _votes(self, boxes: Tensor, scores: Tensor, kept: Tensor, candidates: Tensor) -> Tensor:
        """(kept, candidates) weights that sum to 1: how much each candidate says about where a kept face is.

        Box voting (S. Gidaris and N. Komodakis, "Object detection via a multi-region and semantic segmentation-aware
        CNN model", ICCV 2015), for landmarks too: it takes a third off their error, and more off their jitter.
        """
        overlap = torch.from_numpy(iou_matrix(boxes[kept].numpy(), boxes[candidates].numpy()))
        own = kept[:, None] == candidates[None, :]
        weights = torch.where((overlap >= self._vote_iou) | own, scores[candidates], 0.0)
        return weights / weights.sum(dim=1, keepdim=True)
