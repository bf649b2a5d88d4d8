# build.sh - `./scrip build`: configures and builds a CMake preset, incrementally.
#
# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
. "$dev_dir/packages.sh"

build_usage() {
    cat <<'TXT'
usage: ./scrip build [PRESET] [TARGET...]

Installs the Debian packages that are missing and builds a preset of CMakePresets.json into
build/PRESET: release (the default), dev, asan, tsan or fuzz.
TXT
}

# build_preset PRESET DIR [TARGET...]: builds with the output kept out of sight unless it fails.
build_preset() {
    local preset=$1 dir=$2
    shift 2
    mkdir -p "$log_dir"
    local log=$log_dir/build-$preset.log
    cd "$SCRIP_ROOT"
    if [ ! -e "$dir/build.ninja" ]; then
        step "configuring $preset into ${dir#"$SCRIP_ROOT"/}"
        cmake --preset "$preset" -B "$dir" >"$log" 2>&1 || {
            cat "$log" >&2
            die "cmake failed"
        }
    fi
    step "building $preset"
    if [ -t 1 ]; then
        NINJA_STATUS='  [%f/%t] ' ninja -C "$dir" "$@" || die "the build failed"
    else
        ninja -C "$dir" "$@" >"$log" 2>&1 || {
            grep -vE '^\[[0-9]+/[0-9]+\]' "$log" | head -n 100 >&2
            die "the build failed; all of its output is in $log"
        }
    fi
}

build_main() {
    case ${1:-} in
    --help | -h) build_usage && return ;;
    esac
    local preset=${1:-$SCRIP_PRESET}
    [ $# -eq 0 ] || shift
    packages_install run
    [ "$preset" != fuzz ] || packages_install test
    build_preset "$preset" "${SCRIP_BUILD:-$SCRIP_ROOT/build/$preset}" "$@"
    step "built"
}

[ "${command:-}" != build ] || build_main "$@"
