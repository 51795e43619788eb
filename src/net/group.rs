//! Sockets of a server that share one UDP port, where the first bytes of each datagram decide which
//! socket gets it: listeners for strangers and control, and slots of sockets, one for each session.
//!
//! What steers is [`crate::net::steer`]. The kernel numbers the sockets of a port in order of
//! bind(2), and moves the last one into the gap that a closed one leaves: so none is closed while
//! the group lives. Slots that were given back wait in a pool for the next session.
//!
//! None of these sockets may be connected: the kernel gives what the peer of a connected socket
//! sends to that socket, past the program. Nor may one be left in an event queue that lives on:
//! what is handed out are duplicates, and closing one does not take it out of the queue.
//!
//! What a network sends back for a datagram of one of them (ICMP) has nothing for the program to
//! steer by: the kernel gives it to the socket of the port that its hash says (`__udp4_lib_err`,
//! net/ipv4/udp.c). One that heeds such errors keeps them in its receive buffer until they are read
//! ([`Options`] ask for that, as queue drops are told the same way): it would fill up with what
//! others caused, until nothing else finds room. So these heed none, except where a slot's sender
//! asks for it ([`Udp::report_queue_drops`]) and reads them while the slot is taken, and for the
//! short while in which somebody looks for them ([`Group::heed`]).

use std::collections::VecDeque;
use std::io;
use std::net::SocketAddr;

use mio::net::UdpSocket;
use socket2::{SockRef, Socket};

use super::options::Options;
use super::socket::{SocketError, Udp, bind, prepare};
use super::steer::{Layout, MOST_SLOTS, program};
use crate::sys;

/// SO_RCVBUF of a slot that nobody has, in bytes: the kernel raises it to its least
/// (`SOCK_MIN_RCVBUF`, include/net/sock.h), room for a datagram or two of whoever still sends.
const IDLE_BUFFER: usize = 1;

/// What a datagram takes of a receive buffer at least, in bytes, so that a buffer divided by it is
/// more than it holds: a `struct sk_buff` is 232 bytes, to which its data adds more.
const LEAST_TRUESIZE: usize = 232;

/// Datagrams that a receive buffer of so many bytes, as granted, holds at most.
#[must_use]
pub const fn most_waiting(buffer: usize) -> usize {
    buffer / LEAST_TRUESIZE + 1
}

/// What a group should be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GroupOptions {
    /// Address, port (0 takes an ephemeral one) and what else each socket should be; its `buffer`
    /// is that of the listeners. IPv6 sockets take IPv6 alone: one group for each family.
    pub socket: Options,
    /// Sockets for what belongs to no slot; 0 counts as 1.
    pub listeners: usize,
    /// Sockets of each slot; 0 counts as 1.
    pub per_slot: usize,
    /// Whether to steer where the system can; `false`: as if it could not.
    pub steer: bool,
}

/// The sockets of one session.
#[derive(Debug)]
pub struct Slot {
    /// Its number, which the tags of its datagrams carry.
    pub number: u16,
    /// The phase that its next datagrams are to carry: late ones of former phases have others.
    pub phase: u16,
    /// Its port; `None`: that of the group. Where the system cannot steer, a slot has one socket at
    /// a port of its own, however many were asked for.
    pub port: Option<u16>,
    /// Where its datagrams arrive: that of flow *f* at socket *f* modulo their number.
    pub sockets: Vec<Udp>,
}

impl Slot {
    /// How many receivers it has; one where its socket is elsewhere.
    #[must_use]
    pub fn receivers(&self) -> usize {
        self.sockets.len().max(1)
    }
}

/// Sockets that share one port.
#[derive(Debug)]
pub struct Group {
    options: GroupOptions,
    local: SocketAddr,
    steers: bool,
    listeners: Vec<Socket>,
    /// The sockets of each slot, by its number less one; none where the system cannot steer.
    slots: Vec<Vec<Socket>>,
    /// How many numbers of slots are in use or free.
    numbered: u16,
    /// Numbers that were given back, the longest free one first.
    free: VecDeque<u16>,
    /// The next phase of each slot, by its number less one.
    phases: Vec<u16>,
    /// Slots that the system steers to: up to the highest one that somebody has.
    attached: usize,
}

impl Group {
    /// Binds the listeners, and has the system steer. Where it cannot, there is one listener.
    ///
    /// # Errors
    /// [`SocketError`]; also where anybody else has the port, even if he would share it.
    pub fn open(options: &GroupOptions) -> Result<Self, SocketError> {
        let mut options = options.clone();
        options.listeners = options.listeners.max(1);
        options.per_slot = options.per_slot.max(1);
        // The first one is bound before it shares, so that it shares with nobody before it.
        let first = unbound(&options.socket)?;
        bind(&first, &options.socket)?;
        let local = first.local_addr().ok().and_then(|local| local.as_socket());
        let local = local.unwrap_or(options.socket.bind);
        options.socket.bind = local;
        let mut group = Self {
            options,
            local,
            steers: false,
            listeners: vec![first],
            slots: Vec::new(),
            numbered: 0,
            free: VecDeque::new(),
            phases: Vec::new(),
            attached: 0,
        };
        group.share()?;
        Ok(group)
    }

    /// Adds the other listeners and the program, where the system has such.
    fn share(&mut self) -> Result<(), SocketError> {
        if !self.options.steer || sys::set_reuse_port(&self.listeners[0]).is_err() {
            return Ok(());
        }
        for _ in 1..self.options.listeners {
            let listener = self.join(self.options.socket.buffer)?;
            self.listeners.push(listener);
        }
        if self.options.listeners == 1 {
            // A port must have two sockets before it takes a program.
            self.slots = vec![self.join_slot()?];
        }
        self.steers = self.attach(0).is_ok();
        if self.steers {
            self.numbered = self.slots.len() as u16;
            self.free.extend(1..=self.numbered);
        } else {
            // All that arrives has to reach the one that is left.
            self.listeners.truncate(1);
            self.slots.clear();
        }
        Ok(())
    }

    /// Whether datagrams are steered; otherwise there is one listener, and each slot has a port of
    /// its own.
    #[must_use]
    pub const fn can_steer(&self) -> bool {
        self.steers
    }

    /// The address of the group, with the port it really has.
    #[must_use]
    pub const fn local(&self) -> SocketAddr {
        self.local
    }

    /// Duplicates of the listeners. Control messages arrive at the first one, all else that belongs
    /// to no slot at the one that its source's hash says.
    ///
    /// # Errors
    /// [`SocketError::Create`], where there may be no more open files.
    pub fn listeners(&self) -> Result<Vec<UdpSocket>, SocketError> {
        self.listeners.iter().map(|listener| Ok(self.duplicate(listener)?.socket)).collect()
    }

    /// Duplicates of the listeners in the same order, with what they were granted: to read their
    /// counters by, whoever reads their datagrams.
    ///
    /// # Errors
    /// As above.
    pub fn gauges(&self) -> Result<Vec<Udp>, SocketError> {
        self.listeners.iter().map(|listener| self.duplicate(listener)).collect()
    }

    /// A free slot, its sockets empty and as new except for their drop counters, which go on
    /// counting; `buffer`: SO_SNDBUF and SO_RCVBUF to ask for, in bytes.
    ///
    /// # Errors
    /// [`SocketError`]; [`SocketError::Slots`] where all are taken.
    pub fn take_slot(&mut self, buffer: usize) -> Result<Slot, SocketError> {
        let number = self.free_number()?;
        self.phases.resize(usize::from(self.numbered), 0);
        let steered = self.steer_to(self.attached.max(number.into()));
        if let Err(source) = steered {
            self.free.push_front(number);
            return Err(SocketError::Join { addr: self.local, source });
        }
        let slot =
            if self.steers { self.pooled(number, buffer) } else { self.apart(number, buffer) };
        if slot.is_err() {
            self.free.push_front(number);
        }
        slot
    }

    /// Takes a slot back, after its sockets were closed, with the phase that comes next. An unknown
    /// number and one that is free already are ignored.
    pub fn give_back(&mut self, number: u16, phase: u16) {
        if number == 0 || number > self.numbered || self.free.contains(&number) {
            return;
        }
        for socket in self.slots.get(usize::from(number) - 1).into_iter().flatten() {
            // What does not take is tried again when the slot is taken.
            let _ = sys::reset_rx_options(socket);
            let _ = sys::disable_recverr(socket, self.local.is_ipv6());
            let most = granted(socket);
            let _ = socket.set_recv_buffer_size(IDLE_BUFFER);
            drain(socket, most);
        }
        self.free.push_back(number);
        if let Some(next) = self.phases.get_mut(usize::from(number) - 1) {
            *next = phase;
        }
        // What still comes for slots that nobody has is a stranger's, and goes to the listeners.
        // Where that fails, it is thrown away instead.
        let taken = (1..=self.numbered).rev().find(|number| !self.free.contains(number));
        let _ = self.steer_to(taken.unwrap_or(0).into());
    }

    /// Has listeners and free slots keep what the network sends back, or not any more. As long as
    /// they do, [`Self::refused`] must be asked often: see above.
    pub fn heed(&self, on: bool) {
        for socket in self.idle() {
            let ipv6 = self.local.is_ipv6();
            // What does not take tells nothing: whoever looks finds nothing.
            let _ = match on {
                true => sys::report_queue_drops(socket, ipv6),
                false => sys::disable_recverr(socket, ipv6),
            };
        }
    }

    /// Whether a host reported one of these ports as closed since [`Self::heed`].
    #[must_use]
    pub fn refused(&self, peers: &[SocketAddr]) -> bool {
        let mut found = false;
        for socket in self.idle() {
            sys::take_refused_peers(socket, |peer, error| {
                let like = |one: &SocketAddr| peer.is_some_and(|peer| same(peer, *one));
                let closed = error.unreachable().is_some_and(|why| why.is_closed_port());
                found |= closed && peers.iter().any(like);
            });
        }
        found
    }

    /// Sockets whose errors nobody else reads.
    fn idle(&self) -> impl Iterator<Item = &Socket> {
        let free = self.free.iter().filter_map(|&number| self.slots.get(usize::from(number) - 1));
        self.listeners.iter().chain(free.flatten())
    }

    /// Has the system steer to so many slots.
    fn steer_to(&mut self, slots: usize) -> io::Result<()> {
        if self.steers && slots != self.attached {
            self.attach(slots)?;
            self.attached = slots;
        }
        Ok(())
    }

    /// The number of a slot to take, its sockets added where there are none yet.
    fn free_number(&mut self) -> Result<u16, SocketError> {
        if let Some(number) = self.free.pop_front() {
            return Ok(number);
        }
        if self.numbered == MOST_SLOTS {
            return Err(SocketError::Slots { addr: self.local, slots: MOST_SLOTS });
        }
        if self.steers {
            let slot = self.join_slot()?;
            self.slots.push(slot);
        }
        self.numbered += 1;
        Ok(self.numbered)
    }

    /// A slot of the pool.
    fn pooled(&self, number: u16, buffer: usize) -> Result<Slot, SocketError> {
        let sockets = self.slots.get(usize::from(number) - 1).into_iter().flatten();
        let sockets = sockets.map(|socket| {
            let plain = sys::reset_rx_options(socket)
                .and_then(|()| sys::disable_recverr(socket, self.local.is_ipv6()));
            plain.map_err(|source| SocketError::Create { source })?;
            drain(socket, granted(socket));
            // The kernel grants less silently; what it granted is read back.
            let _ = socket.set_send_buffer_size(buffer);
            let _ = socket.set_recv_buffer_size(buffer);
            self.duplicate(socket)
        });
        let phase = self.phases[usize::from(number) - 1];
        Ok(Slot { number, phase, port: None, sockets: sockets.collect::<Result<_, _>>()? })
    }

    /// A slot at a port of its own.
    fn apart(&self, number: u16, buffer: usize) -> Result<Slot, SocketError> {
        let mut options = Options { buffer, join: None, ..self.options.socket.clone() };
        options.bind.set_port(0);
        let socket = Udp::open(&options)?;
        let phase = self.phases[usize::from(number) - 1];
        Ok(Slot { number, phase, port: Some(socket.local.port()), sockets: vec![socket] })
    }

    /// Another socket of the port.
    fn join(&self, buffer: usize) -> Result<Socket, SocketError> {
        let socket = unbound(&Options { buffer, join: None, ..self.options.socket.clone() })?;
        // What is sent to a multicast group comes to every socket that may have it, whatever
        // steers: to the first one alone, so that it counts once.
        sys::join_no_group(&socket, self.local.is_ipv6());
        let addr = self.local;
        let joined = sys::set_reuse_port(&socket).and_then(|()| socket.bind(&addr.into()));
        joined.map_err(|source| SocketError::Join { addr, source })?;
        Ok(socket)
    }

    /// The sockets of another slot, which the program does not know yet.
    fn join_slot(&self) -> Result<Vec<Socket>, SocketError> {
        (0..self.options.per_slot).map(|_| self.join(IDLE_BUFFER)).collect()
    }

    /// Has the system steer by the sockets of so many slots.
    fn attach(&self, slots: usize) -> io::Result<()> {
        let layout = Layout {
            ipv6: self.local.is_ipv6(),
            listeners: self.options.listeners as u32,
            per_slot: self.options.per_slot as u32,
            slots: slots as u32,
        };
        sys::attach_steering(&self.listeners[0], &program(&layout))
    }

    fn duplicate(&self, socket: &Socket) -> Result<Udp, SocketError> {
        let copy = socket.try_clone().map_err(|source| SocketError::Create { source })?;
        Ok(Udp::of(copy, self.local))
    }
}

/// A socket that is not bound yet, of its family alone, and heeds no errors that come back.
fn unbound(options: &Options) -> Result<Socket, SocketError> {
    let socket = prepare(options)?;
    sys::disable_recverr(&socket, options.bind.is_ipv6())
        .map_err(|source| SocketError::Create { source })?;
    if options.bind.is_ipv6() {
        socket.set_only_v6(true).map_err(|source| SocketError::Create { source })?;
    }
    Ok(socket)
}

/// Whether both are the same address and port, on whichever link.
fn same(one: SocketAddr, other: SocketAddr) -> bool {
    (one.ip(), one.port()) == (other.ip(), other.port())
}

/// SO_RCVBUF as granted, in bytes; as good as without end where the system does not say.
fn granted(socket: &Socket) -> usize {
    socket.recv_buffer_size().unwrap_or(usize::MAX)
}

/// Throws away what waits in a socket with a receive buffer of `buffer` bytes. Somebody may still
/// send: no more is read than the buffer can have held.
fn drain(socket: &Socket, buffer: usize) {
    for _ in 0..most_waiting(buffer) {
        // One byte: the rest of a datagram goes with it.
        let read = SockRef::from(socket).recv(&mut [std::mem::MaybeUninit::uninit()]);
        // Other errors are those of earlier sends, and gone when told.
        if read.is_err_and(|error| error.kind() == io::ErrorKind::WouldBlock) {
            break;
        }
    }
    sys::take_queued_refusal(socket);
}
