#!/bin/sh
# Fuzzes each target, one after the other, and says how often it ran and how much it saw.
#
#   fuzz/run.sh [seconds for each] [target...]
#
# Finds are kept in fuzz/artifacts, what was learned in fuzz/corpus; the seeds are not touched.
# libFuzzer needs a compiler option that the stable Rust has behind RUSTC_BOOTSTRAP.
set -eu

version=0.13.2
seconds=${1:-60}
[ $# -eq 0 ] || shift
cd "$(dirname "$0")"

if ! cargo fuzz --version >/dev/null 2>&1; then
    echo "fuzz: installing cargo-fuzz $version"
    cargo install cargo-fuzz --locked --quiet --version "$version"
fi

export RUSTC_BOOTSTRAP=1
[ $# -gt 0 ] || set -- $(ls seeds)
cargo fuzz build --sanitizer address
for target; do
    mkdir -p "corpus/$target"
    echo "fuzz: $target for $seconds s"
    # Ten seconds for one input, and 2 GiB, are more than any parser may take.
    cargo fuzz run --sanitizer address "$target" "corpus/$target" "seeds/$target" -- \
        -max_total_time="$seconds" -max_len=8192 -timeout=10 -rss_limit_mb=2048 -print_final_stats=1 2>"corpus/$target.log" ||
        { tail -n 60 "corpus/$target.log" >&2; exit 1; }
    grep -E '^#[0-9]+[[:space:]]+DONE|^stat::(number_of_executed_units|average_exec_per_sec|slowest_unit)' "corpus/$target.log"
done
