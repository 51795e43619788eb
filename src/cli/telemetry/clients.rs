//! Labels by client address, of which there is a limited number.

use std::collections::BTreeSet;
use std::net::IpAddr;

use super::totals::RunTotals;
use crate::measure::{ClientBoard, MOST_CLIENTS};

/// The value of the label that further clients share.
const OTHERS: &str = "other";

/// The clients that have a label of their own.
#[derive(Debug, Default)]
pub(crate) struct ClientLabels(BTreeSet<IpAddr>);

impl ClientLabels {
    /// The label of a client: its address, and the same one every time.
    pub(crate) fn label(&mut self, client: IpAddr) -> String {
        let client = client.to_canonical();
        if self.0.len() < MOST_CLIENTS {
            self.0.insert(client);
        }
        if self.0.contains(&client) { client.to_string() } else { OTHERS.to_owned() }
    }

    /// What the workers of an echo server have received by client.
    pub(crate) fn of_echo<'a>(
        &mut self,
        boards: impl IntoIterator<Item = &'a ClientBoard>,
    ) -> RunTotals {
        let mut totals = RunTotals::default();
        for board in boards {
            let (known, others) = board.read();
            for (client, received) in known {
                totals.received_from(Some(&self.label(client)), received);
            }
            if others > 0 {
                totals.received_from(Some(OTHERS), others);
            }
        }
        totals
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::telemetry::totals::tests::text;
    use crate::measure::ClientRecorder;

    #[test]
    fn labels_are_limited_and_stay() {
        let mut labels = ClientLabels::default();
        let address = |number: u32| IpAddr::V4((0x7F00_0000 + number).into());
        let most = MOST_CLIENTS as u32;
        for _ in 0..2 {
            assert_eq!(labels.label(address(1)), "127.0.0.1");
            assert!((1..=most).all(|number| labels.label(address(number)) != OTHERS));
            assert_eq!(labels.label(address(most + 1)), OTHERS);
            assert_eq!(labels.label("::ffff:127.0.0.2".parse().unwrap()), "127.0.0.2");
        }
        let boards = [ClientBoard::new(), ClientBoard::new()];
        for board in &boards {
            let mut recorder = ClientRecorder::new(board.clone());
            recorder.count(Some(address(7)), 2);
            recorder.count(Some(address(most + 7)), 3);
        }
        let text = text(&labels.of_echo(boards.iter().map(AsRef::as_ref)));
        for (client, received) in [("127.0.0.7", 4), (OTHERS, 6)] {
            let line = format!("outcome=\"received\",client=\"{client}\"}} {received}\n");
            assert!(text.contains(&line), "{text}");
        }
    }
}
