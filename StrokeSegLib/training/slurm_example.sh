#!/bin/bash
# Trains on two nodes of four GPUs each; resubmitted or requeued, it goes on from its last checkpoint.
#   sbatch slurm_example.sh noncontrast-ct cases.csv run
#SBATCH --job-name=strokeseg
#SBATCH --nodes=2
#SBATCH --ntasks-per-node=1
#SBATCH --gpus-per-node=4
#SBATCH --cpus-per-task=16
#SBATCH --time=24:00:00
#SBATCH --requeue
#SBATCH --signal=TERM@120
set -euo pipefail
system=$1 table=$2 run=$3

head_node=$(scontrol show hostnames "$SLURM_JOB_NODELIST" | head -n 1)

# torchrun starts a process for each GPU. batch_size counts all of them together and must divide by their number, 8.
srun torchrun \
    --nnodes="$SLURM_JOB_NUM_NODES" --nproc-per-node=4 \
    --rdzv-id="$SLURM_JOB_ID" --rdzv-backend=c10d --rdzv-endpoint="$head_node:29500" \
    -m StrokeSegLib train --system "$system" --preset bundled --data "$table" --out "$run" \
    --set batch_size=32 --resume --device cuda
