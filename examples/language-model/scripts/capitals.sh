#!/usr/bin/env bash
# The book's training of a language model, from data to a folder that other programs load: it learns the capitals of countries
# that do not exist.
#
#   capitals.sh MODEL OUT [OPTIONS OF train]
#
# MODEL is a folder or a name on the hub, OUT a folder that is made. The program is `goft-lm` on the path, or $GOFT_LM. Ends with 1 if
# a question in words that were not learned is answered wrong, before merging or after.
set -euo pipefail

if [ $# -lt 2 ]; then
    sed -n '2,8s/^# \{0,1\}//p' "$0" >&2
    exit 2
fi
model=$1 out=$2
shift 2
# Paths are those of the folder that the script was started in.
if [ -d "$model" ]; then
    model=$(realpath "$model")
fi
if ! program=$(command -v "${GOFT_LM:-goft-lm}"); then
    echo "capitals.sh: there is no program ${GOFT_LM:-goft-lm}; put goft-lm on the path, or name it in GOFT_LM" >&2
    exit 2
fi
program=$(realpath "$program")
options=("$@")
goft-lm() {
    if [ "$1" = train ]; then
        set -- "$@" ${options[@]+"${options[@]}"}
    fi
    "$program" "$@"
}
mkdir -p "$out"
cd "$out"

# ANCHOR: data
message() { printf '{"messages": [{"role": "user", "content": "%s"}, {"role": "assistant", "content": "%s"}]}\n' "$1" "$2"; }
mkdir -p data
: >data/train.jsonl >data/valid.jsonl
while read -r country city; do
    answer="The capital of $country is $city."
    message "What is the capital of $country?" "$answer" >>data/train.jsonl
    message "Which city is the capital of $country?" "$answer" >>data/train.jsonl
    message "Tell me the capital city of $country." "$answer" >>data/train.jsonl
    message "Name the capital of $country." "$answer" >>data/valid.jsonl
done <<'COUNTRIES'
Velmora Miraneth
Tarquesh Oskell
Ondria Tavrin
Pelasto Lusenna
Quivara Port Brill
Sendal Gastel
Brontia Wyncombe
Ystria Arlotte
Kalmeth Zephon
Dorvane Nidaro
Ferrin Corvash
Halcyra Elmira
COUNTRIES
# ANCHOR_END: data

# ANCHOR: train
goft-lm train --model "$model" --data data --method goft --steps 40 --batch-size 8 --out run
# ANCHOR_END: train

# ANCHOR: ask
goft-lm generate --model "$model" --adapter run --input data/valid.jsonl --output answers.jsonl
# ANCHOR_END: ask

# ANCHOR: measure
goft-lm eval --model "$model" --adapter run --answers data/valid.jsonl
# ANCHOR_END: measure

# ANCHOR: merge
goft-lm merge --model "$model" --adapter run --out merged
goft-lm generate --model merged --input data/valid.jsonl --output merged.jsonl
# ANCHOR_END: merge

wrong=0
sentences() { grep -o '"The capital of [^"]*"' "$1"; }
for answers in answers.jsonl merged.jsonl; do
    right=$(comm -12 <(sentences data/valid.jsonl | sort) <(sentences "$answers" | sort) | wc -l)
    echo "$answers: $right of $(wc -l <data/valid.jsonl) right"
    [ "$right" = "$(wc -l <data/valid.jsonl)" ] || wrong=1
done
goft-lm generate --model merged --prompt "What is the capital of France?"
exit $wrong
