"""A trained GPEN as the file that ships: fp16 safetensors with its configuration inside."""

import json
from dataclasses import asdict
from pathlib import Path

import torch
from safetensors.torch import save_file

from gpen_video.nets.gpen import Gpen

FORMAT = "gpen-video/1"


def export_gpen(net: Gpen, path: Path, *, name: str, terms: str, template: str = "gpen") -> None:
    """Write the weights under the published key names, beside `path` first and then renamed.

    Args:
        net: as trained; fp32.
        path: the ``.safetensors`` file.
        name: of the weights.
        terms: under which they may be used.
        template: of the crops that it was trained on (`faces.TEMPLATES`).

    Raises:
        ValueError: a weight does not fit fp16.
    """
    state = {key: value.detach().half().cpu().contiguous() for key, value in net.state_dict().items()}
    if unfit := [key for key, value in state.items() if not torch.isfinite(value).all()]:
        raise ValueError(f"{unfit[0]}: does not fit 16 bits")
    metadata = {
        "format": FORMAT,
        "name": name,
        "config": json.dumps({"arch": "gpen", **asdict(net.config)}),
        "template": template,
        "terms": terms,
    }
    part = path.with_name(path.name + ".part")
    save_file(state, part, metadata)
    part.replace(path)
