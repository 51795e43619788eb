//! A server that keeps every request with the port it came from, and answers as a test says.

use std::net::{SocketAddr, UdpSocket};
use std::thread::JoinHandle;

use crate::shim::heard;

/// A request: the port it came from, and its bytes.
pub type Request = (u16, Vec<u8>);

/// A running one.
pub struct Recorder {
    pub at: SocketAddr,
    stopper: UdpSocket,
    thread: JoinHandle<Vec<Request>>,
}

impl Recorder {
    /// Sends back what `answers` gives for a request and its number, from 0.
    pub fn start(answers: impl Fn(usize, &[u8]) -> Vec<Vec<u8>> + Send + 'static) -> Self {
        Self::bind("127.0.0.1:0", answers)
    }

    /// The same at an address of loopback.
    pub fn bind(
        address: &str,
        answers: impl Fn(usize, &[u8]) -> Vec<Vec<u8>> + Send + 'static,
    ) -> Self {
        let socket = UdpSocket::bind(address).unwrap();
        let _ = socket2::SockRef::from(&socket).set_recv_buffer_size(4 << 20);
        let at = socket.local_addr().unwrap();
        let stopper = UdpSocket::bind(address).unwrap();
        let stop_at = stopper.local_addr().unwrap();
        let thread = std::thread::spawn(move || {
            let (mut requests, mut slot) = (Vec::new(), vec![0; 65_536]);
            loop {
                let (len, from) = heard(&socket, &mut slot).unwrap();
                if from == stop_at {
                    return requests;
                }
                let request = &slot[..len];
                for answer in answers(requests.len(), request) {
                    socket.send_to(&answer, from).unwrap();
                }
                requests.push((from.port(), request.to_vec()));
            }
        });
        Self { at, stopper, thread }
    }

    /// One that answers nothing.
    pub fn silent() -> Self {
        Self::start(|_, _| Vec::new())
    }

    /// Ends it behind all that has come; every request in the order of arrival.
    #[track_caller]
    pub fn end(self) -> Vec<Request> {
        self.stopper.send_to(b"", self.at).unwrap();
        self.thread.join().unwrap()
    }
}
