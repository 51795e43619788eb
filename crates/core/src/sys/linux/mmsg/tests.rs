//! Tests of messages sent and received many at a time.

use super::*;

#[test]
fn headers_to_send_stay_valid_after_moves() {
    for to in [None, Some("127.0.0.1:7"), Some("[::1]:7")] {
        let to = to.map(|to| to.parse().unwrap());
        let mut batch = SendBatch::new(2, to);
        for payloads in [&[&b"abcd"[..], b"xyz", b"beyond"][..], &[b""]] {
            let count = batch.fill_headers(payloads.iter().copied());
            assert_eq!(count as usize, payloads.len().min(2));
            let moved = Box::new(batch);
            for (slot, payload) in payloads.iter().take(2).enumerate() {
                // SAFETY: the payloads and the batch live.
                let read = unsafe { read_as_kernel(&raw const (*moved.messages.at(slot)).msg_hdr) };
                assert_eq!(read, (payload.to_vec(), to, Vec::new()));
            }
            batch = *moved;
        }
    }
}

#[test]
fn departures_are_in_the_control_messages() {
    let mut batch = Box::new(SendBatch::new(2, None).with_departures());
    for (message, at_ns) in [(0, 7_u64), (1, u64::MAX)] {
        batch.set_departure(message, at_ns);
        batch.fill_headers([&b"a"[..], b"b"].into_iter());
        // SAFETY: the payloads and the batch live.
        let (.., control) =
            unsafe { read_as_kernel(&raw const (*batch.messages.at(message)).msg_hdr) };
        let mut expected = Control([0; DEPARTURE_LEN]);
        let end = expected.put(0, (libc::SOL_SOCKET, libc::SCM_TXTIME), at_ns);
        assert_eq!((control, end), (expected.0.to_vec(), DEPARTURE_LEN));
    }
}

/// Writes to the headers like recvmmsg(2), so that Miri can check [`StableSlice`].
fn write_as_kernel(batch: &mut RecvBatch, payloads: &[&[u8]]) {
    batch.restart();
    for (slot, payload) in payloads.iter().enumerate() {
        let message = batch.messages.at(slot);
        let mut control = Control([0; CONTROL_LEN]);
        let len = control.put(0, (libc::SOL_UDP, libc::UDP_GRO), 2);
        let mut addr = NO_ADDR;
        write_addr(&mut addr, SocketAddr::from(([127, 0, 0, 1], 7)));
        // SAFETY: the headers point to buffers of the batch, which outlive this call.
        unsafe {
            let header = &raw mut (*message).msg_hdr;
            let to = (*(*header).msg_iov).iov_base.cast::<u8>();
            to.copy_from_nonoverlapping(payload.as_ptr(), payload.len());
            (*header).msg_name.cast::<Addr>().write(addr);
            (*header).msg_control.cast::<Control<CONTROL_LEN>>().write(control);
            (*header).msg_controllen = len as _;
            (*message).msg_len = payload.len() as u32;
        }
    }
    batch.received = payloads.len();
}

#[test]
fn header_pointers_stay_valid_after_moves() {
    let metadata = RecvMetadata { segments: true, ..RecvMetadata::default() };
    let mut batch = RecvBatch::new(2, 4, metadata);
    for payloads in [[&b"abcd"[..], b"xyz"], [b"12", b"3"]] {
        write_as_kernel(&mut batch, &payloads);
        let mut moved = Box::new(batch);
        let seen: Vec<_> = moved.messages().map(|m| (m.payload.to_vec(), m.segment)).collect();
        assert_eq!(seen, payloads.map(|payload| (payload.to_vec(), 2)));
        for request in moved.requests() {
            assert_eq!(request.from, Some(SocketAddr::from(([127, 0, 0, 1], 7))));
            request.payload.fill(0);
        }
        batch = *moved;
    }
}
#[test]
fn single_calls_report_length_sender_and_truncation() {
    let [sender, socket] = [(); 2].map(|()| std::net::UdpSocket::bind("127.0.0.1:0").unwrap());
    sender.connect(socket.local_addr().unwrap()).unwrap();
    for segments in [false, true] {
        let metadata = RecvMetadata { segments, ..RecvMetadata::default() };
        let mut batch = RecvBatch::new(2, 4, metadata);
        for payload in [&b"too long"[..], b"four"] {
            sender.send(payload).unwrap();
            batch.restart();
            batch.recv_one(&socket).unwrap();
            let seen: Vec<_> = batch.messages().map(|m| (m.payload, m.truncated)).collect();
            assert_eq!(seen, [(&payload[..4], payload.len() > 4)]);
            assert_eq!(batch.sender(0), Some(sender.local_addr().unwrap()));
        }
        batch.omit_senders();
        sender.send(b"four").unwrap();
        batch.restart();
        batch.recv_one(&socket).unwrap();
        assert_eq!((batch.messages().count(), batch.sender(0)), (1, None));
        sender.send(b"more").unwrap();
        assert_eq!((batch.recv(&socket).unwrap(), batch.sender(0)), (1, None));
    }
}
