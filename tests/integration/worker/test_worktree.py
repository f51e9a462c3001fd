from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from core.domain.lifecycles import Phase
from core.worker.found import Worktree
from core.worker.git import GitFailed, Repository
from core.worker.worktree import Prepared, Worktrees

STORY = "shop-1"
SALVAGE = f"refs/orchard/salvage/{STORY}/1"


@pytest.fixture
async def base(repository: Repository) -> str:
    return await repository.main_commit("main")


@pytest.fixture
async def worktree(worktrees: Worktrees, base: str) -> Worktree:
    return (await _ensure(worktrees, base)).worktree


async def _ensure(
    worktrees: Worktrees, commit: str, phase: Phase = Phase.TEST_RED, spec: str = "spec"
) -> Prepared:
    return await worktrees.ensure(STORY, commit, spec=spec, phase=phase)


async def test_a_new_worktree_holds_the_commit_on_its_branch_and_looks_clean_to_an_agent(
    worktree: Worktree, odd_checkout, tree_of_folder, state_path: Path
) -> None:
    assert worktree.path == state_path / "worktrees" / "shop" / STORY
    found = tree_of_folder(worktree.path)
    assert found.pop(f".orch-state/stories/{STORY}.md") == ("file", b"spec")
    assert found == tree_of_folder(odd_checkout.path)
    assert odd_checkout.git("status", "--porcelain", at=worktree.path) == ""
    assert odd_checkout.git("symbolic-ref", "HEAD", at=worktree.path) == f"refs/heads/orchard/{STORY}"
    assert odd_checkout.git("fsck", "--strict", "--no-dangling") == ""


async def test_ensuring_again_changes_nothing_and_saves_nothing(
    worktrees: Worktrees, worktree: Worktree, base: str, odd_checkout
) -> None:
    (worktree.path / "ignored").mkdir()
    (worktree.path / "ignored" / "cache").write_text("kept")
    before = (worktree.path / "plain.txt").stat().st_mtime_ns
    again = await _ensure(worktrees, base)
    assert again == Prepared(worktree=worktree)
    assert (worktree.path / "plain.txt").stat().st_mtime_ns == before
    assert (worktree.path / "ignored" / "cache").exists()
    assert odd_checkout.git("for-each-ref", "refs/orchard/salvage") == ""


async def test_dirty_and_untracked_files_are_saved_before_they_go(
    worktrees: Worktrees, worktree: Worktree, base: str, odd_checkout, tree_of_folder
) -> None:
    odd_checkout.write(
        {"plain.txt": "dirty\n", "new dir/n\u00e9w": "untracked\n", "dir/inner.py": None}, at=worktree.path
    )
    prepared = await _ensure(worktrees, base)
    assert prepared.salvage is not None
    assert prepared.salvage.ref == SALVAGE
    assert set(prepared.salvage.files) == {"plain.txt", "new dir/n\u00e9w", "dir/inner.py"}
    assert odd_checkout.git("show", f"{SALVAGE}:plain.txt") == "dirty"
    assert odd_checkout.git("show", f"{SALVAGE}:new dir/n\u00e9w") == "untracked"
    assert odd_checkout.git("rev-parse", f"{SALVAGE}^") == base
    found = tree_of_folder(worktree.path)
    del found[f".orch-state/stories/{STORY}.md"]
    assert found == tree_of_folder(odd_checkout.path)
    odd_checkout.write({"plain.txt": "again\n"}, at=worktree.path)
    second = (await _ensure(worktrees, base)).salvage
    assert second is not None
    assert second.ref.endswith("/2")


async def test_foreign_commits_are_saved_with_what_lay_on_top(
    worktrees: Worktrees, worktree: Worktree, base: str, odd_checkout
) -> None:
    odd_checkout.write({"plain.txt": "committed\n"}, at=worktree.path)
    odd_checkout.git("commit", "-qam", "mine", at=worktree.path)
    foreign = odd_checkout.git("rev-parse", "HEAD", at=worktree.path)
    odd_checkout.write({"extra": "dirty\n"}, at=worktree.path)
    prepared = await _ensure(worktrees, base)
    assert prepared.salvage is not None
    assert odd_checkout.git("rev-parse", f"{SALVAGE}^") == foreign
    assert odd_checkout.git("show", f"{SALVAGE}:extra") == "dirty"
    assert odd_checkout.git("rev-parse", f"orchard/{STORY}") == base
    assert not (worktree.path / "extra").exists()


async def test_a_detached_head_with_a_commit_is_saved_and_put_back(
    worktrees: Worktrees, worktree: Worktree, base: str, odd_checkout
) -> None:
    odd_checkout.git("checkout", "-q", "--detach", at=worktree.path)
    odd_checkout.git("commit", "-q", "--allow-empty", "-m", "on no branch", at=worktree.path)
    foreign = odd_checkout.git("rev-parse", "HEAD", at=worktree.path)
    assert (await _ensure(worktrees, base)).salvage is not None
    assert odd_checkout.git("rev-parse", f"{SALVAGE}^") == foreign
    assert odd_checkout.git("symbolic-ref", "HEAD", at=worktree.path) == f"refs/heads/orchard/{STORY}"


async def test_orchard_s_own_commits_are_no_salvage_when_a_story_is_sent_back(
    worktrees: Worktrees, worktree: Worktree, base: str, odd_checkout
) -> None:
    odd_checkout.write({"plain.txt": "red\n"}, at=worktree.path)
    staged = await worktrees.stage(worktree)
    red = await worktrees.commit(worktree, staged.tree, parent=base, message="red\n")
    assert odd_checkout.git("status", "--porcelain", at=worktree.path) == ""
    assert odd_checkout.git("rev-parse", f"orchard/{STORY}") == red
    back = await _ensure(worktrees, base)
    assert back.salvage is None
    assert (worktree.path / "plain.txt").read_text() == "one\ntwo\n"
    forth = await _ensure(worktrees, red)
    assert forth.salvage is None
    assert (worktree.path / "plain.txt").read_text() == "red\n"


async def test_a_phase_commit_needs_the_branch_where_it_was(
    worktrees: Worktrees, worktree: Worktree, base: str, odd_checkout
) -> None:
    odd_checkout.git("commit", "-q", "--allow-empty", "-m", "mine", at=worktree.path)
    with pytest.raises(GitFailed):
        await worktrees.commit(worktree, await _tree(worktrees, worktree), parent=base, message="x")


async def test_a_retry_after_a_refusal_goes_on_in_the_same_files_once(
    worktrees: Worktrees, worktree: Worktree, base: str, odd_checkout
) -> None:
    odd_checkout.write({"test_new.py": "assert False\n"}, at=worktree.path)
    tree = await _tree(worktrees, worktree)
    worktrees.note_left(STORY, commit=base, phase=Phase.TEST_RED, tree=tree)
    retry = await _ensure(worktrees, base)
    assert retry == Prepared(worktree=worktree, resumed=True)
    assert (worktree.path / "test_new.py").exists()
    # that attempt crashed: nobody judged what stands there now
    crashed = await _ensure(worktrees, base)
    assert crashed.salvage is not None
    assert not (worktree.path / "test_new.py").exists()


@pytest.mark.parametrize("phase", [Phase.DESIGN, Phase.CODE_GREEN])
async def test_a_refusal_of_another_phase_is_nothing_to_go_on_from(
    worktrees: Worktrees, worktree: Worktree, base: str, odd_checkout, phase: Phase
) -> None:
    odd_checkout.write({"test_new.py": "assert False\n"}, at=worktree.path)
    worktrees.note_left(STORY, commit=base, phase=phase, tree=await _tree(worktrees, worktree))
    assert (await _ensure(worktrees, base)).salvage is not None


async def test_the_draft_of_a_refused_design_stays_and_another_is_overwritten(
    worktrees: Worktrees, worktree: Worktree, base: str
) -> None:
    spec = worktree.path / ".orch-state" / "stories" / f"{STORY}.md"
    spec.write_text("draft")
    worktrees.note_left(STORY, commit=base, phase=Phase.DESIGN, tree=await _tree(worktrees, worktree))
    assert (await _ensure(worktrees, base, Phase.DESIGN, "")).resumed
    assert spec.read_text() == "draft"
    await _ensure(worktrees, base, Phase.TEST_RED, "the record")
    assert spec.read_text() == "the record"


async def test_links_that_an_agent_planted_lead_the_spec_nowhere(
    worktrees: Worktrees, worktree: Worktree, base: str, tmp_path: Path
) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    shutil.rmtree(worktree.path / ".orch-state")
    (worktree.path / ".orch-state").symlink_to(outside)
    await _ensure(worktrees, base)
    assert list(outside.iterdir()) == []
    assert (worktree.path / ".orch-state" / "stories" / f"{STORY}.md").read_text() == "spec"


async def test_a_swapped_git_file_is_noticed_and_repaired(
    worktrees: Worktrees, worktree: Worktree, base: str, odd_checkout, state_path: Path
) -> None:
    assert not worktrees.is_swapped(worktree)
    (worktree.path / ".git").unlink()
    odd_checkout.git("init", "-q", at=worktree.path)
    odd_checkout.git("commit", "-q", "--allow-empty", "-m", "in a repository of its own", at=worktree.path)
    assert worktrees.is_swapped(worktree)
    await _ensure(worktrees, base)
    assert not worktrees.is_swapped(worktree)
    assert odd_checkout.git("rev-parse", "HEAD", at=worktree.path) == base
    (aside,) = (state_path / "salvage" / "shop").iterdir()
    assert (aside / "HEAD").exists()


@pytest.mark.parametrize(
    "damage",
    [
        lambda w: shutil.rmtree(w.path),
        lambda w: shutil.rmtree(w.git_dir),
        lambda w: (w.git_dir / "HEAD").unlink(),
        lambda w: (w.git_dir / "HEAD").write_text("garbage"),
        lambda w: (w.git_dir / "commondir").unlink(),
        lambda w: (w.git_dir / "index").write_text("garbage"),
        lambda w: w.index.write_text("garbage"),
        lambda w: w.index.unlink(),
        lambda w: w.index.with_name(f"{w.index.name}.lock").touch(),
        lambda w: (w.path / ".git").unlink(),
        lambda w: (shutil.rmtree(w.path), w.path.symlink_to("/etc")),
        lambda w: (shutil.rmtree(w.path), w.path.write_text("a file")),
        lambda w: (shutil.rmtree(w.path), shutil.rmtree(w.git_dir)),
    ],
)
async def test_a_damaged_worktree_is_repaired(
    worktrees: Worktrees, worktree: Worktree, base: str, odd_checkout, tree_of_folder, damage
) -> None:
    damage(worktree)
    repaired = await _ensure(worktrees, base)
    assert repaired.salvage is None
    found = tree_of_folder(worktree.path)
    del found[f".orch-state/stories/{STORY}.md"]
    assert found == tree_of_folder(odd_checkout.path)
    assert odd_checkout.git("status", "--porcelain", at=worktree.path) == ""
    assert odd_checkout.git("rev-parse", "--abbrev-ref", "HEAD", at=worktree.path) == f"orchard/{STORY}"


async def test_work_in_a_worktree_that_git_forgot_is_saved(
    worktrees: Worktrees, worktree: Worktree, base: str, odd_checkout
) -> None:
    odd_checkout.write({"plain.txt": "dirty\n"}, at=worktree.path)
    shutil.rmtree(worktree.git_dir)
    assert (await _ensure(worktrees, base)).salvage is not None
    assert odd_checkout.git("show", f"{SALVAGE}:plain.txt") == "dirty"


async def test_what_an_interrupted_setting_left_is_nobody_s_work(
    worktrees: Worktrees, worktree: Worktree, base: str, odd_checkout, tree_of_folder
) -> None:
    (worktree.path / "plain.txt").unlink()
    (worktrees.folder / ".orchard" / f"{STORY}.setting").touch()
    assert (await _ensure(worktrees, base)).salvage is None
    assert (worktree.path / "plain.txt").read_text() == "one\ntwo\n"
    assert not (worktrees.folder / ".orchard" / f"{STORY}.setting").exists()


async def test_files_of_a_repository_made_inside_are_saved_and_removed(
    worktrees: Worktrees, worktree: Worktree, base: str, odd_checkout
) -> None:
    (worktree.path / "sub").mkdir()
    odd_checkout.git("init", "-q", at=worktree.path / "sub")
    odd_checkout.write({"sub/deep/code.py": "x = 1\n"}, at=worktree.path)
    assert (await _ensure(worktrees, base)).salvage is not None
    assert odd_checkout.git("show", f"{SALVAGE}:sub/deep/code.py") == "x = 1"
    assert not (worktree.path / "sub").exists()


async def test_removing_keeps_the_branch_head_and_saves_what_was_not_committed(
    worktrees: Worktrees, worktree: Worktree, base: str, odd_checkout
) -> None:
    odd_checkout.write({"plain.txt": "done\n"}, at=worktree.path)
    head = await worktrees.commit(worktree, await _tree(worktrees, worktree), parent=base, message="done\n")
    odd_checkout.write({"plain.txt": "more\n"}, at=worktree.path)
    (worktree.path / "ignored").mkdir(mode=0o500)
    salvage = await worktrees.remove(STORY)
    assert salvage is not None
    assert salvage.files == ("plain.txt",)
    assert not worktree.path.exists()
    assert not worktree.git_dir.exists()
    refs = odd_checkout.git("for-each-ref", "--format=%(refname)").splitlines()
    assert refs == ["refs/heads/main", SALVAGE, f"refs/orchard/stories/{STORY}"]
    assert odd_checkout.git("rev-parse", f"refs/orchard/stories/{STORY}") == head
    assert await worktrees.remove(STORY) is None


async def test_a_removed_story_can_start_again(worktrees: Worktrees, worktree: Worktree, base: str) -> None:
    await worktrees.remove(STORY)
    assert (await _ensure(worktrees, base)).salvage is None
    await worktrees.remove(STORY)


async def test_orchard_s_folder_is_excluded_once_and_a_person_s_lines_stay(
    worktrees: Worktrees, base: str, odd_checkout
) -> None:
    exclude = odd_checkout.path / ".git" / "info" / "exclude"
    exclude.write_text("mine")
    await _ensure(worktrees, base)
    await _ensure(worktrees, base)
    assert exclude.read_text() == "mine\n.orch-state/\n"


async def test_a_commit_that_is_gone_is_a_clear_error(worktrees: Worktrees, worktree: Worktree) -> None:
    with pytest.raises(GitFailed, match="is not in"):
        await _ensure(worktrees, "1" * 40)


async def test_a_branch_that_a_person_looks_at_elsewhere_is_no_obstacle(
    worktrees: Worktrees, base: str, odd_checkout, tmp_path: Path
) -> None:
    odd_checkout.git("worktree", "add", "-q", "-b", f"orchard/{STORY}", str(tmp_path / "look"))
    assert (await _ensure(worktrees, base)).worktree.path.is_dir()


async def _tree(worktrees: Worktrees, worktree: Worktree) -> str:
    return (await worktrees.stage(worktree)).tree
