"""What is compared: the same network with more and more of the steadying."""

from gpen_video.config import Settings

PLAIN = "nothing"
EVERYTHING = "everything"

_RAW_TRACK = {
    "lag": 0,
    "min_hits": 1,
    "max_gap": 0,
    "motion_noise": 10.0,  # so that the filter believes every measurement whole
    "landmark_noise": 0.0001,
    "camera": False,
    "memory": 0,
}
_RAW_DETECT = {"vote": 1.0}
"""Only the surest box says where a face is, as published."""
_NO_LATENT = {"steady_latent": 0.0}
_NO_DETAIL = {"steady_detail": 0.0}
_NO_MASK = {"steadiness": 0.0, "fade": 0}


def variants() -> dict[str, Settings]:
    """Settings by name, from raw detections to the defaults.

    Grain is not matched in any of them: the film's own grain, which is put back on purpose, would hide what the network
    does.
    """
    return {
        PLAIN: _settings(detect=_RAW_DETECT, track=_RAW_TRACK, restore=_NO_LATENT | _NO_DETAIL, blend=_NO_MASK),
        "smoothing alone": _settings(restore=_NO_LATENT | _NO_DETAIL, blend=_NO_MASK),
        "+ latent": _settings(restore=_NO_DETAIL, blend=_NO_MASK),
        "+ temporal blend": _settings(restore=_NO_LATENT, blend=_NO_MASK),
        "+ mask blend": _settings(restore=_NO_LATENT | _NO_DETAIL),
        EVERYTHING: _settings(),
    }


def _settings(
    detect: dict[str, object] | None = None,
    track: dict[str, object] | None = None,
    restore: dict[str, object] | None = None,
    blend: dict[str, object] | None = None,
) -> Settings:
    return Settings.model_validate(
        {
            "detect": detect or {},
            "track": track or {},
            "restore": {"device": "cpu"} | (restore or {}),
            "blend": {"grain": "none"} | (blend or {}),
            "encode": {"codec": "ffv1", "crf": None, "options": {"slices": "4"}},
        }
    )
