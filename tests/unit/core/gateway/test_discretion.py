"""What an exception says may be a token: the log has its place and its kind."""

import io
import logging

from aiohttp.http_exceptions import BadHttpMessage

from core.gateway.discretion import Discretion


def logged(error: BaseException) -> str:
    text = io.StringIO()
    handler = logging.StreamHandler(text)
    handler.addFilter(Discretion())
    log = logging.Logger("of the test")
    log.addHandler(handler)
    log.info("it begins")
    try:
        raise error
    except type(error):
        log.exception("it failed")
    return text.getvalue()


def test_a_request_that_is_none_is_no_news() -> None:
    assert logged(BadHttpMessage("invalid header: x-api-key: orch-secret")) == "it begins\n"


def test_of_a_fault_of_ours_its_place_and_kind_are_kept() -> None:
    said = logged(ValueError("orch-secret"))
    assert "test_discretion.py" in said
    assert "ValueError" in said
    assert "secret" not in said
