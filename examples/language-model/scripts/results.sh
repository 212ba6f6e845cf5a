#!/usr/bin/env bash
# The comparison of the book's page on language models, on two cores in an hour or more, and at ten times the size for a GPU.
#
#   results.sh small|large MODEL DATA OTHER_TEXT OUT [OPTIONS OF compare]
#
# DATA is a folder that `examples.py` wrote; OTHER_TEXT is what may be forgotten. The program is `goft-lm` on the path, or
# $GOFT_LM. The same command goes on where it was interrupted; the table is printed and in OUT.
set -euo pipefail

if [ $# -lt 5 ]; then
    sed -n '2,8s/^# \{0,1\}//p' "$0" >&2
    exit 2
fi
size=$1 model=$2 data=$3 text=$4 out=$5
shift 5
case $size in
small) sizes=(--steps 20 --batch-size 4 --limit-eval 60 --answers 60 --max-tokens 48 --forgetting-bytes 10000) ;;
large) sizes=(--steps 200 --batch-size 4 --limit-eval 600 --answers 600 --max-tokens 256 --forgetting-bytes 100000) ;;
*) echo "results.sh: the size is small or large, not $size" >&2; exit 2 ;;
esac
exec "${GOFT_LM:-goft-lm}" compare --model "$model" --data "$data" --forgetting "$text" --out "$out" --max-length 256 \
    --methods goft,goft-star,qgoft,oft,hra,road,lora:1,lora,full \
    --rates-per-method 3 --tuning-seeds 1 --test-seeds 3 "${sizes[@]}" "$@"
