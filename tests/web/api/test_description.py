"""The API's own description: whole, true of the routes, and readable without a foreign host."""

from __future__ import annotations

import re
from pathlib import Path

import jsonschema
import pytest


@pytest.fixture(scope="module")
def described(house):
    return house.browser().get("/api/openapi.json").json


def operations(described):
    for path, item in described["paths"].items():
        for method, operation in item.items():
            yield path, method, operation


def test_every_operation_says_what_it_takes_and_answers(described):
    found = list(operations(described))
    assert len(found) > 50
    for path, method, operation in found:
        success = [status for status in operation["responses"] if status.startswith("2")]
        assert len(success) == 1, (method, path)
        answer = operation["responses"][success[0]]
        for kind, content in answer.get("content", {}).items():
            assert kind != "application/json" or content["schema"], (method, path)
        assert success[0] == "204" or path.endswith("/export") or "content" in answer, (method, path)


def test_every_problem_has_the_one_shape(described):
    for path, method, operation in operations(described):
        for status, answer in operation["responses"].items():
            if status[0] in "45":
                schema = answer["content"]["application/json"]["schema"]
                assert schema == {"$ref": "#/components/schemas/Problem"}, (method, path, status)
        assert {"400", "401", "403", "429"} <= set(operation["responses"])
    assert "HTTPValidationError" not in described["components"]["schemas"]


def test_no_two_operations_have_the_same_id_and_no_model_has_a_module_in_its_name(described):
    ids = [operation["operationId"] for _, _, operation in operations(described)]
    assert len(ids) == len(set(ids))
    assert not [name for name in described["components"]["schemas"] if "__" in name]


def test_every_post_takes_a_key_and_every_list_has_pages(described):
    for path, method, operation in operations(described):
        names = {one["name"] for one in operation["parameters"]}
        assert ("Idempotency-Key" in names) == (method == "post"), path
        assert ("If-None-Match" in names) == (method == "get"), path
        assert ("412" in operation["responses"]) == ("If-Match" in names)
        answer = operation["responses"].get("200", {}).get("content", {}).get("application/json", {})
        if answer.get("schema", {}).get("type") == "array" and method == "get":
            short = re.search(r"/(sessions|tokens|secrets|names|rules)$", path)
            assert short or {"limit", "cursor"} <= names, path


def test_references_lead_somewhere(described):
    def walk(value):
        if isinstance(value, dict):
            if "$ref" in value:
                yield value["$ref"]
            for each in value.values():
                yield from walk(each)
        elif isinstance(value, list):
            for each in value:
                yield from walk(each)

    there = {f"#/components/schemas/{name}" for name in described["components"]["schemas"]}
    assert set(walk(described)) <= there
    for schema in described["components"]["schemas"].values():
        jsonschema.Draft202012Validator.check_schema(schema)


def test_the_page_names_every_operation_and_nothing_of_a_foreign_host(house, described):
    page = house.browser().get("/api/docs")
    assert page.status == 200
    for path, method, _ in operations(described):
        assert f"{method.upper()} {path}</code>" in page.text
    assert "<script" not in page.text
    assert not re.search(r"""(?:src|href)=["']?(?:https?:)?//""", page.text)


def test_from_elsewhere_it_takes_a_login(house):
    assert house.browser().get("/api/docs", Via="x").status == 401
    assert house.browser().get("/api/openapi.json", Via="x").status == 401


def test_the_manual_names_every_route_and_no_other(described):
    manual = (Path(__file__).parents[3] / "docs/api.md").read_text()
    table = "".join(line for line in manual.splitlines(keepends=True) if line.startswith("| `"))
    named = re.findall(r"`(GET|PUT|POST|PATCH|DELETE) (/api/[^` ]+)`", table)
    there = [(method.upper(), path) for path, method, _ in operations(described) if path.startswith("/api/")]
    assert sorted(named) == sorted(there)
