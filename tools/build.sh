#!/usr/bin/env bash
# Builds the kernel, the user programs and the image of files that the kernel starts with: `tools/build.sh PROFILE`.
# `run-smp.sh` calls it before each boot, the test harness once. What is up to date is left alone.
set -euo pipefail
cd "$(dirname "$0")/.."
# shellcheck source=tools/setup.sh
. tools/setup.sh

profile=${1:-release}
out=${ARGONAUT_TARGET:-$PWD/target/argonaut}
find_rust
find_cc

quiet=--quiet
[ ! -t 2 ] || quiet=

cargo_build() {
    env CARGO_TARGET_DIR="$1" "$CARGO" build ${quiet:+"$quiet"} "${@:2}" </dev/null >&2 || die "the build failed"
}

# The user programs, one binary for each file or folder in src/bin.
program_names() {
    local source
    for source in userland/programs/src/bin/*; do
        basename "$source" .rs
    done
}

# The image: the programs without their debug information, userland/files, and the names of the kernel's functions for
# its backtraces. The same input gives the same bytes.
make_image() {
    local tree name
    tree=$(mktemp -d)
    for name in $(program_names); do
        strip --strip-debug -o "$tree/$name" "$out/userland/release/$name"
    done
    [ ! -d userland/files ] || cp -r userland/files/. "$tree"
    nm --numeric-sort "$kernel" | sed -n 's/^0*\([0-9a-f]*\) [TtWw] /\1 /p' >"$tree/kernel.symbols"
    (cd "$tree" && tar --format=ustar --sort=name --mtime=@0 --owner=0 --group=0 --numeric-owner \
        --mode=u=rwX,go=rX -cf "$image.$$" -- *)
    rm -r "$tree"
    # A boot that is reading the old image keeps it.
    mv "$image.$$" "$image"
}

image_is_current() {
    local name inputs=("$kernel" userland/programs/src/bin tools/build.sh)
    for name in $(program_names); do
        inputs+=("$out/userland/release/$name")
    done
    [ ! -d userland/files ] || inputs+=(userland/files)
    [ -f "$image" ] && [ -z "$(find "${inputs[@]}" -newer "$image" -print -quit)" ]
}

kernel=$out/kernel/x86_64-unknown-none/$profile/argonaut
image=$out/initrd-$profile.tar
mkdir -p "$out"
cargo_build "$out/kernel" -p kernel "${KERNEL_CARGO_ARGS[@]}" --profile "$profile"
cargo_build "$out/userland" -p programs --release
image_is_current || make_image
