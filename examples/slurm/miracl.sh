#!/bin/bash
# Score one model on a large task with a Slurm job array: each job encodes its own shards, and whichever
# finds all of them finished searches and writes the record. Submit it from a folder that all nodes see:
#
#   sbatch --export=ALL,MODEL=intfloat/multilingual-e5-small,LANGUAGES=sw:yo examples/slurm/miracl.sh
#
# A job that was stopped can be submitted again; nothing that is finished is encoded twice.
#SBATCH --job-name=harness
#SBATCH --array=0-7
#SBATCH --gpus-per-task=1
#SBATCH --cpus-per-task=8
#SBATCH --mem=32G
#SBATCH --time=12:00:00
#SBATCH --output=slurm-%A_%a.out
set -euo pipefail

# All jobs must see the same store and the same data.
export HARNESS_CACHE="${HARNESS_CACHE:-$PWD/harness-cache}"

arguments=(--task "${TASK:-miracl}" --model "${MODEL:?name the model}" --output "${OUTPUT:-results}")
# sbatch --export separates variables by commas, so languages are separated by colons.
if [ -n "${LANGUAGES:-}" ]; then arguments+=(--languages "${LANGUAGES//:/,}"); fi

exec harness run "${arguments[@]}" --shard "$SLURM_ARRAY_TASK_ID/$SLURM_ARRAY_TASK_COUNT" "$@"
