#!/bin/sh
# Makes .venv ready for the parts named as arguments: base, dev, or an extra of pyproject.toml (whisper, openai-whisper, ...).
# Where it is ready already this takes a few milliseconds and prints nothing. Everything it prints goes to stderr.
# PYTHON=/path/to/python chooses the interpreter; NO_UV=1 installs with pip although uv is there.
set -eu
cd "$(dirname "$0")/.."

say() { printf 'callwise: %s\n' "$*" >&2; }
stop() { say "$@"; exit 1; }

# A moved checkout, another pyproject.toml or another version of this file each ask for a new look at .venv.
key="$(pwd -P) $(cat pyproject.toml tools/setup_environment.sh | cksum)"

version_of() { "$1" -c 'import sys; print(sys.version)' 2>/dev/null; }

# An environment of another Python than PYTHON names, or one that was moved here, is made anew.
is_usable() {
    [ -x .venv/bin/python ] || return 1
    if [ -n "${PYTHON:-}" ]; then
        wanted="$(version_of "$PYTHON")" && [ "$wanted" = "$(version_of .venv/bin/python)" ] || return 1
    fi
    [ ! -f .venv/.made-in ] || [ "$(cat .venv/.made-in)" = "$(pwd -P)" ]
}

is_ready() { [ "$(cat ".venv/.ready-$1" 2>/dev/null)" = "$key" ]; }

all_ready() {
    for part in "$@"; do is_ready "$part" || return 1; done
}

has_uv() { [ -z "${NO_UV:-}" ] && uv --version >/dev/null 2>&1; }

# Each candidate is run, because a name on the PATH may be a version manager's shim with nothing behind it.
# 3.14 and later come last: the speech library of the base environment has no ready-made package for them.
suits() { "$1" -c 'import ssl, sqlite3, sys; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1; }
can_make_environments() { "$1" -c 'import ensurepip, venv' >/dev/null 2>&1; }
must_compile() { "$1" -c 'import sys; sys.exit(sys.version_info < (3, 14))' >/dev/null 2>&1; }

find_python() {
    if [ -n "${PYTHON:-}" ]; then
        suits "$PYTHON" || stop "PYTHON=$PYTHON is no Python 3.11 or newer with sqlite3 and ssl; set PYTHON to one that is"
        printf '%s' "$PYTHON"
        return
    fi
    for name in python3.13 python3.12 python3.11 python3 python; do
        if suits "$name" && ! must_compile "$name" && { has_uv || can_make_environments "$name"; }; then
            printf '%s' "$name"
            return
        fi
    done
    for name in python3 python3.14 python3.13 python3.12 python3.11; do
        if suits "$name"; then
            printf '%s' "$name"
            return
        fi
    done
}

make_with_uv() { rm -rf .venv && uv venv -q --python "$1" .venv; }

make_environment() {
    [ -w . ] || stop "$(pwd) cannot be written by $(id -un): use a checkout of your own"
    python="$(find_python)"
    if has_uv; then
        # uv brings a Python of its own where the machine has none that suits.
        if [ -z "$python" ] || must_compile "$python"; then
            make_with_uv 3.13 2>/dev/null && return
        fi
    fi
    [ -n "$python" ] || stop "no Python 3.11 or newer found; install one (Debian, Ubuntu: apt-get install python3 python3-venv; macOS: brew install python@3.13) or name it: make ... PYTHON=/path/to/python"
    if must_compile "$python" && ! command -v cc >/dev/null 2>&1; then
        stop "$python is newer than 3.13 and needs a C compiler to install; install one (apt-get install build-essential python3-dev) or Python 3.13"
    fi
    if has_uv; then
        make_with_uv "$python"
        return
    fi
    if ! can_make_environments "$python"; then
        version="$("$python" -c 'import sys; print("%d.%d" % sys.version_info[:2])')"
        stop "$python cannot make virtual environments; install what it lacks: apt-get install python$version-venv"
    fi
    rm -rf .venv
    "$python" -m venv .venv
    # Python 3.11 puts it in; nothing here uses it.
    .venv/bin/python -m pip uninstall -qq -y setuptools >&2
}

requirements_of() {
    .venv/bin/python - "$@" <<'PYTHON'
import sys
import tomllib

with open("pyproject.toml", "rb") as file:
    project = tomllib.load(file)
parts = {**project["dependency-groups"], **project["project"]["optional-dependencies"]}
for part in sys.argv[1:]:
    if part not in ("base", "openai-whisper"):
        print(*parts[part], sep="\n")
PYTHON
}

# Without --no-compile pip writes 90 MB of bytecode for modules that nobody imports.
pip_install() {
    # uv makes environments without pip.
    .venv/bin/python -m pip --version >/dev/null 2>&1 || .venv/bin/python -m ensurepip >/dev/null
    .venv/bin/python -m pip install --no-compile --disable-pip-version-check "$@" >&2
}

install() {
    [ -t 2 ] && quiet="" || quiet="-q"
    requirements_of "$@" >.venv/requirements.txt || stop "no such part among: $*"
    if has_uv; then
        say "setting up .venv with uv (once) ..."
        uv pip install ${quiet:+"$quiet"} --python .venv/bin/python -e . -r .venv/requirements.txt >&2
    else
        say "setting up .venv with pip (once; a few minutes) ..."
        pip_install ${quiet:+"$quiet" "$quiet"} -e . -r .venv/requirements.txt
    fi
}

# openai-whisper asks for triton, a gigabyte that only a GPU can use: it is left out. pip and not uv, because pip alone looks for
# a CPU build of torch where its settings point (PIP_FIND_LINKS, PIP_INDEX_URL).
install_openai_whisper() {
    say "adding openai-whisper and torch to .venv (once; a few minutes) ..."
    pip_install -qq torch==2.13.0 numba tqdm more-itertools tiktoken
    pip_install -qq --no-deps openai-whisper==20250625
}

[ $# -gt 0 ] || set -- base
is_usable && all_ready "$@" && exit 0

is_usable || make_environment
pwd -P >.venv/.made-in
install "$@"
for part in "$@"; do
    [ "$part" != openai-whisper ] || install_openai_whisper
    printf '%s' "$key" >".venv/.ready-$part"
done
printf '%s' "$key" >.venv/.ready-base
