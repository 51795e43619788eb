//! Codes about the outcomes of datagrams: the ledger, the kernel's counters and the path.

use super::{codes, count, share};

codes! { DATAGRAMS;
    UNACCOUNTED "unaccounted" Critical by |c| share(c.ledger.unaccounted, c.ledger.sent),
        "datagrams were lost, and no counter of this host has them",
        "Something on the path drops without counting (a firewall, a device, another host), or \
         udperf has a bug. See `nft list ruleset` and `ip -s link`. On loopback please report it.";
    KERNEL_MISMATCH "kernel_mismatch" Critical "the kernel counted fewer datagrams than udperf",
        "The kernel counts at least what udperf counts, because it counts other traffic too. Loss \
         and rates of this cell are uncertain. Repeat the run; if the warning comes back, please \
         report it with the JSON document.";
    NEIGHBOUR_UNRESOLVED "neighbour_unresolved" Critical
        "datagrams never left: the next hop did not answer",
        "Address resolution (ARP, neighbour discovery) failed. See `ip neigh`; check the address, \
         and that the host is up.";
    LOST_BETWEEN "lost_between" Major by |c| share(c.ledger.unaccounted, c.ledger.sent),
        "datagrams were lost on the path between both ends",
        "Neither end's counters have them, so something between dropped them: check the counters \
         of switches, firewalls and shapers there.";
    RECEIVE_BUFFER_LOSS "receive_buffer_loss" Major
        by |c| share(c.ledger.lost_at.receive_buffer, c.ledger.sent),
        "the receiver's socket buffer was full",
        "The receiver was the limit, not the network. Use a larger --socket-buffer, more --threads \
         or a lower --rate. At --rate max some loss here is normal: the sender is faster than the \
         receiver.";
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
        "The device was the limit, not the sender. Use a lower --rate, or a longer queue: ip link \
         set DEV txqueuelen 10000.";
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
        "datagrams of other senders arrived at our port",
        "They take room in the receive buffer. Choose another --port or --bind, or stop the other \
         sender.";
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
