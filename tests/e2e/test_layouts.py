"""Projects whose git directory is elsewhere, or says other things than usual: a whole run, or none at all."""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from conftest import run_git
from driver import Relay, playbook

from lib.git.locks import remove_if_stale


def _filled(folder: Path) -> Path:
    (folder / "src" / "deep").mkdir(parents=True)
    for name in ("README.md", "src/app.py", "src/deep/more.py"):
        (folder / name).write_text(f"{name}\n")
    run_git(folder, "add", "-A")
    run_git(folder, "commit", "-qm", "start")
    return folder


def _made(folder: Path, *options: str) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    run_git(folder, "init", "-q", "-b", "main", *options)
    return _filled(folder)


def submodule(at: Path) -> Path:
    lib, outer = _made(at / "lib"), _made(at / "outer")
    run_git(
        outer, "-c", "protocol.file.allow=always", "submodule", "--quiet", "add", "-b", "main", str(lib), "mods/lib"
    )
    run_git(outer, "commit", "-qm", "with a submodule")
    return outer / "mods" / "lib"


def submodule_with_worktree_config(at: Path) -> Path:
    root = submodule(at)
    named = run_git(root, "config", "core.worktree")
    run_git(root, "config", "extensions.worktreeConfig", "true")
    run_git(root, "config", "--worktree", "core.worktree", named)
    run_git(root, "config", "--file", run_git(root, "rev-parse", "--git-path", "config"), "--unset", "core.worktree")
    return root


def worktree_of_a_bare_one(at: Path) -> Path:
    origin = _made(at / "origin")
    run_git(origin, "clone", "-q", "--bare", str(origin), str(at / "work" / ".bare"))
    (at / "work" / ".git").write_text("gitdir: ./.bare\n")
    run_git(at / "work", "worktree", "add", "-q", "main", "main")
    return at / "work" / "main"


def separate(at: Path) -> Path:
    (at / "elsewhere").mkdir()
    return _made(at / "project", f"--separate-git-dir={at / 'elsewhere' / 'store'}")


def linked_to_a_separate_one(at: Path) -> Path:
    run_git(separate(at), "worktree", "add", "-q", "-b", "side", str(at / "side"))
    return at / "side"


def behind_a_link(at: Path) -> Path:
    root = _made(at / "project")
    (root / ".git").rename(at / "store")
    (root / ".git").symlink_to(at / "store")
    return root


def sparse(at: Path) -> Path:
    root = _made(at / "project")
    run_git(root, "sparse-checkout", "set", "src")
    assert not (root / "src" / "deep" / "more.py").is_symlink()
    return root


def sparse_without_cones(at: Path) -> Path:
    root = _made(at / "project")
    run_git(root, "sparse-checkout", "set", "--no-cone", "/*", "!/src/deep/")
    assert not (root / "src" / "deep").exists()
    return root


def with_worktree_config(at: Path) -> Path:
    root = _made(at / "project")
    run_git(root, "config", "extensions.worktreeConfig", "true")
    run_git(root, "config", "--worktree", "core.autocrlf", "false")
    return root


def sha256(at: Path) -> Path:
    return _made(at / "project", "--object-format=sha256")


def with_a_linked_head(at: Path) -> Path:
    root = _made(at / "project")
    (root / ".git" / "HEAD").unlink()
    (root / ".git" / "HEAD").symlink_to("refs/heads/main")
    return root


LAYOUTS: tuple[Callable[[Path], Path], ...] = (
    submodule, submodule_with_worktree_config, worktree_of_a_bare_one, separate, linked_to_a_separate_one,
    behind_a_link, sparse, sparse_without_cones, with_worktree_config, sha256, with_a_linked_head,
)  # fmt: skip


@pytest.fixture
def started() -> Iterator[Callable[[Path], Relay]]:
    drivers: list[Relay] = []

    def start(root: Path) -> Relay:
        drivers.append(Relay(root))
        return drivers[-1]

    yield start
    for relay in drivers:
        if (relay.root / ".project" / "state.json").exists():
            relay.end()


def builders(folder: Path, **more: str) -> str:
    steps = {
        "new": [{"write": {"new.txt": "new\n", "src/new.py": "new\n"}}],
        "deep": [{"run": "mkdir -p src/deep; echo deeper > src/deep/more.py"}],
        **{name: [{"run": line}] for name, line in more.items()},
    }
    return playbook(folder / "book", steps, verify="git rev-parse --show-toplevel")


def _tracked(root: Path, commit: str = "HEAD") -> set[str]:
    return set(run_git(root, "ls-tree", "-r", "--name-only", commit).splitlines())


@pytest.mark.parametrize("layout", LAYOUTS, ids=lambda layout: layout.__name__)
def test_a_run_lands_in_the_users_own_checkout(
    started: Callable[[Path], Relay], tmp_path: Path, layout: Callable[[Path], Path]
) -> None:
    relay = started(layout(tmp_path))
    root = relay.root
    before = {file.name for file in root.iterdir()}
    relay.begin(builders(tmp_path), "parts", "--yes")
    relay.over()
    assert run_git(root, "status", "--porcelain") == ""
    assert _tracked(root) == {"README.md", "new.txt", "src/app.py", "src/deep/more.py", "src/new.py"}
    assert run_git(root, "show", "HEAD:src/deep/more.py") == "deeper"
    assert (root / "src" / "new.py").read_text() == "new\n"
    assert {file.name for file in root.iterdir()} - before == {".project", "new.txt"}
    git_dir = Path(run_git(root, "rev-parse", "--absolute-git-dir"))
    assert not list(git_dir.rglob("new.txt"))
    assert run_git(root, "for-each-ref", "refs/heads/relay") == ""
    run_git(root, "fsck", "--strict")


@pytest.mark.parametrize("layout", [submodule, separate, worktree_of_a_bare_one], ids=lambda layout: layout.__name__)
def test_what_is_in_the_way_there_is_found_there(
    started: Callable[[Path], Relay], tmp_path: Path, layout: Callable[[Path], Path]
) -> None:
    relay = started(layout(tmp_path))
    mine = relay.root / "new.txt"
    mine.write_text("mine\n")
    relay.begin(builders(tmp_path), "parts", "--yes")
    state = relay.asked("clear_the_way")
    assert mine.read_text() == "mine\n"
    subprocess.run(["bash", "-c", state["error"]["remedy"]], check=True, capture_output=True)
    relay("approve")
    relay.over()
    assert run_git(relay.root, "status", "--porcelain") == ""


def test_a_checkout_that_another_tool_calls_bare_in_mid_run_comes_along(
    started: Callable[[Path], Relay], tmp_path: Path
) -> None:
    relay = started(_made(tmp_path / "project"))
    flip = f"git config --file '{relay.root}/.git/config' core.bare true"
    relay.begin(builders(tmp_path, flip=f"{flip}; echo x > flip.txt"), "parts", "--yes", env={"RELAY_SANDBOX": "off"})
    relay.over()
    run_git(relay.root, "config", "core.bare", "false")
    assert run_git(relay.root, "status", "--porcelain") == ""
    assert (relay.root / "flip.txt").exists()


def test_a_branch_that_is_checked_out_where_nobody_can_tell_is_left_alone(
    started: Callable[[Path], Relay], tmp_path: Path
) -> None:
    relay = started(linked_to_a_separate_one(tmp_path))
    main = tmp_path / "project"
    relay.begin(builders(tmp_path, wait="git rev-parse"), "parts", env={"RELAY_LAND": "auto"})
    relay.asked("approve_design")
    run_git(relay.root, "switch", "-q", "--detach")
    run_git(main, "switch", "-q", "side")
    relay("approve")
    state = relay.asked("fix_failure")
    relay("skip", "wait")
    state = relay.asked("clear_the_way", times=3)
    assert state["error"]["code"] == "checked_out_elsewhere"
    assert run_git(main, "status", "--porcelain") == ""
    subprocess.run(["bash", "-c", state["error"]["remedy"]], check=True, capture_output=True)
    relay("approve")
    relay.over()
    assert run_git(main, "status", "--porcelain") == ""
    assert "new.txt" in _tracked(relay.root, "side")


def refused(relay: Relay, *said: str) -> str:
    """The remedy; nothing was made."""
    told = relay.refused("start", "--assistant", "scripted:calculator", "parts")
    assert all(part in told for part in said), told
    assert not (relay.root / ".project").exists()
    return told.rpartition("try: ")[2]


def typed(folder: Path, command: str) -> None:
    subprocess.run(["bash", "-c", command], cwd=folder, check=True, capture_output=True)


@pytest.mark.parametrize("scope", ["--local", "--worktree"])
def test_a_checkout_that_is_called_bare_is_refused_until_it_is_not(tmp_path: Path, repo: Path, scope: str) -> None:
    run_git(repo, "config", "extensions.worktreeConfig", "true")
    run_git(repo, "config", scope, "core.bare", "true")
    typed(repo, refused(Relay(repo), "core.bare", "it has one"))
    assert "base" in Relay(repo)("start", "--dry-run", "--assistant", builders(tmp_path), "parts")


@pytest.mark.parametrize("scope", ["--local", "--worktree"])
def test_files_that_git_keeps_elsewhere_are_refused(tmp_path: Path, repo: Path, scope: str) -> None:
    (tmp_path / "elsewhere").mkdir()
    run_git(repo, "config", "extensions.worktreeConfig", "true")
    run_git(repo, "config", scope, "core.worktree", str(tmp_path / "elsewhere"))
    remedy = refused(Relay(repo), "core.worktree", "elsewhere")
    typed(repo, remedy)
    assert "base" in Relay(repo)("start", "--dry-run", "--assistant", builders(tmp_path), "parts")


def test_a_folder_around_a_bare_repository_names_its_worktrees(tmp_path: Path) -> None:
    tree = worktree_of_a_bare_one(tmp_path)
    assert refused(Relay(tree.parent), "bare repository") == f"cd {tree}"


def test_refs_in_a_reftable_are_refused(repo: Path) -> None:
    (repo / ".git" / "reftable").mkdir()
    assert "ref-format=files" in refused(Relay(repo), "reftable")


def test_what_git_itself_refuses_is_told_in_its_words(repo: Path) -> None:
    run_git(repo, "config", "core.repositoryFormatVersion", "1")
    run_git(repo, "config", "extensions.unheardOf", "true")
    assert refused(Relay(repo), "git refuses to work", "unheardof") == f"git -C {repo} status"


@pytest.mark.parametrize("layout", [submodule, separate], ids=lambda layout: layout.__name__)
def test_a_lock_of_a_git_that_works_in_the_checkout_is_not_stale(
    tmp_path: Path, layout: Callable[[Path], Path]
) -> None:
    root = layout(tmp_path)
    lock = Path(run_git(root, "rev-parse", "--absolute-git-dir")) / "index.lock"
    command = ["git", "update-ref", "--stdin"]
    with subprocess.Popen(command, cwd=root, stdin=subprocess.PIPE, stdout=subprocess.PIPE, bufsize=0) as user:
        assert user.stdin is not None
        assert user.stdout is not None
        user.stdin.write(b"start\n")
        assert user.stdout.readline()  # it is git by now
        lock.touch()
        held = remove_if_stale(lock, root), lock.exists()
        user.communicate()
    assert held == (False, True)
    lock.touch()
    assert remove_if_stale(lock, root)
