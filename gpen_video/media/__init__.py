"""Films in and out: the only package that talks to FFmpeg (PyAV and the ``ffmpeg`` program).

`probe` says what a film is, `decode` gives its frames, `mark_shots` finds the cuts, `encode` writes restored frames,
`join` puts segments together, `assemble` brings everything else of the source along, `staged_output` makes the result
appear whole or not at all.
"""

from gpen_video.media.assemble import Carriage, CarriedStream, assemble, container_of, plan_carriage
from gpen_video.media.binary import ffmpeg_binary
from gpen_video.media.decode import decode
from gpen_video.media.encode import EncoderPlan, EncodeSummary, check_encoder, encode
from gpen_video.media.join import join
from gpen_video.media.probe import PictureDetails, picture_details, probe
from gpen_video.media.shots import SHOT_DELAY, mark_shots
from gpen_video.media.staging import StagedOutput, check_target, staged_output

__all__ = [
    "SHOT_DELAY",
    "Carriage",
    "CarriedStream",
    "EncodeSummary",
    "EncoderPlan",
    "PictureDetails",
    "StagedOutput",
    "assemble",
    "check_encoder",
    "check_target",
    "container_of",
    "decode",
    "encode",
    "ffmpeg_binary",
    "join",
    "mark_shots",
    "picture_details",
    "plan_carriage",
    "probe",
    "staged_output",
]
