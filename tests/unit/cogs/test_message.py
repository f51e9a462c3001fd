from hypothesis import given
from hypothesis import strategies as st

from cogs.message import Button, Card, Field, Message, as_text, fit, paginate
from cogs.outgoing import CUSTOM_ID, custom_id
from cogs.text import length


def total(message: Message) -> int:
    return sum(
        length(card.title)
        + length(card.body)
        + length(card.footer)
        + sum(length(field.name) + length(field.value) for field in card.fields)
        for card in message.cards
    )


def test_what_fits_is_left_alone() -> None:
    message = Message(text="hi", cards=(Card(title="t", body="b", fields=(Field(name="n", value="v"),)),))
    assert fit(message) == message


def test_what_is_too_long_is_cut_and_attached_whole() -> None:
    body = "line\n" * 3000
    fitted = fit(Message(cards=(Card(body=body, footer="#7"),)))
    assert total(fitted) <= 6000
    assert fitted.cards[0].footer == "#7"
    assert body.strip() in fitted.attachments[0].text


def test_a_field_too_many_is_attached() -> None:
    fields = tuple(Field(name=f"n{number}", value="v") for number in range(30))
    fitted = fit(Message(cards=(Card(fields=fields),)))
    assert len(fitted.cards[0].fields) == 25
    assert "n29" in fitted.attachments[0].text


_card = st.builds(
    Card,
    title=st.text(max_size=400),
    body=st.text(max_size=300).map(lambda text: text * 20),
    footer=st.text(max_size=30),
    fields=st.lists(
        st.builds(Field, name=st.text(max_size=300), value=st.text(max_size=200).map(lambda t: t * 7)),
        max_size=28,
    ).map(tuple),
)


@given(st.builds(Message, text=st.text(max_size=2500), cards=st.lists(_card, max_size=12).map(tuple)))
def test_every_message_fits_discord(message: Message) -> None:
    fitted = fit(message)
    assert total(fitted) <= 6000
    assert length(fitted.text) <= 2000
    assert len(fitted.cards) <= 10
    for card in fitted.cards:
        assert length(card.title) <= 256
        assert length(card.body) <= 4096
        assert len(card.fields) <= 25
        assert all(length(f.name) <= 256 and length(f.value) <= 1024 for f in card.fields)
    if fitted.cards != message.cards or fitted.text != message.text:
        assert fitted.attachments[-1].text == as_text(message)


def test_pages_hold_every_line_in_order() -> None:
    lines = tuple("x" * (number * 37 % 900) for number in range(60))
    pages = paginate(lines)
    assert tuple(line for page in pages for line in page) == lines
    assert all(len(page) <= 10 for page in pages)
    assert all(sum(len(line) + 1 for line in page) <= 3800 for page in pages)


def test_a_line_longer_than_a_page_stands_alone() -> None:
    assert paginate(("a", "b" * 5000, "c")) == (("a",), ("b" * 5000,), ("c",))


def test_a_custom_id_tells_verb_and_target() -> None:
    match = CUSTOM_ID.fullmatch(custom_id("page", "backlog:my-shop.x:3"))
    assert match is not None
    assert (match["verb"], match["target"]) == ("page", "backlog:my-shop.x:3")


def test_buttons_are_limited() -> None:
    buttons = tuple(Button(label="x" * 100, verb="page", target=str(n)) for n in range(30))
    fitted = fit(Message(buttons=buttons))
    assert len(fitted.buttons) == 25
    assert length(fitted.buttons[0].label) <= 80
