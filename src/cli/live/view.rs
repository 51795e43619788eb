//! The thread that draws.

use std::io::{self, IsTerminal};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use clap::ColorChoice;
use ratatui_core::layout::Rect;
use ratatui_core::terminal::{Terminal as Frames, TerminalOptions, Viewport};
use signal_hook::{consts::SIGINT, low_level::raise};

use super::backend::AnsiBackend;
use super::draw::{Screen, draw};
use super::model::Model;
use super::signals::LiveSignals;
use super::terminal::{LiveKey, Terminal};
use crate::cli::error::{CliError, CliResult};
use crate::cli::output::{color_of, warn_stderr};
use crate::run::RunError;
use crate::sys;

/// Frames are drawn no more often, but after keys. Arbitrary: as the progress line.
const REDRAW: Duration = Duration::from_millis(250);
/// How often the thread sees that the run has ended. Arbitrary: people do not notice.
const LOOK: Duration = Duration::from_millis(50);
/// The longest wait for the thread where the report goes elsewhere. Arbitrary: only a terminal that
/// does not read takes longer.
const PATIENCE: Duration = Duration::from_millis(1_000);

/// The view, until it is dropped, the run is asked to stop, or the terminal is gone.
pub(super) struct LiveView {
    shared: Arc<Shared>,
    /// Ends with the thread.
    thread: Receiver<()>,
}

#[derive(Default)]
struct Shared {
    model: Mutex<Model>,
    is_over: AtomicBool,
}

impl Shared {
    fn model(&self) -> MutexGuard<'_, Model> {
        self.model.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl LiveView {
    /// Takes the terminal; `None` after a message if there is none. The thread runs beside `busy`
    /// CPUs, if there are others.
    pub(super) fn open(
        model: Model,
        color: ColorChoice,
        busy: &[usize],
        stop: &Arc<AtomicBool>,
    ) -> CliResult<Option<Self>> {
        let terminal = match Terminal::take() {
            Ok(terminal) => terminal,
            Err(why) => {
                warn_stderr(&format!("no --live: {why}; the run goes on with plain progress"));
                return Ok(None);
            }
        };
        let signals = LiveSignals::register().map_err(CliError::Signals)?;
        let shared = Arc::new(Shared { model: Mutex::new(model), ..Shared::default() });
        let (ends, thread) = channel();
        let (drawn, stop, busy) = (Arc::clone(&shared), Arc::clone(stop), busy.to_vec());
        let has_colors = color_of(color, &io::stderr());
        let work = move || {
            leave_cpus(&busy);
            run((terminal, signals), &drawn, &stop, has_colors);
            drop(ends);
        };
        let spawned = thread::Builder::new().name("live".to_owned()).spawn(work);
        spawned.map_err(|source| RunError::Spawn { source })?;
        Ok(Some(Self { shared, thread }))
    }

    /// Changes what is shown.
    pub(super) fn update(&self, change: impl FnOnce(&mut Model)) {
        change(&mut self.shared.model());
    }
}

impl Drop for LiveView {
    fn drop(&mut self) {
        self.shared.is_over.store(true, Ordering::Release);
        // A report on the same terminal waits for it, too.
        let patience = if io::stdout().is_terminal() { Duration::MAX } else { PATIENCE };
        let _ = self.thread.recv_timeout(patience);
    }
}

/// Moves this thread to CPUs other than these.
fn leave_cpus(busy: &[usize]) {
    let free: Vec<_> =
        sys::affinity().into_iter().flatten().filter(|cpu| !busy.contains(cpu)).collect();
    if !free.is_empty() {
        sys::set_affinity(&free);
    }
}

fn run(
    (terminal, signals): (Terminal, LiveSignals),
    shared: &Shared,
    stop: &AtomicBool,
    has_colors: bool,
) {
    let mut screen = Screen { has_colors, ..Screen::default() };
    let (mut frozen, mut frames, mut due) = (None, None, Instant::now());
    // `None` while the program was continued in the background.
    let mut terminal = Some(terminal);
    loop {
        // Read first: a run that was stopped may be over as soon.
        let is_over = shared.is_over.load(Ordering::Acquire);
        if stop.load(Ordering::Relaxed) {
            drop(terminal);
            warn_stderr("the run ends; its report follows");
            return;
        }
        if is_over {
            return;
        }
        if let Some(signal) = signals.take() {
            drop(terminal.take());
            signals.act(signal);
        }
        if terminal.is_none() {
            (terminal, frames, due) = (Terminal::take().ok(), None, Instant::now());
        }
        let Some(terminal) = &mut terminal else {
            thread::sleep(LOOK);
            continue;
        };
        if Instant::now() >= due {
            due = Instant::now() + REDRAW;
            let frame = frame(&mut frames, |frame| match &frozen {
                Some(model) => draw(model, &screen, frame),
                None => draw(&shared.model(), &screen, frame),
            });
            if terminal.write(&frame).is_err() {
                return;
            }
        }
        let wait = due.saturating_duration_since(Instant::now()).min(LOOK);
        let Ok(keys) = terminal.keys(wait) else { return };
        for key in keys {
            due = Instant::now();
            match key {
                // As Ctrl-C: the same handler, the same exit code.
                LiveKey::Quit => drop(raise(SIGINT)),
                LiveKey::Freeze => {
                    screen.is_frozen = !screen.is_frozen;
                    frozen = screen.is_frozen.then(|| shared.model().clone());
                }
                LiveKey::Help => screen.has_help = !screen.has_help,
                LiveKey::Next => screen.chart = screen.chart.wrapping_add(1),
            }
        }
    }
}

type FrameBuffers = Frames<AnsiBackend>;

/// The bytes of the next frame, on a screen of the present size.
fn frame(
    frames: &mut Option<(Rect, FrameBuffers)>,
    render: impl FnOnce(&mut ratatui_core::terminal::Frame<'_>),
) -> String {
    let (columns, rows) = Terminal::size();
    let area = Rect::new(0, 0, columns, rows);
    let mut start = String::new();
    if frames.as_ref().is_none_or(|(former, _)| *former != area) {
        start += "\x1b[2J";
        let options = TerminalOptions { viewport: Viewport::Fixed(area) };
        let Ok(new) = FrameBuffers::with_options(AnsiBackend::default(), options);
        *frames = Some((area, new));
    }
    let Some((_, frames)) = frames else { return start };
    let Ok(_) = frames.draw(render);
    start + &frames.backend_mut().take()
}
