"""Reading a JSON body field by field, collecting Discord's field errors (code 50035). Pure.

A `Reader` stands on one object of the body; what it refuses goes to the `Problems` of the whole
body under the path of the field, so that one answer names every fault at once, as Discord's does.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from bot.localguild.errors import ApiError, refusal

Path = tuple[str | int, ...]


class Problems:
    """The field errors of one body."""

    def __init__(self) -> None:
        self._tree: dict[str, Any] = {}

    def add(self, path: Path, code: str, message: str) -> None:
        node = self._tree
        for step in path:
            node = node.setdefault(str(step), {})
        node.setdefault("_errors", []).append({"code": code, "message": message})

    def raise_if_any(self) -> None:
        if self._tree:
            error = refusal(50035)
            error.errors = self._tree
            raise error


class Reader:
    """Typed access to the fields of one object; a wrong field is a problem and reads as its default."""

    def __init__(self, body: Any, problems: Problems | None = None, path: Path = ()) -> None:
        self.problems = problems or Problems()
        self.path = path
        if not isinstance(body, dict):
            if not path:
                raise _not_an_object()
            self.fail((), "MODEL_TYPE_CONVERT", "Only dictionaries may be used in a ModelType")
            body = {}
        self.body: dict[str, Any] = body

    def fail(self, path: Iterable[str | int], code: str, message: str) -> None:
        self.problems.add((*self.path, *path), code, message)

    def has(self, key: str) -> bool:
        return key in self.body

    def given(self, key: str) -> bool:
        """Is the field there and not null?"""
        return self.body.get(key) is not None

    def _value(self, key: str, required: bool) -> Any:
        value = self.body.get(key)
        if value is None and required:
            self.fail((key,), "BASE_TYPE_REQUIRED", "This field is required")
        return value

    def text(self, key: str, *, minimum: int = 0, maximum: int | None = None, required: bool = False) -> str:
        """A string within bounds (in characters); "" when absent."""
        value = self._value(key, required)
        if value is None:
            return ""
        if isinstance(value, bool | list | dict):
            self.fail((key,), "STRING_TYPE_CONVERT", f'Could not interpret "{value}" as string.')
            return ""
        value = str(value)
        self._check_length(key, len(value), minimum, maximum)
        return value

    def _check_length(self, key: str, length: int, minimum: int, maximum: int | None) -> None:
        if maximum is not None and minimum and not minimum <= length <= maximum:
            message = f"Must be between {minimum} and {maximum} in length."
            self.fail((key,), "BASE_TYPE_BAD_LENGTH", message)
        elif maximum is not None and length > maximum:
            self.fail((key,), "BASE_TYPE_MAX_LENGTH", f"Must be {maximum} or fewer in length.")
        elif length < minimum:
            self.fail((key,), "BASE_TYPE_MIN_LENGTH", f"Must be {minimum} or more in length.")

    def integer(
        self,
        key: str,
        *,
        minimum: int | None = None,
        maximum: int | None = None,
        required: bool = False,
        default: int = 0,
    ) -> int:
        value = self._value(key, required)
        if value is None:
            return default
        if isinstance(value, bool) or not isinstance(value, int | str) or not _is_integer(value):
            self.fail((key,), "NUMBER_TYPE_COERCE", f'Value "{value}" is not int.')
            return default
        number = int(value)
        if minimum is not None and number < minimum:
            self.fail((key,), "NUMBER_TYPE_MIN", f"int value should be greater than or equal to {minimum}.")
        if maximum is not None and number > maximum:
            self.fail((key,), "NUMBER_TYPE_MAX", f"int value should be less than or equal to {maximum}.")
        return number

    def boolean(self, key: str, *, default: bool = False) -> bool:
        value = self.body.get(key)
        if value is None:
            return default
        if not isinstance(value, bool):
            self.fail((key,), "BOOLEAN_TYPE_CONVERT", "Must be either true or false.")
            return default
        return value

    def choice(
        self, key: str, choices: Sequence[int], *, required: bool = False, default: int | None = None
    ) -> int:
        fallback = choices[0] if default is None else default
        value = self._value(key, required)
        if value is None:
            return fallback
        if isinstance(value, bool) or not _is_integer(value) or int(value) not in choices:
            names = ", ".join(str(one) for one in choices)
            self.fail((key,), "BASE_TYPE_CHOICES", f"Value must be one of {{{names}}}.")
            return fallback
        return int(value)

    def snowflake(self, key: str, *, required: bool = False) -> int | None:
        value = self._value(key, required)
        if value is None:
            return None
        if isinstance(value, bool) or not _is_integer(value) or not 0 <= int(value) < 1 << 63:
            self.fail((key,), "NUMBER_TYPE_COERCE", f'Value "{value}" is not snowflake.')
            return None
        return int(value)

    def snowflakes(self, key: str) -> list[int]:
        found = []
        for index, value in enumerate(self.items(key)):
            if isinstance(value, bool) or not _is_integer(value):
                self.fail((key, index), "NUMBER_TYPE_COERCE", f'Value "{value}" is not snowflake.')
            else:
                found.append(int(value))
        return found

    def items(self, key: str, *, minimum: int = 0, maximum: int | None = None) -> list[Any]:
        """A list of any values; empty when absent."""
        value = self.body.get(key)
        if value is None:
            if minimum:
                self.fail((key,), "BASE_TYPE_REQUIRED", "This field is required")
            return []
        if not isinstance(value, list):
            self.fail((key,), "LIST_TYPE_CONVERT", "Only iterables may be used in a ListType")
            return []
        self._check_length(key, len(value), minimum, maximum)
        return value

    def objects(self, key: str, *, minimum: int = 0, maximum: int | None = None) -> list[Reader]:
        return [
            Reader(one, self.problems, (*self.path, key, index))
            for index, one in enumerate(self.items(key, minimum=minimum, maximum=maximum))
        ]

    def object(self, key: str, *, required: bool = False) -> Reader | None:
        value = self._value(key, required)
        return None if value is None else Reader(value, self.problems, (*self.path, key))


def _is_integer(value: Any) -> bool:
    if isinstance(value, int):
        return True
    return isinstance(value, str) and value.lstrip("-").isascii() and value.lstrip("-").isdigit()


def _not_an_object() -> ApiError:
    error = refusal(50035)
    error.errors = {
        "_errors": [{"code": "DICT_TYPE_CONVERT", "message": "Only dictionaries may be used in a DictType"}]
    }
    return error
