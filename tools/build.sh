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

# The library of C programs.
cargo_static_library() {
    env CARGO_TARGET_DIR="$out/userland" "$CARGO" rustc ${quiet:+"$quiet"} -p libargonaut --release --lib \
        --crate-type staticlib </dev/null >&2 || die "the build failed"
    ln -sf userland/release/libargonaut.a "$library"
}

# The user programs, one binary for each file or folder in src/bin.
program_names() {
    local source
    for source in userland/programs/src/bin/*; do
        basename "$source" .rs
    done
}

c_program_names() {
    local source
    for source in userland/c/programs/*.c; do
        basename "$source" .c
    done
}

# Compiles and links the C programs that are older than what they are made from, as docs/c-programs.md says for others.
build_c_programs() {
    local name source program compile link inputs
    inputs=(userland/c/programs/*.h userland/c/include userland/program.ld "$library" tools/build.sh)
    compile=(-std=c11 -O2 -g -Wall -Wextra -pedantic -ffreestanding -fpie -fno-stack-protector -Iuserland/c/include)
    link=(-nostdlib -static "-Wl,-T,userland/program.ld,--gc-sections,--no-relax,--build-id=none")
    mkdir -p "$out/c"
    for name in $(c_program_names); do
        source=userland/c/programs/$name.c program=$out/c/$name
        if [ -e "userland/programs/src/bin/$name.rs" ] || [ -e "userland/programs/src/bin/$name" ]; then
            die "$source: there is a program of that name in Rust"
        fi
        [ ! -f "$program" ] ||
            [ -n "$(find "$source" "${inputs[@]}" -newer "$program")" ] ||
            continue
        cc "${compile[@]}" -c "$source" -o "$program.o" || die "$source: the build failed"
        cc "${link[@]}" "$program.o" "$library" -o "$program" || die "$source: the build failed"
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
    for name in $(c_program_names); do
        strip --strip-debug -o "$tree/$name" "$out/c/$name"
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
    local name inputs=("$kernel" userland/programs/src/bin userland/c/programs tools/build.sh)
    for name in $(program_names); do
        inputs+=("$out/userland/release/$name")
    done
    for name in $(c_program_names); do
        inputs+=("$out/c/$name")
    done
    [ ! -d userland/files ] || inputs+=(userland/files)
    [ -f "$image" ] && [ -z "$(find "${inputs[@]}" -newer "$image" -print -quit)" ]
}

kernel=$out/kernel/x86_64-unknown-none/$profile/argonaut
image=$out/initrd-$profile.tar
library=$out/libargonaut.a
mkdir -p "$out"
cargo_build "$out/kernel" -p kernel "${KERNEL_CARGO_ARGS[@]}" --profile "$profile"
cargo_build "$out/userland" -p programs --release
cargo_static_library
build_c_programs
image_is_current || make_image
