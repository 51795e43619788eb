//! How the leader makes all members prepare for a command.

use super::leader::{Leader, MemberState, PATIENCE};
use super::protocol::{Answer, FleetCommand, MemberHost, Order, send};
use super::{FleetError, Pairing, ReceivingMember};

impl Leader {
    /// Makes the members that receive in this pairing listen for a command.
    ///
    /// # Errors
    /// [`FleetError::Member`] if one cannot.
    pub fn prepare_receivers(
        &mut self,
        pairing: Pairing,
        command: &FleetCommand,
    ) -> Result<(), FleetError> {
        self.pairing = Some(pairing);
        self.prepare_ranks(command, |leader, rank| !leader.sends(rank))
    }

    /// Makes all members that send prepare for a command.
    ///
    /// # Errors
    /// [`FleetError::Member`] if one cannot.
    pub fn prepare(&mut self, command: &FleetCommand) -> Result<(), FleetError> {
        self.prepare_ranks(command, Self::sends)
    }

    fn prepare_ranks(
        &mut self,
        command: &FleetCommand,
        is_meant: impl Fn(&Self, u16) -> bool,
    ) -> Result<(), FleetError> {
        let ranks: Vec<_> = (1..self.size()).filter(|rank| is_meant(self, *rank)).collect();
        for &rank in &ranks {
            let (local, receiver) = (self.local(rank), self.receiver_of(rank));
            let pairing = self.pairing;
            let command = FleetCommand { local, pairing, receiver, ..command.clone() };
            send(&*self.group, rank, &Order::Prepare(Box::new(command)))?;
        }
        let mut failed = None;
        for rank in ranks {
            // A silent address of its receiver takes as long as a silent process.
            let addresses = self.receiver_of(rank).map_or(0, |to| to.addresses.len());
            let most = PATIENCE * (1 + addresses as u32);
            match self.answer(rank, most, &|| false)? {
                Answer::Prepared(Ok(addresses)) => {
                    self.members[usize::from(rank)].addresses = addresses;
                }
                Answer::Prepared(Err(why)) => {
                    failed.get_or_insert_with(|| self.error_of(rank, why));
                }
                _ => return Err(FleetError::Damaged { rank }),
            }
        }
        match failed {
            Some(error) => {
                self.close();
                Err(error)
            }
            None => Ok(()),
        }
    }

    /// The pairing of the present command.
    pub fn pairing(&self) -> Option<Pairing> {
        self.pairing
    }

    pub(super) fn sends(&self, rank: u16) -> bool {
        self.pairing.is_none_or(|pairing| pairing.receiver_of(rank, self.size()).is_some())
    }

    /// The process that this one sends to; `None` without a pairing, and if it receives.
    pub fn receiver_of(&self, rank: u16) -> Option<ReceivingMember> {
        let rank = self.pairing?.receiver_of(rank, self.size())?;
        let MemberState { host, addresses, .. } = &self.members[usize::from(rank)];
        let MemberHost { hostname, network, .. } = host.clone();
        Some(ReceivingMember { rank, hostname, network, addresses: addresses.clone() })
    }
}
