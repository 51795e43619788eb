//! Events: one JSON object a line, written by a thread of its own.

use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::{self, JoinHandle};

use serde::Serialize;
use serde_json::{Value, json};

use crate::cli::error::{CliError, CliResult};
use crate::cli::output::{EVENTS, OutputTarget, warn_stderr};
use crate::cli::progress::EndedIntervals;
use crate::document::{Cell, Head, Interval, SCHEMA, Warning};
use crate::plan::{Plan, PlannedCell};
use crate::report::IntervalFacts;
use crate::run::{Progress, RunError};
use crate::unit::Nanos;

pub(super) struct Events {
    path: PathBuf,
    /// `None` while the thread ends.
    lines: Option<Sender<String>>,
    writer: Option<JoinHandle<io::Result<()>>>,
    /// Lines until something is measured: a run that cannot start keeps the file of the last one.
    /// `None`: lines are written at once.
    held: Option<String>,
    /// The number of the cell that runs, from 0; `None` before the first one.
    cell: Option<usize>,
    /// Of what this host sends, and of what it receives from another.
    ended: [EndedIntervals; 2],
    /// Where the last interval of each that was sent ends, in ns.
    sent_until: [u64; 2],
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
        let mut held = None;
        let write: WriteLine = if is_stdout(path) {
            Box::new(|line| {
                let mut out = io::stdout().lock();
                out.write_all(line).and_then(|()| out.flush())
            })
        } else {
            let target = OutputTarget::check(EVENTS, path)?;
            held = target.is_replaced().then(String::new);
            Box::new(target.stream()?)
        };
        let (lines, received) = channel();
        let writer = thread::Builder::new()
            .name(EVENTS.to_owned())
            .spawn(move || write_lines(&received, write, quiet))
            .map_err(|source| RunError::Spawn { source })?;
        let ended = [EndedIntervals::new(Nanos::ZERO), EndedIntervals::new(Nanos::ZERO)];
        let (lines, writer, sent_until) = (Some(lines), Some(writer), [0; 2]);
        Ok(Self { path: path.to_owned(), lines, writer, held, cell: None, ended, sent_until })
    }

    fn send(&mut self, event: &str, fields: impl Serialize) {
        // Only maps with keys that are not strings cannot be written.
        let Ok(line) = serde_json::to_string(&Event { schema: SCHEMA, event, fields }) else {
            return;
        };
        match (&mut self.held, &self.lines) {
            (Some(held), _) => *held += &(line + "\n"),
            (None, Some(lines)) => drop(lines.send(line + "\n")),
            (None, None) => {}
        }
    }

    /// Something is measured: from now on, lines are written at once.
    fn release(&mut self) {
        if let (Some(held), Some(lines)) = (self.held.take(), &self.lines) {
            let _ = lines.send(held);
        }
    }

    /// Waits until all is written; an error if something could not be.
    pub(super) fn finish(mut self) -> CliResult<()> {
        self.end().map_err(|source| match is_stdout(&self.path) {
            true => CliError::Stdout(source),
            false => CliError::File { flag: EVENTS, path: self.path.clone(), source },
        })
    }

    fn end(&mut self) -> io::Result<()> {
        self.lines = None;
        // If it panicked, its message is printed, and only events are missing.
        self.writer.take().map_or(Ok(()), |writer| writer.join().unwrap_or(Ok(())))
    }

    pub(super) fn started(&mut self, head: &Head, plan: &Plan) {
        let Head { kind, tool, command, started_at, labels, .. } = head;
        self.send(
            "start",
            json!({
                "kind": kind, "tool": tool, "command": command, "started_at": started_at,
                "labels": labels,
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
            (self.cell, self.sent_until) = (Some(progress.done), [0; 2]);
            self.ended.iter_mut().for_each(EndedIntervals::restart);
            self.send("cell", json!({
                "id": cell.id, "trial": cell.trial, "number": progress.done + 1, "of": progress.of,
            }));
        }
        let Some(live) = progress.live else { return };
        self.release();
        for live in live.directions() {
            let (direction, facts) = (usize::from(live.is_reverse()), facts.of_direction(live));
            let id = match live.is_reverse() {
                true => format!("{}/reverse", cell.id),
                false => cell.id.clone(),
            };
            for interval in self.ended[direction].read(facts, live) {
                self.interval(direction, (&id, cell.trial), &interval);
            }
        }
    }

    fn interval(&mut self, direction: usize, (id, trial): (&str, u32), interval: &Interval) {
        self.sent_until[direction] = interval.end_ns;
        self.send("interval", IntervalEvent { id, trial, interval });
    }

    pub(super) fn measured(&mut self, cell: &Cell) {
        self.release();
        let direction = usize::from(cell.direction.as_deref() == Some("reverse"));
        let reported_ns = self.sent_until[direction];
        for interval in cell.intervals.iter().filter(|one| one.start_ns >= reported_ns) {
            self.interval(direction, (&cell.id, cell.trial), interval);
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

    pub(super) fn warnings(&mut self, cell: Option<&Cell>, warnings: &[Warning]) {
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
        // Unless it was finished, another error is reported.
        let _ = self.end();
    }
}

fn is_stdout(path: &Path) -> bool {
    path.as_os_str() == "-"
}

/// Writes lines until the run ends; after an error they are discarded. A reader that closed its
/// pipe needs no more: that is no error.
fn write_lines(lines: &Receiver<String>, mut write: WriteLine, quiet: bool) -> io::Result<()> {
    let mut result = Ok(());
    for line in lines {
        if result.is_err() {
            continue;
        }
        result = write(line.as_bytes());
        if let Err(error) = &result
            && !quiet
        {
            warn_stderr(&format!("no more events: {}; the run goes on", error.kind()));
        }
    }
    result.or_else(|error| match error.kind() {
        io::ErrorKind::BrokenPipe => Ok(()),
        _ => Err(error),
    })
}
