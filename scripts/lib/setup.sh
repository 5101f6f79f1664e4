# Sourced by the scripts: finds a Python, creates a virtual environment, installs missing packages through apt.
# Asks no questions, prints each step, and skips steps that are already done.

say() { printf '\033[1m==> %s\033[0m\n' "$*" >&2; }

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

# make_venv DIR: an empty environment. On a Pi with apt's picamera2 it includes the system's packages.
make_venv() {
    local dir=$1 python options=()
    python=$(find_python)
    if ! "$python" -c 'import ensurepip, venv' 2>/dev/null; then
        apt_install "Python's venv module is missing" python3-venv
    fi
    if "$python" -c 'import picamera2' 2>/dev/null; then
        say "picamera2 is installed: the environment includes the system's packages"
        options=(--system-site-packages)
    fi
    say "creating a virtual environment in $dir with $("$python" --version)"
    "$python" -m venv --clear "${options[@]}" "$dir"
}

# venv_works DIR: whether it exists, is complete (a set-up may have been interrupted), and its Python still exists.
venv_works() { "$1/bin/python" -m pip --version >/dev/null 2>&1; }

# ensure_venv DIR EXTRAS: install ferd, editable, with these extras, once for each version of pyproject.toml.
ensure_venv() {
    local dir=$1 extras=$2 stamp constraints
    stamp=$(printf '%s ' "$extras" | cat - pyproject.toml | sha256sum | cut -c1-16)
    [ -e "$dir/.ferd-$stamp" ] && "$dir/bin/python" -c '' 2>/dev/null && return
    venv_works "$dir" || make_venv "$dir"
    constraints=$(mktemp)
    # Bookworm's picamera2 does not work with numpy 2: keep the numpy that the system's packages were built for.
    if "$dir/bin/python" -c 'import picamera2' 2>/dev/null; then
        "$dir/bin/python" -c 'import numpy; print(f"numpy=={numpy.__version__}")' >"$constraints"
    fi
    say "installing ferd[$extras] into $dir (the first time: about 180 MB to download, some minutes on a Pi)"
    "$dir/bin/python" -m pip install --disable-pip-version-check --constraint "$constraints" --editable ".[$extras]" >&2 ||
        die "pip could not install ferd; the lines above say why (no network? try again)"
    rm -f "$constraints"
    touch "$dir/.ferd-$stamp"
}
