#!/usr/bin/env bash
# Boots Debian's own Linux kernel under QEMU with kbench.c as its init, and prints what that measures: rows as `bench` of
# Argonaut prints them.
#   tests/linux/run.sh [--icount] [--smp N] [--scale K]
# --icount: one instruction per virtual nanosecond, so ns/op is instructions/op. --scale K: K times fewer operations.
# Needs Debian: musl-gcc and cpio are installed if they are missing, and the newest cloud kernel that apt knows is fetched once.
# shellcheck disable=SC2054 # QEMU's options have commas in them
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
cd "$here/../.."
# shellcheck source=tools/setup.sh
. tools/setup.sh

smp=1 scale=1 icount=''
while [ $# -gt 0 ]; do
    case $1 in
    --icount) icount=yes ;;
    --smp) smp=$2 && shift ;;
    --scale) scale=$2 && shift ;;
    *) die "tests/linux/run.sh: unknown option $1" ;;
    esac
    shift
done

find_qemu
find_program musl-gcc musl-tools
find_program cpio cpio
kept=${ARGONAUT_TARGET:-target/argonaut}/linux
mkdir -p "$kept"
if ! ls "$kept"/vmlinuz-* >/dev/null 2>&1; then
    package=$(apt-cache search --names-only '^linux-image-[0-9].*-cloud-amd64$' | cut -d ' ' -f 1 | sort -V | tail -n 1)
    [ -n "$package" ] || die "apt knows no cloud kernel of Debian: run apt-get update"
    say "fetching $package"
    scratch=$(mktemp -d)
    (cd "$scratch" && apt-get --option APT::Sandbox::User=root download "$package" >/dev/null && dpkg-deb -x "$package"_*.deb .)
    mv "$scratch"/boot/vmlinuz-* "$kept"
    rm -rf "$scratch"
fi

root=$(mktemp -d)
trap 'rm -rf "$root"' EXIT
musl-gcc -O2 -static -o "$root/init" "$here/kbench.c" -lpthread
mkdir "$root/dev" "$root/proc"
mknod "$root/dev/console" c 5 1
(cd "$root" && find . | cpio -o -H newc --quiet) >"$root.initrd"
trap 'rm -rf "$root" "$root.initrd"' EXIT

# Linux at its best: QEMU counts (and runs) every byte of rep stosb, so it gets no ERMS; no hardening, no huge pages.
qemu=("$QEMU" -M q35 -cpu 'max,-erms,-fsrm' -m 1G -smp "$smp" -nographic -no-reboot)
line="console=ttyS0 quiet panic=-1 mitigations=off init_on_alloc=0 transparent_hugepage=never nokaslr KB_SCALE=$scale"
if [ -n "$icount" ]; then
    qemu+=(-accel tcg,thread=single -icount shift=0,sleep=off -rtc base=2026-01-01,clock=vm)
    line+=' tsc=reliable clocksource=tsc'
fi
# Linux has been seen not to switch the machine off when all was printed.
timeout 300 "${qemu[@]}" -kernel "$kept"/vmlinuz-* -initrd "$root.initrd" -append "$line" </dev/null |
    tr -d '\r' | sed -n 's/.*\(BENCH.*\)/\1/p'
