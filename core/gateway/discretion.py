"""Keeps what requests hold out of the log: exceptions of HTTP libraries repeat headers, tokens included."""

from __future__ import annotations

import logging
import traceback

from aiohttp.http_exceptions import HttpProcessingError


class Discretion(logging.Filter):
    """Of a log's handler. Leaves out requests that are no HTTP, which are answered with 400; of any other
    exception the log has its place and its kind, and not what it says."""

    def filter(self, record: logging.LogRecord) -> bool:
        if not record.exc_info:
            return True
        kind, error, place = record.exc_info
        if isinstance(error, HttpProcessingError):
            return False
        if kind is not None:
            lines = traceback.format_tb(place)
            record.exc_text = f"{''.join(lines)}{kind.__module__}.{kind.__qualname__}"
        record.exc_info = None
        return True
