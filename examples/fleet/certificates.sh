#!/usr/bin/env bash
# Certificates for a broker and its ferds, made by openssl. The folders are made below the present one.
#   certificates.sh authority                        ca/: the authority. Keep authority.key off the broker and the nodes
#   certificates.sh broker DNS:broker.lan[,IP:...]   broker/: for the broker, with the names under which it is reached
#   certificates.sh node hall-17 [desk-3 ...]        credentials/NODE/: for each node, whose name is the user name
#   certificates.sh show                             until when each is valid
# What exists is never overwritten: to renew a certificate, remove its folder (the authority stays) and make it again.
set -euo pipefail
umask 077
authority_days=3650 days=825
key=(-newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes)

die() {
    printf 'error: %s\n' "$*" >&2
    exit 1
}

# new_folder DIR: made completely or not at all, so that an interruption leaves nothing that looks finished.
new_folder() {
    [ ! -e "$1" ] || die "$1 exists already: remove it to make it again"
    new=$1.new
    rm -rf "$new"
    mkdir -p "$new"
}

# sign NAME EXTENSIONS: certificate and key of NAME in $new, signed by the authority.
sign() {
    [ -e ca/authority.key ] || die "there is no ca/authority.key here: $0 authority"
    openssl req "${key[@]}" -subj "/CN=$1" -keyout "$new/key.pem" -out "$new/request" 2>/dev/null
    printf 'basicConstraints=critical,CA:FALSE\nkeyUsage=critical,digitalSignature\n%s\n' "$2" >"$new/extensions"
    printf 'subjectKeyIdentifier=hash\nauthorityKeyIdentifier=keyid\n' >>"$new/extensions"
    openssl x509 -req -in "$new/request" -CA ca/authority.pem -CAkey ca/authority.key -days "$days" \
        -extfile "$new/extensions" -out "$new/cert.pem" 2>/dev/null
    openssl verify -CAfile ca/authority.pem "$new/cert.pem" >/dev/null
    rm "$new/request" "$new/extensions"
    cp ca/authority.pem "$new/authority.pem"
}

case ${1:-} in
    authority)
        new_folder ca
        openssl req -x509 "${key[@]}" -days "$authority_days" -subj "/CN=authority of the ferds" \
            -addext basicConstraints=critical,CA:TRUE,pathlen:0 -addext keyUsage=critical,keyCertSign,cRLSign \
            -keyout "$new/authority.key" -out "$new/authority.pem" 2>/dev/null
        mv "$new" ca
        ;;
    broker)
        [[ ${2:-} =~ ^(DNS|IP): ]] || die "give the names of the broker: $0 broker DNS:broker.lan,IP:192.0.2.7"
        new_folder broker
        name=${2%%,*}
        sign "${name#*:}" "extendedKeyUsage=serverAuth
subjectAltName=$2"
        mv "$new" broker
        ;;
    node)
        [ $# -gt 1 ] || die "give the names of the nodes: $0 node hall-17"
        shift
        for name in "$@"; do
            [[ $name =~ ^[a-z0-9-]{1,32}$ ]] || die "$name: the name of a node is 1 to 32 of a-z, 0-9 and hyphen"
        done
        for name in "$@"; do
            new_folder "credentials/$name"
            sign "$name" "extendedKeyUsage=clientAuth"
            mv "$new/cert.pem" "$new/mqtt-cert.pem"
            mv "$new/key.pem" "$new/mqtt-key.pem"
            mv "$new" "credentials/$name"
        done
        ;;
    show)
        for file in ca/authority.pem broker/cert.pem credentials/*/mqtt-cert.pem; do
            [ ! -e "$file" ] || printf '%-40s %s\n' "$file" "$(openssl x509 -noout -enddate -in "$file")"
        done
        ;;
    *)
        sed -n '2,7s/^# \{0,1\}//p' "$0"
        exit 2
        ;;
esac
