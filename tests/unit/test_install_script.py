"""The installer tells what is missing before it does anything, and splits the lock rightly."""

import importlib.util
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SCRIPT = ROOT / "requirements" / "install.py"


@pytest.fixture(scope="module")
def install():
    spec = importlib.util.spec_from_file_location("install_script", SCRIPT)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_missing_compiler_is_named_with_its_package_and_nothing_is_made(tmp_path):
    done = subprocess.run(
        [sys.executable, str(SCRIPT), str(tmp_path / "venv"), "runtime"],
        env={**os.environ, "CC": "no-such-compiler"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert "a C compiler" in done.stderr
    assert "apt-get install gcc libc6-dev" in done.stderr
    assert not (tmp_path / "venv").exists()


def test_missing_c_library_headers_are_named(install, monkeypatch):
    monkeypatch.setattr(install, "find_compiler", lambda: "/bin/false")
    assert [line for line in install.list_missing() if "libc6-dev" in line]


def test_python_that_is_too_old_or_too_new_is_named(install, monkeypatch):
    monkeypatch.setattr(install.sys, "version_info", (3, 10, 0))
    assert "3.11 to 3.13" in install.list_missing()[0]
    monkeypatch.setattr(install.sys, "version_info", (3, 14, 0))
    assert "3.11 to 3.13" in install.list_missing()[0]


@pytest.mark.parametrize("kind", ["runtime", "dev"])
def test_lock_is_split_without_loss(install, kind):
    text = (ROOT / "requirements" / f"{kind}.lock").read_text()
    wheels, sources = install.split_lock(text)
    names = [line.partition("==")[0] for line in sources.splitlines() if not line.startswith(" ")]
    assert sorted(names) == sorted(install.SOURCE_ONLY)
    assert sorted((wheels + sources).splitlines()) == sorted(text.splitlines())


def test_headers_of_tensorflow_serve_where_the_system_has_none(install, tmp_path, monkeypatch):
    shipped = tmp_path / "tensorflow/include/external/python_3_12_x/include/python3.12"
    shipped.mkdir(parents=True)
    (shipped / "Python.h").write_text("")

    def answer(include: Path):
        text = f"{include}\n{tmp_path}\n3.12\n"
        return lambda *_, **__: subprocess.CompletedProcess([], 0, stdout=text)

    monkeypatch.setattr(install.subprocess, "run", answer(tmp_path / "nowhere"))
    assert install.find_python_headers("python") == str(shipped)
    monkeypatch.setattr(install.subprocess, "run", answer(shipped))
    assert install.find_python_headers("python") == ""


def test_no_headers_at_all_ends_with_the_name_of_the_package(install, tmp_path, monkeypatch):
    text = f"{tmp_path}\n{tmp_path}\n3.12\n"
    answer = subprocess.CompletedProcess([], 0, stdout=text)
    monkeypatch.setattr(install.subprocess, "run", lambda *_, **__: answer)
    with pytest.raises(SystemExit, match=r"apt-get install python3\.12-dev"):
        install.find_python_headers("python")


def test_known_include_path_is_kept(install, monkeypatch):
    monkeypatch.setenv("C_INCLUDE_PATH", "/known")
    assert install.compiler_environment("/new")["C_INCLUDE_PATH"] == "/new:/known"
    assert install.compiler_environment("")["C_INCLUDE_PATH"] == "/known"
