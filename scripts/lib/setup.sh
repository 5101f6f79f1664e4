# Sourced by the scripts: finds a Python, creates a virtual environment, installs missing packages through apt.
# Asks no questions, prints each step, and skips steps that are already done.

# Bold in a terminal; escape codes only disturb a log.
say() {
    if [ -t 2 ]; then printf '\033[1m==> %s\033[0m\n' "$*" >&2; else printf '==> %s\n' "$*" >&2; fi
}

die() {
    printf 'error: %s\n' "$*" >&2
    exit 1
}

# apt_install WHY PACKAGE...: as root or through a sudo without password; otherwise prints the command to type.
apt_install() {
    local why=$1 sudo=()
    shift
    command -v apt-get >/dev/null || die "$why: please install $* with this system's package manager"
    if [ "$(id -u)" != 0 ]; then
        sudo -n true 2>/dev/null || die "$why. Please run: sudo apt-get install $*"
        sudo=(sudo -n)
    fi
    say "$why: installing $* through apt"
    "${sudo[@]}" apt-get update -qq >&2
    "${sudo[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "$@" >&2 ||
        die "apt-get could not install $*; the lines above say why"
}

find_python() {
    local python
    for python in "${FERD_PYTHON:-python3}" python3.13 python3.12 python3.11 python3.14; do
        if command -v "$python" >/dev/null && "$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))'; then
            command -v "$python"
            return
        fi
    done
    die "ferd needs Python 3.11 or newer: sudo apt-get install python3 python3-venv (Debian 12, Pi OS Bookworm or newer)"
}

# Whether the system has picamera2 (apt's python3-picamera2). Looks only: importing it takes seconds on a Pi.
has_picamera2() {
    "$1" -c 'import importlib.util as u, sys; sys.exit(u.find_spec("picamera2") is None)' 2>/dev/null
}

# make_venv DIR: an empty environment. On a Pi with apt's picamera2 it includes the system's packages.
make_venv() {
    local dir=$1 python options=()
    python=$(find_python)
    if ! "$python" -c 'import ensurepip, venv' 2>/dev/null; then
        apt_install "Python's venv module is missing" python3-venv
    fi
    if has_picamera2 "$python"; then
        say "picamera2 is installed: the environment includes the system's packages"
        options=(--system-site-packages)
    fi
    say "creating a virtual environment in $dir with $("$python" --version)"
    "$python" -m venv --clear "${options[@]}" "$dir"
}

# venv_problem DIR: why the environment in DIR can no longer be used; prints nothing if it can. The only place that
# decides this: run, test, check, install and upgrade ask it. It looks at the environment as it is, so that it works
# for environments of any age.
venv_problem() {
    local dir=$1 version made script place
    if [ ! -e "$dir/pyvenv.cfg" ]; then
        echo "it is incomplete"
        return
    fi
    if [ -e "$dir/.installing" ]; then
        echo "an installation into it was interrupted"
        return
    fi
    made=$(sed -n 's/^version *= *\([0-9]*\.[0-9]*\).*/\1/p' "$dir/pyvenv.cfg")
    if ! version=$("$dir/bin/python" -c 'import sys; print("%d.%d" % sys.version_info[:2])' 2>/dev/null); then
        echo "its Python ${made:-interpreter} is gone"
        return
    fi
    if [ ! -d "$dir/lib/python$version" ]; then
        echo "it was made for Python $made, and its interpreter is now $version"
        return
    fi
    for script in pip ferd; do # their first lines hold the path of the environment
        [ -f "$dir/bin/$script" ] || continue
        place=$(head -n 3 "$dir/bin/$script" | grep -aoE '/[^"]*/bin/python[0-9.]*' | head -n 1)
        if [ -n "$place" ] && ! [ "${place%/*}" -ef "$dir/bin" ]; then
            echo "it was made in ${place%/bin/*} and moved since"
            return
        fi
    done
    if ! "$dir/bin/python" -m pip --version >/dev/null 2>&1; then
        echo "its pip is missing or broken"
        return
    fi
    if grep -qx 'include-system-site-packages *= *false' "$dir/pyvenv.cfg" && has_picamera2 "$(find_python)"; then
        echo "picamera2 was installed since, and it does not see the system's packages"
    fi
}

# fit_venv DIR: rebuild the environment if it can no longer be used. Says why.
fit_venv() {
    local problem
    problem=$(venv_problem "$1")
    [ -n "$problem" ] || return 0
    [ ! -e "$1" ] || say "$1 is rebuilt: $problem"
    make_venv "$1"
}

# Bookworm's picamera2 does not work with numpy 2: keep the numpy that the system's packages were built for.
constraints_of() {
    if has_picamera2 "$1/bin/python"; then
        "$1/bin/python" -c 'import numpy; print(f"numpy=={numpy.__version__}")'
    fi
}

# pip_install DIR ARGUMENT...: while it works, and after an interruption, DIR/.installing exists.
pip_install() {
    local dir=$1
    shift
    touch "$dir/.installing"
    "$dir/bin/python" -m pip install --disable-pip-version-check "$@" >&2 || {
        rm -f "$dir/.installing" # pip ended by itself: what it did not install is not there
        return 1
    }
    rm -f "$dir/.installing"
}

# ensure_venv DIR EXTRAS: install ferd, editable, with these extras, once for each version of pyproject.toml.
ensure_venv() {
    local dir=$1 extras=$2 stamp constraints
    fit_venv "$dir"
    stamp=$(printf '%s ' "$extras" | cat - pyproject.toml | sha256sum | cut -c1-16)
    [ ! -e "$dir/.ferd-$stamp" ] || return 0
    constraints=$(mktemp)
    constraints_of "$dir" >"$constraints"
    say "installing ferd[$extras] into $dir (the first time: about 150 MB to download, some minutes on a Pi)"
    pip_install "$dir" --constraint "$constraints" --editable ".[$extras]" ||
        die "pip could not install ferd; the lines above say why (no network? try again)"
    rm -f "$constraints"
    touch "$dir/.ferd-$stamp"
}
