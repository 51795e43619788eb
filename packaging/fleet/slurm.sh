#!/bin/bash
# One measurement by all nodes of a Slurm job:
#
#   sbatch --nodes=4 packaging/fleet/slurm.sh load 192.168.1.7:53 --preset dns --name a.example -r 1M
#
# The words after the script are those of udperf. Set UDPERF if udperf is not on the PATH of the nodes.
# The text and the report are kept as udperf-JOB.txt and udperf-JOB.json in the folder of the submission.
#SBATCH --job-name=udperf
#SBATCH --nodes=2
#SBATCH --ntasks-per-node=1
#SBATCH --cpus-per-task=4
#SBATCH --exclusive
#SBATCH --time=00:10:00
#SBATCH --output=udperf-%j.txt
set -euo pipefail

if [ $# -eq 0 ]; then
    echo "usage: sbatch [--nodes=N] $0 load|blast|bench|ping|search WORD..." >&2
    exit 2
fi

udperf=${UDPERF:-udperf}
# srun takes the CPUs of a task from this variable, not from the job (Slurm 22.05 and later).
export SRUN_CPUS_PER_TASK=${SLURM_CPUS_PER_TASK:-1}
# The network for messages of MPI. Choose one that is not the tested one, if there are two.
#export OMPI_MCA_btl_tcp_if_include=eth0
# pmix: see `srun --mpi=list`. Without binding, each process places its own threads on the CPUs of its
# task. If one process fails, the others end, too.
launch=(srun --mpi=pmix --cpu-bind=none --kill-on-bad-exit=1)

"${launch[@]}" "$udperf" fleet-check
# After the first word, as the last ones may be those of the command that search runs.
"${launch[@]}" "$udperf" "$1" --json="udperf-$SLURM_JOB_ID.json" "${@:2}"
