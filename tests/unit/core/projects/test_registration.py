from __future__ import annotations

import os
from pathlib import Path

import pytest

from core.errors import InvalidInput, OrchardError
from core.projects.registration import check_name, inspect_checkout


async def refusal(path: Path, **known) -> str:
    with pytest.raises(InvalidInput) as caught:
        await inspect_checkout(path, **known)
    assert caught.value.hint, "every refusal has a next step"
    return str(caught.value)


async def test_a_plain_checkout_is_accepted_without_notes(repository, git):
    checkout = await inspect_checkout(repository)
    assert (checkout.path, checkout.main_branch) == (repository, "main")
    assert checkout.head == git(repository, "rev-parse", "HEAD")
    assert (checkout.dirty_files, checkout.notes) == ((), ())


async def test_the_checkout_is_left_as_it_was(repository, git):
    os.utime(repository / "shop.py", (1, 1))  # git would refresh its index because of it
    before = (repository / ".git" / "index").read_bytes()
    await inspect_checkout(repository)
    assert (repository / ".git" / "index").read_bytes() == before


async def test_nothing_of_the_repository_s_own_is_run(repository, git, tmp_path):
    trap = tmp_path / "trap"
    for key in ("core.fsmonitor", "filter.x.clean", "filter.x.smudge"):
        git(repository, "config", key, f"touch {trap}; cat")
    git(repository, "config", "core.hooksPath", str(tmp_path / "hooks"))
    (repository / ".gitattributes").write_text("*.py filter=x\n")
    (repository / "shop.py").write_text("x = 2\n")
    await inspect_checkout(repository)
    assert not trap.exists()


@pytest.mark.parametrize(
    ("place", "expected"),
    [
        ("shpo", "holds no shpo. Did you mean"),
        ("nowhere/at/all", "holds no nowhere."),
        ("shop/shop.py", "is not a folder. Register the folder around it"),
        ("shop/.git", "is git's own folder. Register"),
        (
            "",
            "is not a git repository. Orchard keeps every story on a branch of its own. Run in it: git init",
        ),
        ("dangling", "is a link to nobody-there, which does not exist"),
        ("loop", "is a loop of symbolic links"),
        ("loop/below", "is a loop of symbolic links"),
        ("nul\0", "That is no path"),
    ],
)
async def test_what_is_no_checkout_is_refused(repository, place, expected):
    root = repository.parent
    (root / "loop").symlink_to("other")
    (root / "other").symlink_to("loop")
    (root / "dangling").symlink_to("nobody-there")
    assert expected in await refusal(root / place)


async def test_a_home_folder_of_nobody_is_refused():
    assert "home folder that does not exist" in await refusal(Path("~no-such-user-here/x"))


async def test_a_part_of_a_repository_is_refused_with_the_folder_setting(make_repository, tmp_path):
    make_repository(tmp_path / "mono", {"services/api/a.py": ""})
    answer = await refusal(tmp_path / "mono" / "services" / "api")
    assert f"Register {tmp_path / 'mono'} and set 'folder: services/api'" in answer


async def test_a_bare_repository_is_refused(repository, git, tmp_path):
    git(tmp_path, "clone", "-q", "--bare", str(repository), "bare.git")
    assert "is a bare git repository. It has no files to work on. Clone it" in await refusal(
        tmp_path / "bare.git"
    )
    git(repository, "config", "core.bare", "true")
    assert "is a bare git repository" in await refusal(repository)


async def test_a_git_folder_that_is_gone_is_refused(tmp_path):
    (tmp_path / ".git").write_text("gitdir: /nowhere/at/all\n")
    with pytest.raises(OrchardError, match="not there"):
        await inspect_checkout(tmp_path)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody else")
async def test_a_folder_that_may_not_be_read_is_refused(repository):
    repository.chmod(0o700)
    for folder in repository.parents[:3]:
        folder.chmod(0o755)
    os.seteuid(65534)
    try:
        answer = await refusal(repository)
    finally:
        os.seteuid(0)
    assert "cannot be read" in answer


async def test_no_commits_is_refused(git, tmp_path):
    git(tmp_path, "init", "-q")
    assert "has no commits. A story starts from a commit. Run in it: git add" in await refusal(tmp_path)


async def test_a_detached_head_without_any_branch_is_refused(repository, git):
    git(repository, "checkout", "-q", "--detach")
    git(repository, "branch", "-D", "main")
    assert "has commits, but no branch" in await refusal(repository)


async def test_the_branch_that_the_checkout_is_on_is_the_main_one(repository, git):
    git(repository, "switch", "-q", "-c", "trunk")
    git(repository, "tag", "trunk")  # a tag of the same name changes nothing
    assert (await inspect_checkout(repository)).main_branch == "trunk"


@pytest.mark.parametrize(
    ("branches", "remote", "expected"),
    [
        (("main", "develop"), "develop", "develop"),
        (("main", "master"), None, "main"),
        (("master", "x"), None, "master"),
    ],
)
async def test_a_detached_head_falls_back_to_a_known_branch(
    make_repository, git, tmp_path, branches, remote, expected
):
    path = make_repository(tmp_path / "shop", branch=branches[0])
    git(path, "branch", branches[1])
    git(path, "checkout", "-q", "--detach")
    if remote:
        git(path, "symbolic-ref", "refs/remotes/origin/HEAD", f"refs/remotes/origin/{remote}")
    checkout = await inspect_checkout(path)
    assert checkout.main_branch == expected
    assert checkout.notes == (f"The checkout has a detached HEAD: stories are merged into {expected}.",)


async def test_a_detached_head_without_a_known_branch_is_refused(make_repository, git, tmp_path):
    path = make_repository(tmp_path / "shop", branch="trunk")
    git(path, "checkout", "-q", "--detach")
    assert "switch trunk', or set main_branch" in await refusal(path)
    assert (await inspect_checkout(path, main_branch="trunk")).main_branch == "trunk"


async def test_a_story_s_branch_is_never_the_main_one(repository, git):
    git(repository, "switch", "-q", "-c", "orchard/shop-1")
    checkout = await inspect_checkout(repository)
    assert checkout.main_branch == "main"
    assert "is on orchard/shop-1" in checkout.notes[0]


async def test_a_configured_branch_that_is_not_there_is_refused(repository):
    assert "has no branch mian. Its branches are main. Set main_branch to main." in await refusal(
        repository, main_branch="mian"
    )


async def test_a_dirty_tree_is_accepted_with_a_note(repository):
    (repository / "shop.py").write_text("x = 2\n")
    (repository / "né w.txt").write_text("")
    (repository / ".orch-state").mkdir()
    (repository / ".orch-state" / "config.yaml").write_text("")
    checkout = await inspect_checkout(repository)
    assert checkout.dirty_files == ("shop.py", "né w.txt")
    assert checkout.notes[0].startswith("2 files have uncommitted changes (shop.py, né w.txt). Stories start")


async def test_bad_settings_of_its_own_are_refused_before_anything_is_registered(repository):
    (repository / ".orch-state").mkdir()
    (repository / ".orch-state" / "config.yaml").write_text(
        "test_command: pytest\nisolation: process\nagnt: x\n"
    )
    answer = await refusal(repository)
    assert "config.yaml:2:1: isolation: is not the project's own to set" in answer
    assert "config.yaml:3:1: agnt: no such key (did you mean 'agent'?)" in answer


async def test_no_tests_is_accepted_with_a_note_unless_a_command_is_set(make_repository, tmp_path):
    path = make_repository(tmp_path / "bare-code", {"shop.py": ""})
    assert "No tests were found" in (await inspect_checkout(path)).notes[0]
    assert (await inspect_checkout(path, test_command="make check")).notes == ()


async def test_a_linked_worktree_is_a_checkout_of_its_own(repository, git, tmp_path):
    git(repository, "worktree", "add", "-q", "-b", "side", str(tmp_path / "side"))
    assert (await inspect_checkout(tmp_path / "side")).main_branch == "side"


async def test_the_same_checkout_by_another_way_is_a_duplicate(repository, tmp_path):
    (tmp_path / "link").symlink_to(repository)
    answer = await refusal(tmp_path / "link", registered={"shop": repository})
    assert f"{repository} is registered already, as shop. Use it: orchard start shop." in answer
    assert "registered already" in await refusal(repository, registered={"shop": tmp_path / "link"})


async def test_a_checkout_inside_or_around_another_project_is_refused(make_repository, tmp_path):
    outer = make_repository(tmp_path / "outer")
    inner = make_repository(tmp_path / "outer" / "inner")
    assert f"lies inside project outer ({outer})" in await refusal(inner, registered={"outer": outer})
    assert f"contains project inner ({inner})" in await refusal(outer, registered={"inner": inner})


async def test_a_neighbour_with_a_longer_name_is_no_conflict(make_repository, tmp_path):
    make_repository(tmp_path / "shop")
    other = make_repository(tmp_path / "shop-two")
    assert (await inspect_checkout(other, registered={"shop": tmp_path / "shop"})).path == other


async def test_orchard_s_own_folder_is_refused(make_repository, tmp_path):
    path = make_repository(tmp_path / ".orch-global" / "worktrees" / "x")
    assert "belongs to Orchard itself" in await refusal(path, state_path=tmp_path / ".orch-global")


@pytest.mark.parametrize(
    ("name", "proposal"),
    [
        ("My Shop", "my-shop"),
        ("", "project"),
        ("日本", "project"),
        ("Zoë's", "zoe-s"),
        ("a/b", "a-b"),
        ("..", "project"),
        ("a..b", "a.b"),
        ("x" * 50, "x" * 40),
    ],
)
def test_an_odd_name_is_refused_with_one_that_would_do(name, proposal):
    with pytest.raises(InvalidInput) as caught:
        check_name(name)
    assert caught.value.hint == f"Try '{proposal}'."
    assert check_name(proposal) == proposal


def test_a_taken_name_is_refused_with_a_free_one():
    with pytest.raises(InvalidInput, match=r"shop already\. Choose another name, such as 'shop-3'"):
        check_name("shop", {"shop", "shop-2"})
    assert check_name(" bank ", {"shop"}) == "bank"
