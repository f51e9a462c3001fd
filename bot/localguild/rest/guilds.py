"""/guilds/{id}: the guild, its roles and members."""

from __future__ import annotations

from bot.localguild import payloads
from bot.localguild.errors import refusal
from bot.localguild.intents import Intent
from bot.localguild.model import Json, Member, Role
from bot.localguild.permissions import NOTHING, Permission
from bot.localguild.rest.call import NO_CONTENT, Answer, Call, Route


async def _get(call: Call) -> Answer:
    call.guild_id()
    guild = call.world.guild
    counts: Json = {}
    if call.query_flag("with_counts"):
        counts = {"approximate_member_count": len(guild.members), "approximate_presence_count": 1}
    return Answer(200, payloads.guild_object(guild) | counts)


async def _roles(call: Call) -> Answer:
    call.guild_id()
    return Answer(200, [payloads.role(one) for one in call.world.guild.roles.values()])


async def _role(call: Call) -> Answer:
    call.guild_id()
    return Answer(200, payloads.role(call.world.guild.role(call.id("role_id"))))


async def _create_role(call: Call) -> Answer:
    call.guild_id()
    guild = call.world.guild
    guild.require(call.by, Permission.MANAGE_ROLES)
    if len(guild.roles) >= call.world.settings.max_roles:
        raise refusal(30005)
    role = Role(
        id=call.world.snowflakes.new(),
        name="new role",
        permissions=call.world.settings.everyone_permissions & guild.permissions(call.by),
        position=1,
    )
    _fill_role(call, role)
    for other in guild.roles.values():  # a new role starts at the bottom, just above @everyone
        other.position += other.id != guild.id
    guild.roles[role.id] = role
    _announce_role(call, "GUILD_ROLE_CREATE", role)
    return Answer(200, payloads.role(role))


def _fill_role(call: Call, role: Role) -> None:
    form = call.form()
    name = form.text("name", maximum=100)
    permissions = Permission(form.integer("permissions", minimum=0, default=role.permissions.value))
    color = form.integer("color", minimum=0, maximum=0xFFFFFF, default=role.color)
    form.problems.raise_if_any()
    if permissions & ~role.permissions & ~call.world.guild.permissions(call.by) != NOTHING:
        raise refusal(50013)  # nobody gives away rights that they lack
    role.name = name or role.name
    role.permissions, role.color = permissions, color
    role.hoist = form.boolean("hoist", default=role.hoist)
    role.mentionable = form.boolean("mentionable", default=role.mentionable)


def _announce_role(call: Call, event: str, role: Role) -> None:
    call.world.announce(event, {"guild_id": str(call.world.guild.id), "role": payloads.role(role)})


def _manageable_role(call: Call) -> Role:
    """The path's role, if it stands below the bot's highest one."""
    guild = call.world.guild
    guild.require(call.by, Permission.MANAGE_ROLES)
    role = guild.role(call.id("role_id"))
    if role.position >= guild.top_role_position(call.by):
        raise refusal(50013)
    return role


async def _edit_role(call: Call) -> Answer:
    call.guild_id()
    role = _manageable_role(call)
    _fill_role(call, role)
    _announce_role(call, "GUILD_ROLE_UPDATE", role)
    return Answer(200, payloads.role(role))


async def _delete_role(call: Call) -> Answer:
    call.guild_id()
    role = _manageable_role(call)
    if role.managed or role.id == call.world.guild.id:
        raise refusal(50028)
    del call.world.guild.roles[role.id]
    for member in call.world.guild.members.values():
        if role.id in member.roles:
            member.roles.remove(role.id)
    data = {"guild_id": str(call.world.guild.id), "role_id": str(role.id)}
    call.world.announce("GUILD_ROLE_DELETE", data)
    return NO_CONTENT


async def _member(call: Call) -> Answer:
    call.guild_id()
    return Answer(200, payloads.member(call.world.guild.member(call.id("user_id"))))


async def _members(call: Call) -> Answer:
    call.guild_id()
    if Intent.GUILD_MEMBERS not in call.world.settings.privileged_intents:
        raise refusal(50001)
    limit = call.query_integer("limit", minimum=1, maximum=1000, default=1)
    after = call.query_snowflake("after") or 0
    found = sorted((one for one in call.world.guild.members.values()), key=lambda one: one.user.id)
    shown = [payloads.member(one) for one in found if one.user.id > after]
    return Answer(200, shown[:limit])


async def _search_members(call: Call) -> Answer:
    call.guild_id()
    query = call.query.get("query", "").lower()
    limit = call.query_integer("limit", minimum=1, maximum=1000, default=1)
    found = [
        payloads.member(one)
        for one in call.world.guild.members.values()
        if any(name and name.lower().startswith(query) for name in (one.user.username, one.nick))
    ]
    return Answer(200, found[:limit])


async def _edit_member(call: Call) -> Answer:
    call.guild_id()
    own = "user_id" not in call.params or call.id("user_id") == call.by
    member = call.world.guild.member(call.by if own else call.id("user_id"))
    form = call.form()
    nick = form.text("nick", maximum=32)
    roles = form.snowflakes("roles")
    form.problems.raise_if_any()
    if form.has("nick"):
        right = Permission.CHANGE_NICKNAME if own else Permission.MANAGE_NICKNAMES
        call.world.guild.require(call.by, right)
        member.nick = nick or None
    if form.given("roles"):
        call.world.guild.require(call.by, Permission.MANAGE_ROLES)
        member.roles = [call.world.guild.role(one).id for one in roles]
    announce_member(call, member)
    return Answer(200, payloads.member(member))


def announce_member(call: Call, member: Member) -> None:
    data = {**payloads.member(member), "guild_id": str(call.world.guild.id)}
    call.world.announce("GUILD_MEMBER_UPDATE", data)


async def _give_role(call: Call) -> Answer:
    call.guild_id()
    role, member = _manageable_role(call), call.world.guild.member(call.id("user_id"))
    if role.id not in member.roles:
        member.roles.append(role.id)
        announce_member(call, member)
    return NO_CONTENT


async def _take_role(call: Call) -> Answer:
    call.guild_id()
    role, member = _manageable_role(call), call.world.guild.member(call.id("user_id"))
    if role.id in member.roles:
        member.roles.remove(role.id)
        announce_member(call, member)
    return NO_CONTENT


_GUILD = "/guilds/{guild_id}"
_MEMBER_ROLE = _GUILD + "/members/{user_id}/roles/{role_id}"

ROUTES = (
    Route(method="GET", template=_GUILD, handler=_get),
    Route(method="GET", template=_GUILD + "/roles", handler=_roles),
    Route(method="POST", template=_GUILD + "/roles", handler=_create_role),
    Route(method="GET", template=_GUILD + "/roles/{role_id}", handler=_role),
    Route(method="PATCH", template=_GUILD + "/roles/{role_id}", handler=_edit_role),
    Route(method="DELETE", template=_GUILD + "/roles/{role_id}", handler=_delete_role),
    Route(method="GET", template=_GUILD + "/members", handler=_members),
    Route(method="GET", template=_GUILD + "/members/search", handler=_search_members),
    Route(method="PATCH", template=_GUILD + "/members/@me", handler=_edit_member),
    Route(method="GET", template=_GUILD + "/members/{user_id}", handler=_member),
    Route(method="PATCH", template=_GUILD + "/members/{user_id}", handler=_edit_member),
    Route(method="PUT", template=_MEMBER_ROLE, handler=_give_role),
    Route(method="DELETE", template=_MEMBER_ROLE, handler=_take_role),
)
