"""The model gateway: every call of an agent to a model goes through it, is metered and held to its budget."""
