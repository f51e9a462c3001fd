"""What no command shows, whatever stands in the files that it reads."""

from __future__ import annotations

from core.agents.presets import load_rows
from core.agents.redaction import Redactor, secrets_in
from core.errors import OrchardError
from core.folder import variables
from core.known_secrets import known_secrets
from core.orchestrator.registry import Registry


def redactor_of(registry: Registry) -> Redactor:
    """Of all keys that Orchard knows now: a file may have been written before it knew one. Reads `.env`."""
    configuration = registry.configuration
    try:
        rows = load_rows(configuration.settings.agents).values()
    except OrchardError:  # said elsewhere
        rows = load_rows().values()
    named = {key for row in rows for key in row.key_variables}
    written = [value for row in rows for value in secrets_in(row.environment, row.key_variables)]
    return known_secrets.redactor_with((*secrets_in(variables(configuration.root), named), *written))
