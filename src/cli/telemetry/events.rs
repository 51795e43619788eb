//! Events: one JSON object a line, written by a thread of its own.

use std::io::{self, Write};
use std::path::Path;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::{self, JoinHandle};

use serde::Serialize;
use serde_json::{Value, json};

use crate::cli::error::CliResult;
use crate::cli::output::{EVENTS, OutputTarget, warn_stderr};
use crate::document::{Cell, Head, Interval, SCHEMA, Warning};
use crate::plan::{Plan, PlannedCell};
use crate::report::{self, IntervalFacts};
use crate::run::{LiveCell, Progress, RunError};
use crate::unit::Nanos;

pub(super) struct Events {
    /// `None` while the thread ends.
    lines: Option<Sender<String>>,
    writer: Option<JoinHandle<()>>,
    /// The number of the cell that runs, from 0; `None` before the first one.
    cell: Option<usize>,
    /// The next interval of it, and where that starts.
    next: (usize, u64),
}

type WriteLine = Box<dyn FnMut(&[u8]) -> io::Result<()> + Send>;

#[derive(Serialize)]
struct Event<'a, T> {
    schema: &'static str,
    event: &'a str,
    #[serde(flatten)]
    fields: T,
}

#[derive(Serialize)]
struct IntervalEvent<'a> {
    id: &'a str,
    trial: u32,
    #[serde(flatten)]
    interval: &'a Interval,
}

impl Events {
    pub(super) fn open(path: &Path, quiet: bool) -> CliResult<Self> {
        let write: WriteLine = if path.as_os_str() == "-" {
            Box::new(|line| {
                let mut out = io::stdout().lock();
                out.write_all(line).and_then(|()| out.flush())
            })
        } else {
            Box::new(OutputTarget::check(EVENTS, path)?.stream()?)
        };
        let (lines, received) = channel();
        let writer = thread::Builder::new()
            .name(EVENTS.to_owned())
            .spawn(move || write_lines(&received, write, quiet))
            .map_err(|source| RunError::Spawn { source })?;
        Ok(Self { lines: Some(lines), writer: Some(writer), cell: None, next: (0, 0) })
    }

    fn send(&self, event: &str, fields: impl Serialize) {
        // Only maps with keys that are not strings cannot be written.
        let Ok(line) = serde_json::to_string(&Event { schema: SCHEMA, event, fields }) else {
            return;
        };
        if let Some(lines) = &self.lines {
            let _ = lines.send(line + "\n");
        }
    }

    pub(super) fn started(&self, head: &Head, plan: &Plan) {
        let Head { kind, tool, command, started_at, .. } = head;
        self.send(
            "start",
            json!({
                "kind": kind, "tool": tool, "command": command, "started_at": started_at,
                "scenario": plan.scenario, "cells": plan.cells.len(),
            }),
        );
    }

    pub(super) fn progress(
        &mut self,
        cell: &PlannedCell,
        facts: IntervalFacts,
        progress: Progress<'_>,
    ) {
        if self.cell != Some(progress.done) {
            (self.cell, self.next) = (Some(progress.done), (0, 0));
            self.send("cell", json!({
                "id": cell.id, "trial": cell.trial, "number": progress.done + 1, "of": progress.of,
            }));
        }
        let Some(live) = progress.live else { return };
        let ended = live.ended();
        while self.next.0 < ended && self.next.1 < facts.end.0 {
            let Some(interval) = self.ended_interval(facts, live, ended) else { return };
            self.interval(&cell.id, cell.trial, &interval);
        }
    }

    /// The next interval; `None` if the cell may have ended before it.
    fn ended_interval(
        &self,
        facts: IntervalFacts,
        live: LiveCell<'_>,
        ended: usize,
    ) -> Option<Interval> {
        let read = |index| {
            let [tx, rx] = live.interval(index);
            report::interval(facts, live.bounds(index), [&tx, &rx])
        };
        let is_in_use = |index| {
            let interval = read(index);
            interval.sent + interval.refused + interval.missed.unwrap_or(0) > 0
        };
        // Where a count decides, what is due later shows that the cell goes on.
        let goes_on = facts.end != Nanos::NEVER || (self.next.0..=ended).any(is_in_use);
        goes_on.then(|| read(self.next.0))
    }

    fn interval(&mut self, id: &str, trial: u32, interval: &Interval) {
        self.next = (self.next.0 + 1, interval.end_ns);
        self.send("interval", IntervalEvent { id, trial, interval });
    }

    pub(super) fn measured(&mut self, cell: &Cell) {
        let reported_ns = match cell.direction.as_deref() {
            // Only what leaves this host is known earlier.
            Some("reverse") => 0,
            _ => self.next.1,
        };
        for interval in cell.intervals.iter().filter(|one| one.start_ns >= reported_ns) {
            self.interval(&cell.id, cell.trial, interval);
        }
        self.warnings(Some(cell), &cell.warnings);
        let mut fields = json!(cell);
        for latency in ["latency", "from_send", "to_socket", "in_socket"] {
            if let Some(latency) = fields.get_mut(latency).and_then(Value::as_object_mut) {
                latency.remove("histogram");
            }
        }
        self.send("result", fields);
    }

    pub(super) fn warnings(&self, cell: Option<&Cell>, warnings: &[Warning]) {
        let (id, trial) = (cell.map(|cell| &cell.id), cell.map(|cell| cell.trial));
        for Warning { code, message } in warnings {
            self.send(
                "warning",
                json!({"id": id, "trial": trial, "code": code, "message": message}),
            );
        }
    }
}

impl Drop for Events {
    fn drop(&mut self) {
        self.lines = None;
        if let Some(writer) = self.writer.take() {
            // If it panicked, its message is printed, and only events are missing.
            let _ = writer.join();
        }
    }
}

/// Writes lines until the run ends; after an error they are discarded.
fn write_lines(lines: &Receiver<String>, mut write: WriteLine, quiet: bool) {
    let mut is_open = true;
    for line in lines {
        if !is_open {
            continue;
        }
        if let Err(error) = write(line.as_bytes()) {
            is_open = false;
            if !quiet {
                warn_stderr(&format!("no more events: {}; the run goes on", error.kind()));
            }
        }
    }
}
