//! In place of the view where it is not built in: there is none, as `check` has refused it.

use std::convert::Infallible;
use std::marker::PhantomData;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use crate::cli::args::{LiveArgs, OutputArgs};
use crate::cli::error::CliResult;
use crate::document::Cell;
use crate::plan::Plan;
use crate::remote::sink::SinkEvent;
use crate::run::Progress;
use crate::unit::Nanos;

/// A view of cells, of which there is none.
pub(crate) struct CellsView<'a>(Infallible, PhantomData<&'a ()>);

/// A view of a server, of which there is none.
pub(crate) struct ServerView(Infallible);

impl CellsView<'_> {
    pub(crate) const fn open(
        _: (&LiveArgs, &OutputArgs),
        _: &str,
        _: &Plan,
        _: &Arc<AtomicBool>,
    ) -> CliResult<Option<Self>> {
        Ok(None)
    }

    pub(crate) fn progress(&mut self, _: Progress<'_>) {
        match self.0 {}
    }

    pub(crate) fn measured(&mut self, _: &Cell) {
        match self.0 {}
    }
}

impl ServerView {
    pub(crate) const fn open(
        _: (&LiveArgs, &OutputArgs),
        _: &'static str,
        _: Option<Nanos>,
        _: &[usize],
        _: &Arc<AtomicBool>,
    ) -> CliResult<Option<Self>> {
        Ok(None)
    }

    pub(crate) fn on_sink(&mut self, _: &SinkEvent<'_>) {
        match self.0 {}
    }

    pub(crate) fn on_echo(&mut self, _: crate::echo::EchoEvent) {
        match self.0 {}
    }
}
