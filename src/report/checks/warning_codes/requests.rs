//! Codes about requests and replies (load, ping).

use super::{codes, count, of_errors, of_requests, of_schedule, share};

codes! { REQUESTS;
    ORDER_LOST "order_lost" Critical by |c| of_requests(c, c.exchange.as_ref()?.timeouts),
        "replies carry no id, and some are missing",
        "Without an id, replies are matched in order, so after a missing one they match older \
         requests. Latency is withheld. Add {id} or --id-at if the server returns it.";
    GENERATOR_DROPPED "generator_dropped" Critical
        by |c| of_requests(c, c.exchange.as_ref()?.own_drops.unwrap_or(0)),
        "udperf's own socket dropped replies",
        "The receive buffer of the generator was full, and those replies count as timeouts: the \
         generator was too slow. Use more --threads, a larger --socket-buffer or a lower --rate.";
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
         buffer on this host overflowed, the server is too slow: lower the --rate, or give the \
         server a larger SO_RCVBUF (sysctl net.core.rmem_default, or its own configuration). If no \
         datagram came back, check the address, the port, firewalls, and whether the server \
         answers such requests. If the server is on another host, see `nstat -az UdpRcvbufErrors` \
         there.";
    FROM_ELSEWHERE "from_elsewhere" Major by |c| count(c.exchange.as_ref()?.elsewhere),
        "datagrams arrived at ports without a socket",
        "The cause is a server that answers from another address or port. Send the requests to the \
         address it answers from.";
    UNMATCHED "unmatched" Major
        by |c| share(c.exchange.as_ref()?.unmatched, c.exchange.as_ref()?.replies),
        "datagrams came back that match no request",
        "They have another format than expected, or are damaged. See them with `udperf talk`, or \
         use another --match.";
    ERROR_REPLIES "error_replies" Major by of_errors, "replies report errors of the protocol",
        "Their latency counts like that of all others. Check that the requests are valid for this \
         server.";
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
