"""The documents: every example runs, links and includes hold, commands exist. `.ci/run` builds the site itself."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
DOCS = ROOT / "docs"
PAGES = sorted(DOCS.rglob("*.md")) if DOCS.exists() else []
OWN_TEST = "my_context"  # has a test of its own
EXAMPLES = [path for path in sorted((ROOT / "examples").glob("*.py")) if path.stem != OWN_TEST]


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_an_example_runs(path: Path, tmp_path: Path) -> None:
    for needed in re.findall(r"^# needs: (\w+)$", path.read_text(encoding="utf-8"), re.M):
        pytest.importorskip(needed)
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "TMPDIR": str(tmp_path)}
    environment |= {"HF_HOME": str(tmp_path), "HF_HUB_OFFLINE": "1"}
    done = subprocess.run(
        [sys.executable, path], capture_output=True, text=True, cwd=tmp_path, env=environment, check=False
    )
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(DOCS)))
def test_links_and_included_parts_are_there(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    for target in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", text):
        assert (page.parent / target).exists(), target
    for name, _, part in re.findall(r'--8<-- "([^":]+)(:([^"]+))?"', text):
        included = (ROOT / name).read_text(encoding="utf-8")
        assert not part or f"[start:{part}]" in included, name


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(DOCS)))
def test_commands_in_the_pages_exist_with_their_options(page: Path) -> None:
    from click.testing import CliRunner

    from bitfloor.tools.cli import COMMANDS, cli

    fences = "\n".join(re.findall(r"^```sh\n(.*?)^```", page.read_text(encoding="utf-8"), re.M | re.S))
    for line in re.findall(r"^(?:.*&& )?bitfloor ([a-z].*)$", fences, re.M):
        words = line.split("#")[0].split()
        assert words[0] in COMMANDS, line
        names = [words[0]] + [w for w in words[1:2] if w in ("speed", "compare", "game", "hide", "reveal", "run")]
        if len(names) == 1:
            names += {"bench": ["run"], "couple": ["laws"]}.get(words[0], [])
        shown = CliRunner().invoke(cli, [*names, "--help"])
        assert shown.exit_code == 0, line
        for option in (w for w in words if re.fullmatch(r"-(-[a-z][a-z-]*|[a-z])", w)):
            assert option in shown.output, f"{option} of: {line}"
