#!/usr/bin/env bash
# `make test`: every step runs, also after one has failed; the exit code tells whether all held. The last line is the
# sum over all runners: `N passed, N failed`.
set -uo pipefail

cd "$(dirname "${BASH_SOURCE[0]}")/.." || exit 1
logs="$(mktemp -d)"
trap 'rm -rf "$logs"' EXIT
failed_steps=()

step() {
    local name="$1"
    shift
    echo
    echo "== $name"
    # The step's own exit code counts, not that of tee.
    "$@" 2>&1 | tee "$logs/$name.log"
    local code="${PIPESTATUS[0]}"
    [ "$code" -eq 0 ] || failed_steps+=("$name (exit $code)")
    return "$code"
}

blackbox() {
    tests/.venv/bin/pytest --rootdir tests -c tests/pytest.ini -n 2 --dist loadfile --color=no --store "$1" \
        --record "$logs/sdk" tests
}

step setup bash tests/setup.sh || exit 1
step check cargo xtask check
step unit cargo test --workspace --locked
if step build cargo build --locked --package causeway; then
    step blackbox-sqlite blackbox sqlite
    step blackbox-postgres blackbox postgres
    step compatibility tests/.venv/bin/python tests/compatibility.py "$logs/sdk"
fi

# cargo: "test result: ok. 12 passed; 0 failed; …", one a binary. pytest: "== 3 failed, 12 passed, 1 error in 9.9s ==".
count() {
    cat "$logs"/unit.log "$logs"/blackbox-*.log 2>/dev/null |
        grep -E '^test result:|^=+ .* in [0-9.]+s' |
        grep -oE "[0-9]+ $1" | awk '{ sum += $1 } END { print sum + 0 }'
}

echo
for step in "${failed_steps[@]}"; do
    echo "FAILED: $step"
done
echo "$(count passed) passed, $(($(count failed) + $(count errors?))) failed"
[ "${#failed_steps[@]}" -eq 0 ]
