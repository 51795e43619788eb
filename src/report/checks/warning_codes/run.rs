//! Codes about the run as a whole, its schedule, its workers and its engines.

use super::{Size, by_message, codes, count, of_schedule, of_stalls, of_workers, share};

codes! { RUN;
    BROKEN_LEDGER "broken_ledger" Critical by_message,
        "the counts of a cell contradict each other",
        "An identity of the ledger does not hold, for example sent = received + lost. No count \
         of this cell can be trusted. This is a bug in udperf: please report it with the JSON \
         document.";
    CUT_SHORT "cut_short" Critical by_message,
        "the cell ended before its time",
        "The figures cover what was measured until then. Do not compare them with a whole run.";
    SEGMENTS_NEVER_CUT "segments_never_cut" Critical
        |c| share(c.packets.uncut, c.ledger.arrived.unwrap_or(0)),
        "datagrams travelled in super-packets from end to end",
        "GSO on the sender met GRO on the receiver with nothing in between that cuts segments, \
         as on loopback and veth. The kernel handled many datagrams as one packet, so the rate \
         is not the cost of a datagram. Compare with gso/batch or batch, or measure between two \
         hosts.";
    OVER_LOOPBACK "over_loopback" Critical by_message,
        "traffic to an address of this host runs over lo",
        "The kernel sends everything for an address of its own network namespace to lo. The \
         device of that address was not measured. Put the receivers into another namespace with \
         --to-netns, or measure between two hosts with blast and sink.";
    SHARED_CORE "shared_core" Critical by_message,
        "a sender and a receiver ran on one core",
        "They took turns: rates are too low, and latency includes the wait for the other. Name \
         different cores with --pin TX:RX, or use fewer --threads.";
    ENGINE_FELL_BACK "engine_fell_back" Major by_message,
        "another engine ran than was asked for",
        "Super-packets could not be used: the kernel or a device refused them, the sizes are \
         mixed, two datagrams of this size do not fit into one, or --batch 1 was given. Read \
         the figures as those of the engine that ran.";
    BEHIND_SCHEDULE "behind_schedule" Major of_schedule,
        "the generator did not keep the rate",
        "Datagrams left late, or were skipped because they were too late. Latency counts from \
         the schedule and includes that lag; from_send does not. Use a lower --rate or more \
         --threads. Stalls of the sender are a frequent cause.";
    STOLEN "stolen" Major |c| share(c.stalls.stolen_ns, c.elapsed_ns),
        "the hypervisor took CPU time during the cell",
        "The virtual machine did not run for that long. Rates are too low, and the tail of the \
         latency is that of the hypervisor. Repeat with --trials and use ratios of interleaved \
         runs.";
    CPU_THROTTLED "cpu_throttled" Major by_message,
        "a CPU quota stopped the program",
        "The quota of the cgroup (cpu.max) was used up, and all threads waited for the next \
         period. Raise the quota of the container or cgroup.";
    SEGMENTS_FELL "segments_fell" Major
        |c| share(c.packets.segments_at_first, c.packets.segments_at_last.unwrap_or(1)),
        "super-packets became smaller during the cell",
        "The kernel refused super-packets of the first size (EINVAL, EIO or EMSGSIZE), and the \
         cell continued with smaller ones. Its figures are a mixture. See the limit of the \
         device (gso_max_segs in `ip -d link`), or set --batch.";
    STALLS "stalls" Minor of_stalls,
        "workers did not run for a while",
        "A pinned worker found a gap between two of its clock reads, without a system call \
         that explains it: the scheduler, an interrupt or the hypervisor had the CPU. The \
         maximum and the last percentiles of the latency include it; the field outside_stalls \
         does not. Keep other programs off these CPUs (isolcpus, --pin), or repeat with \
         --trials.";
    SHORT_RUN "short_run" Minor
        |c| Some(Size { share: None, amount: -(c.rx.as_ref()?.datagrams as f64) }),
        "too few datagrams or too little time for the percentiles",
        "A cell below 100 ms or 1000 datagrams has a p99.9 that rests on one datagram or a few, \
         and a single stall decides it. Use a longer --time.";
    CLAMPED "clamped" Minor |c| count(c.latency.as_ref()?.clamped),
        "latencies above 60 s, the range of the histogram",
        "Percentiles above 60 s are too low; the maximum is exact. Use a lower --rate.";
    NO_BUFFERS "no_buffers" Minor |c| count(c.packets.no_buffers),
        "io_uring ran out of provided buffers",
        "Datagrams waited in the socket until a buffer was free (ENOBUFS). That costs time. It \
         does not lose datagrams by itself. Use more --threads or another receiving engine.";
    NOT_STAMPED "not_stamped" Minor by_message,
        "kernel timestamps were asked for and are missing",
        "The receiving engine gives no kernel timestamps, so the wait in the socket is not \
         known. Choose another receiving engine.";
    TRUNCATED "truncated" Minor |c| count(c.packets.truncated),
        "packets were longer than their receive buffer",
        "The rest of the packet, or its control messages, was cut off. In bench and blast such \
         packets are not ours or count as corrupt. In load the rate in bits is too low; use \
         another receiving engine.";
    FLOW_STARVED "flow_starved" Major |c| count(c.flows.as_ref()?.starved),
        "no datagram of some flows arrived",
        "Totals hide this. See which flows in flows.worst. A firewall may drop their ports \
         (--port-range chooses others), or they share a full receiver (more --threads at the \
         sink, --spread turn).";
    RECEIVER_SKEW "receiver_skew" Minor of_workers,
        "one receiver got far more than its share",
        "A hash of addresses and ports assigns flows to receivers. With few flows the shares \
         are uneven. Use more --streams, or --spread turn.";
    WARMUP_LOSS "warmup_loss" Info by_message,
        "datagrams were lost in the warm-up",
        "No figure of the cell shows that loss. Use --warmup 0 to measure the start too.";
    NOT_PINNED "not_pinned" Info by_message,
        "workers were not pinned to cores",
        "The scheduler may move workers or put both ends on one core, so runs differ more than \
         necessary. Use --pin auto, or name cores with --pin TX:RX.";
    ENGINE_LEFT_OUT "engine_left_out" Info by_message,
        "an engine is not available on this host",
        "The lists `auto` and `all` omit engines that the kernel or the build does not have. \
         Asked for by name, such an engine is an error.";
    FRAGMENTED "fragmented" Info by_message,
        "datagrams were sent in IP fragments",
        "They are larger than the path MTU. A lost fragment loses the whole datagram. Choose a \
         --size that fits the MTU, or set --df to have the kernel refuse larger ones.";
    LARGE_LOST "large_lost" Major by_message,
        "all large datagrams were lost, smaller ones arrived",
        "A firewall on the path drops fragments, or a device drops packets above its MTU. Try a \
         --size that fits the MTU.";
    INTERRUPTED "interrupted" Critical by_message,
        "a search or comparison was interrupted",
        "Later measurements are missing.";
    ENGINE_AT_RATE "engine_at_rate" Info by_message,
        "auto chose the engine at a limited rate",
        "At a rate that several engines can keep, they deliver alike, and chance decides \
         between them. Name an engine with -e in the inner command.";
}
