"""What is installed, what a package index shows of the README, and what recipe.yaml repeats of pyproject.toml."""

import importlib.util
import re
import sys
import tomllib
from pathlib import Path

import pytest

import fastsoftmax

ROOT = Path(__file__).parents[2]
INSTALLED = Path(fastsoftmax.__file__).parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
README = (ROOT / "README.md").read_text(encoding="utf-8")


@pytest.fixture
def long_description():
    spec = importlib.util.spec_from_file_location("long_description", ROOT / "src" / "long_description.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.long_description


def targets(text):
    return re.findall(r"\]\(([^)\s]+)\)", text)


def code(text):
    return re.findall(r"^```.*?^```$|^ {4}[^\n]*$", text, re.MULTILINE | re.DOTALL)


def test_no_link_of_a_package_index_leads_nowhere(long_description):
    made = long_description(README, None)
    relative = [target for target in targets(README) if ":" not in target]
    assert len(relative) > 20 and all((ROOT / target.partition("#")[0]).exists() for target in relative)
    assert [target for target in targets(made) if ":" not in target] == []
    named = {name for name in re.findall(r"[\w/]+\.md", made) if (ROOT / name).exists()}
    assert named >= {target.partition("#")[0] for target in relative if target.partition("#")[0].endswith(".md")}
    assert code(made) == code(README) and made.count("\n## ") == README.count("\n## ")


@pytest.mark.parametrize(
    ("written", "shown"),
    [
        ("[how](docs/a.md#b) it\nis", "how (docs/a.md) it\nis"),
        ("[what\nit is](docs/a.md)", "what\nit is (docs/a.md)"),
        ("[A.md](A.md)", "A.md"),
        ("[there](https://example.org/a.md)", "[there](https://example.org/a.md)"),
        ("[above](#above)", "[above](#above)"),
        ("![A picture](a.png)\n\nText.", "Text."),
        ("![A picture](https://example.org/a.png)\n\nText.", "![A picture](https://example.org/a.png)\n\nText."),
        ("    a = [b](c)\n", "    a = [b](c)\n"),
        ("```python\na = [b](c)\n```\n[d](e)", "```python\na = [b](c)\n```\nd (e)"),
    ],
)
def test_links_of_the_readme(long_description, written, shown):
    assert long_description(written, None) == shown


def test_links_of_the_readme_where_the_files_have_an_address(long_description):
    made = long_description(
        "![A picture](a.png)\n\n[how](docs/a.md#b)\n\n## [C](https://c.org)", "https://example.org/"
    )
    assert targets(made) == ["https://example.org/a.png", "https://example.org/docs/a.md#b", "https://c.org"]


@pytest.mark.skipif(INSTALLED.parent == ROOT, reason="the package is the checkout's")
def test_of_the_benchmarks_only_what_the_command_runs_is_installed():
    modules = {path.relative_to(ROOT / "benches") for path in ROOT.joinpath("benches").rglob("*.py")}
    python = {path for path in modules if path.parts[0] != "studies"}
    others = {Path("report/page.css"), Path("report/page.js"), Path("instructions/counts.json")}
    installed = (path for path in INSTALLED.joinpath("benches").rglob("*") if path.is_file() and path.suffix != ".pyc")
    assert {path.relative_to(INSTALLED / "benches") for path in installed} == python | others


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="of ELF files")
def test_shared_objects_are_stripped():
    for path in INSTALLED.rglob("*.so"):
        content = path.read_bytes()
        if b".debug_info" not in content:  # a build for debuggers keeps all
            assert content[:4] == b"\x7fELF" and b".symtab" not in content, path


def test_the_recipe_says_what_the_project_says():
    recipe = (ROOT / "recipe" / "recipe.yaml").read_text(encoding="utf-8")
    run = re.search(r"^  run:\n((?:    - .*\n)+)", recipe, re.MULTILINE)[1]
    required = {line.strip("- ").replace(" ", "") for line in run.splitlines()}
    assert required == {*PROJECT["dependencies"], f"python{PROJECT['requires-python']}"}
    assert f'version: "{PROJECT["version"]}"' in recipe and f'summary: "{PROJECT["description"]}"' in recipe
    command, target = next(iter(PROJECT["scripts"].items()))
    assert f"- {command} = {target}\n" in recipe


def test_the_citation_has_the_version():
    assert f"\nversion: {PROJECT['version']}\n" in (ROOT / "CITATION.cff").read_text(encoding="utf-8")
