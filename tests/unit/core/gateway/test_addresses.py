from __future__ import annotations

import pytest

from config.settings import ModelProvider
from core.gateway.addresses import BUILT_IN, address_of, providers_of, proxy_of
from core.gateway.wire import WireFormat


@pytest.mark.parametrize(
    ("base", "path", "query", "whole"),
    [
        (
            "https://api.anthropic.com",
            "/v1/messages",
            "beta=1",
            "https://api.anthropic.com/v1/messages?beta=1",
        ),
        ("https://api.openai.com/v1", "/v1/responses", "", "https://api.openai.com/v1/responses"),
        ("https://api.openai.com/v1", "/responses", "", "https://api.openai.com/v1/responses"),
        ("https://host/api/v4/", "/v1/chat/completions", "", "https://host/api/v4/chat/completions"),
        (
            "http://127.0.0.1:1",
            "/v1beta/models/m:countTokens",
            "",
            "http://127.0.0.1:1/v1beta/models/m:countTokens",
        ),
    ],
)
def test_paths_stand_below_the_base_with_one_version(base: str, path: str, query: str, whole: str) -> None:
    assert address_of(base, path, query) == whole


def test_only_providers_with_a_key_are_there_and_no_key_is_shown() -> None:
    found = providers_of(
        BUILT_IN, {"GOOGLE_API_KEY": " secret ", "OPENAI_API_KEY": "  ", "MISTRAL_API_KEY": "a\nb"}
    )
    assert [(each.name, each.key, each.speaks) for each in found] == [("gemini", "secret", WireFormat.GEMINI)]
    assert "secret" not in repr(found) + found[0].key_id


@pytest.mark.parametrize(
    ("base", "environ", "proxy"),
    [
        ("https://api.openai.com", {"HTTPS_PROXY": "http://p:1"}, "http://p:1"),
        ("https://api.openai.com", {"https_proxy": "http://p:1", "no_proxy": "x, .openai.com"}, ""),
        ("http://127.0.0.1:9", {"http_proxy": "http://p:1", "all_proxy": "http://p:1"}, ""),
        ("http://[::1]:9", {"http_proxy": "http://p:1"}, ""),
        ("http://lan.example", {"http_proxy": "http://p:1", "no_proxy": "ample"}, "http://p:1"),
        ("http://lan.example", {"all_proxy": "socks5://p:1"}, ""),
    ],
)
def test_proxies_of_the_environment(base: str, environ: dict[str, str], proxy: str) -> None:
    assert proxy_of(base, environ) == proxy


@pytest.mark.parametrize(
    ("address", "allowed"),
    [
        ("http://127.0.0.1:8080/v1", True),
        ("http://localhost", True),
        ("https://host/v1", True),
        ("http://host/v1", False),
        ("http://127.0.0.1.evil.example", False),
        ("https://user:word@host", False),
    ],
)
def test_a_key_travels_unencrypted_only_inside_the_machine(address: str, allowed: bool) -> None:
    body = {"base_url": address, "key_variables": ("KEY",)}
    if allowed:
        assert ModelProvider.model_validate(body).base_url == address
        return
    with pytest.raises(ValueError, match="base_url should"):
        ModelProvider.model_validate(body)
