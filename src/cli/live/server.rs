//! The view of a sink or an echo server.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Instant;

use super::model::Model;
use super::view::LiveView;
use crate::cli::args::{LiveArgs, OutputArgs};
use crate::cli::error::CliResult;
use crate::document::Interval;
use crate::echo::EchoEvent;
use crate::measure::{ClientStats, Snapshot};
use crate::remote::sink::SinkEvent;
use crate::report::format::text::style::{UNKNOWN, counted, grouped};
use crate::unit::{Nanos, show_bytes, show_nanos};

/// The interval without `--interval`: as those of long cells.
const INTERVAL: Nanos = Nanos::from_millis(1_000);

/// Ends of intervals are multiples of it. Arbitrary: servers report a few ms after the end.
const STEP: Nanos = Nanos::from_millis(10);

pub(crate) struct ServerView {
    view: LiveView,
    began: Instant,
    width: Nanos,
    /// Where the present interval began, and the datagrams before it.
    from: (Nanos, u64),
    /// Datagrams received from clients that have left.
    from_left: u64,
}

impl ServerView {
    /// Opens it if it is wanted and there is a terminal; `cores`: those of the server's threads.
    pub(crate) fn open(
        (args, output): (&LiveArgs, &OutputArgs),
        kind: &'static str,
        interval: Option<Nanos>,
        cores: &[usize],
        stop: &Arc<AtomicBool>,
    ) -> CliResult<Option<Self>> {
        if !args.live {
            return Ok(None);
        }
        let titles = match kind {
            "sink" => ["clients that left", "received", "sent", "lost", "cells", "", "why"],
            _ => [""; 7],
        };
        let title = format!("udperf {kind}");
        let model = Model { title, titles, is_server: true, ..Model::default() };
        let Some(view) = LiveView::open(model, output.color, cores, stop)? else { return Ok(None) };
        let width = interval.filter(|width| *width > Nanos::ZERO).unwrap_or(INTERVAL);
        Ok(Some(Self { view, began: Instant::now(), width, from: (Nanos::ZERO, 0), from_left: 0 }))
    }

    /// Shows an event of a sink.
    pub(crate) fn on_sink(&mut self, event: &SinkEvent<'_>) {
        match event {
            SinkEvent::Listening(at) => self.listens(*at),
            SinkEvent::Opened(_) => {}
            SinkEvent::Closed(client) => {
                self.from_left += client.rx.received;
                let row = row(client);
                self.view.update(|model| model.add_row(row));
            }
            SinkEvent::Tick(clients, traffic) => {
                let from_clients: u64 = clients.iter().map(|client| client.received).sum();
                let from_clients = self.from_left + from_clients;
                let clients = counted(clients.len() as u64, "client");
                let from_all = counted(from_clients, "datagram");
                let facts = vec![
                    ("sessions", format!("{clients} now · {from_all} from all so far")),
                    ("unsolicited", unsolicited(traffic)),
                    ("from", sources(traffic)),
                    ("drops", format!("{} at full receive buffers", grouped(traffic.drops))),
                ];
                self.tick(from_clients + traffic.totals.datagrams, facts);
            }
        }
    }

    /// Shows an event of an echo server.
    pub(crate) fn on_echo(&mut self, event: EchoEvent) {
        match event {
            EchoEvent::Listening(at, is_dual) => {
                let v4 = SocketAddr::from((Ipv4Addr::UNSPECIFIED, at.port()));
                is_dual.then(|| self.listens(v4));
                self.listens(at);
            }
            EchoEvent::Tick(received) => {
                self.tick(received, vec![("received", counted(received, "datagram"))]);
            }
        }
    }

    fn listens(&self, at: SocketAddr) {
        self.view.update(|model| {
            let word = if model.title.contains(" on ") { "and" } else { "on" };
            model.title += &format!(" {word} {at}");
        });
    }

    /// Adds an interval if one is over; `datagrams`: all so far.
    fn tick(&mut self, datagrams: u64, facts: Vec<(&'static str, String)>) {
        let now = Nanos::from(self.began.elapsed());
        let now = Nanos(now.0 / STEP.0 * STEP.0);
        let (start, before) = self.from;
        let ended = (now.0 / self.width.0 > start.0 / self.width.0).then(|| Interval {
            start_ns: start.0,
            end_ns: now.0,
            received: Some(datagrams.saturating_sub(before)),
            ..Interval::default()
        });
        if ended.is_some() {
            self.from = (now, datagrams);
        }
        self.view.update(|model| {
            ended.into_iter().for_each(|interval| model.add_interval(interval));
            model.state = format!("{} s", now.0 / 1_000_000_000);
            model.facts = facts;
        });
    }
}

fn row(client: &ClientStats) -> [String; 7] {
    let ClientStats { from, cells, rx, lost, sent, why, .. } = client;
    let [cells, received, sent] = [*cells, rx.received, *sent].map(grouped);
    let lost = lost.map_or_else(|| UNKNOWN.to_owned(), grouped);
    [from.to_string(), received, sent, lost, cells, String::new(), why.clone()]
}

fn unsolicited(traffic: &Snapshot) -> String {
    let totals = &traffic.totals;
    let mut text =
        format!("{}, {}", counted(totals.datagrams, "datagram"), show_bytes(totals.bytes));
    text += &match totals.size {
        Some((least, most)) if least == most => format!(" · of {least} bytes"),
        Some((least, most)) => format!(" · of {least}–{most} bytes"),
        None => String::new(),
    };
    if let Some(gap) = totals.gap_mean() {
        text += &format!(" · mean gap {}", show_nanos(gap.0));
    }
    text
}

fn sources(traffic: &Snapshot) -> String {
    let most = traffic.most.map_or_else(
        || UNKNOWN.to_owned(),
        |(from, datagrams)| format!("most from {from}, {}", counted(datagrams, "datagram")),
    );
    format!("{} · {most}", counted(traffic.sources as u64, "source"))
}
