#!/usr/bin/env bash
# Builds Argonaut and boots it under QEMU; `./run-smp.sh --help` tells the rest. How a run ended is read from the
# kernel's protocol lines on its log (tests/protocol), since QEMU's own exit status has room for 7 bits only.
# shellcheck disable=SC2054 # QEMU's options have commas in them
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
# shellcheck source=tools/setup.sh
. "$here/tools/setup.sh"

usage() {
    cat <<'HELP'
Usage: ./run-smp.sh [OPTION...]                     boot to the kernel shell
       ./run-smp.sh [OPTION...] PROGRAM [ARG...]    run a program, power off, exit with its status

  --smp N             CPUs (4), or a topology as QEMU writes it: 4,sockets=2,cores=2
  --mem SIZE          memory (1G)
  --cpu MODEL         QEMU's -cpu (max); max,-x2apic has the local APICs in xAPIC mode
  --machine TYPE      QEMU's -M (q35)
  --append OPTIONS    boot options for the kernel; may be given several times
  --add FILE          put a file, such as a program of your own, into the image; may be given several times; the
                      program my.elf is called my there
  --profile NAME      the kernel's build: release, or checked with debug assertions and overflow checks
  --log FILE          keep the kernel log in FILE
  --icount            one instruction per virtual nanosecond: slower, and every run the same
  --gdb               wait for a debugger on port 1234 before the first instruction (ARGONAUT_GDB: another port, or
                      the path of a socket)
  --display           show the screen in a window, with the memory view (unless --append memview=off)
  --screenshot FILE   save the screen at the end as a PNG image
  --trace-faults      write each interrupt and exception, as QEMU saw it, to target/argonaut/faults.log
  --help              this text

Ctrl-C goes to the guest; Ctrl-A x ends QEMU.

Exit status: the program's; 128+N if signal N ended it; 2 if nothing was booted (a wrong option, something missing, a
failed build); 3 if QEMU ended and the kernel had not said how; 69 if the kernel refused the machine; 70 if it panicked.
HELP
}

smp=4 mem=1G cpu=max machine=q35 profile=release
append=() add=() program=()
log='' screenshot='' icount='' gdb='' display='' trace=''

while [ $# -gt 0 ]; do
    case $1 in
    --smp | --mem | --cpu | --machine | --append | --add | --profile | --log | --screenshot)
        [ $# -ge 2 ] || die "$1 wants an argument (see --help)"
        case $1 in
        --append | --add) declare -n list=${1#--} && list+=("$2") ;;
        *) printf -v "${1#--}" %s "$2" ;;
        esac
        shift 2
        ;;
    --icount | --gdb | --display) printf -v "${1#--}" yes && shift ;;
    --trace-faults) trace=yes && shift ;;
    --help) usage && exit ;;
    -*) die "unknown option $1 (see --help)" ;;
    *) program=("$@") && break ;;
    esac
done

# Everything that can be wrong with the options is found before anything is installed or built.
number='[1-9][0-9]*'
[[ $smp =~ ^([a-z]+=)?$number(,[a-z]+=$number)*$ ]] || die "--smp $smp: not a number of CPUs or a topology"
[[ $mem =~ ^${number}[kKmMgG]?$ ]] || die "--mem $mem: not a size (such as 512M or 2G)"
[[ $cpu =~ ^[^[:space:]]+$ ]] || die "--cpu '$cpu': not a CPU model"
[[ $machine =~ ^[^[:space:]]+$ ]] || die "--machine '$machine': not a machine type"
[[ $profile =~ ^(release|checked)$ ]] || die "--profile $profile: neither release nor checked"
[[ ${program[0]-x} =~ ^[^[:space:]]+$ ]] || die "'${program[0]}': not a program's name"
[ ${#program[@]} -eq 0 ] || [[ " ${append[*]-} " != *' -- '* ]] || die "--append: ' -- ' begins a program's arguments"
for file in "${log:-$PWD/.}" "${screenshot:-$PWD/.}"; do
    [[ -d $(dirname "$file") && -w $(dirname "$file") ]] || die "$file: no such directory, or not writable"
done
for file in ${add[@]+"${add[@]}"}; do
    [[ -f $file && -r $file ]] || die "--add $file: no such file"
done

find_qemu
if [[ $cpu$machine != maxq35 || ! $smp =~ ^$number$ ]]; then
    # Only QEMU knows which of these exist and fit together: it is asked before the build.
    options=(-nodefaults -display none -M "$machine" -cpu "$cpu" -smp "$smp" -m "$mem" -S -monitor stdio)
    answer=$("$QEMU" "${options[@]}" <<<quit 2>&1 >/dev/null) || die "${answer%%$'\n'*}"
fi
target=${ARGONAUT_TARGET:-$here/target/argonaut}
[ -n "${ARGONAUT_BUILT:-}" ] || ARGONAUT_TARGET=$target "$here/tools/build.sh" "$profile"
kernel=$target/kernel/x86_64-unknown-none/$profile/argonaut
image=$target/initrd-$profile.tar

scratch=$(mktemp -d)
terminal=$([ ! -t 0 ] || stty -g)
# shellcheck disable=SC2317 # called by the trap
leave() {
    [ -z "$terminal" ] || stty "$terminal" # a QEMU that was killed leaves it raw
    [ -z "${feeder:-}" ] || kill "$feeder" 2>/dev/null || true
    rm -rf "$scratch"
}
trap leave EXIT

log=${log:-$scratch/log}
: >"$log"

# An added file replaces one of the same name. A compiler's ending is no part of a program's name.
if [ ${#add[@]} -gt 0 ]; then
    cp "$image" "$scratch/initrd.tar"
    image=$scratch/initrd.tar
    mkdir "$scratch/added"
    for file in "${add[@]}"; do
        name=$(basename "$file" .elf)
        cp "$file" "$scratch/added/$name"
        ! tar -tf "$image" -- "$name" >/dev/null 2>&1 || tar --delete -f "$image" -- "$name"
        tar --format=ustar -rf "$image" -C "$scratch/added" -- "$name"
    done
fi

# Quotes a word as the start-up code of programs splits it (userland/abi/src/arguments.rs).
quoted() {
    [[ $1 =~ ^[[:alnum:]_./:=,+@%-]+$ ]] && printf %s "$1" && return
    printf "'%s'" "${1//\'/\'\\\'\'}"
}

# Counting instructions, QEMU cannot read its clock in the middle of a block of code, which the timer's x2APIC registers
# would make it do.
[ -z "$icount" ] || append=(spin=0 apic=xapic ${append[@]+"${append[@]}"})
[ -z "$display" ] || append=(memview=on ${append[@]+"${append[@]}"})
command_line=${append[*]-}
if [ ${#program[@]} -gt 0 ]; then
    command_line+=" run=${program[0]}"
    [ ${#program[@]} -eq 1 ] || command_line+=" --"
    for word in "${program[@]:1}"; do
        command_line+=" $(quoted "$word")"
    done
fi

# The loader puts the line where it would otherwise overwrite what it tells the kernel.
[ ${#command_line} -lt 2048 ] || die "the boot line is too long: ${#command_line} bytes, 2047 fit"

qemu=("$QEMU" -nodefaults -no-reboot -vga std
    -M "$machine" -cpu "$cpu" -smp "$smp" -m "$mem"
    -kernel "$kernel" -initrd "$image" -append "${command_line# }"
    -chardev stdio,id=console,mux=on,signal=off -serial chardev:console -mon chardev=console,mode=readline
    -chardev "file,id=log,path=${log//,/,,}" -serial chardev:log)
if [ -n "$icount" ]; then
    qemu+=(-accel tcg,thread=single -icount shift=0,sleep=off -rtc base=2026-01-01,clock=vm)
else
    qemu+=(-accel tcg,thread=multi)
fi
[ -n "$display" ] || qemu+=(-display none)
[ -z "$trace" ] || qemu+=(-d int,cpu_reset -D "$target/faults.log")
if [ -n "$gdb" ]; then
    place=${ARGONAUT_GDB:-1234} symbols=$kernel
    [ "$profile" != checked ] || symbols="-x $here/tools/gdb/argonaut.py"
    if [[ $place =~ ^[0-9]+$ ]]; then
        qemu+=(-gdb "tcp:127.0.0.1:$place" -S)
        place=:$place
    else
        qemu+=(-gdb "unix:${place//,/,,},server=on,wait=off" -S)
    fi
    say "waiting for: gdb $symbols -ex 'target remote $place'"
fi
if [ -z "$screenshot" ]; then
    qemu+=(-device isa-debug-exit,iobase=0xf4,iosize=0x04)
else
    # Without its way to end QEMU the kernel stays there when it is done, and so does the screen.
    mkfifo "$scratch/monitor.in" "$scratch/monitor.out"
    qemu+=(-no-shutdown -chardev "pipe,id=monitor,path=$scratch/monitor" -mon chardev=monitor,mode=readline)
    {
        until grep -Easq '^@@argonaut (exit|killed|panic|refused) ' "$log"; do sleep 0.1; done
        printf 'screendump "%s" -f png\nquit\n' "$screenshot" >"$scratch/monitor.in"
    } </dev/null &
    watcher=$!
fi
# shellcheck disable=SC2206 # words are what it is for
qemu+=(${ARGONAUT_QEMU_EXTRA:-})

# The kernel drops what has arrived on its serial line when it sets that up. What does not come from a terminal waits.
# shellcheck disable=SC2317 # called below
feed_when_booted() {
    # Quietly: at the end the log may go before the last look at it.
    until grep -asq '^@@argonaut booted' "$log"; do sleep 0.05; done
    exec cat
}
if [ ! -t 0 ]; then
    mkfifo "$scratch/typed"
    feed_when_booted <&0 >"$scratch/typed" &
    feeder=$!
    # Open for writing too, so that there is no end to see: after that QEMU does not wait for who reads its output, and
    # drops what does not fit into a pipe.
    exec <>"$scratch/typed"
fi

# Runs the machine until it ends or resets itself, which QEMU takes for an end (-no-reboot): a kernel that cannot boot
# would do nothing else. In the background only so that a signal to this script ends QEMU too.
run_machine() {
    "${qemu[@]}" <&0 &
    pid=$!
    status=0
    wait "$pid" 2>/dev/null || status=$?
    while kill -0 "$pid" 2>/dev/null; do # a trap ended the wait
        wait "$pid" 2>/dev/null || status=$?
    done
}
trap 'kill "$pid" 2>/dev/null' HUP INT TERM
run_machine
# It was asked to. The new machine begins the log anew.
while [ "$status" -eq 0 ] && grep -aq '^@@argonaut reboot' "$log"; do run_machine; done
[ -z "$screenshot" ] || kill "$watcher" 2>/dev/null || true

read -r _ kind value < <(grep -Eam 1 '^@@argonaut (exit|killed|panic|refused) ' "$log" | tr -d '\r') || true
case ${kind:-} in
exit) exit "$value" ;;
killed) exit $((128 + value)) ;;
panic)
    say "the kernel panicked: $value"
    exit 70
    ;;
refused)
    say "the kernel refused this machine: $value"
    exit 69
    ;;
esac
# QEMU has said itself what it did not like.
[ "$status" -ne 1 ] || [ -s "$log" ] || exit 2
if [ "$status" -gt 128 ]; then
    say "QEMU was ended by signal $((status - 128)), and the kernel had not said how the run went; its log ends with:"
else
    say "QEMU ended (Ctrl-A x, or a triple fault: see --trace-faults), and the kernel had not said how the run went;" \
        "its log ends with:"
fi
tail -n 10 "$log" >&2
exit 3
