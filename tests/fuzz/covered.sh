#!/bin/sh
# A compiler for our own crates that counts edges for libFuzzer (LLVM's SanitizerCoverage), on the stable toolchain.
compiler=$1
shift
case " $* " in
*" --crate-name "*)
    set -- "$@" -Cpasses=sancov-module -Cllvm-args=-sanitizer-coverage-level=4 \
        -Cllvm-args=-sanitizer-coverage-inline-8bit-counters -Cllvm-args=-sanitizer-coverage-pc-table \
        -Cllvm-args=-sanitizer-coverage-trace-compares
    ;;
esac
exec "$compiler" "$@"
