"""Style as a test: lengths, names, charters, leftovers. `docs/HACKING.md` tells the rules."""

import ast
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
FLOORS = ("aiokit", "kube", "controlplane", "node", "proxy", "podling")
FILE_LINES_MAX = 500
FUNCTION_LINES_MAX = 60
NAMES_THAT_EXCLUDE_NOTHING = {"utils", "util", "common", "helpers", "helper", "misc"}
LEFTOVERS = ("FIX" + "ME", "TO" + "DO", "X" * 3)


def tracked() -> list[Path]:
    listed = subprocess.run(
        ["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, check=True, text=True
    )
    paths = [ROOT / name for name in listed.stdout.split("\0") if name]
    return [path for path in paths if path.is_file() and not path.is_symlink()]


def is_generated(path: Path) -> bool:
    return "_pb2" in path.name or "generated" in path.read_text()[:300].lower()


def sources() -> list[Path]:
    """Hand-written Python files, tests included."""
    return [path for path in tracked() if path.suffix == ".py" and not is_generated(path)]


def functions(path: Path) -> Iterator[tuple[str, int]]:
    """Every function of a file with its length in lines, its docstring left out."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            length = (node.end_lineno or node.lineno) - node.lineno + 1
            first = node.body[0]
            if isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant):
                length -= (first.end_lineno or first.lineno) - first.lineno + 1
            yield node.name, length


def test_no_file_is_longer_than_can_be_held_in_mind() -> None:
    long = {
        str(path.relative_to(ROOT)): lines
        for path in sources()
        if (lines := path.read_text().count("\n")) > FILE_LINES_MAX
    }
    assert not long, f"split these where a second noun appears: {long}"


def test_every_function_fits_a_screen() -> None:
    long = {
        f"{path.relative_to(ROOT)}:{name}": length
        for path in sources()
        for name, length in functions(path)
        if length > FUNCTION_LINES_MAX
    }
    assert not long, f"these functions do more than one thing: {long}"


def test_no_module_has_a_name_that_excludes_nothing() -> None:
    named = [
        str(path.relative_to(ROOT))
        for path in sources()
        if NAMES_THAT_EXCLUDE_NOTHING & {path.stem, path.parent.name}
    ]
    assert not named, f"name the noun instead: {named}"


def test_every_package_has_a_charter() -> None:
    without = [
        str(path.relative_to(ROOT))
        for path in sources()
        if path.name == "__init__.py"
        and path.relative_to(ROOT).parts[0] in FLOORS
        and not ast.get_docstring(ast.parse(path.read_text()))
    ]
    assert not without, f"say in the docstring what may live there: {without}"


def test_nothing_is_left_to_be_done_in_a_comment() -> None:
    left = [
        f"{path.relative_to(ROOT)}:{number}"
        for path in sources()
        for number, line in enumerate(path.read_text().splitlines(), 1)
        if any(word in line for word in LEFTOVERS)
    ]
    assert not left, f"do it, or write an issue: {left}"


def test_the_product_never_imports_tests() -> None:
    importing = [
        str(path.relative_to(ROOT))
        for path in sources()
        if path.relative_to(ROOT).parts[0] in FLOORS
        for node in ast.walk(ast.parse(path.read_text()))
        if (isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == "tests")
        or (
            isinstance(node, ast.Import)
            and any(n.name.split(".")[0] == "tests" for n in node.names)
        )
    ]
    assert not importing


@pytest.mark.parametrize("floor", FLOORS)
def test_nothing_is_imported_inside_a_function(floor: str) -> None:
    hidden = [
        f"{path.relative_to(ROOT)}:{node.lineno}"
        for path in sources()
        if path.relative_to(ROOT).parts[0] == floor
        for function in ast.walk(ast.parse(path.read_text()))
        if isinstance(function, ast.FunctionDef | ast.AsyncFunctionDef)
        for node in ast.walk(function)
        if isinstance(node, ast.Import | ast.ImportFrom)
    ]
    assert not hidden, f"imports stand at the top of a file: {hidden}"
