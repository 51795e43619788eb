//! Sockets of a server that share one UDP port. The first bytes of each datagram select the socket
//! by the program of [`crate::net::steer`]: listeners get control messages and unsolicited
//! datagrams, and each session has a slot of sockets.
//!
//! The kernel numbers the sockets of a port in the order of bind(2), and gives the number of a
//! closed one to the last one. So the group closes no socket; a pool holds released slots.
//!
//! No socket may be connected: the kernel would deliver the peer's datagrams to it without the
//! program. No socket may stay in an event queue: sessions get duplicates, and closing a duplicate
//! does not remove it from the queue.
//!
//! The program cannot steer ICMP errors: the kernel delivers them to the socket that its hash
//! selects (`__udp4_lib_err`, net/ipv4/udp.c), where they fill the receive buffer until they are
//! read. So they are disabled, except while the sender of a slot reads them
//! ([`Udp::report_queue_drops`]), and while [`Group::set_error_reports`] enables them.

use std::collections::VecDeque;
use std::io;
use std::net::SocketAddr;

use mio::net::UdpSocket;
use socket2::Socket;

use super::options::Options;
use super::socket::{
    SocketError, Udp, bind, bind_shared, drain, local_of, prepare, prepare_created,
};
use super::steer::{MAX_SLOTS, program};
use crate::sys::{self, QueuedError};

/// SO_RCVBUF of a free slot, in bytes: the kernel raises it to its minimum (`SOCK_MIN_RCVBUF`,
/// include/net/sock.h), which holds one or two late datagrams.
const IDLE_BUFFER: usize = 1;

/// Options of a group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GroupOptions {
    /// Options of each socket; `buffer` is that of the listeners. IPv6 sockets do not accept IPv4:
    /// each family needs its own group.
    pub socket: Options,
    /// Sockets for datagrams of no slot; 0 counts as 1.
    pub listeners: usize,
    /// Sockets of each slot; 0 counts as 1.
    pub per_slot: usize,
    /// Whether to steer if the system can.
    pub steer: bool,
}

/// The sockets of one session.
#[derive(Debug)]
pub struct Slot {
    /// Its number, which the tags of its datagrams carry.
    pub number: u16,
    /// The phase of its next datagrams; late ones of earlier phases carry another.
    pub phase: u16,
    /// Its port, if the slot has one socket at its own port for lack of steering.
    pub port: Option<u16>,
    /// Its sockets: flow *f* arrives at socket *f* modulo their number.
    pub sockets: Vec<Udp>,
}

impl Slot {
    /// Number of receivers, at least 1.
    pub fn receivers(&self) -> usize {
        self.sockets.len().max(1)
    }
}

/// Sockets that share one port.
#[derive(Debug)]
pub struct Group {
    options: GroupOptions,
    can_steer: bool,
    listeners: Vec<Socket>,
    /// Slots in use or free, by their number less one.
    slots: Vec<PooledSlot>,
    /// Free slots, the longest free one first.
    free: VecDeque<u16>,
    /// Slots that the program steers to: up to the highest one in use.
    attached: usize,
    /// Sockets at the port that were passed to this process and are not used yet; `None`: it binds
    /// all sockets itself. Only the user who bound the first socket can bind more.
    passed: Option<VecDeque<Socket>>,
}

#[derive(Debug)]
struct PooledSlot {
    /// Empty without steering.
    sockets: Vec<Socket>,
    next_phase: u16,
}

impl Group {
    /// Binds the listeners and attaches the program; fails if another process has the port.
    pub fn open(options: &GroupOptions) -> Result<Self, SocketError> {
        Self::open_passed(options, Vec::new())
    }

    /// As [`Self::open`], but with these sockets, in the order of bind(2): all that share the port.
    /// They limit the number of slots. Without any, the group binds its sockets itself.
    pub fn open_passed(options: &GroupOptions, passed: Vec<Socket>) -> Result<Self, SocketError> {
        let mut options = options.clone();
        options.listeners = options.listeners.max(1);
        options.per_slot = options.per_slot.max(1);
        for socket in passed.iter().skip(1) {
            // Without its program, the port spreads datagrams over all sockets. Peers retry.
            socket.set_nonblocking(true)?;
            drain(socket, granted(socket));
        }
        let mut passed = (!passed.is_empty()).then(|| VecDeque::from(passed));
        let first = match passed.as_mut().and_then(VecDeque::pop_front) {
            Some(first) => adopt(first, &options.socket)?,
            None => {
                // It only shares the port after bind(2), so that no other process shares it.
                let first = new_unbound(&options.socket)?;
                bind(&first, &options.socket)?;
                first
            }
        };
        options.socket.bind = local_of(&first, options.socket.bind);
        let mut group = Self {
            options,
            can_steer: false,
            listeners: vec![first],
            slots: Vec::new(),
            free: VecDeque::new(),
            attached: 0,
            passed,
        };
        group.share()?;
        Ok(group)
    }

    fn share(&mut self) -> Result<(), SocketError> {
        let GroupOptions { listeners, per_slot, .. } = self.options;
        let least = if listeners == 1 { per_slot } else { listeners - 1 };
        let has_few = self.passed.as_ref().is_some_and(|passed| passed.len() < least);
        if !self.options.steer || has_few || sys::set_reuse_port(&self.listeners[0]).is_err() {
            return Ok(());
        }
        for _ in 1..listeners {
            let listener = self.join(self.options.socket.buffer)?;
            self.listeners.push(listener);
        }
        if listeners == 1 {
            // The kernel attaches a program only to a port with two sockets.
            let slot = self.open_slot()?;
            self.slots.push(slot);
        }
        self.can_steer = self.attach(0).is_ok();
        if self.can_steer {
            self.free.extend(1..=self.slots.len() as u16);
        } else {
            // All datagrams have to reach the remaining socket.
            self.listeners.truncate(1);
            self.slots.clear();
        }
        Ok(())
    }

    /// Whether datagrams are steered; otherwise there is one listener, and each slot has a port.
    pub const fn can_steer(&self) -> bool {
        self.can_steer
    }

    /// The address of the group with the actual port.
    pub const fn local(&self) -> SocketAddr {
        self.options.socket.bind
    }

    /// Duplicates of the listeners. Control messages arrive at the first one, other datagrams of no
    /// slot at the one that the hash of their source selects.
    pub fn listeners(&self) -> Result<Vec<UdpSocket>, SocketError> {
        self.listeners.iter().map(|listener| Ok(self.duplicate(listener)?.socket)).collect()
    }

    /// Duplicates of the listeners in the same order with their granted buffers, to read counters.
    pub fn listener_handles(&self) -> Result<Vec<Udp>, SocketError> {
        self.listeners.iter().map(|listener| self.duplicate(listener)).collect()
    }

    /// Takes a free slot with empty sockets, whose drop counters continue; `buffer`: requested
    /// SO_SNDBUF and SO_RCVBUF in bytes.
    pub fn take_slot(&mut self, buffer: usize) -> Result<Slot, SocketError> {
        let number = self.next_free_number()?;
        let steered = self.steer_to(self.attached.max(number.into()));
        let steered = steered.map_err(|source| SocketError::Join { addr: self.local(), source });
        let slot = steered.and_then(|()| {
            let pooled = &self.slots[usize::from(number) - 1];
            let sockets = match self.can_steer {
                true => self.pooled_sockets(pooled, buffer)?,
                false => vec![self.own_socket(buffer)?],
            };
            let port = sockets.first().filter(|_| !self.can_steer).map(|own| own.local.port());
            Ok(Slot { number, phase: pooled.next_phase, port, sockets })
        });
        if slot.is_err() {
            self.free.push_front(number);
        }
        slot
    }

    /// Releases a slot after its sockets were closed, if it is in use; `phase`: its next phase.
    pub fn release_slot(&mut self, number: u16, phase: u16) {
        if self.pooled(number).is_none() || self.free.contains(&number) {
            return;
        }
        for socket in self.pooled(number).into_iter().flat_map(|slot| &slot.sockets) {
            // A failed reset is repeated when the slot is taken.
            let _ = self.reset(socket);
            let limit = granted(socket);
            let _ = socket.set_recv_buffer_size(IDLE_BUFFER);
            drain(socket, limit);
        }
        self.free.push_back(number);
        self.slots[usize::from(number) - 1].next_phase = phase;
        // Late datagrams of free slots go to the listeners; if that fails, they are discarded.
        let highest =
            (1..=self.slots.len() as u16).rev().find(|number| !self.free.contains(number));
        let _ = self.steer_to(highest.unwrap_or(0).into());
    }

    /// Enables or disables error reports of listeners and free slots. While enabled, call
    /// [`Self::refused`] often: see above.
    pub fn set_error_reports(&self, on: bool) {
        for socket in self.idle() {
            let set = if on { sys::report_queue_drops } else { sys::disable_recverr };
            // If that fails, no errors are found.
            let _ = set(socket, self.local().is_ipv6());
        }
    }

    /// Whether a host reported one of these ports as closed since [`Self::set_error_reports`].
    pub fn refused(&self, peers: &[SocketAddr]) -> bool {
        let mut found = false;
        for socket in self.idle() {
            sys::take_queued_errors(socket, |QueuedError { to, error, .. }| {
                // Without the scope.
                let same = |one: &SocketAddr| {
                    to.is_some_and(|peer| (peer.ip(), peer.port()) == (one.ip(), one.port()))
                };
                let closed = error.unreachable().is_some_and(|why| why.is_closed_port());
                found |= closed && peers.iter().any(same);
            });
        }
        found
    }

    fn idle(&self) -> impl Iterator<Item = &Socket> {
        let free = self.free.iter().filter_map(|&number| self.pooled(number));
        self.listeners.iter().chain(free.flat_map(|slot| &slot.sockets))
    }

    fn pooled(&self, number: u16) -> Option<&PooledSlot> {
        self.slots.get(usize::from(number).checked_sub(1)?)
    }

    fn reset(&self, socket: &Socket) -> io::Result<()> {
        sys::reset_rx_options(socket)?;
        sys::disable_recverr(socket, self.local().is_ipv6())
    }

    fn steer_to(&mut self, slots: usize) -> io::Result<()> {
        if self.can_steer && slots != self.attached {
            self.attach(slots)?;
            self.attached = slots;
        }
        Ok(())
    }

    /// The number of a free slot; adds its sockets if it is new.
    fn next_free_number(&mut self) -> Result<u16, SocketError> {
        if let Some(number) = self.free.pop_front() {
            return Ok(number);
        }
        if self.slots.len() == usize::from(MAX_SLOTS) {
            return Err(SocketError::Slots { addr: self.local(), slots: MAX_SLOTS });
        }
        let slot = match self.can_steer {
            true => self.open_slot()?,
            false => PooledSlot { sockets: Vec::new(), next_phase: 0 },
        };
        self.slots.push(slot);
        Ok(self.slots.len() as u16)
    }

    fn pooled_sockets(&self, slot: &PooledSlot, buffer: usize) -> Result<Vec<Udp>, SocketError> {
        let prepared = slot.sockets.iter().map(|socket| {
            self.reset(socket)?;
            drain(socket, granted(socket));
            // The kernel may grant less; the granted size is read back.
            let _ = socket.set_send_buffer_size(buffer);
            let _ = socket.set_recv_buffer_size(buffer);
            self.duplicate(socket)
        });
        prepared.collect()
    }

    fn own_socket(&self, buffer: usize) -> Result<Udp, SocketError> {
        let mut options = Options { buffer, joins: Vec::new(), ..self.options.socket.clone() };
        options.bind.set_port(0);
        Udp::open(&options)
    }

    fn join(&mut self, buffer: usize) -> Result<Socket, SocketError> {
        let options = Options { buffer, joins: Vec::new(), ..self.options.socket.clone() };
        if let Some(passed) = &mut self.passed {
            let slots = self.slots.len() as u16;
            let next =
                passed.pop_front().ok_or(SocketError::Slots { addr: options.bind, slots })?;
            return adopt(next, &options);
        }
        let socket = new_unbound(&options)?;
        // All members of a multicast group get its datagrams: only the first socket joins.
        sys::join_no_group(&socket, self.local().is_ipv6());
        bind_shared(&socket, self.local())?;
        Ok(socket)
    }

    fn open_slot(&mut self) -> Result<PooledSlot, SocketError> {
        let sockets = (0..self.options.per_slot).map(|_| self.join(IDLE_BUFFER));
        Ok(PooledSlot { sockets: sockets.collect::<Result<_, _>>()?, next_phase: 0 })
    }

    fn attach(&self, slots: usize) -> io::Result<()> {
        let GroupOptions { listeners, per_slot, .. } = self.options;
        let ipv6 = self.local().is_ipv6();
        let program = program(ipv6, listeners as u32, per_slot as u32, slots as u32);
        sys::attach_steering(&self.listeners[0], &program)
    }

    fn duplicate(&self, socket: &Socket) -> Result<Udp, SocketError> {
        Ok(Udp::of(socket.try_clone()?, self.local()))
    }
}

fn new_unbound(options: &Options) -> Result<Socket, SocketError> {
    let (socket, ipv6) = (prepare(options)?, options.bind.is_ipv6());
    sys::disable_recverr(&socket, ipv6)?;
    if ipv6 {
        socket.set_only_v6(true)?;
    }
    Ok(socket)
}

/// Sets up a socket that was passed, as those of [`new_unbound`].
fn adopt(socket: Socket, options: &Options) -> Result<Socket, SocketError> {
    socket.set_nonblocking(true)?;
    prepare_created(&socket, options)?;
    sys::disable_recverr(&socket, options.bind.is_ipv6())?;
    Ok(socket)
}

/// SO_RCVBUF as granted, in bytes; the maximum if unknown.
fn granted(socket: &Socket) -> usize {
    socket.recv_buffer_size().unwrap_or(usize::MAX)
}
