from __future__ import annotations

import pytest

from core.errors import InvalidInput
from core.isolation.egress.named_hosts import (
    NAMED_SETS,
    check_entry,
    expand,
    loopback_doors,
    loopback_ports_in,
    provider_rules,
    rules_in_environment,
)
from core.isolation.egress.rules import parse_egress


def test_names_stand_for_their_rules_once():
    assert expand(["pypi", "a.example:8080", "registries"])[:3] == (*NAMED_SETS["pypi"], "a.example:8080")
    assert len(set(expand(["registries", "pypi"]))) == len(expand(["registries", "pypi"]))


def test_every_named_set_can_be_read():
    for name in NAMED_SETS:
        assert parse_egress(expand([name])).rules


@pytest.mark.parametrize("entry", ["pipy", "10.0.0.0/33", "a.example:0", "*.1.2.3.4", "http://a.example"])
def test_what_is_no_entry_is_refused(entry):
    with pytest.raises(InvalidInput):
        check_entry(entry)


@pytest.mark.parametrize(
    ("value", "rules"),
    [
        ("https://llm.corp.example/v1", ("llm.corp.example:443",)),
        ("http://LLM.example:8000", ("llm.example:8000",)),
        ("http://user:word@llm.example/", ("llm.example:80",)),
        ("http://localhost:11434/v1", ("127.0.0.1:11434",)),
        ("http://[2001:db8::1]:9/", ("[2001:db8::1]:9",)),
        ("see https://a.example", ()),
        ("https://", ()),
        ("http://a.example:99999", ()),
        ("ftp://a.example", ()),
        ("http://0x7f.1/", ()),
    ],
)
def test_addresses_in_a_row_are_rules(value, rules):
    assert rules_in_environment({"BASE_URL": value}) == rules
    parse_egress(rules)


def test_a_provider_has_its_hosts_and_the_one_of_the_settings():
    assert provider_rules("openai", "https://proxy.example/v1")[-1] == "proxy.example:443"
    assert provider_rules("replay") == ()
    assert provider_rules("pypi") == ()  # a registry is no provider


def test_doors_are_single_ports_of_this_machine():
    lines = [
        "127.0.0.1:11434,8080",
        "127.0.0.1:80",
        "127.0.0.1:9000-9010",
        "127.0.0.0/8:7000",
        "a.example:5000",
    ]
    assert loopback_doors(parse_egress(lines)) == (11434, 8080)
    assert loopback_ports_in(['{"url": "http://localhost:4000/v1"}', "http://127.0.0.1:5000"]) == (4000, 5000)
