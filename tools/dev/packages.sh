# packages.sh - the Debian 12 packages Scrip stands on, and how they get onto a machine.
#
# The only list of them. A machine that has them all is left alone: one dpkg-query and no more.
#
# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash

# To build and to run.
packages_run=(
    ca-certificates cmake curl gcc libarchive-dev libc6-dev libargon2-dev libcriterion-dev
    libcurl4-openssl-dev libev-dev libhiredis-dev
    libjson-c-dev libjwt-dev liblzma-dev libmsgpack-dev libpq-dev libssl-dev libwebsockets-dev
    libwebsockets-evlib-ev libzmq3-dev libzstd-dev ninja-build openssl pkgconf postgresql-15
    postgresql-client-15 procps python3 python3-websocket redis-server redis-tools sqitch
    libdbd-pg-perl util-linux xz-utils zlib1g-dev
)
# To test (clang brings libFuzzer, iproute2 cuts networks) and to measure.
packages_test=(clang clang-format libclang-rt-14-dev binutils iproute2 python3-aiohttp
    python3-cryptography)
packages_bench=(iproute2 python3-aiohttp python3-cryptography strace wrk)

packages_missing() {
    local found
    found=$(dpkg-query -W -f='${Package} ${db:Status-Status}\n' "$@" 2>/dev/null || true)
    local name
    for name in "$@"; do
        grep -qx "$name installed" <<<"$found" || printf '%s\n' "$name"
    done
}

# Runs apt-get, again when a mirror or another apt-get is in the way.
packages_apt() {
    local sudo=() try
    is_root || sudo=(sudo)
    for try in 1 2 3; do
        "${sudo[@]}" env DEBIAN_FRONTEND=noninteractive apt-get -qq -o Dpkg::Use-Pty=0 \
            -o Acquire::Retries=3 -o DPkg::Lock::Timeout=300 "$@" >"$log_dir/apt.log" 2>&1 &&
            return 0
        [ "$try" = 3 ] || step "apt-get failed (try $try of 3), once more"
    done
    tail -n 20 "$log_dir/apt.log" >&2
    die "apt-get ${1} failed; its output is in $log_dir/apt.log"
}

# Debian's package would start a cluster of its own on port 5432, which Scrip does not use.
packages_no_cluster() {
    local file=/etc/postgresql-common/createcluster.conf sudo=()
    is_root || sudo=(sudo)
    packages_apt install --no-install-recommends -y postgresql-common
    "${sudo[@]}" sed -i -E 's/^#?create_main_cluster *=.*/create_main_cluster = false/' "$file"
}

# packages_install LIST...: "run", "test", "bench".
packages_install() {
    local wanted=() list missing
    for list in "$@"; do
        local -n names=packages_$list
        wanted+=("${names[@]}")
    done
    command -v dpkg-query >/dev/null ||
        die "this machine has no dpkg: install by hand what tools/dev/packages.sh lists"
    mapfile -t missing < <(packages_missing "${wanted[@]}")
    [ ${#missing[@]} -gt 0 ] || return 0
    if ! is_root && ! command -v sudo >/dev/null; then
        die "packages are missing and only root can install them. Run:
  apt-get update && apt-get install -y --no-install-recommends ${missing[*]}"
    fi
    mkdir -p "$log_dir"
    step "installing ${#missing[@]} Debian packages: ${missing[*]}"
    packages_apt update
    case " ${missing[*]} " in
    *" postgresql-15 "*) packages_no_cluster ;;
    esac
    packages_apt install --no-install-recommends -y "${missing[@]}"
    step "packages are installed"
}
