//! The rows of the table of codes of warnings. Codes of `HOST` are about the host of the sink if
//! they have the prefix `sink_`.

use super::{
    Size, codes, count, of_errors, of_requests, of_schedule, of_stalls, of_workers, share,
    standing_out, sum_counts,
};

codes! { RUN;
    BROKEN_LEDGER "broken_ledger" Critical "the counts of a cell contradict each other",
        "An identity such as sent = received + lost does not hold, so no count of this cell can be \
         trusted. This is a bug in udperf: please report it with the JSON document.";
    CUT_SHORT "cut_short" Critical "the cell ended before its time",
        "The figures cover what was measured until then. Do not compare them with a whole run.";
    SEGMENTS_NEVER_CUT "segments_never_cut" Critical
        by |c| share(c.packets.uncut, c.ledger.arrived.unwrap_or(0)),
        "datagrams travelled in super-packets from end to end",
        "GSO on the sender met GRO on the receiver with nothing in between that splits \
         super-packets, as on loopback and veth. The kernel handled many datagrams as one packet, \
         so the rate is not the cost of a datagram. Compare with gso/batch or batch, or measure \
         between two hosts.";
    OVER_LOOPBACK "over_loopback" Critical "traffic to an address of this host runs over lo",
        "The kernel sends everything for its own addresses to lo, so the device was not measured. \
         Use --to-netns, or measure between two hosts with blast and sink. Of processes that a \
         launcher started, each should send to another host: mpirun --map-by node, or srun \
         --distribution=cyclic.";
    SHARED_CORE "shared_core" Critical "a sender and a receiver ran on one core",
        "They took turns: rates are too low, and latency includes the wait for the other. Name \
         different cores with --pin TX:RX, or use fewer --threads.";
    ENGINE_FELL_BACK "engine_fell_back" Major "another engine ran than requested",
        "The kernel or a device refused super-packets, the sizes are mixed, two datagrams of this \
         size do not fit into one, or --batch is 1. The figures are those of the engine that ran.";
    BEHIND_SCHEDULE "behind_schedule" Major by of_schedule, "the generator did not keep the rate",
        "Datagrams left late, or were skipped because they were too late. Latency counts from the \
         schedule and includes that lag; from_send does not. Use a lower --rate or more --threads. \
         Stalls of the sender are a frequent cause.";
    MEMBER_LIMIT "member_limit" Major by of_schedule,
        "one process kept its part less than the others",
        "Of several processes, this one missed more of its schedule than all others: its host was \
         the limit of the run. Free cores there, start more processes on other hosts, or use a \
         lower --rate. Each process has its own figures in members of the document.";
    MEMBER_OUTAGE "member_outage" Major
        by |c| share(sum_counts(c.outages.iter().map(|one| one.errors)), c.ledger.attempted),
        "the target was unreachable for some processes only",
        "Of several processes, these found the target unreachable for a while, and others did not: \
         their host, its link or its route was down, not the target. `outages` of their cells in \
         members of the document have the times. An outage does not make the run invalid; a \
         process that never reached the target does.";
    STOLEN "stolen" Major by |c| share(c.stalls.stolen_ns, c.elapsed_ns),
        "the hypervisor took CPU time during the cell",
        "The virtual machine did not run for that long: rates are too low, and the latency tail is \
         the hypervisor's. Repeat with --trials and use ratios of interleaved runs.";
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
        "The wait in the socket is not known. Choose a receiving engine that has timestamps.";
    TRUNCATED "truncated" Minor by |c| count(c.packets.truncated),
        "packets were longer than their receive buffer",
        "The rest of the packet, or its control messages, was cut off. In bench and blast such \
         packets are foreign or count as corrupt. In load the rate in bits is too low; use \
         another receiving engine.";
    FLOW_STARVED "flow_starved" Major by |c| count(c.flows.as_ref()?.starved),
        "no datagram of some flows arrived",
        "Totals hide this; flows.worst lists them. A firewall may drop their ports (try \
         --port-range), or they share a full receiver (more --threads at the sink, --spread turn).";
    SOURCES_DIFFER "sources_differ" Major
        by |c| count(standing_out(c)),
        "some sources lost more than others",
        "Chance does not explain the difference (the rule is in docs/load.md). A server or \
         firewall may limit the rate of a client, or drop these addresses; totals hide this. \
         sources of the document lists them.";
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
    BUDGET_ENDED "budget_ended" Major "--budget ended before every size was searched",
        "No trial of these sizes would have ended in time. Use a longer --budget, fewer sizes, or \
         a shorter --time.";
    ENGINE_AT_RATE "engine_at_rate" Info "auto chose the engine at a limited rate",
        "At a rate that several engines can keep, they deliver alike, and chance decides between \
         them. Name an engine with -e in the inner command.";
}

codes! { DATAGRAMS;
    UNACCOUNTED "unaccounted" Critical by |c| share(c.ledger.unaccounted, c.ledger.sent),
        "datagrams were lost, and no counter of this host has them",
        "Something on the path drops without counting (a firewall, a device, another host), or \
         udperf has a bug. See `nft list ruleset` and `ip -s link`. On loopback please report it.";
    KERNEL_MISMATCH "kernel_mismatch" Critical "the kernel counted fewer datagrams than udperf",
        "The kernel counts other traffic too, so it should count at least as many. Loss and rates \
         are uncertain. Repeat the run; if it comes back, please report it with the JSON document.";
    NEIGHBOUR_UNRESOLVED "neighbour_unresolved" Critical
        "datagrams never left: the next hop did not answer",
        "Address resolution (ARP, neighbour discovery) failed. See `ip neigh`; check the address, \
         and that the host is up.";
    LOST_BETWEEN "lost_between" Major by |c| share(c.ledger.unaccounted, c.ledger.sent),
        "datagrams were lost on the path between both ends",
        "Neither end's counters have them, so something between dropped them: check the counters \
         of switches, firewalls and shapers there. A receiver with the engine xdp reads neither \
         fragments nor queues that --xdp-queue omits.";
    RECEIVE_BUFFER_LOSS "receive_buffer_loss" Major
        by |c| share(c.ledger.lost_at.receive_buffer, c.ledger.sent),
        "the receiver's socket buffer was full",
        "The receiver was the limit, not the network. Use a larger --socket-buffer, more --threads \
         or a lower --rate. At --rate max some loss here is normal: senders are faster.";
    XDP_RING_LOSS "xdp_ring_loss" Major by |c| share(c.ledger.lost_at.xdp_ring, c.ledger.sent),
        "a ring of AF_XDP was full",
        "The receiver did not read its ring fast enough, or had no free memory for frames: it was \
         the limit, not the network. Use more --threads, each with a queue of the device \
         (--xdp-queue), or a lower --rate. At --rate max some loss here is normal.";
    BACKLOG_LOSS "backlog_loss" Major by |c| share(c.ledger.lost_at.backlog, c.ledger.sent),
        "the backlog queue of a CPU was full",
        "The receiving host was the limit, not the network. Use a lower --rate or, as root, sysctl \
         -w net.core.netdev_max_backlog=10000.";
    REASSEMBLY_LOSS "reassembly_loss" Major "datagrams arrived with fragments missing",
        "A fragment was lost, or the receiver had no room for fragments. Use a --size that fits \
         the MTU, or raise net.ipv4.ipfrag_high_thresh on the receiver.";
    REFUSED_UNREACHABLE "refused_unreachable" Major
        by |c| share(c.ledger.refused.unreachable, c.ledger.attempted),
        "sends failed: the target was unreachable",
        "There is no route, or an ICMP error came back. Check the address, the port, routes and \
         firewalls, and that the receiver runs. The outages of the cell have the causes.";
    REFUSED_TOO_BIG "refused_too_big" Major
        by |c| share(c.ledger.refused.too_big, c.ledger.attempted),
        "sends failed: the datagram is too large (EMSGSIZE)",
        "It is larger than the path allows with --df, or with AF_UNIX than the send buffer. Use a \
         smaller --size, omit --df, or use a larger --socket-buffer.";
    REFUSED_NO_BUFFERS "refused_no_buffers" Major
        by |c| share(c.ledger.refused.no_buffers, c.ledger.attempted),
        "sends failed: a queue below the socket was full (ENOBUFS)",
        "The device was the limit, not the sender. Use a lower --rate, or ip link set DEV \
         txqueuelen 10000. With --pace-by txtime: a larger flow_limit of fq, or delta of etf.";
    REFUSED_WOULD_BLOCK "refused_would_block" Major
        by |c| share(c.ledger.refused.would_block, c.ledger.attempted),
        "sends failed: the send buffer was full (EAGAIN)",
        "The load was lower than requested. Use a larger --socket-buffer or a lower --rate. With \
         AF_UNIX the receiver's queue was full: as root, sysctl -w net.unix.max_dgram_qlen=512.";
    REFUSED_OTHER "refused_other" Major by |c| share(c.ledger.refused.other, c.ledger.attempted),
        "sends failed for another reason",
        "EPERM, for example, comes from a firewall (see `nft list ruleset`). A batch call may not \
         give its reason, most often a full send buffer or queue; -e plain shows it. The load was \
         lower than it seems.";
    SHARED_COUNTERS "shared_counters" Minor by |c| share(c.ledger.lost, c.ledger.sent),
        "losses come from counters that include other traffic",
        "The counter belongs to a whole device, network namespace or host, and it counts other \
         traffic too. The count at that place is an upper bound; some of these datagrams may have \
         been lost elsewhere. Measure one client at a time, or in a network namespace of its own.";
    ESTIMATED_PLACES "estimated_places" Minor by |c| share(c.ledger.lost, c.ledger.sent),
        "a loss count is estimated from packets",
        "The kernel dropped packets that held several datagrams, and counted packets. Other places \
         and `unaccounted` may be off by as much. With -e batch, or an engine pair that ends in \
         /batch, each datagram is counted.";
    BUFFER_NOT_GRANTED "buffer_not_granted" Minor "a socket buffer is smaller than requested",
        "Short pauses of a receiver become loss sooner, and sends are refused sooner. As root, \
         sysctl -w net.core.rmem_max and net.core.wmem_max raise the limits, until the next boot \
         unless they are in /etc/sysctl.d too.";
    OTHER_TRAFFIC "other_traffic" Minor "other processes sent UDP traffic during the cell",
        "It took CPU time and buffers. Stop other users of UDP, or measure in a network namespace \
         of its own.";
    FOREIGN "foreign" Minor by |c| count(c.ledger.foreign),
        "datagrams of other senders arrived at the receiver's port",
        "They take space in the receive buffer. Use another --port or --bind, or stop the sender.";
    CORRUPT "corrupt" Major by |c| count(c.ledger.corrupt),
        "datagrams arrived with changed content",
        "They have the tag of this run, but other content: something on the path changes or forges \
         them. They count as lost.";
    DUPLICATE "duplicate" Minor by |c| count(c.ledger.duplicate),
        "datagrams arrived more than once",
        "Something on the path duplicates them. The load on the receiver is higher than what was \
         sent.";
    LATE "late" Minor by |c| count(c.ledger.late),
        "datagrams arrived too late to tell whether they were new",
        "They count as lost, so loss may be overstated. A longer --warmup helps if they were left \
         over from the warm-up.";
}

codes! { REQUESTS;
    ORDER_LOST "order_lost" Critical by |c| of_requests(c, c.exchange.as_ref()?.timeouts),
        "replies carry no id, and some are missing",
        "Without an id, replies are matched in order, so after a missing one they match older \
         requests. Latency is withheld, and so is how many replies belong to each interval. Add \
         {id} or --id-at if the server returns it.";
    GENERATOR_DROPPED "generator_dropped" Critical
        by |c| of_requests(c, c.exchange.as_ref()?.own_drops.unwrap_or(0)),
        "udperf's own socket dropped replies",
        "The receive buffer of the generator was full, with the engine xdp its ring or a queue \
         between its threads, and those replies count as timeouts: the generator was too slow. Use \
         more --threads, a larger --socket-buffer or a lower --rate.";
    GENERATOR_LIMIT "generator_limit" Critical "the generator was the limit, not the server",
        "The generator was busy all the time, and the server kept up. Use more --threads, or run \
         the generator on a host of its own.";
    WINDOW_FULL "window_full" Major by of_schedule, "a closed loop could not keep its rate",
        "All --outstanding requests were waiting for replies when the next was due, or the \
         generator was late. Without --outstanding, requests leave on schedule.";
    NO_ROOM "no_room" Major "all request ids were in use",
        "Each port has a limited number of ids, and an id is in use until its reply or its \
         timeout. Use more --streams or a shorter --timeout.";
    NO_REPLY "no_reply" Major by |c| of_requests(c, c.exchange.as_ref()?.timeouts),
        "requests had no reply within --timeout",
        "The message says what this host knows about the cause. If another program's receive \
         buffer on this host overflowed, the server is too slow: lower the --rate, or give it a \
         larger SO_RCVBUF (sysctl net.core.rmem_default, or its own configuration). If nothing \
         came back, check the address, the port, firewalls, and whether the server answers such \
         requests. If the server is on another host, see `nstat -az UdpRcvbufErrors` there.";
    FROM_ELSEWHERE "from_elsewhere" Major by |c| count(c.exchange.as_ref()?.elsewhere),
        "datagrams arrived at ports without a socket",
        "The cause is a server that answers from another address or port. Send the requests to the \
         address it answers from.";
    UNMATCHED "unmatched" Major
        by |c| share(c.exchange.as_ref()?.unmatched, c.exchange.as_ref()?.replies),
        "datagrams came back that match no request",
        "They have another format than expected, or are damaged. See them with `udperf talk`, or \
         use another --match.";
    ERROR_REPLIES "error_replies" Major by of_errors, "replies are errors",
        "They report an error of the protocol, fit an --error rule, or fit no --expect rule \
         (`unexpected`). Their latency counts like that of all others. Check that the requests are \
         valid for this server.";
    SERVER_ENDED "server_ended" Major "a process of the server ended during the cell",
        "A process of --server-pid or --server-unit ran at the start of the cell and not at its \
         end, so the sums of CPU time and memory are unknown. If the server restarts its \
         processes, use --server-unit, and see its log for the reason.";
    SERVER_SOCKETS "server_sockets" Minor "drops at the server's sockets are unknown",
        "The sockets of a process are found by its open files, which only root and its own user \
         can read. Its CPU time and memory are known.";
    INCOMPLETE_REPLIES "incomplete_replies" Minor "replies of several datagrams were incomplete",
        "Some of the datagrams are missing, and the request counts as a timeout. Lower the --rate.";
    LATE_REPLIES "late_replies" Minor by |c| count(c.exchange.as_ref()?.late),
        "replies came after the timeout",
        "Their requests count as timeouts. With a longer --timeout they would count as slow.";
    DUPLICATE_REPLIES "duplicate_replies" Minor by |c| count(c.exchange.as_ref()?.duplicate),
        "replies came more than once",
        "The server answers twice, or the network duplicates datagrams.";
    LABELS_REPEATED "labels_repeated" Minor "random labels were repeated",
        "Repeated names may be in a cache, so they are answered faster. Use a longer \
         --random-subdomain.";
    MESSAGE_IDS_REUSED "message_ids_reused" Minor "CoAP message ids were used again within 247 s",
        "A server may take such a request for a retransmission and ignore it (RFC 7252, 4.8.2). \
         Use more --streams.";
}

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
        "They share execution units and caches, so each slows the other. Choose cores with --pin.";
    CPU_QUOTA "cpu_quota" Major "a CPU quota is below what the workers use",
        "When it is used up, all threads wait for the next period, often tens of ms. Raise the \
         limit of the container or cgroup (cpu.max).";
    BUSY_HOST "busy_host" Major "other programs want the same CPUs",
        "A program that runs beside a worker takes its CPU for milliseconds. Stop other programs.";
    CLOCK_COST "clock_cost" Major "reading the clock is slow",
        "Workers read the clock once a batch, so rates are too low, and each latency includes two \
         reads. A read takes about 25 ns with the vDSO; hpet or acpi_pm need a system call.";
    CLOCK_STEP "clock_step" Major "the clock has coarse steps",
        "Latency below a few steps is rounding.";
    CLOCKSOURCE "clocksource" Minor "the clock source is slow on most machines",
        "Unlike tsc, it is read by a system call or from slow hardware.";
    SLEEP_ERROR "sleep_error" Minor "sleeping threads wake up late",
        "A paced sender that sleeps between datagrams misses its due times. Use --wait spin.";
    REALTIME "realtime" Info "real-time workers are not permitted, or have no limit",
        "With --realtime, workers have the policy SCHED_FIFO, and ordinary programs do not delay \
         them. It needs CAP_SYS_NICE or ulimit -r, and CAP_IPC_LOCK or ulimit -l to lock memory. \
         kernel.sched_rt_runtime_us is the time that real-time threads may use in each \
         kernel.sched_rt_period_us. With -1, a thread that never sleeps blocks its CPU.";
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
         for milliseconds. The head of the report shows the hypervisor; the warning `stolen` says \
         when it mattered. Repeat with --trials and use ratios of interleaved runs.";
    SLOW_CPU "slow_cpu" Major "the CPU is much slower for a part of the time",
        "Something outside this system slows its CPU: another machine on the same hardware, or \
         heat. A paced sender then misses slots, and a receiver falls behind, but no stall is \
         reported. Repeat with --trials, use a lower --rate, or use a host that is not shared.";
    CONTAINER "container" Info "this is a container",
        "Kernel limits belong to the host. Unless the network is shared, counters are those of the \
         container alone.";
    ISOLATED_CPUS "isolated_cpus" Info "isolated CPUs that this process may not use",
        "The scheduler keeps them free, so figures are steadier there. Use taskset -c and --pin.";
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
        "Super-packets are split before the device or not joined after it, so the engines gso and \
         gro gain less.";
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
        "Only the tolerance decides. `udperf ab` without --a and --b measures the noise floor.";
    SAME_RUNS "same_runs" Minor "some runs are on both sides",
        "They make the sides look more alike than they are.";
    NEW_WARNING "new_warning" Minor "the new runs have a warning that the base does not have",
        "Its cause may be the cause of the difference. See its code with `udperf explain`.";
    LEFT_OUT "left_out" Info "a metric is not compared",
        "The message says why.";
    UNEVEN "uneven" Info "the sides have different numbers of runs",
        "The last round was not finished.";
}
