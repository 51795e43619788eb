//! Codes about hosts; with the prefix `sink_` about the host of the sink.

use super::codes;

codes! { HOST;
    DEBUG_BUILD "debug_build" Critical "udperf was built without optimisation",
        "It measures its own slowness, not the network's. Build with cargo build --release. In a \
         comparison: build both programs alike.";
    MISSING_CAPABILITY "missing_capability" Major
        "the host lacks something that engines or the ledger use",
        "Without the counters of socket drops, queue drops or UDP, losses cannot be attributed. \
         Without affinity, workers are not pinned. `udperf doctor` lists what is missing and why.";
    FEW_CORES "few_cores" Major "fewer CPUs than workers",
        "Workers that share a CPU take turns: rates are too low, and latency includes the wait for \
         the others. Use fewer --threads, or a machine with more CPUs.";
    SMT_SIBLINGS "smt_siblings" Major "both ends share a physical core",
        "SMT siblings share execution units and caches, so each slows the other down. Choose cores \
         with --pin.";
    CPU_QUOTA "cpu_quota" Major "a CPU quota is below what the workers use",
        "When it is used up, all threads wait for the next period, often tens of ms. Raise the \
         limit of the container or cgroup (cpu.max).";
    BUSY_HOST "busy_host" Major "other programs want the same CPUs",
        "A program that runs beside a worker takes its CPU for ms at a time. Stop other programs.";
    CLOCK_COST "clock_cost" Major "reading the clock is slow",
        "Workers read the clock once a batch, so rates are too low, and each latency includes two \
         reads. With the vDSO a read takes about 25 ns; a clock source such as hpet or acpi_pm \
         needs a system call.";
    CLOCK_STEP "clock_step" Major "the clock has coarse steps",
        "Latency below a few steps is rounding.";
    CLOCKSOURCE "clocksource" Minor "the clock source is slow on most machines",
        "Unlike tsc, it is read by a system call or from slow hardware.";
    SLEEP_ERROR "sleep_error" Minor "sleeping threads wake up late",
        "A paced sender that sleeps between datagrams misses its due times. Use --wait spin.";
    GOVERNOR "governor" Info "the CPU frequency follows the load",
        "Low rates and the first moments of a cell run slower. The head of the report shows the \
         governor. As root, write performance to \
         /sys/devices/system/cpu/cpu*/cpufreq/scaling_governor; it holds until the next boot.";
    TURBO "turbo" Info "the CPUs may exceed their nominal frequency",
        "How far depends on temperature and on how many are busy, so figures drift.";
    MITIGATIONS "mitigations" Info "mitigations of CPU flaws are off",
        "System calls cost less than with mitigations. Compare only with hosts that are set alike.";
    VIRTUAL_MACHINE "virtual_machine" Info "this is a virtual machine",
        "Other machines on the same hardware slow it down, and the hypervisor may take its CPUs \
         for ms at a time. The head of the report shows the hypervisor; the warning `stolen` says \
         when it mattered. Repeat with --trials and use ratios of interleaved runs.";
    CONTAINER "container" Info "this is a container",
        "Kernel limits belong to the host. Unless the network is shared, counters are those of the \
         container alone.";
    ISOLATED_CPUS "isolated_cpus" Info "isolated CPUs that this process may not use",
        "The scheduler keeps them free, so figures from there are steadier. Use taskset -c and \
         --pin.";
    RMEM_MAX "rmem_max" Minor "the limit of receive buffers is lower than requested",
        "Short pauses of a receiver become loss. As root: sysctl -w net.core.rmem_max, until the \
         next boot unless it is in /etc/sysctl.d too.";
    WMEM_MAX "wmem_max" Minor "the limit of send buffers is lower than requested",
        "Sends are refused sooner where a device is slow. As root: sysctl -w net.core.wmem_max, \
         until the next boot unless it is in /etc/sysctl.d too.";
    NETDEV_MAX_BACKLOG "netdev_max_backlog" Info
        "the backlog of a CPU is shorter than the kernel's default",
        "Loopback, veth and RPS use this queue, and packets that find it full are dropped. As \
         root: sysctl -w net.core.netdev_max_backlog=1000.";
    DEVICE_OFFLOAD "device_offload" Info "GSO or GRO is off on the device",
        "Super-packets are cut before the device or not joined after it, so the engines gso and \
         gro gain less.";
}
