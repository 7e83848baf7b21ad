#!/bin/sh
# Stands in for QEMU in the tests of run-smp.sh: does what FAKE_QEMU says, which finds the kernel log at $log.
for word; do
    case $word in
    file,id=log,path=*) log=${word#*path=} ;;
    esac
done
export log
eval "$FAKE_QEMU"
