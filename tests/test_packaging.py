"""What lies in the repository, what is packed, and what is installed agree."""

import re
import subprocess
import sys
import tarfile
from pathlib import Path

import pytest

import bitfloor

ROOT = Path(__file__).parent.parent


def run(*command):
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)


def project():
    tomllib = pytest.importorskip("tomllib", reason="comes with Python 3.11")
    return tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))


def test_no_folder_of_the_root_hides_an_installed_package():
    """Python puts the working folder before what is installed; a half package there was found in place of the whole."""
    script = "import sys; sys.path[:] = ['']; import bitfloor"
    found = run(sys.executable, "-S", "-c", script)
    assert found.returncode == 1 and "No module named 'bitfloor'" in found.stderr, found.stderr


def test_no_dependency_has_an_upper_bound():
    """A bound would take a newer torch from people who have one; the self-test at load says what is exact.

    An extra may bound what it alone needs.
    """
    table = project()["project"]
    needed = [re.match(r"[\w-]+", row).group() for row in table["dependencies"]]
    extras = [row for rows in table["optional-dependencies"].values() for row in rows]
    rows = table["dependencies"] + [row for row in extras if re.match(r"[\w-]+", row).group() in needed]
    assert "torch" in needed and len(rows) >= 10
    assert [row for row in [table["requires-python"], *rows] if re.search(r"[<~]|==", row)] == []


def test_every_package_is_listed_with_all_its_files():
    """A folder with code that pyproject.toml does not name would be missing from the wheel, in silence."""
    setuptools = project()["tool"]["setuptools"]
    found = set()
    for package, folder in setuptools["package-dir"].items():
        for file in (ROOT / folder).rglob("*.py"):
            found.add(".".join((package, *file.parent.relative_to(ROOT / folder).parts)))
    assert found == set(setuptools["packages"])


def test_the_sdist_holds_all_that_is_under_version_control(tmp_path):
    listed = run("git", "ls-files", "-z")
    if listed.returncode or not listed.stdout:
        pytest.skip("this is no checkout: the sdist itself, perhaps")
    build = "import sys; from setuptools import build_meta; build_meta.build_sdist(sys.argv[1])"
    built = run(sys.executable, "-c", build, tmp_path)
    assert built.returncode == 0, built.stderr
    (archive,) = tmp_path.glob("*.tar.gz")
    with tarfile.open(archive) as sdist:
        names = {name.partition("/")[2] for name in sdist.getnames()}
    assert {name for name in listed.stdout.split("\0") if name and (ROOT / name).exists()} - names == set()
    assert not [name for name in names if "__pycache__" in name]


def test_one_version_everywhere():
    citation = re.search(r"^version: (\S+)$", (ROOT / "CITATION.cff").read_text(encoding="utf-8"), re.M).group(1)
    newest = re.search(r"^## (\S+)", (ROOT / "CHANGELOG.md").read_text(encoding="utf-8"), re.M).group(1)
    assert citation == newest == bitfloor.__version__


def test_every_licence_of_the_package_is_named():
    """What CREDITS.md says of the bundled media stands in the licence expression, and travels with the package."""
    table = project()["project"]
    credits = (ROOT / "weights" / "CREDITS.md").read_text(encoding="utf-8")
    media = {name.replace(" ", "-") for name in re.findall(r"\[(CC[\w -]*[\d.]+)\]", credits)}
    assert media and set(table["license"].split(" AND ")) == {"MIT"} | media
    assert {"LICENSE", "weights/CREDITS.md"} <= set(table["license-files"])
