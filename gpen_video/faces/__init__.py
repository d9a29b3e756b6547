"""Faces in frames: found, followed, cut out, masked and put back. Each part is usable without the pipeline."""

from gpen_video.faces.align import Aligner
from gpen_video.faces.detect import Detector, RetinaFaceDetector
from gpen_video.faces.mask import Masker, mask_faces
from gpen_video.faces.paste import paste_faces
from gpen_video.faces.thumbnail import detection_in_frame, upright_rgb
from gpen_video.faces.track import Tracker, track_delay, track_faces

__all__ = [
    "Aligner",
    "Detector",
    "Masker",
    "RetinaFaceDetector",
    "Tracker",
    "detection_in_frame",
    "mask_faces",
    "paste_faces",
    "track_delay",
    "track_faces",
    "upright_rgb",
]
