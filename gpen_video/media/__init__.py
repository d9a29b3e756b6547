"""Films in and out: the only package that talks to FFmpeg (PyAV and the ``ffmpeg`` program).

`probe` says what a film is, `decode` gives its frames, `mark_shots` finds the cuts, `encode` writes restored frames,
`join` puts segments together, `assemble` brings everything else of the source along, `staged_output` makes the result
appear whole or not at all.
"""

from gpen_video.media.assemble import assemble, container_of, plan_carriage
from gpen_video.media.binary import ffmpeg_binary
from gpen_video.media.carriage import Carriage, CarriedStream
from gpen_video.media.decode import decode
from gpen_video.media.encode import EncoderPlan, EncodeSummary, FrameWriter, check_encoder, encode
from gpen_video.media.fields import FieldReport, look_at_fields, split_fields, weave_fields
from gpen_video.media.filters import deinterlace, filter_warning, filtered, filtered_info, joined
from gpen_video.media.framemd5 import write_framemd5
from gpen_video.media.join import join
from gpen_video.media.place import Place, place_of
from gpen_video.media.probe import PictureDetails, picture_details, probe
from gpen_video.media.shots import Mark, mark_shots, shot_delay, shot_memory
from gpen_video.media.side_output import (
    SideOutput,
    check_side_targets,
    needs_full_chroma,
    plan_side_output,
    publish_side_output,
)
from gpen_video.media.staging import StagedOutput, check_target, place_of_result, staged_output

__all__ = [
    "Carriage",
    "CarriedStream",
    "EncodeSummary",
    "EncoderPlan",
    "FieldReport",
    "FrameWriter",
    "Mark",
    "PictureDetails",
    "Place",
    "SideOutput",
    "StagedOutput",
    "assemble",
    "check_encoder",
    "check_side_targets",
    "check_target",
    "container_of",
    "decode",
    "deinterlace",
    "encode",
    "ffmpeg_binary",
    "filter_warning",
    "filtered",
    "filtered_info",
    "join",
    "joined",
    "look_at_fields",
    "mark_shots",
    "needs_full_chroma",
    "picture_details",
    "place_of",
    "place_of_result",
    "plan_carriage",
    "plan_side_output",
    "probe",
    "publish_side_output",
    "shot_delay",
    "shot_memory",
    "split_fields",
    "staged_output",
    "weave_fields",
    "write_framemd5",
]
