"""A missing tool skips a test here and fails it in CI."""

import os
import re
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest
import tools

TESTS = Path(tools.__file__).parent


def test_tool_is_found_beside_python_or_on_the_path():
    assert tools.require_tool(Path(sys.executable).name).is_file()
    assert tools.require_tool("sh").is_file()
    assert tools.require_tool("/bin/sh") == Path("/bin/sh")


BODIES = {
    "test_in_test": """
        from tools import require_tool
        def test_it():
            require_tool("no-such-tool")
        """,
    "test_in_fixture": """
        import pytest
        @pytest.fixture
        def tool(require_tool):
            return require_tool("no-such-tool")
        def test_it(tool):
            pass
        """,
    "test_by_mark": """
        import pytest
        @pytest.mark.skipif(True, reason="no-such-tool is not installed")
        def test_it():
            pass
        """,
    "test_module": """
        import pytest
        pytest.skip("tool missing: no-such-tool", allow_module_level=True)
        """,
    "test_other_reason": """
        import pytest
        def test_it():
            pytest.skip("no shared data here")
        """,
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("suite")
    (folder / "conftest.py").write_text((TESTS / "conftest.py").read_text())
    for name, body in BODIES.items():
        (folder / f"{name}.py").write_text(textwrap.dedent(body))
    return folder


def run_pytest(folder: Path, **environment: str) -> str:
    clean = {k: v for k, v in os.environ.items() if k != tools.REQUIRE_VARIABLE}
    done = subprocess.run(
        [
            sys.executable,
            "-m",
            "pytest",
            "-rfEs",
            "-p",
            "no:cacheprovider",
            "--continue-on-collection-errors",
        ],
        cwd=folder,
        env=clean | {"PYTHONPATH": str(TESTS)} | environment,
        capture_output=True,
        text=True,
        check=False,
    )
    return done.stdout


def test_missing_tool_skips(folder):
    assert "5 skipped" in run_pytest(folder)


def test_missing_tool_fails_under_the_variable_and_other_skips_do_not(folder):
    output = run_pytest(folder, **{tools.REQUIRE_VARIABLE: "1"})
    for name in set(BODIES) - {"test_other_reason", "test_module"}:
        assert re.search(rf"(FAILED|ERROR) {name}\.py::test_it.*no-such-tool", output), name
    assert "ERROR test_module.py" in output
    assert "1 skipped" in output
