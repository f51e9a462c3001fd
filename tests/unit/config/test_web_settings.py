from __future__ import annotations

import pytest

from config.problems import ConfigError

WEB = "global:\n  web: {{{}}}\n"


def test_it_listens_on_this_machine_alone_by_default(folder):
    folder.write("global: {}\n")
    web = folder.load().settings.global_.web
    assert (web.enabled, web.host, web.port, web.encrypted) == (True, "127.0.0.1", 8765, False)


@pytest.mark.parametrize("host", ["0.0.0.0", "192.168.1.4", "'::'", "orchard.example.org"])
def test_another_host_needs_a_certificate_and_is_told_so(folder, host):
    folder.write(WEB.format(f"host: {host}"))
    with pytest.raises(ConfigError) as caught:
        folder.load()
    assert "certificate_file and certificate_key_file should be set" in str(caught.value)
    assert "reverse proxy" in str(caught.value)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("certificate_file: a.pem", "should both be set"),
        ("public_url: http://orchard.example.org", "should begin with https://"),
        ("public_url: https://example.org/orchard", "without a path"),
        ("trusted_hosts: ['*.example.org']", "should be a whole name"),
        ("trusted_hosts: ['example.org:80']", "should be a whole name"),
    ],
)
def test_what_cannot_be_is_refused(folder, text, said):
    folder.write(WEB.format(text))
    with pytest.raises(ConfigError) as caught:
        folder.load()
    assert said in str(caught.value)


def test_with_a_certificate_any_host_will_do(folder):
    folder.write(WEB.format("host: 0.0.0.0, certificate_file: a.pem, certificate_key_file: b.pem"))
    assert folder.load().settings.global_.web.encrypted
