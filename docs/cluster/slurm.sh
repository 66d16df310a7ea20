#!/bin/bash
# Without a queue: an array of tasks, one for each shard.
#   sbatch slurm.sh
# The last task merges. Where it was killed before that, as a task of its own:
#   sbatch --dependency=afterany:ARRAY_ID --wrap 'tandem merge /shared/out.jsonl'
#SBATCH --job-name=tandem
#SBATCH --array=0-59
#SBATCH --cpus-per-task=4
#SBATCH --mem=8G
#SBATCH --requeue
#SBATCH --signal=B:TERM@60
exec tandem run /shared/model -i /shared/rows.jsonl -o /shared/out.jsonl --shard "$SLURM_ARRAY_TASK_ID/60"
