# Sourced by install and uninstall: the paths of the service, and the steps of the installation.
# Releases are installed side by side in /opt/ferd/releases; /opt/ferd/venv is a link to the one in use, so switching and
# going back are one rename each (ferd/upgrade.py does the same).

HOME_OF_FERD=/opt/ferd
CONFIGURATION=/etc/ferd/ferd.toml
UNITS=/etc/systemd/system # these three are also in ferd/system_files.py
SYSUSERS=/etc/sysusers.d/ferd.conf
RULES=/etc/udev/rules.d/60-ferd.rules
COMMAND=/usr/local/bin/ferd

ask() {
    local answer
    [ -t 0 ] || die "no terminal to ask on: add --yes"
    read -r -p "Continue? [y/N] " answer
    [[ $answer =~ ^[yYjJ] ]] || die "nothing was changed"
}

check_system() {
    command -v apt-get >/dev/null || die "this script supports Debian-like systems only; see docs/install.md"
    case $(uname -m) in
        x86_64 | aarch64) ;;
        armv7l | armv6l) die "a 32-bit system: install the 64-bit Raspberry Pi OS (Zero 2 W, 3, 4 and 5 run it)" ;;
        *) die "$(uname -m): no TFLite runtime has wheels for it" ;;
    esac
}

on_a_pi() { grep -aqi "raspberry pi" /proc/device-tree/model 2>/dev/null; }

# The apt packages to install. picamera2 and lgpio exist on Raspberry Pi OS only; other machines do not need them.
missing_packages() {
    [ -n "${FERD_NO_APT:-}" ] && return # the Debian package declares its dependencies; apt is locked while it is configured
    local package wanted=(python3-venv)
    on_a_pi && wanted+=(python3-picamera2 python3-gpiozero python3-lgpio)
    for package in "${wanted[@]}"; do
        dpkg-query -W -f '${Status}' "$package" 2>/dev/null | grep -q "install ok installed" && continue
        [ "$package" = python3-venv ] || apt-cache show "$package" >/dev/null 2>&1 || continue
        echo "$package"
    done
}

plan() {
    echo "This will"
    [ ${#packages[@]} = 0 ] || echo "  - install through apt: ${packages[*]}"
    if [ -n "${problem:-}" ]; then
        echo "  - make the Python environment in $HOME_OF_FERD again: $problem"
    elif [ -e "$HOME_OF_FERD/venv" ]; then
        echo "  - upgrade the ferd in $HOME_OF_FERD; the old one stays beside it and returns if the new one does not work"
    else
        echo "  - create a Python environment in $HOME_OF_FERD (about 550 MB) with ferd in it"
    fi
    if [ -e "$CONFIGURATION" ]; then
        echo "  - leave $CONFIGURATION as it is"
    else
        echo "  - write $CONFIGURATION, with every key commented out"
    fi
    echo "  - install ferd.service and ferd@.service in $UNITS, and the command $COMMAND"
    [ -d /run/systemd/system ] || echo "  - not start the service: systemd does not run here"
}

# new_release SOURCE NUMBER: an environment of its own with ferd from SOURCE (a checkout or a wheel).
new_release() {
    local release=$HOME_OF_FERD/releases/$2 extras=pi,video,web
    say "installing ferd into $release (some minutes on a Pi)"
    mkdir -p "$HOME_OF_FERD/releases"
    chmod 755 "$HOME_OF_FERD" "$HOME_OF_FERD/releases" # the service's user must be able to read them
    make_venv "$release"
    constraints_of "$release" >"$HOME_OF_FERD/constraints.txt"
    pip_install "$release" -q --no-cache-dir --constraint "$HOME_OF_FERD/constraints.txt" "$1[$extras]" ||
        die "pip could not install ferd; the lines above say why. Nothing else was changed; run this again"
    "$release/bin/python" -m compileall -q "$release/lib" >/dev/null || true # the service may not write there
}

# next_release: a number that no release has.
next_release() {
    local folder number=0
    for folder in "$HOME_OF_FERD"/releases/*; do
        folder=${folder##*/}
        [[ $folder =~ ^[0-9]+$ ]] && [ "$folder" -gt "$number" ] && number=$folder
    done
    echo "$((number + 1))"
}

# release_problem: why the installed release cannot upgrade itself; prints nothing if it can, or if there is none.
release_problem() {
    [ -e "$HOME_OF_FERD/venv/pyvenv.cfg" ] || return 0
    local problem
    problem=$(FERD_PYTHON=$HOME_OF_FERD/venv/bin/python venv_problem "$(realpath "$HOME_OF_FERD/venv")")
    if [ -z "$problem" ] && ! "$HOME_OF_FERD/venv/bin/ferd" --version >/dev/null 2>&1; then
        problem="its ferd does not start"
    fi
    echo "$problem"
}

point_to() {
    ln -sfn "releases/$1" "$HOME_OF_FERD/.venv.new"
    mv -T "$HOME_OF_FERD/.venv.new" "$HOME_OF_FERD/venv"
    write_command
}

# The command is a script, because after an upgrade of the system (Debian 12 to 13) the environment's own `ferd` could
# only end with a traceback.
write_command() {
    mkdir -p "$(dirname "$COMMAND")"
    cat >"$COMMAND.new" <<SCRIPT
#!/bin/sh
# Runs the ferd that scripts/install installed.
python=\$(readlink -f $HOME_OF_FERD/venv/bin/python)
if ! [ -x "\$python" ] || case \${python##*/} in python3.*) ! [ -d "$HOME_OF_FERD/venv/lib/\${python##*/}" ] ;; *) false ;; esac; then
    echo "ferd: the system's Python has changed since ferd was installed (now \${python##*/})." >&2
    echo "Install ferd again, from its folder: sudo ./scripts/install (settings and models stay)" >&2
    exit 1
fi
exec $HOME_OF_FERD/venv/bin/ferd "\$@"
SCRIPT
    chmod 755 "$COMMAND.new"
    mv "$COMMAND.new" "$COMMAND"
}

# configuration RELEASE: the defaults, commented out, as in that release. Written completely or not at all.
configuration() {
    [ -e "$CONFIGURATION" ] && return
    mkdir -p "$(dirname "$CONFIGURATION")"
    "$1/bin/ferd" config default >"$CONFIGURATION.new"
    mv "$CONFIGURATION.new" "$CONFIGURATION"
}

# system_files RELEASE: unit, drop-ins, groups and rules of that release. Overwritten each time: put changes into
# drop-ins. `ferd upgrade` does the same, and restores the old ones if the release does not work.
system_files() {
    say "unit, groups and rules"
    "$1/bin/python" -I -m ferd.system_files || die "correct the problem above and run this again"
}

stop_service() {
    [ -d /run/systemd/system ] || return 0
    systemctl disable --now ferd.service 2>/dev/null || true
    systemctl stop 'ferd@*.service' 2>/dev/null || true
}

# Names of the ferd@ instances that ran here: those with both settings and a state folder.
instances() {
    local folder name
    for folder in /var/lib/ferd-* /var/lib/private/ferd-*; do
        name=${folder##*/ferd-}
        [ -d "$folder" ] && [ -e "$(dirname "$CONFIGURATION")/$name.toml" ] && echo "$name"
    done | sort -u
}

# purge_broker SETTINGS PASSWORD: remove the retained topics of that node; the password is passed as in the unit.
purge_broker() {
    local folder
    folder=$(mktemp -d)
    [ ! -e "$2" ] || install -m 600 "$2" "$folder/mqtt.password"
    CREDENTIALS_DIRECTORY=$folder "$HOME_OF_FERD/venv/bin/ferd" mqtt purge --yes --config "$1" ||
        echo "the retained topics could not be removed. Later, on any machine: ferd mqtt purge --node NAME"
    rm -rf "$folder"
}

remove_files() {
    rm -rf "$HOME_OF_FERD" "$UNITS/ferd.service.d" "$UNITS/ferd@.service.d"
    rm -f "$UNITS/ferd.service" "$UNITS/ferd@.service" "$SYSUSERS" "$RULES" "$COMMAND"
    rm -rf /run/ferd /run/ferd-* # systemd leaves its links to the folders of dynamic users
    if [ -d /run/systemd/system ]; then
        systemctl daemon-reload
        systemctl reset-failed 'ferd*' 2>/dev/null || true
    fi
}
