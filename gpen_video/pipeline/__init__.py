"""The stages wired to a run, and what a run tells its observer."""

from gpen_video.pipeline.inspect import inspect_video
from gpen_video.pipeline.models import Models, load_models
from gpen_video.pipeline.observe import (
    Inspection,
    NoObserver,
    Observer,
    Progress,
    RunPlan,
    RunSummary,
    Shot,
    Track,
)
from gpen_video.pipeline.prefetch import prefetch
from gpen_video.pipeline.run import plan_run, restore_video
from gpen_video.pipeline.stages import crop_faces, detect_faces

__all__ = [
    "Inspection",
    "Models",
    "NoObserver",
    "Observer",
    "Progress",
    "RunPlan",
    "RunSummary",
    "Shot",
    "Track",
    "crop_faces",
    "detect_faces",
    "inspect_video",
    "load_models",
    "plan_run",
    "prefetch",
    "restore_video",
]
