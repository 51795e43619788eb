//! Makes the queues between the threads that receive replies at a device.

use std::io;
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Mutex};

use super::super::XdpOptions;
use super::forward::{ForwardState, Forwarder, PortOwners, ThreadState};
use super::frame_ring::frame_ring;
use super::queues::RX_FRAMES;
use super::registry::{DeviceKey, Registry, lock};
use crate::sys::EventFd;

static GROUPS: Registry<DeviceKey, ForwardGroup> = Registry::new();

/// The threads that receive replies at a device; `None`: the thread has joined.
#[derive(Debug)]
pub(super) struct ForwardGroup(Mutex<Vec<Option<Forwarder>>>);

impl ForwardGroup {
    /// The group of these threads. The queues to one thread have at most `slots` frames of
    /// `slot_len` bytes together.
    fn new(threads: usize, slots: u32, slot_len: usize) -> io::Result<Self> {
        let states = (0..threads).map(|_| Ok(ThreadState::new(EventFd::new()?)));
        let threads = states.collect::<io::Result<Vec<_>>>()?;
        let shared = Arc::new(ForwardState { owners: PortOwners::new(), threads });
        let member = |thread| Forwarder {
            shared: Arc::clone(&shared),
            thread,
            to: Vec::new(),
            from: Vec::new(),
            dropped: Arc::new(AtomicU64::new(0)),
            phase: 0,
            is_asleep: false,
        };
        let count = shared.threads.len();
        let mut members: Vec<_> = (0..count as u16).map(member).collect();
        let slots = slots / count.saturating_sub(1).max(1) as u32;
        for (from, to) in (0..count).flat_map(|from| (0..count).map(move |to| (from, to))) {
            if from == to {
                members[from].to.push(None);
                continue;
            }
            let (sender, receiver) = frame_ring(slots, slot_len);
            members[from].to.push(Some(sender));
            members[to].from.push((receiver, 0));
        }
        Ok(Self(Mutex::new(members.into_iter().map(Some).collect())))
    }

    /// The part of this thread, for flows with these local ports. The slots of its device queue are
    /// divided between the queues to a thread, rounded down to a power of two.
    pub(super) fn join(
        device: DeviceKey,
        options: &XdpOptions,
        slot_len: usize,
        ports: &[u16],
    ) -> io::Result<(Forwarder, Arc<Self>)> {
        let (threads, slots) = (options.workers.max(1), options.rx_frames.unwrap_or(RX_FRAMES));
        let open = || Self::new(threads, slots, slot_len);
        // One thread shares nothing, so that another run may receive at the same device.
        let group = if threads == 1 { Arc::new(open()?) } else { GROUPS.get(device, open)? };
        let member = lock(&group.0).get_mut(options.worker).and_then(Option::take);
        let member = member.ok_or_else(|| {
            io::Error::new(
                io::ErrorKind::ResourceBusy,
                "another run of this process receives replies at the device; end it",
            )
        })?;
        for (stream, &port) in (0..).zip(ports) {
            if !member.shared.owners.claim(port, member.thread, stream) {
                return Err(io::Error::new(
                    io::ErrorKind::InvalidInput,
                    "two source addresses have the same port; use one source address",
                ));
            }
        }
        Ok((member, group))
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::Ordering;

    use super::super::frame_ring::FrameInfo;
    use super::*;
    use crate::unit::Nanos;

    type Joined = (Forwarder, Arc<ForwardGroup>);

    /// A thread of three at a device that no other test uses, with a queue of 4 frames from each
    /// other thread.
    fn join(device: u32, worker: usize, ports: &[u16]) -> io::Result<Joined> {
        let rx_frames = Some(8);
        let options = XdpOptions { worker, workers: 3, rx_frames, ..XdpOptions::default() };
        ForwardGroup::join((String::new(), device), &options, 16, ports)
    }

    /// All three, with ports from 100 on.
    fn three(device: u32) -> [Joined; 3] {
        [0, 1, 2].map(|worker| join(device, worker, &[100 + worker as u16]).unwrap())
    }

    fn info(number: u64) -> FrameInfo {
        FrameInfo { arrived_at: Nanos(number), stream: 1, payload: (2, 3) }
    }

    /// What another thread forwarded to this one.
    fn arrived(of: &mut Forwarder, from: usize) -> Vec<(u8, u64)> {
        let from = &mut of.from[from].0;
        let frames = (0..from.arrived()).map(|index| from.frame(index));
        let frames = frames.map(|(bytes, info)| (bytes[0], info.arrived_at.0)).collect();
        from.release(usize::MAX);
        frames
    }

    #[test]
    fn replies_reach_the_thread_of_their_port() {
        let mut all = three(0);
        let owner = |port| all[2].0.owner(port);
        assert_eq!(
            [100, 101, 102, 103].map(owner),
            [Some((0, 0)), Some((1, 0)), Some((2, 0)), None]
        );
        all[0].0.forward(2, &[7], info(1));
        all[1].0.forward(2, &[8], info(2));
        all[1].0.forward(0, &[9], info(3));
        assert_eq!(arrived(&mut all[2].0, 0), []);
        assert_eq!(
            (all[0].0.publish_and_wake(), all[1].0.publish_and_wake()),
            (0, 0),
            "no thread sleeps"
        );
        assert_eq!(arrived(&mut all[2].0, 0), [(7, 1)]);
        assert_eq!(arrived(&mut all[2].0, 1), [(8, 2)]);
        assert_eq!(arrived(&mut all[0].0, 0), [(9, 3)]);
        assert_eq!(arrived(&mut all[1].0, 0), []);
    }

    #[test]
    fn a_reply_that_finds_its_queue_full_is_counted() {
        let mut all = three(1);
        for number in 0..6 {
            all[0].0.forward(1, &[number], info(number.into()));
        }
        all[0].0.forward(2, &[6], info(6));
        all[0].0.publish_and_wake();
        assert_eq!(all[0].0.dropped.load(Ordering::Relaxed), 2);
        assert_eq!(arrived(&mut all[1].0, 0), [(0, 0), (1, 1), (2, 2), (3, 3)]);
        assert_eq!(arrived(&mut all[2].0, 0), [(6, 6)], "another queue");
        // Longer than a slot.
        all[0].0.forward(1, &[0; 17], info(7));
        assert_eq!(all[0].0.dropped.load(Ordering::Relaxed), 3);
    }

    #[test]
    fn a_thread_that_sleeps_is_woken_once() {
        let mut all = three(2);
        assert!(all[2].0.prepare_sleep());
        for (from, syscalls) in [(0, 1), (1, 0)] {
            all[from].0.forward(2, &[7], info(1));
            assert_eq!(all[from].0.publish_and_wake(), syscalls, "thread {from}");
        }
        assert!(!all[2].0.prepare_sleep(), "replies wait");
        all[2].0.end_sleep();
        all[0].0.forward(2, &[7], info(1));
        assert_eq!(all[0].0.publish_and_wake(), 0, "it is awake");
    }

    #[test]
    fn no_thread_ends_a_phase_before_the_others() {
        let [mut one, mut two, last] = three(3);
        one.0.phase += 1;
        assert!(!one.0.end_phase(), "the others have not begun");
        two.0.phase += 1;
        assert!(!two.0.end_phase() && !one.0.end_phase());
        // As a thread that fails.
        drop(last);
        assert!(one.0.end_phase() && two.0.end_phase());
    }

    #[test]
    fn a_thread_joins_once_and_shares_no_port() {
        let (_one, _group) = join(4, 0, &[100, 101]).unwrap();
        let why = |joined: io::Result<Joined>| joined.unwrap_err().to_string();
        assert!(why(join(4, 0, &[102])).contains("another run of this process"));
        assert!(why(join(4, 3, &[102])).contains("another run of this process"));
        assert!(why(join(4, 1, &[101])).contains("use one source address"));
        assert!(why(join(4, 2, &[102, 102])).contains("use one source address"));
    }
}
