#!/usr/bin/env bash
# Installs what the build and the black-box tests need on a Debian machine: system packages, the Python environment
# tests/.venv with pinned packages, and the Node packages of tests/node. Safe to run again; it does nothing when all
# is there. Package managers use the registries that the machine is configured with.
set -euo pipefail

here="$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)"
venv="$here/.venv"

fail() {
    echo "tests/setup.sh: $*" >&2
    exit 1
}

as_root() {
    if [ "$(id -u)" -eq 0 ]; then
        "$@"
    elif command -v sudo >/dev/null 2>&1; then
        sudo -n "$@" 2>/dev/null || sudo "$@"
    else
        fail "needs root or sudo to run: $*"
    fi
}

# --- Debian packages -------------------------------------------------------------------------------------------------
packages=(build-essential ca-certificates curl influxdb mariadb-server mosquitto mosquitto-clients nats-server openssl postgresql python3 python3-qpid-proton python3-venv util-linux)
# A Node.js that did not come from Debian brings its own npm.
command -v node >/dev/null 2>&1 || packages+=(nodejs)
command -v npm >/dev/null 2>&1 || packages+=(npm)

missing=()
for package in "${packages[@]}"; do
    state="$(dpkg-query -W -f='${Status}' "$package" 2>/dev/null || true)"
    [ "$state" = "install ok installed" ] || missing+=("$package")
done

if [ "${#missing[@]}" -gt 0 ]; then
    command -v apt-get >/dev/null 2>&1 || fail "not a Debian machine (no apt-get); install by hand: ${missing[*]}"
    echo "tests/setup.sh: installing ${missing[*]}"
    as_root env DEBIAN_FRONTEND=noninteractive apt-get update -qq || fail "apt-get update failed"
    # The tests start their own brokers and clusters: no service may be started by the installation.
    as_root env DEBIAN_FRONTEND=noninteractive RUNLEVEL=1 apt-get install -y -qq --no-install-recommends "${missing[@]}" \
        >/dev/null || fail "apt-get install failed for: ${missing[*]}"
fi

command -v cargo >/dev/null 2>&1 || fail "no cargo: install the Rust toolchain named in rust-toolchain.toml with rustup"

# --- Python ----------------------------------------------------------------------------------------------------------
# The stamp holds the hash of what was installed, so that an unchanged list costs nothing.
wanted="$(cat "$here/requirements.txt" | sha256sum | cut -d' ' -f1)-$(python3 -c 'import sys; print("%d.%d" % sys.version_info[:2])')"
if [ ! -x "$venv/bin/pytest" ] || [ "$(cat "$venv/.installed" 2>/dev/null || true)" != "$wanted" ]; then
    echo "tests/setup.sh: creating tests/.venv"
    rm -rf "$venv"
    python3 -m venv "$venv" || fail "python3 -m venv failed"
    "$venv/bin/pip" install --quiet --disable-pip-version-check --requirement "$here/requirements.txt" ||
        fail "pip could not install tests/requirements.txt"
    echo "$wanted" >"$venv/.installed"
fi

# --- Node ------------------------------------------------------------------------------------------------------------
wanted="$(sha256sum "$here/node/package-lock.json" | cut -d' ' -f1)"
if [ "$(cat "$here/node/node_modules/.installed" 2>/dev/null || true)" != "$wanted" ]; then
    echo "tests/setup.sh: installing the packages of tests/node"
    (cd "$here/node" && npm ci --silent --no-audit --no-fund --ignore-scripts) || fail "npm ci failed in tests/node"
    echo "$wanted" >"$here/node/node_modules/.installed"
fi
