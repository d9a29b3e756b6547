"""Faces in frames: found, followed, cut out, masked and put back. Each part is usable without the pipeline."""

from gpen_video.faces.align import Aligner
from gpen_video.faces.detect import Detector, RetinaFaceDetector
from gpen_video.faces.gate import gate_faces
from gpen_video.faces.grain import GRAIN_DELAY, match_grain
from gpen_video.faces.guard import guard_faces
from gpen_video.faces.landmark_flow import follow_faces
from gpen_video.faces.layer import LayeredFrame, LayerWish, layer_format, matte_format, paste_layers
from gpen_video.faces.likeness import ArcFaceEmbedder, FaceEmbedder
from gpen_video.faces.mask import Masker, mask_faces
from gpen_video.faces.parse import FaceParser, NetworkParser
from gpen_video.faces.paste import paste_faces
from gpen_video.faces.reserve import OnDecision
from gpen_video.faces.thumbnail import detection_in_frame, upright_rgb
from gpen_video.faces.track import Tracker, track_delay, track_faces

__all__ = [
    "GRAIN_DELAY",
    "Aligner",
    "ArcFaceEmbedder",
    "Detector",
    "FaceEmbedder",
    "FaceParser",
    "LayerWish",
    "LayeredFrame",
    "Masker",
    "NetworkParser",
    "OnDecision",
    "RetinaFaceDetector",
    "Tracker",
    "detection_in_frame",
    "follow_faces",
    "gate_faces",
    "guard_faces",
    "layer_format",
    "mask_faces",
    "match_grain",
    "matte_format",
    "paste_faces",
    "paste_layers",
    "track_delay",
    "track_faces",
    "upright_rgb",
]
