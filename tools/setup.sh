# shellcheck shell=bash
# Finds what building and booting need, and installs what is missing where it can. Sourced, not run: by build.sh (the
# Rust toolchain) and run-smp.sh (QEMU). Set by hand to override what is found:
#   ARGONAUT_QEMU=PATH          the QEMU to boot with
#   ARGONAUT_RUST=target        only a toolchain that has (or can get) the target x86_64-unknown-none
#   ARGONAUT_RUST=build-std     only Debian's packages, which build core and alloc from their source

readonly RUST_NEEDED=91 # the minor version of `rust-version` in Cargo.toml
readonly DEBIAN_RUST=(rustc-web cargo-web rust-web-src lld ca-certificates)

# One clear line, and the status of everything that stops before the boot.
die() {
    echo "run-smp.sh: $*" >&2
    exit 2
}

say() {
    echo "run-smp.sh: $*" >&2
}

can_install() {
    [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null
}

# Installs Debian packages, removing none. The second try is for a machine that has part of QEMU from the backports
# already: the rest must come from there too.
apt_install() {
    can_install || return 1
    say "installing $* (apt-get)"
    local log backports
    backports=$(. /etc/os-release && echo "${VERSION_CODENAME:-stable}-backports")
    log=$(mktemp)
    # The package lists may be old, or never fetched. If they cannot be fetched now, those that are there may do.
    apt_get update >"$log" 2>&1 || true
    if apt_get install "$@" >>"$log" 2>&1 || apt_get install --target-release "$backports" "$@" >>"$log" 2>&1; then
        rm -f "$log"
        return
    fi
    say "apt-get failed: $(grep -m 1 '^E: ' "$log")"
    rm -f "$log"
    return 1
}

# Waits while another one installs: tests that run at the same time may want something each.
apt_get() {
    local options=(--yes --quiet --option DPkg::Lock::Timeout=300)
    [ "$1" != install ] || options+=(--no-remove --no-install-recommends)
    DEBIAN_FRONTEND=noninteractive apt-get "$1" "${options[@]}" "${@:2}" </dev/null
}

# Sets QEMU.
find_qemu() {
    QEMU=${ARGONAUT_QEMU:-qemu-system-x86_64}
    command -v "$QEMU" >/dev/null && return
    [ -z "${ARGONAUT_QEMU:-}" ] || die "no QEMU at $ARGONAUT_QEMU (from ARGONAUT_QEMU)"
    apt_install qemu-system-x86 && command -v "$QEMU" >/dev/null && return
    die "QEMU is missing: install qemu-system-x86_64 (Debian: apt-get install qemu-system-x86)"
}

# Whether RUSTC is there and new enough.
rust_is_usable() {
    local minor
    minor=$("$RUSTC" --version 2>/dev/null | sed -n 's/^rustc 1\.\([0-9]*\)\..*/\1/p')
    [ "${minor:-0}" -ge "$RUST_NEEDED" ] && command -v "$CARGO" >/dev/null
}

rust_library() {
    echo "$("$RUSTC" --print sysroot)/lib/rustlib"
}

# Route 1: core and alloc come compiled with the target.
has_target() {
    rust_is_usable || return 1
    [ -d "$(rust_library)/x86_64-unknown-none" ] && return
    command -v rustup >/dev/null || return 1
    say "adding the Rust target x86_64-unknown-none (rustup)"
    rustup --quiet target add x86_64-unknown-none </dev/null >&2 && [ -d "$(rust_library)/x86_64-unknown-none" ]
}

# Route 2: core and alloc are built from their source, which stable Rust does if told that it may; sets LINKER.
has_source() {
    rust_is_usable || return 1
    [ -d "$(rust_library)/src/rust/library/core" ] || return 1
    local toolchain=
    command -v rustup >/dev/null && toolchain=$(rustup which rustc 2>/dev/null)
    for LINKER in "${toolchain%/bin/rustc}/lib/rustlib/x86_64-unknown-linux-gnu/bin/rust-lld" ld.lld; do
        command -v "$LINKER" >/dev/null && return
    done
    return 1
}

# Sets CARGO, RUSTC and KERNEL_CARGO_ARGS, and exports what cargo must know.
find_rust() {
    KERNEL_CARGO_ARGS=(--target x86_64-unknown-none)
    CARGO=${CARGO:-cargo} RUSTC=${RUSTC:-rustc}
    if [ "${ARGONAUT_RUST:-target}" = target ] && has_target; then
        return
    fi
    if [ "${ARGONAUT_RUST:-build-std}" = build-std ]; then
        [ -x /usr/bin/rustc ] && [ -x /usr/bin/cargo ] && CARGO=/usr/bin/cargo RUSTC=/usr/bin/rustc
        if ! has_source; then
            apt_install "${DEBIAN_RUST[@]}" || true
            CARGO=/usr/bin/cargo RUSTC=/usr/bin/rustc
        fi
        if has_source; then
            KERNEL_CARGO_ARGS+=("-Zbuild-std=core,alloc,compiler_builtins" -Zbuild-std-features=compiler-builtins-mem)
            export RUSTC RUSTC_BOOTSTRAP=1 CARGO_TARGET_X86_64_UNKNOWN_NONE_LINKER=$LINKER
            return
        fi
    fi
    die "Rust 1.$RUST_NEEDED or newer is missing: install rustup (https://rustup.rs)," \
        "or on Debian: apt-get install ${DEBIAN_RUST[*]}"
}

# Host programs (the crates' build scripts) and the user programs are linked by the C compiler, which also compiles those in C.
find_cc() {
    command -v cc >/dev/null && return
    apt_install gcc libc6-dev && command -v cc >/dev/null && return
    die "a C compiler is missing: install one that is called cc (Debian: apt-get install gcc libc6-dev)"
}

# A program that only some tests need: `find_program COMMAND PACKAGE`.
find_program() {
    command -v "$1" >/dev/null && return
    apt_install "$2" && command -v "$1" >/dev/null && return
    die "$1 is missing: install it (Debian: apt-get install $2)"
}
