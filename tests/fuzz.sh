#!/usr/bin/env bash
# `make fuzz`: runs every fuzz target of every crate (crates/*/fuzz) for the given number of seconds.
# cargo-fuzz wants a nightly compiler for the sanitizers; RUSTC_BOOTSTRAP opens the same switches of the pinned one.
set -euo pipefail

cd "$(dirname "${BASH_SOURCE[0]}")/.."
seconds="${1:-60}"
export RUSTC_BOOTSTRAP=1

cargo fuzz --version >/dev/null 2>&1 || {
    echo "make fuzz: installing cargo-fuzz"
    cargo install --quiet --locked cargo-fuzz
}

# The decoder begins with one packet of every kind: without them a minute finds only a part of it.
cargo run --quiet -p causeway-wire --example mqtt_seeds -- crates/wire/fuzz/corpus/mqtt_decode

found=0
failed=()
for folder in crates/*/fuzz; do
    [ -f "$folder/Cargo.toml" ] || continue
    for target in $(cargo fuzz list --fuzz-dir "$folder"); do
        found=$((found + 1))
        echo "== $folder: $target, $seconds s"
        cargo fuzz run --fuzz-dir "$folder" "$target" -- -max_total_time="$seconds" -rss_limit_mb=2048 ||
            failed+=("$folder:$target")
    done
done

[ "$found" -gt 0 ] || {
    echo "make fuzz: no fuzz target below crates/*/fuzz" >&2
    exit 1
}
echo "$((found - ${#failed[@]})) passed, ${#failed[@]} failed"
[ "${#failed[@]}" -eq 0 ] || {
    printf 'FAILED: %s\n' "${failed[@]}" >&2
    exit 1
}
