"""README.md and docs/ do what they show: every code block is run, every link leads somewhere.

    ```python      run; a block with >>> is a doctest. The blocks of a page share their names.
    ```python      with the first line `# file: NAME` is also written to that file, for later blocks to load.
    ```console     every line `$ symconv ...` is run at 80 columns, and what follows it is what the command prints.
                   A line `...` stands for any lines. `$ echo $?` shows the exit code of the command before.

Every page has an empty folder of its own. Times are compared as if they were all the same. After a change of the reports,
`python tests/test_docs.py` writes the new output into all blocks, with the same cuts, for review.
"""

from __future__ import annotations

import contextlib
import difflib
import doctest
import functools
import io
import os
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import attrs
import pytest

ROOT = Path(__file__).resolve().parents[1]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
BLOCK = re.compile(r"^```(?P<language>\w+)\n(?P<body>.*?)^```$", re.MULTILINE | re.DOTALL)
FILE = re.compile(r"# file: (?P<name>[\w.]+)\n")
TIME = re.compile(r'\b\d+(\.\d+)? m?s\b|(?<="seconds": )[\d.e-]+')
LINK = re.compile(r"\[[^\]\n]*\]\((?P<target>[^)\s]+)\)")
HEADING = re.compile(r"^#+ (?P<title>.+)$", re.MULTILINE)
SHELL = frozenset("|&;<>()")
COLUMNS = "80"
INTERNAL_ERROR = 70


@attrs.frozen
class Session:
    """One command of a console block, and the lines shown below it."""

    command: str
    shown: list[str]


def sessions(body: str) -> Iterator[Session]:
    """The commands of a console block; a trailing backslash continues one."""
    command: list[str] = []
    shown: list[str] = []
    open_ended = False
    for line in body.splitlines():
        if open_ended or line.startswith("$ "):
            if command and not open_ended:
                yield Session("\n".join(command), shown)
                command, shown = [], []
            command.append(line if open_ended else line.removeprefix("$ "))
            open_ended = line.endswith("\\")
        else:
            shown.append(line)
    if command:
        yield Session("\n".join(command), shown)


class Page:
    """Runs the blocks of one page, in order, in the current folder."""

    def __init__(self) -> None:
        self.names: dict[str, Any] = {"__name__": "page"}
        self.code = 0

    def python(self, body: str, where: str) -> list[str]:
        """What is wrong with a Python block."""
        found = FILE.match(body)
        if found:
            Path(found["name"]).write_text(body, encoding="utf-8")
            return []
        if ">>>" not in body:
            exec(compile(body, where, "exec"), self.names)
            return []
        example = doctest.DocTestParser().get_doctest(body, self.names, where, where, 0)
        report = io.StringIO()
        runner = doctest.DocTestRunner(optionflags=doctest.ELLIPSIS, verbose=False)
        runner.run(example, out=report.write, clear_globs=False)
        self.names |= example.globs
        return [report.getvalue()] if report.getvalue() else []

    def run(self, command: str) -> list[str]:
        """The lines that a command prints."""
        if command == "echo $?":
            return [str(self.code)]
        flat = command.replace("\\\n", " ")
        lexer = shlex.shlex(flat, posix=True, punctuation_chars=True)
        lexer.whitespace_split = True
        plain = not any(set(token) <= SHELL for token in lexer)
        program, *arguments = shlex.split(flat)
        self.code, text = _in_process(arguments) if program == "symconv" and plain else _in_shell(command)
        assert self.code != INTERNAL_ERROR, text
        return text.splitlines()


def _in_process(arguments: list[str]) -> tuple[int, str]:
    from symconv.app.main import main

    out = io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(out):
        code = main(arguments)
    return code, out.getvalue()


def _in_shell(command: str) -> tuple[int, str]:
    setup = 'symconv() { "$PYTHON" -m symconv "$@"; }; python() { "$PYTHON" "$@"; }; set -o pipefail\n'
    environment = {**os.environ, "PYTHON": sys.executable, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        ["bash", "-c", setup + command],
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=60,
        check=False,
    )
    return done.returncode, done.stdout


def same(shown: list[str], printed: list[str]) -> bool:
    """Whether the output shown is the output printed, times aside; `...` stands for any lines."""
    parts = ["(?:.*\n)*?" if line.strip() == "..." else re.escape(_timeless(line)) + "\n" for line in _trimmed(shown)]
    return re.fullmatch("".join(parts), "".join(_timeless(line) + "\n" for line in _trimmed(printed))) is not None


def _timeless(line: str) -> str:
    return re.sub(r" {2,}(?=T\b)|(?<=T) {2,}", "  ", TIME.sub("T", line.rstrip()))


def _trimmed(lines: list[str]) -> list[str]:
    """Without blank lines at the ends; a block begins and ends where it does for looks."""
    return "\n".join(line.rstrip() for line in lines).strip("\n").splitlines()


@contextlib.contextmanager
def _folder(path: Path) -> Iterator[None]:
    """A page's folder as the current one, with modules from it forgotten in the end."""
    before, here = set(sys.modules), os.getcwd()
    environment = {name: os.environ.get(name) for name in ("COLUMNS", "FORCE_COLOR", "TERM")}
    os.environ |= {"COLUMNS": COLUMNS, "TERM": "dumb"}
    os.environ.pop("FORCE_COLOR", None)
    sys.path.insert(0, str(path))
    os.chdir(path)
    try:
        yield
    finally:
        os.chdir(here)
        sys.path.remove(str(path))
        for name, value in environment.items():
            os.environ.pop(name, None) if value is None else os.environ.__setitem__(name, value)
        for name in set(sys.modules) - before:
            if Path(getattr(sys.modules[name], "__file__", None) or "/").parent == path:
                del sys.modules[name]


@pytest.mark.parametrize("path", PAGES, ids=lambda path: str(path.relative_to(ROOT)))
def test_code_blocks(path: Path, tmp_path: Path) -> None:
    page = Page()
    wrong: list[str] = []
    text = path.read_text(encoding="utf-8")
    with _folder(tmp_path):
        for block in BLOCK.finditer(text):
            where = f"{path.relative_to(ROOT)}:{text.count(chr(10), 0, block.start()) + 2}"
            if block["language"] == "python":
                wrong += page.python(block["body"], where)
            elif block["language"] == "console":
                for session in sessions(block["body"]):
                    printed = page.run(session.command)
                    if not same(session.shown, printed):
                        changes = difflib.unified_diff(_trimmed(session.shown), _trimmed(printed), "shown", "printed", lineterm="")
                        wrong.append(f"{where}: $ {session.command}\n" + "\n".join(changes))
    assert not wrong, "\n\n".join(wrong)


@pytest.mark.parametrize("path", PAGES, ids=lambda path: str(path.relative_to(ROOT)))
def test_links(path: Path) -> None:
    """Relative links lead to files that exist, and to headings that they have."""
    text = BLOCK.sub("", path.read_text(encoding="utf-8"))
    broken = []
    for target in (found["target"] for found in LINK.finditer(text)):
        if re.match(r"[a-z]+:", target):
            continue
        name, _, anchor = target.partition("#")
        file = (path.parent / name).resolve() if name else path
        if not file.exists() or (anchor and anchor not in _anchors(file)):
            broken.append(target)
    assert not broken


@functools.cache
def _anchors(path: Path) -> frozenset[str]:
    """The anchors of a page's headings, as GitHub makes them."""
    titles = (found["title"] for found in HEADING.finditer(BLOCK.sub("", path.read_text(encoding="utf-8"))))
    return frozenset(re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles)


@pytest.mark.parametrize(
    ("shown", "printed", "equal"),
    [
        (["a", "b"], ["a", "b"], True),
        (["a", "..."], ["a", "b", "c"], True),
        (["...", "c"], ["a", "b", "c"], True),
        (["a", "...", "c"], ["a", "c"], True),
        (["a", "...", "d"], ["a", "b", "c"], False),
        (["a"], ["a", "b"], False),
        (["  time  3.1 ms"], ["  time  120 ms"], True),
        (["  time  3.1 ms"], ["  time  3 extents"], False),
        (['{"seconds": 0.1}'], ['{"seconds": 2e-05}'], True),
        (["a"], [], False),
    ],
)
def test_output_is_compared(shown: list[str], printed: list[str], equal: bool) -> None:
    assert same(shown, printed) is equal


def test_every_option_is_documented() -> None:
    """docs/commands.md has a section for every command, with all its options."""
    import typer

    from symconv.app.main import command_line

    text = (ROOT / "docs" / "commands.md").read_text(encoding="utf-8")
    commands = typer.main.get_command(command_line().app).commands
    assert "check" in commands
    for name, command in commands.items():
        assert f"## symconv {name}\n" in text
        for option in (option for parameter in command.params for option in parameter.opts if option.startswith("--")):
            assert option == "--help" or f"`{option}" in text, f"{name} {option}"


def rewrite(path: Path, folder: Path) -> None:
    """Puts the present output into every console block."""
    page = Page()

    def block(found: re.Match[str]) -> str:
        body = found["body"]
        if found["language"] == "python":
            page.python(body, str(path))
            return found.group()
        if found["language"] != "console":
            return found.group()
        parts = []
        for session in sessions(body):
            printed = page.run(session.command)
            shown = _trimmed(session.shown)
            parts += [f"$ {session.command}", *(shown if same(shown, printed) else refreshed(shown, _trimmed(printed)))]
        return "```console\n" + "\n".join(parts) + "\n```"

    with _folder(folder):
        text = BLOCK.sub(block, path.read_text(encoding="utf-8"))
    path.write_text(text, encoding="utf-8")


def refreshed(shown: list[str], printed: list[str]) -> list[str]:
    """The new output with the cuts of the old one: every run of lines between `...` keeps its first and last line where it can."""
    out: list[str] = []
    position = 0
    for number, part in enumerate("\n".join(shown).split("...\n") if "..." in shown else [""]):
        lines = part.removesuffix("\n...").splitlines()
        if lines:
            start = _find(lines[0], printed, position) if number else 0
            end = _find(lines[-1], printed, start) if lines[-1] in printed[start:] else start + len(lines) - 1
            out += printed[start : end + 1]
            position = end + 1
        out.append("...")
    return (out if shown[-1] == "..." else out[:-1]) if "..." in shown else printed


def _find(line: str, lines: list[str], start: int) -> int:
    return next((k for k in range(start, len(lines)) if _timeless(lines[k]) == _timeless(line)), start)


@pytest.mark.parametrize(
    ("shown", "printed", "new"),
    [
        (["old"], ["a", "b"], ["a", "b"]),
        (["old", "..."], ["a", "b"], ["a", "..."]),
        (["a", "old", "z", "..."], ["a", "new", "more", "z", "end"], ["a", "new", "more", "z", "..."]),
        (["...", "b", "old", "..."], ["a", "b", "new", "c"], ["...", "b", "new", "..."]),
        ([], ["a"], ["a"]),
    ],
)
def test_output_is_refreshed(shown: list[str], printed: list[str], new: list[str]) -> None:
    assert refreshed(shown, printed) == new


def test_every_layer_is_documented() -> None:
    """docs/expressions.md names every constructor, with all its arguments."""
    from symconv.frontends.signatures import SIGNATURES

    text = (ROOT / "docs" / "expressions.md").read_text(encoding="utf-8")
    for signature in SIGNATURES.values():
        name, arguments = str(signature).split("(", 1)
        assert f"`{name}" in text or f"`{re.sub('[123]d$', 'Nd', name)}" in text, name
        assert f"({arguments}" in text, str(signature)


if __name__ == "__main__":
    import tempfile

    chosen = [Path(name).resolve() for name in sys.argv[1:]] or PAGES
    for one in chosen:
        with tempfile.TemporaryDirectory() as temporary:
            rewrite(one, Path(temporary).resolve())
