"""Make a virtual environment with exactly the locked dependencies, and the project in it.

    python3 requirements/install.py .venv runtime|dev [postgresql]

Run by ``make``. Uses only the standard library, so that a fresh machine can run it, and syntax
that old Pythons read, so that they can be told what is missing.

Two packages come as source only and are compiled after all others are there, with the locked
build tools. PyRadiomics needs the C headers of Python: those of the system if they are installed
(Debian's python3-dev), else those that TensorFlow ships for its own extensions.
"""

import os
import re
import shutil
import subprocess
import sys
import sysconfig
import tempfile
from pathlib import Path

OLDEST, NEWEST = (3, 11), (3, 13)
ROOT = Path(__file__).resolve().parents[1]
LOCKS = ROOT / "requirements"
SOURCE_ONLY = ("docopt", "pyradiomics-bhklab")
PIP = ("-m", "pip", "--no-input", "--disable-pip-version-check")


def list_missing():
    """Return a sentence for each thing that this machine lacks."""
    missing = []
    if not OLDEST <= sys.version_info[:2] <= NEWEST:
        missing.append(
            "Python {}.{} to {}.{}; {} is {}. Name another one: make PYTHON=python3.12 ...".format(
                *OLDEST, *NEWEST, sys.executable, sys.version.split()[0]
            )
        )
    try:
        import ensurepip  # noqa: F401 - only whether it is there
        import venv  # noqa: F401 - as above
    except ImportError:
        missing.append("the venv module of Python: apt-get install python3-venv")
    compiler = find_compiler()
    if not compiler:
        missing.append("a C compiler (PyRadiomics is compiled): apt-get install gcc libc6-dev")
    elif not compiles(compiler):
        missing.append("the C library's headers: apt-get install libc6-dev")
    return missing


def find_compiler():
    """Return the C compiler that setuptools will use, or None."""
    configured = os.environ.get("CC") or sysconfig.get_config_var("CC") or "cc"
    return shutil.which(configured.split()[0])


def compiles(compiler):
    """Tell whether a small C program with a system header can be compiled."""
    with tempfile.TemporaryDirectory() as folder:
        source = Path(folder) / "try.c"
        source.write_text("#include <stdlib.h>\nint main(void) { return EXIT_SUCCESS; }\n")
        command = [compiler, str(source), "-o", str(Path(folder) / "try")]
        return subprocess.run(command, capture_output=True, check=False).returncode == 0


def make_environment(place):
    """Create the environment, or keep it if it is of this Python; return its python."""
    python = place / "bin" / "python"
    wanted = "{}.{}".format(*sys.version_info[:2])
    if python.exists() and (place / "lib" / f"python{wanted}").is_dir():
        return python
    say(f"making {place.name} with Python {wanted}")
    subprocess.run([sys.executable, "-m", "venv", "--clear", str(place)], check=True)
    return python


def install_locked(python, lock, additions=()):
    """Install the wheels of lock files, then compile what has none, then the project."""
    wheels, sources = split_lock(lock.read_text())
    say(f"installing {lock.name} (about 500 MB to fetch the first time)")
    install_file(python, wheels, "--only-binary", ":all:")
    for addition in additions:
        install_file(python, addition.read_text(), "--only-binary", ":all:")
    say("compiling what comes as source")
    install_file(
        python,
        sources,
        "--no-build-isolation",
        environment=compiler_environment(find_python_headers(python)),
    )
    say("installing the project itself")
    run(python, "install", "--quiet", "--no-deps", "--no-build-isolation", "-e", str(ROOT))
    run(python, "check")


def split_lock(text):
    """Split a lock file into the entries that have wheels and those of SOURCE_ONLY."""
    entries = re.split(r"^(?=\S)", text, flags=re.MULTILINE)
    wheels, sources = [], []
    for entry in entries:
        (sources if entry.partition("==")[0] in SOURCE_ONLY else wheels).append(entry)
    return "".join(wheels), "".join(sources)


def install_file(python, requirements, *options, environment=None):
    """Let pip install a text of hashed requirements; the lock names all, so nothing else."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "requirements.txt"
        file.write_text(requirements)
        run(
            python,
            *("install", "--require-hashes", "--no-deps", *options, "-r", str(file)),
            environment=environment,
        )


def compiler_environment(headers):
    """Return the environment with one more folder of C headers, if one is named."""
    if not headers:
        return dict(os.environ)
    known = os.environ.get("C_INCLUDE_PATH", "")
    folders = os.pathsep.join(part for part in (headers, known) if part)
    return {**os.environ, "C_INCLUDE_PATH": folders}


def find_python_headers(python):
    """Return a folder with Python.h that the compiler would not find by itself, or ''."""
    code = (
        "import sysconfig, sys; p = sysconfig.get_paths();"
        "print(p['include'], p['platlib'], '%d.%d' % sys.version_info[:2], sep='\\n')"
    )
    asked = subprocess.run([str(python), "-c", code], capture_output=True, text=True, check=True)
    include, packages, version = asked.stdout.split("\n")[:3]
    if (Path(include) / "Python.h").is_file():
        return ""
    shipped = Path(packages) / "tensorflow" / "include" / "external"
    found = sorted(shipped.glob(f"python_*/include/python{version}/Python.h"))
    if not found:
        sys.exit(
            "The C headers of Python are missing and TensorFlow ships none for this machine:\n"
            f"  apt-get install python{version}-dev"
        )
    say("using the Python headers that TensorFlow ships (python3-dev is not installed)")
    return str(found[0].parent)


def run(python, *arguments, environment=None):
    """Run pip; end with its code when it fails."""
    done = subprocess.run([str(python), *PIP, *arguments], check=False, env=environment)
    if done.returncode:
        sys.exit(done.returncode)


def say(text):
    """Tell what comes next, above pip's own lines."""
    print(f"== {text}", flush=True)


def main():
    """Check the machine, then make the environment."""
    missing = list_missing()
    if missing:
        sys.exit("OncoNode cannot be installed here. Missing:\n  - " + "\n  - ".join(missing))
    place, (lock, *additions) = Path(sys.argv[1]).absolute(), map(lock_of, sys.argv[2:])
    install_locked(make_environment(place), lock, additions)


def lock_of(name):
    """Return the lock file of that name."""
    return LOCKS / f"{name}.lock"


if __name__ == "__main__":
    main()
