"""A trained GPEN as the file that ships: fp16 safetensors with its configuration inside."""

import json
from dataclasses import asdict
from pathlib import Path

import torch
from safetensors.torch import save

from gpen_video.nets.gpen import Gpen
from gpen_video.whole_file import whole_file

FORMAT = "gpen-video/1"


def export_gpen(net: Gpen, path: Path, *, name: str, terms: str, template: str = "gpen") -> None:
    """Write the weights under the published key names, whole or not at all.

    Args:
        net: as trained; fp32.
        path: the ``.safetensors`` file.
        name: of the weights.
        terms: under which they may be used.
        template: of the crops that it was trained on (`geometry.TEMPLATES`).

    Raises:
        OutputError: the file cannot be written.
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
    with whole_file(path, overwrite=True) as file:
        file.write(save(state, metadata))
