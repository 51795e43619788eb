//! The rows of the table of codes of reasons why a run is invalid (`invalid_because`).

use super::codes;

codes! { INVALID;
    NOTHING_MEASURED "nothing_measured" Critical "the document has no cell",
        "The run ended before its first cell did. Run it again. The exit code is 5.";
    NOTHING_SENT "nothing_sent" Critical "nothing was sent",
        "The system refused every send, or every slot of the schedule was missed. The message has \
         the most frequent reason; `refused` of the ledger has all of them. The exit code is 5.";
    NOTHING_ARRIVED "nothing_arrived" Critical "no datagram arrived",
        "The receiver got no datagram, although no error came back. Check the address, the port \
         and firewalls on the path; `lost_at` of the ledger has the places. The exit code is 5.";
    NOTHING_ANSWERED "nothing_answered" Critical "no request was answered",
        "No reply came, or no reply matched a request. A late reply counts as an answer. Check the \
         address, the port, firewalls, --match, and that the server answers such requests. The \
         exit code is 5.";
    SECOND_NOT_SENT "second_not_sent" Critical "no second request of --then was sent",
        "The server answered first requests, but no reply had the bytes of --then-if or all fields \
         of --then, or each was an error by --error. So the second step was not tested. Compare \
         the bytes of a reply (udperf talk shows them) with --then-if. Presets such as a2s may end \
         without a second request. The exit code is 5.";
    TARGET_UNREACHABLE "target_unreachable" Critical "the target was unreachable throughout",
        "ICMP errors or the system reported the target as unreachable, and nothing arrived or was \
         answered. Check the address, the port and the route, and that the server runs. An outage \
         during a run that otherwise worked does not make it invalid. The exit code is 5.";
    PEER_LOST "peer_lost" Critical "the sink was lost during the cell",
        "Its port was closed, or it did not answer any more. The document has what this host \
         counted: what the sink received is unknown, and of what it sent only what arrived and \
         the gaps in its numbers are known: `sent` is a lower bound, `lost` is null. Start \
         the sink again, and repeat the run. blast ends with exit code 1.";
    MEMBER_LOST "member_lost" Critical "a process of the run was lost or failed",
        "The sums lack its part, so they are not those of the load that was asked for. The message \
         names the process and its host; `members` has the others, which are complete. See what \
         mpirun or srun says of that process. The exit code is 1 after such an error, otherwise 5.";
    SCHEDULE_MISSED "schedule_missed" Critical
        "more of the schedule was missed than --max-missed allows",
        "Loss and latency are those of a lower rate. Use a lower --rate, more --threads or a host \
         with idle cores; --max-missed sets the limit (default 1 %). The exit code is 5. \
         If the highest of several rates is too much for this host on purpose, use \
         --max-missed 100%.";
}
