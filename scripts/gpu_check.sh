#!/usr/bin/env bash
# Laws, parity, speed and profile on a machine with a GPU, which needs no compiler.
#
#   gpu_check.sh build DEVICE OUT [PROFILE]     here: programs for a device (cuda, vulkan, wgpu, rocm, ..) into a folder
#   OUT/gpu_check.sh run DEVICE [SECONDS]       there: benches, parity, and laws for SECONDS; the table is OUT/table.md
#
# Results belong in benches/RESULTS.md, with the card, the driver and the date that the table begins with. PROFILE is cargo's,
# `release` by default. Laws that have not ended after SECONDS, 150 by default, are stopped, and the table says which part had passed;
# name more seconds for all of them. It ends with 1 if a law, the parity check or a bench fails. The device `wgpu-cpu` is a software
# adapter, to try the script itself; MILLIONS=1 makes its tensors small.
set -euo pipefail

usage() {
    sed -n '2,11s/^# \{0,1\}//p' "$0" >&2
    exit 2
}

[ $# -ge 2 ] || usage
command=$1 device=$2
feature=${device%-cpu}
feature=${feature%%:*}

build() {
    local out=$1 profile=${2:-release} here programs program name
    here=$(cd "$(dirname "$0")" && pwd)
    cd "$here/.."
    mkdir -p "$out/fixtures"
    programs=$(cargo build --locked --package burn-goft --profile "$profile" --features "$feature" --test laws --example parity \
        --bench rotate --bench adapter_step --message-format=json |
        sed -n 's/.*"executable":"\([^"]*\)".*/\1/p' | sort -u)
    for program in $programs; do
        name=$(basename "$program" | sed 's/-[0-9a-f]\{16\}$//')
        cp "$program" "$out/$name"
        strip "$out/$name"
    done
    cp tests/fixtures/*.safetensors "$out/fixtures/"
    cp "$here/gpu_check.sh" "$out/"
    git rev-parse --short HEAD >"$out/commit"
    ls -l "$out"/{laws,parity,rotate,adapter_step}
}

row() {
    printf '| %s | %s |\n' "$1" "$2" >>table.md
}

measure() {
    local name=$1 start=$SECONDS
    shift
    if "$@" >"$name.txt" 2>"$name.err"; then
        { printf '\n### %s (%d s)\n\n```\n' "$name" $((SECONDS - start)) && cat "$name.txt" && printf '```\n'; } >>measured.md
    else
        failed=1
        row "$name" "failed: $(tail -1 "$name.err")"
    fi
}

# All in one process: a kernel that one law has compiled is there for the next.
laws() {
    local seconds=$1 start=$SECONDS outcome passed code=0
    if [ "$device" = wgpu ]; then
        row "laws" "left out: on wgpu they take the software adapter; take vulkan, metal or webgpu for those of a card"
        return
    fi
    mkdir -p laws-run
    printf '[compilation.logger]\nlevel = "basic"\nfile = "%s/laws-run/compiled"\n' "$PWD" >laws-run/cubecl.toml
    rm -f laws-run/compiled
    (cd laws-run && RUST_TEST_NOCAPTURE=1 BURN_GOFT_DEVICES=$feature timeout "$seconds" ../laws >log 2>&1) || code=$?
    outcome=$(sed -n 's/^test result: //p' laws-run/log | tail -1)
    passed=$(grep -c ' ok$\|^ok$' laws-run/log || true)
    if [ "$code" = 124 ]; then
        outcome="stopped after $seconds s: $passed passed and $(grep -c '\.\.\. FAILED$' laws-run/log || true) failed until then"
    fi
    if [ "$code" != 0 ] && { [ "$code" != 124 ] || [ "$passed" = 0 ] || grep -q '\.\.\. FAILED$' laws-run/log; }; then
        failed=1
    fi
    row "laws" "${outcome:-ended with $code} ($((SECONDS - start)) s)"
    sed -n 's/^test \(.*\) \.\.\. FAILED$/| failed | \1 |/p' laws-run/log >>table.md
    { grep -o 'left out: .*' laws-run/log || true; } | sort -u | sed 's/^left out: \(.*\)$/| left out | \1 |/' >>table.md
    if [ -f laws-run/compiled ]; then
        row "kernels compiled" "$(wc -l <laws-run/compiled), of them burn-goft's $(grep -c 'burn_goft::' laws-run/compiled || true)"
    fi
}

run() {
    local seconds=${1:-150} parity
    cd "$(dirname "$0")"
    failed=0
    : >measured.md
    {
        printf '## %s, %s, commit %s\n\n' "$device" "$(date -I)" "$(cat commit)"
        if command -v nvidia-smi >/dev/null; then
            nvidia-smi --query-gpu=name,driver_version,memory.total --format=csv,noheader
        else
            grep -m1 'model name' /proc/cpuinfo || uname -sm
        fi
        printf '\n| | |\n|---|---|\n'
    } >table.md
    # However it ends, what was measured until then is in the table.
    trap 'cat measured.md >>table.md; cat table.md' EXIT
    # What a card is for first: if the time ends early, this is there.
    measure "rotate, f32" ./rotate --device "$device" --millions "${MILLIONS:-128}" --rounds 9
    if [ "$feature" = cuda ] || [ "$feature" = rocm ]; then
        measure "rotate, bf16" ./rotate --device "$device" --millions "${MILLIONS:-128}" --rounds 9 --dtype bf16
    else
        row "rotate, bf16" "left out: not every driver of $feature has it"
    fi
    if [ -z "${MILLIONS:-}" ]; then
        measure "adapter_step" ./adapter_step --device "$device" --rounds 15
    else
        measure "adapter_step" ./adapter_step --device "$device" --quick
    fi
    parity=$(./parity fixtures/*.safetensors --device "$device" --dtype f32) || failed=1
    row "parity, f32" "$(grep -c '"pass":true' <<<"$parity") of $(find fixtures -name '*.safetensors' | wc -l) files"
    { grep -v '"pass":true' <<<"$parity" || true; } >parity.failed
    laws "$seconds"
    if command -v ncu >/dev/null; then
        measure "profile" ncu --metrics gpu__time_duration.sum,dram__throughput.avg.pct_of_peak_sustained_elapsed,launch__registers_per_thread \
            ./rotate --device "$device" --quick
    fi
    exit "$failed"
}

case $command in
build) [ $# -ge 3 ] || usage; build "$(realpath -m "$3")" "${4:-release}" ;;
run) run "${3:-150}" ;;
*) usage ;;
esac
