"""What every section of settings is: a frozen model, each field with a default, a bound and a description.

A field marked by `later` belongs to a feature that is not there yet: it is read and checked, and the loader
lists it as not in force.
"""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ConfigDict, Field

LATER = {"in_force": False}


def later(default: Any, description: str, **bounds: Any) -> Any:
    return Field(default, description=description, json_schema_extra=dict(LATER), **bounds)


class Section(BaseModel):
    # Deferred: what is validated is a whole project, and building the sections of one alone takes time, too.
    model_config = ConfigDict(
        extra="forbid", frozen=True, allow_inf_nan=False, validate_default=False, defer_build=True
    )
