"""The JSON Schema (draft 2020-12) of the treatment record: made from the dataclasses, shipped beside them."""

import json
from functools import lru_cache
from importlib.resources import files
from typing import Any, Final

from pydantic import TypeAdapter

from gpen_video.report.record import SCHEMA, TreatmentRecord

SCHEMA_FILE: Final = "treatment.schema.json"


@lru_cache(maxsize=1)
def adapter() -> TypeAdapter[TreatmentRecord]:
    """What checks a record; made when it is first asked for."""
    return TypeAdapter(TreatmentRecord)


def json_schema() -> dict[str, Any]:
    """The schema as the dataclasses give it; the shipped file is this."""
    made = adapter().json_schema()
    made["required"] = sorted({*made["required"], "schema", "face_columns"})
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", "$id": f"urn:{SCHEMA.replace('/', ':')}"} | made


def shipped_schema() -> dict[str, Any]:
    """The schema as it comes with the program."""
    text = files("gpen_video.report").joinpath(SCHEMA_FILE).read_text(encoding="utf-8")
    schema: dict[str, Any] = json.loads(text)
    return schema
