"""The stages wired to a run, and what a run tells its observer."""

from gpen_video.pipeline.extras import Extras
from gpen_video.pipeline.inspect import inspect_video
from gpen_video.pipeline.kept_models import KeptModels
from gpen_video.pipeline.ledger import Resume
from gpen_video.pipeline.measure import measure_video
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
from gpen_video.pipeline.resume_info import ResumeInfo, remove_work, resume_info
from gpen_video.pipeline.run import plan_run, restore_video
from gpen_video.pipeline.stages import crop_faces, detect_faces
from gpen_video.pipeline.track_numbers import TrackNumbers
from gpen_video.pipeline.verification import Verification
from gpen_video.pipeline.verify import verify

__all__ = [
    "Extras",
    "Inspection",
    "KeptModels",
    "Models",
    "NoObserver",
    "Observer",
    "Progress",
    "Resume",
    "ResumeInfo",
    "RunPlan",
    "RunSummary",
    "Shot",
    "Track",
    "TrackNumbers",
    "Verification",
    "crop_faces",
    "detect_faces",
    "inspect_video",
    "load_models",
    "measure_video",
    "plan_run",
    "prefetch",
    "remove_work",
    "restore_video",
    "resume_info",
    "verify",
]
