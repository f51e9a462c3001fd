from __future__ import annotations

import asyncio
import os
import shutil
import subprocess
import time
from pathlib import Path

import psutil
import pytest

from core.errors import InvalidInput
from core.worker import gitcommand
from core.worker.git import GitFailed, Repository
from core.worker.gitcommand import require_version, run_git, silence_programs
from tests.waiting import SECONDS, until, wait_until


async def test_a_tree_goes_out_and_comes_back_the_same(
    repository: Repository, odd_checkout, tmp_path: Path, tree_of_folder
) -> None:
    tree = await repository.tree_of(await repository.main_commit("main"))
    folder, index = tmp_path / "out", tmp_path / "index"
    await repository.checkout(tree, folder, index=index)
    assert tree_of_folder(folder) == tree_of_folder(odd_checkout.path)
    assert "hidden.txt" in tree_of_folder(folder)  # export-ignore is for archives
    assert (await repository.stage(folder, index)).tree == tree
    index.unlink()
    assert (await repository.stage(folder, index)).tree == tree


async def test_a_checkout_has_fresh_times(repository: Repository, odd_checkout, tmp_path: Path) -> None:
    os.utime(odd_checkout.path / "plain.txt", (1, 1))
    before = time.time() - 5
    await repository.checkout(await repository.main_commit("main"), tmp_path / "out")
    assert (tmp_path / "out" / "plain.txt").stat().st_mtime > before


async def test_staging_sees_every_kind_of_change(
    repository: Repository, odd_checkout, tmp_path: Path
) -> None:
    main = await repository.main_commit("main")
    folder, index = tmp_path / "out", tmp_path / "index"
    await repository.checkout(main, folder, index=index)
    odd_checkout.write(
        {
            "plain.txt": "one\n2\n3\n",
            "crlf.txt": None,
            "image.bin": b"\0\1",
            "new\nline": "new\n",
            "ignored/x": "no",
        },
        at=folder,
    )
    (folder / "run.sh").chmod(0o644)
    (folder / "link").unlink()
    (folder / "link").write_text("a file now")
    shutil.rmtree(folder / "dir")
    (folder / "dir").write_text("a file in place of a folder")
    (folder / "-dash").unlink()
    (folder / "-dash").mkdir()
    (folder / "-dash" / "deep").write_text("a folder in place of a file")
    os.mkfifo(folder / "pipe")
    staged = await repository.stage(folder, index)
    changes = {change.path: change for change in await repository.changes(main, staged.tree)}
    assert {path: change.status for path, change in changes.items()} == {
        "plain.txt": "M",
        "crlf.txt": "D",
        "image.bin": "M",
        "new\nline": "A",
        "run.sh": "M",
        "link": "T",
        "dir/inner.py": "D",
        "dir": "A",
        "-dash": "D",
        "-dash/deep": "A",
    }
    assert (changes["plain.txt"].added, changes["plain.txt"].removed) == (2, 1)
    assert changes["image.bin"].binary
    assert changes["run.sh"].new_mode == "100644"


async def test_a_forged_time_and_index_flags_hide_nothing(repository: Repository, tmp_path: Path) -> None:
    main = await repository.main_commit("main")
    folder, index = tmp_path / "out", tmp_path / "index"
    await repository.checkout(main, folder, index=index)
    stat = (folder / "plain.txt").stat()
    await asyncio.sleep(0.05)  # the kernel's clock tick: an agent never acts within it
    (folder / "plain.txt").write_text("eno\nowt\n")
    os.utime(folder / "plain.txt", ns=(stat.st_atime_ns, stat.st_mtime_ns))
    changes = await repository.changes(main, (await repository.stage(folder, index)).tree)
    assert [change.path for change in changes] == ["plain.txt"]


async def test_filters_and_merge_drivers_of_the_configuration_never_run(odd_checkout, tmp_path: Path) -> None:
    mark = tmp_path / "ran"
    for key in ("clean", "smudge", "process"):
        odd_checkout.git("config", f"filter.evil=x.{key}", f"touch {mark}; cat")
    odd_checkout.git("config", "filter.evil=x.required", "true")
    odd_checkout.git("config", "merge.evil.driver", f"touch {mark}; true")
    odd_checkout.git("config", "core.fsmonitor", f"touch {mark}; true")
    hook = odd_checkout.path / ".git" / "hooks" / "post-checkout"
    hook.parent.mkdir(exist_ok=True)
    hook.write_text(f"#!/bin/sh\ntouch {mark}\n")
    hook.chmod(0o755)
    repository = await Repository.open(odd_checkout.path)
    main = await repository.main_commit("main")
    folder, index = tmp_path / "out", tmp_path / "index"
    await repository.checkout(main, folder, index=index)
    odd_checkout.write({".gitattributes": "* filter=evil=x merge=evil\n", "plain.txt": "story\n"}, at=folder)
    tree = (await repository.stage(folder, index)).tree
    story = await repository.commit_tree(tree, [main], "story")
    await repository.checkout(tree, tmp_path / "again")
    assert (tmp_path / "again" / "plain.txt").read_text() == "story\n"
    other = await repository.commit_tree(
        await _with(repository, main, tmp_path, {"plain.txt": "other\n", ".gitattributes": "* merge=evil\n"}),
        [main],
        "other",
    )
    assert (await repository.merge_trees(other, story)).conflicts == (".gitattributes", "plain.txt")
    assert not mark.exists()


async def test_a_repository_inside_of_the_folder_starts_nothing_and_is_named(
    repository: Repository, odd_checkout, tmp_path: Path
) -> None:
    folder, index, mark = tmp_path / "out", tmp_path / "index", tmp_path / "ran"
    await repository.checkout(await repository.main_commit("main"), folder, index=index)
    for name in ("nested", "with commit"):
        (folder / name).mkdir()
        odd_checkout.git("init", "-q", at=folder / name)
        odd_checkout.git("config", "core.fsmonitor", f"touch {mark}; true", at=folder / name)
        (folder / name / "hidden.py").write_text("x = 1\n")
    odd_checkout.git(
        "-c", "core.fsmonitor=false", "commit", "-q", "--allow-empty", "-m", "x", at=folder / "with commit"
    )
    mark.unlink(missing_ok=True)
    for _ in range(2):
        staged = await repository.stage(folder, index)
        assert staged.nested == ("nested", "with commit")
        assert staged.tree == await repository.tree_of("HEAD")
    assert not mark.exists()


async def test_a_submodule_is_left_alone_also_when_somebody_fills_it(odd_checkout, tmp_path: Path) -> None:
    other = tmp_path / "library"
    other.mkdir()
    odd_checkout.git("init", "-q", at=other)
    odd_checkout.git("commit", "-q", "--allow-empty", "-m", "x", at=other)
    odd_checkout.git("-c", "protocol.file.allow=always", "submodule", "--quiet", "add", str(other), "lib")
    odd_checkout.commit({}, "with a submodule")
    repository = await Repository.open(odd_checkout.path)
    main = await repository.main_commit("main")
    folder, index, mark = tmp_path / "out", tmp_path / "index", tmp_path / "ran"
    await repository.checkout(main, folder, index=index)
    assert list((folder / "lib").iterdir()) == []
    assert (await repository.stage(folder, index)).tree == await repository.tree_of(main)
    odd_checkout.git("init", "-q", at=folder / "lib")
    odd_checkout.git("commit", "-q", "--allow-empty", "-m", "evil", at=folder / "lib")
    odd_checkout.git("config", "core.fsmonitor", f"touch {mark}; true", at=folder / "lib")
    (folder / "lib" / "x").write_text("x")
    assert (await repository.stage(folder, index)).tree == await repository.tree_of(main)
    assert not mark.exists()


async def test_conflicts_are_named_with_both_sides(repository: Repository, tmp_path: Path) -> None:
    main = await repository.main_commit("main")
    ours = await _with(repository, main, tmp_path, {"plain.txt": "one\nours\n", "odd\nname": "ours\n"})
    theirs = await _with(repository, main, tmp_path, {"plain.txt": "one\ntheirs\n", "odd\nname": "theirs\n"})
    result = await repository.merge_trees(
        await repository.commit_tree(ours, [main], "ours"),
        await repository.commit_tree(theirs, [main], "theirs"),
    )
    assert result.conflicts == ("odd\nname", "plain.txt")
    assert "CONFLICT (content): Merge conflict in plain.txt" in result.messages
    text = await repository.read_file(result.tree, "plain.txt")
    assert text is not None
    assert b"ours" in text
    assert b"theirs" in text


async def test_changes_that_fit_together_merge(repository: Repository, tmp_path: Path) -> None:
    main = await repository.main_commit("main")
    ours = await _with(repository, main, tmp_path, {"plain.txt": "one\nours\n"})
    theirs = await _with(repository, main, tmp_path, {"dir/inner.py": "x = 2\n"})
    result = await repository.merge_trees(
        await repository.commit_tree(ours, [main], "ours"),
        await repository.commit_tree(theirs, [main], "theirs"),
    )
    assert result.conflicts == ()
    merged = await repository.read_files(result.tree, ["plain.txt", "dir/inner.py", "nowhere", "dir"])
    assert merged == {"plain.txt": b"one\nours\n", "dir/inner.py": b"x = 2\n"}


async def test_a_ref_moves_only_from_where_it_was_seen(repository: Repository) -> None:
    main = await repository.main_commit("main")
    other = await repository.commit_tree(await repository.tree_of(main), [main], "other")
    await repository.update_ref("refs/heads/side", main, None)
    with pytest.raises(GitFailed):
        await repository.update_ref("refs/heads/side", other, None)
    with pytest.raises(GitFailed):
        await repository.update_ref("refs/heads/side", main, other)
    await repository.update_ref("refs/heads/side", other, main)
    assert await repository.resolve("refs/heads/side") == other


async def test_commits_are_made_in_the_repository_s_own_name_or_orchard_s(repository, odd_checkout) -> None:
    main = await repository.main_commit("main")
    tree = await repository.tree_of(main)
    commit = await repository.commit_tree(tree, [main], "x")
    assert odd_checkout.git("log", "-1", "--format=%an <%ae>", commit) == "Orchard <orchard@localhost>"
    odd_checkout.git("config", "user.name", "Ada")
    odd_checkout.git("config", "user.email", "ada@example.org")
    commit = await repository.commit_tree(tree, [main], "x")
    assert odd_checkout.git("log", "-1", "--format=%cn <%ce>", commit) == "Ada <ada@example.org>"


async def test_replace_refs_deceive_nobody(repository: Repository, odd_checkout, tmp_path: Path) -> None:
    main = await repository.main_commit("main")
    fake = odd_checkout.commit({"plain.txt": "fake\n"}, "fake")
    odd_checkout.git("reset", "-q", "--hard", main)
    odd_checkout.git("replace", main, fake)
    assert await repository.read_file(main, "plain.txt") == b"one\ntwo\n"


async def test_an_empty_repository_has_no_main_commit(checkout) -> None:
    repository = await Repository.open(checkout.path)
    with pytest.raises(GitFailed, match="has no commits"):
        await repository.main_commit("main")


async def test_a_missing_branch_is_told_with_those_that_are_there(repository: Repository) -> None:
    with pytest.raises(GitFailed, match="no branch 'trunk'") as caught:
        await repository.main_commit("trunk")
    assert "main" in caught.value.why


async def test_what_is_no_checkout_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="not the top folder"):
        await Repository.open(tmp_path)
    (tmp_path / ".git").write_text("gitdir: /nowhere\n")
    with pytest.raises(InvalidInput, match="not there"):
        await Repository.open(tmp_path)


async def test_a_registered_checkout_may_be_a_linked_worktree(odd_checkout, tmp_path: Path) -> None:
    odd_checkout.git("worktree", "add", "-q", "-b", "side", str(tmp_path / "linked"))
    repository = await Repository.open(tmp_path / "linked")
    assert repository.common_dir == odd_checkout.path / ".git"
    assert repository.git_dir != repository.common_dir
    assert await repository.main_commit("side") == await repository.main_commit("main")


@pytest.mark.parametrize("when", ["it starts", "it works"])
async def test_a_cancelled_command_is_ended_however_often_it_is_cancelled(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, when: str
) -> None:
    monkeypatch.setattr(gitcommand, "_GRACE_SECONDS", 300.0)  # a busy machine may stand still for long
    before = set(psutil.Process().children())
    wait = "alias.wait=!touch started; exec sleep 60"
    task = asyncio.create_task(run_git(["-c", wait, "wait"], cwd=tmp_path))
    while not (started := set(psutil.Process().children()) - before):  # noqa: ASYNC110
        await asyncio.sleep(0)  # one turn of the loop: it has not yet heard that its command runs
    if when == "it works":
        await until((tmp_path / "started").exists)
        await asyncio.sleep(0.1)
    [git] = started
    git.suspend()  # so that it takes its time to end
    wait_until(lambda: git.status() == psutil.STATUS_STOPPED)
    for _ in range(3):
        task.cancel()
        await asyncio.sleep(0.01)
    assert not task.done()
    git.resume()
    with pytest.raises(asyncio.CancelledError):
        async with asyncio.timeout(SECONDS):
            await task
    assert not git.is_running()


def test_an_old_git_is_refused_with_a_next_step() -> None:
    with pytest.raises(GitFailed, match="too old") as caught:
        require_version("git version 2.37.1 (Apple Git-137)")
    assert "2.38" in caught.value.hint
    assert require_version("git version 2.38.0") == (2, 38, 0)


def test_lfs_in_its_usual_form_is_kept_and_nothing_like_it() -> None:
    usual = b"filter.lfs.clean\ngit-lfs clean -- %f\0filter.lfs.process\ngit-lfs filter-process\0"
    assert ("filter.lfs.required", "true") in silence_programs(usual, lfs=True)
    assert ("filter.lfs.clean", "") in silence_programs(usual, lfs=False)
    unusual = b"filter.lfs.clean\ngit-lfs clean -- %f; curl evil\0"
    assert ("filter.lfs.clean", "") in silence_programs(unusual, lfs=True)


async def _with(repository: Repository, commit: str, tmp_path: Path, files: dict[str, str]) -> str:
    """The tree of `commit` with some files changed."""
    folder = tmp_path / f"with-{len(list(tmp_path.iterdir()))}"
    await repository.checkout(commit, folder, index=folder.with_suffix(".index"))
    for name, text in files.items():
        (folder / name).write_text(text)
    return (await repository.stage(folder, folder.with_suffix(".index"))).tree


def _with_a_commit(folder: Path) -> Path:
    folder.mkdir()
    identity = ["-c", "user.name=D", "-c", "user.email=d@example.org"]
    for words in (["init", "-q"], ["commit", "-q", "--allow-empty", "-m", "First"]):
        subprocess.run(["git", "-C", str(folder), *identity, *words], check=True)
    return folder


async def test_worktrees_are_made_at_the_same_time(tmp_path: Path) -> None:
    """git reads the folders of all worktrees, and dies of one that another git is just making."""
    repository = await Repository.open(_with_a_commit(tmp_path / "crowded"))
    head = await repository.resolve("HEAD")
    assert head is not None
    places = [str(tmp_path / f"w{number}") for number in range(60)]
    await asyncio.gather(
        *(repository.git("worktree", "add", "--no-checkout", "--detach", place, head) for place in places)
    )
    assert all(Path(place, ".git").is_file() for place in places)
