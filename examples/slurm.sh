#!/bin/bash
# A million ECGs by ten tasks of a Slurm array, on a file system that all nodes have:
#
#   job=$(sbatch --parsable examples/slurm.sh)
#   sbatch --dependency=afterok:$job --wrap 'dsb-fast merge million.parts/* -o million --move'
#
# A task that failed or ran out of time goes on where it stopped: sbatch --array=3 examples/slurm.sh
#
#SBATCH --job-name=ecgs
#SBATCH --array=0-9
#SBATCH --cpus-per-task=8
#SBATCH --mem=8G
#SBATCH --time=01:00:00
#SBATCH --requeue

set -euo pipefail

# slurm/10: as many parts as the array above has tasks
exec dsb-fast generate cardiovascular.ecg -n 1000000 --seed 1 --format npy --device cpu --quiet \
  --part slurm/10 -o "million.parts/$SLURM_ARRAY_TASK_ID"
