"""dev.py as a person calls it: help, mistakes, no set-up when nothing has changed, a failed set-up step."""

from __future__ import annotations

import importlib.util
import re
import shutil
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).resolve().parents[2]


def load(path: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location("dev", path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def dev(tmp_path: Path) -> ModuleType:
    """dev.py of a repository of its own, with no virtual environment yet."""
    shutil.copy(ROOT / "dev.py", tmp_path)
    for name in ("requirements.txt", "requirements-dev.txt", "requirements-data.txt"):
        (tmp_path / name).write_text(f"# {name}\n")
    return load(tmp_path / "dev.py")


@pytest.fixture
def scratch(dev: ModuleType) -> Path:
    """The folder of that repository."""
    return Path(dev.ROOT)


@pytest.fixture
def steps(dev: ModuleType, scratch: Path, monkeypatch: pytest.MonkeyPatch) -> list[list[str]]:
    done: list[list[str]] = []

    def step(what: str, command: list[str], hint: str = "") -> None:
        done.append(command)
        if "venv" in command:
            (scratch / ".venv" / "bin").mkdir(parents=True, exist_ok=True)
            (scratch / ".venv" / "bin" / "python").touch()

    monkeypatch.setattr(dev, "run_quietly", step)
    return done


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, str(ROOT / "dev.py"), *arguments], capture_output=True, text=True)


def test_without_arguments_it_lists_its_subcommands(dev: ModuleType) -> None:
    result = run()
    assert result.returncode == 0
    assert re.findall(r"(?m)^  ([\w-]+) ", result.stdout) == list(dev.SUBCOMMANDS)


def test_an_unknown_subcommand_is_named() -> None:
    result = run("tset")
    assert result.returncode == 2
    assert "'tset'" in result.stderr and "usage:" in result.stderr


def test_an_older_python_is_told_so() -> None:
    code = f"import sys; sys.version_info = (3, 9, 1, 'final', 0); exec(open({str(ROOT / 'dev.py')!r}).read())"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert result.returncode == 1
    assert "needs Python 3.11 or newer; this is Python 3.9" in result.stderr


def test_the_first_run_makes_the_environment_and_the_second_does_nothing(
    dev: ModuleType, scratch: Path, steps: list[list[str]]
) -> None:
    dev.ensure_venv()
    assert [("venv" in step, "pip" in step, "--no-deps" in step) for step in steps] == [
        (True, False, False),
        (False, True, False),
        (False, True, True),
    ]
    steps.clear()
    dev.ensure_venv()
    assert steps == []


def test_changed_requirements_are_installed_without_making_the_environment_again(
    dev: ModuleType, scratch: Path, steps: list[list[str]]
) -> None:
    dev.ensure_venv()
    for name in ("requirements.txt", "requirements-dev.txt", "requirements-data.txt"):
        steps.clear()
        with (scratch / name).open("a") as handle:
            handle.write("another\n")
        dev.ensure_venv()
        assert [step[2] for step in steps] == ["pip", "pip"]


def test_another_python_version_makes_the_environment_again(dev: ModuleType, scratch: Path, steps: list[list[str]]) -> None:
    dev.ensure_venv()
    stamp = scratch / ".venv" / "set-up"
    stamp.write_text(stamp.read_text().replace(stamp.read_text().split()[0], "3.10"))
    steps.clear()
    dev.ensure_venv()
    assert "venv" in steps[0] and "--clear" in steps[0]


def test_an_interrupted_installation_is_taken_up_again(
    dev: ModuleType, scratch: Path, steps: list[list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = dev.run_quietly

    def interrupted(what: str, command: list[str], *rest: str) -> None:
        if "pip" in command:
            raise KeyboardInterrupt
        whole(what, command, *rest)

    monkeypatch.setattr(dev, "run_quietly", interrupted)
    with pytest.raises(KeyboardInterrupt):
        dev.ensure_venv()
    monkeypatch.setattr(dev, "run_quietly", whole)
    steps.clear()
    dev.ensure_venv()
    assert [step[2] for step in steps] == ["pip", "pip"]


def test_a_failed_step_shows_its_output_and_ends_the_set_up(dev: ModuleType, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match=r"ended with 3\)\. Try harder\."):
        dev.run_quietly("trying", [sys.executable, "-c", "print('what went wrong'); raise SystemExit(3)"], "Try harder.")
    assert "what went wrong" in capsys.readouterr().err


def test_a_step_that_succeeds_is_quiet(dev: ModuleType, capsys: pytest.CaptureFixture[str]) -> None:
    dev.run_quietly("trying", [sys.executable, "-c", "print('chatter')"])
    output = capsys.readouterr()
    assert (output.out, output.err) == ("", "dev.py: trying …\n")


def test_tests_run_with_a_seed_that_can_be_given_again(
    dev: ModuleType, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("ROWPOST_TEST_SEED", "7")
    (command,) = dev.test_commands(["tests/test_x.py"])
    assert "--hypothesis-seed=7" in command and "--numprocesses=auto" in command
    assert "ROWPOST_TEST_SEED=7" in capsys.readouterr().err
    (command,) = dev.test_commands(["-n0", "--pdb"])
    assert not any(part.startswith("--numprocesses") for part in command)


def test_all_commands_run_and_the_first_failure_is_reported(
    dev: ModuleType, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(dev, "VENV_PYTHON", Path(sys.executable))
    monkeypatch.chdir(tmp_path)  # run() changes it
    mark = tmp_path / "ran"
    commands = [["-c", "raise SystemExit(4)"], ["-c", f"open({str(mark)!r}, 'w')"], ["-c", "raise SystemExit(5)"]]
    assert dev.run(commands) == 4
    assert mark.exists()


def test_no_environment_is_needed_for_missing_debian_packages_to_be_named(dev: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dev.shutil, "which", lambda name: None)
    with pytest.raises(SystemExit, match=r"libodbc2[\s\S]*dnf install unixODBC"):
        dev.install_debian_packages(["libodbc2"])


@pytest.mark.skipif(sys.platform != "linux", reason="sudo and apt-get")
def test_without_root_the_one_command_to_run_is_printed(dev: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dev.os, "geteuid", lambda: 1000)
    monkeypatch.setattr(dev.shutil, "which", lambda name: "/usr/bin/apt-get" if name == "apt-get" else None)
    with pytest.raises(SystemExit, match="sudo apt-get install -y libodbc2"):
        dev.install_debian_packages(["libodbc2"])


def test_files_of_init_and_check_config_lie_where_the_caller_is(
    dev: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for name, program in (
        ("init", "devtools.init_config"),
        ("check-config", "devtools.check_config"),
        ("schema", "devtools.schema"),
    ):
        assert dev.SUBCOMMANDS[name][1](["mine.toml"]) == [["-m", program, "--from", str(tmp_path), "mine.toml"]]


@pytest.mark.parametrize(
    "name",
    [
        "init",
        "check-config",
        "schema",
        "preview",
        "asyncapi",
        "demo",
        "start",
        "sql",
        "sim",
        "chaos",
        "test",
        "check",
        "bench",
        "docs",
        "cost",
        "lock",
        "setup",
    ],
)
@pytest.mark.parametrize("flag", ["-h", "--help"])
def test_help_installs_nothing(tmp_path: Path, name: str, flag: str) -> None:
    for file in ("dev.py", "requirements.txt", "requirements-dev.txt", "requirements-data.txt"):
        shutil.copyfile(ROOT / file, tmp_path / file)
    before = sorted(tmp_path.iterdir())
    asked = [sys.executable, "-B", str(tmp_path / "dev.py"), name, flag]
    result = subprocess.run(asked, capture_output=True, text=True, env={"PATH": ""})
    assert (result.returncode, result.stderr) == (0, "")
    assert result.stdout.startswith(f"usage: python dev.py {name} ")
    assert sorted(tmp_path.iterdir()) == before


def test_every_subcommand_is_asked_for_help(dev: ModuleType) -> None:
    (names,) = [mark.args[1] for mark in test_help_installs_nothing.pytestmark if mark.args[0] == "name"]  # type: ignore[attr-defined]
    assert names == list(dev.SUBCOMMANDS)


@pytest.mark.parametrize("name", ["test", "check"])
def test_help_on_the_tests_installs_no_browser(steps: list[list[str]], dev: ModuleType, name: str) -> None:
    assert dev.main([name, "--help"]) == 0
    assert steps == []
