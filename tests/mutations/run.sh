#!/usr/bin/env bash
# Weakens the protocols, one place at a time, and expects a loom model to notice: `tests/mutations/run.sh [NAME...]`.
# Works in a copy of the sources. Fails if a model does not notice, or if the code to be weakened is no longer there.
# `tests/mutations/run.sh --look` only looks whether that code is there, which takes a second.
set -euo pipefail
cd "$(dirname "$0")/../.."

only_looks=
[ "${1:-}" != --look ] || { only_looks=yes && shift; }
work=$PWD/target/mutations
tree=$work/tree
mkdir -p "$tree"
export CARGO_TARGET_DIR=$work/target RUSTFLAGS="--cfg loom" CARGO_INCREMENTAL=0
export CARGO_PROFILE_RELEASE_LTO=off CARGO_PROFILE_RELEASE_CODEGEN_UNITS=16 CARGO_PROFILE_RELEASE_DEBUG=0

declare -a chosen=("$@") failures=()
count=0

# Makes the copy as the sources are. What has not changed keeps its time, so that it is not built again.
copy_sources() {
    local part
    for part in Cargo.toml Cargo.lock .cargo kernel smp mm proc userland tests; do
        rm -rf "${tree:?}/$part"
        cp -a "$part" "$tree/$part"
    done
}

is_chosen() {
    local name
    [ ${#chosen[@]} -gt 0 ] || return 0
    for name in "${chosen[@]}"; do
        [ "$name" != "$1" ] || return 0
    done
    return 1
}

outcome() {
    printf '%-58s %s\n' "$1" "$2"
    case $2 in noticed*) ;; *) failures+=("$1: $2") ;; esac
}

# mutation NAME FILE OLD NEW CRATE TEST FILTER: with NEW for OLD in FILE, that model of that crate has to fail. TEST is a file
# of tests, or lib for a model inside of the crate.
mutation() {
    local name=$1 file=$2 old=$3 new=$4 crate=$5 target=$6 filter=$7
    is_chosen "$name" || return 0
    count=$((count + 1))
    local source rest status=0
    source=$(<"$file")
    rest=${source#*"$old"}
    if [ "$rest" = "$source" ]; then
        outcome "$name" "the code is not there"
        return
    fi
    if [ "${rest#*"$old"}" != "$rest" ]; then
        outcome "$name" "the code is there twice"
        return
    fi
    [ -z "$only_looks" ] || return 0
    printf '%s\n' "${source%%"$old"*}$new$rest" >"$tree/$file"
    local -a test=(cargo test --quiet --manifest-path "$tree/Cargo.toml" -p "$crate" --release)
    if [ "$target" = lib ]; then
        test+=(--lib)
    else
        test+=(--test "$target")
    fi
    if ! "${test[@]}" --no-run >"$work/log" 2>&1; then
        outcome "$name" "does not build ($work/$name.log)"
        mv "$work/log" "$work/$name.log"
    else
        timeout 300 "${test[@]}" -- "$filter" >"$work/log" 2>&1 || status=$?
        if [ "$status" = 124 ]; then
            outcome "$name" "does not end"
        elif ! grep -q '^running [1-9]' "$work/log"; then
            outcome "$name" "no model ran"
        elif [ "$status" = 0 ]; then
            outcome "$name" "not noticed"
        else
            outcome "$name" "noticed by $target $filter"
        fi
    fi
    cp "$file" "$tree/$file"
}

copy_sources
# shellcheck source=tests/mutations/list.sh
. tests/mutations/list.sh

echo "$count weakenings, ${#failures[@]} not as expected"
[ ${#failures[@]} = 0 ]
