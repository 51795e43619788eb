//! Codes about a run, its validity (`INVALID`: codes of `invalid_because`) and its comparison.

use super::{Size, codes, count, of_schedule, of_stalls, of_workers, share};

codes! { RUN;
    BROKEN_LEDGER "broken_ledger" Critical "the counts of a cell contradict each other",
        "An identity of the ledger does not hold, for example sent = received + lost. No count of \
         this cell can be trusted. This is a bug in udperf: please report it with the JSON \
         document.";
    CUT_SHORT "cut_short" Critical "the cell ended before its time",
        "The figures cover what was measured until then. Do not compare them with a whole run.";
    SEGMENTS_NEVER_CUT "segments_never_cut" Critical
        by |c| share(c.packets.uncut, c.ledger.arrived.unwrap_or(0)),
        "datagrams travelled in super-packets from end to end",
        "GSO on the sender met GRO on the receiver with nothing in between that cuts segments, as \
         on loopback and veth. The kernel handled many datagrams as one packet, so the rate is not \
         the cost of a datagram. Compare with gso/batch or batch, or measure between two hosts.";
    OVER_LOOPBACK "over_loopback" Critical "traffic to an address of this host runs over lo",
        "The kernel sends everything for an address of its own network namespace to lo. The device \
         of that address was not measured. Put the receivers into another namespace with \
         --to-netns, or measure between two hosts with blast and sink.";
    SHARED_CORE "shared_core" Critical "a sender and a receiver ran on one core",
        "They took turns: rates are too low, and latency includes the wait for the other. Name \
         different cores with --pin TX:RX, or use fewer --threads.";
    ENGINE_FELL_BACK "engine_fell_back" Major "another engine ran than requested",
        "Super-packets could not be used: the kernel or a device refused them, the sizes are \
         mixed, two datagrams of this size do not fit into one, or --batch 1 was given. Read the \
         figures as those of the engine that ran.";
    BEHIND_SCHEDULE "behind_schedule" Major by of_schedule, "the generator did not keep the rate",
        "Datagrams left late, or were skipped because they were too late. Latency counts from the \
         schedule and includes that lag; from_send does not. Use a lower --rate or more --threads. \
         Stalls of the sender are a frequent cause.";
    STOLEN "stolen" Major by |c| share(c.stalls.stolen_ns, c.elapsed_ns),
        "the hypervisor took CPU time during the cell",
        "The virtual machine did not run for that long. Rates are too low, and the tail of the \
         latency is that of the hypervisor. Repeat with --trials and use ratios of interleaved \
         runs.";
    CPU_THROTTLED "cpu_throttled" Major "a CPU quota stopped the program",
        "The quota of the cgroup (cpu.max) was used up, and all threads waited for the next \
         period. Raise the quota of the container or cgroup.";
    SEGMENTS_FELL "segments_fell" Major
        by |c| share(c.packets.segments_at_first, c.packets.segments_at_last.unwrap_or(1)),
        "super-packets became smaller during the cell",
        "The kernel refused super-packets of the first size (EINVAL, EIO or EMSGSIZE), and the \
         cell continued with smaller ones. Its figures are a mixture. See the limit of the device \
         (gso_max_segs in `ip -d link`), or set --batch.";
    STALLS "stalls" Minor by of_stalls, "workers did not run for a while",
        "A pinned worker found a gap between two of its clock reads, without a system call that \
         explains it: the scheduler, an interrupt or the hypervisor had the CPU. The maximum and \
         the last percentiles of the latency include it; the field outside_stalls does not. Keep \
         other programs off these CPUs (isolcpus, --pin), or repeat with --trials.";
    SHORT_RUN "short_run" Minor
        by |c| Some(Size { share: None, amount: -(c.rx.as_ref()?.datagrams as f64) }),
        "too few datagrams or too little time for the percentiles",
        "A cell below 100 ms or 1000 datagrams has a p99.9 that rests on one datagram or a few, \
         and a single stall decides it. Use a longer --time.";
    CLAMPED "clamped" Minor by |c| count(c.latency.as_ref()?.clamped),
        "latencies above 60 s, the range of the histogram",
        "Percentiles above 60 s are too low; the maximum is exact. Use a lower --rate.";
    NO_BUFFERS "no_buffers" Minor by |c| count(c.packets.no_buffers),
        "io_uring ran out of provided buffers",
        "Datagrams waited in the socket until a buffer was free (ENOBUFS). That costs time. It \
         does not lose datagrams by itself. Use more --threads or another receiving engine.";
    NOT_STAMPED "not_stamped" Minor "requested kernel timestamps are missing",
        "The receiving engine gives no kernel timestamps, so the wait in the socket is not known. \
         Choose another receiving engine.";
    TRUNCATED "truncated" Minor by |c| count(c.packets.truncated),
        "packets were longer than their receive buffer",
        "The rest of the packet, or its control messages, was cut off. In bench and blast such \
         packets are not ours or count as corrupt. In load the rate in bits is too low; use \
         another receiving engine.";
    FLOW_STARVED "flow_starved" Major by |c| count(c.flows.as_ref()?.starved),
        "no datagram of some flows arrived",
        "Totals hide this. See which flows in flows.worst. A firewall may drop their ports \
         (--port-range chooses others), or they share a full receiver (more --threads at the sink, \
         --spread turn).";
    RECEIVER_SKEW "receiver_skew" Minor by of_workers, "one receiver got far more than its share",
        "A hash of addresses and ports assigns flows to receivers. With few flows the shares are \
         uneven. Use more --streams, or --spread turn.";
    WARMUP_LOSS "warmup_loss" Info "datagrams were lost in the warm-up",
        "No figure of the cell shows that loss. Use --warmup 0 to measure the start too.";
    NOT_PINNED "not_pinned" Info "workers were not pinned to cores",
        "The scheduler may move workers or put both ends on one core, so runs differ more than \
         necessary. Use --pin auto, or name cores with --pin TX:RX.";
    ENGINE_LEFT_OUT "engine_left_out" Info "an engine is not available on this host",
        "The lists `auto` and `all` omit engines that the kernel or the build does not have. Asked \
         for by name, such an engine is an error.";
    FRAGMENTED "fragmented" Info "datagrams were sent in IP fragments",
        "They are larger than the path MTU. A lost fragment loses the whole datagram. Choose a \
         --size that fits the MTU, or set --df to have the kernel refuse larger ones.";
    LARGE_LOST "large_lost" Major "all large datagrams were lost, smaller ones arrived",
        "A firewall on the path drops fragments, or a device drops packets above its MTU. Try a \
         --size that fits the MTU.";
    INTERRUPTED "interrupted" Critical "a search or comparison was interrupted",
        "Later measurements are missing.";
    ENGINE_AT_RATE "engine_at_rate" Info "auto chose the engine at a limited rate",
        "At a rate that several engines can keep, they deliver alike, and chance decides between \
         them. Name an engine with -e in the inner command.";
}

codes! { COMPARISON;
    TOO_FEW_RUNS "too_few_runs" Major "too few runs for any verdict",
        "A test over so few runs cannot become significant. Measure with more --trials.";
    MISSING_CELLS "missing_cells" Major "cells of the base are missing in the new runs",
        "The comparison is undecided. Measure them too.";
    TWO_MACHINES "two_machines" Major "the runs are from different machines",
        "The difference of the machines may be the whole effect.";
    NOT_INTERLEAVED "not_interleaved" Minor
        "all runs of one side were made before those of the other",
        "Everything that changed in between counts as the effect. `udperf ab` interleaves.";
    NOISE_UNKNOWN "noise_unknown" Minor "the noise floor (A/A) of this machine is not known",
        "Only the tolerance decides which differences count. `udperf ab` without --a and --b \
         measures the noise floor.";
    SAME_RUNS "same_runs" Minor "some runs are on both sides",
        "They make the sides look more alike than they are.";
    NEW_WARNING "new_warning" Minor "the new runs have a warning that the base does not have",
        "Its cause may be the cause of the difference. See its code with `udperf explain`.";
    LEFT_OUT "left_out" Info "a metric is not compared",
        "The message says why.";
    UNEVEN "uneven" Info "the sides have different numbers of runs",
        "The last round was not finished.";
}

codes! { INVALID;
    NOTHING_MEASURED "nothing_measured" Critical "the document has no cell",
        "The run ended before its first cell did. Run it again. The exit code is 5.";
    NOTHING_SENT "nothing_sent" Critical "nothing was sent",
        "The system refused every send, or every slot of the schedule was missed. The message has \
         the most frequent reason; `refused` of the ledger has all of them. The exit code is 5.";
    NOTHING_ARRIVED "nothing_arrived" Critical "no datagram arrived",
        "Datagrams were sent and the receiver got none, although no error came back. Check the \
         address, the port and firewalls on the path; `lost_at` of the ledger has the places. The \
         exit code is 5.";
    NOTHING_ANSWERED "nothing_answered" Critical "no request was answered",
        "No reply came, or no reply matched a request. A late reply counts as an answer. Check the \
         address, the port, firewalls, --match, and that the server answers such requests. The \
         exit code is 5.";
    TARGET_UNREACHABLE "target_unreachable" Critical "the target was unreachable throughout",
        "ICMP errors or the system reported the target as unreachable, and nothing arrived or was \
         answered. Check the address, the port and the route, and that the server runs. An outage \
         during a run that otherwise worked does not make it invalid. The exit code is 5.";
    SCHEDULE_MISSED "schedule_missed" Critical
        "more of the schedule was missed than --max-missed allows",
        "The load was lower than requested, so loss and latency are those of a lower rate. Use a \
         lower --rate, more --threads or a host with idle cores; --max-missed sets the limit \
         (default 1 %). The exit code is 5 if it depends on the figures: --fail-if, search, \
         compare, ab.";
}
