//! Where results go: standard output, and files.

mod file;

use std::io::{self, IsTerminal as _, Write};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use clap::ColorChoice;

pub(crate) use file::{OutputTarget, replaced_file};

use super::args::OutputArgs;
use super::error::{CliError, CliResult, Exit, guarded, usage};
use crate::compare::store::MAX_BYTES;
use crate::document::Warning;
pub(crate) use crate::report::format::json as pretty;
use crate::report::format::text::{Style, style::distinct, style::wrap_messages};
use crate::report::format::{Document, Format, RenderOptions, hgrm};
use crate::unit::{Keep, show_bytes, strip_control};

/// Prints to standard output; a closed one is no error.
pub(crate) fn print(text: &str) -> CliResult {
    let mut out = io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(CliError::Stdout(error)),
        _ => Ok(Exit::Success),
    }
}

pub(crate) fn warn_stderr(text: &str) {
    let text = format!("udperf: {}", strip_control(text, Keep::Lines));
    let line = wrap_messages(&text, stderr_width().unwrap_or(usize::MAX)) + "\n";
    match &mut *held() {
        Some(lines) if lines.len() < MAX_HELD => lines.push(line),
        Some(_) => {}
        None => drop(io::stderr().write_all(line.as_bytes())),
    }
}

/// The columns of standard error, if it is a terminal.
pub(crate) fn stderr_width() -> Option<usize> {
    terminal_size::terminal_size_of(io::stderr()).map(|(columns, _)| usize::from(columns.0))
}

/// Messages that wait while the full-screen view has the terminal.
static HELD: Mutex<Option<Vec<String>>> = Mutex::new(None);

/// The most messages that wait; later ones are dropped. Arbitrary: more than anyone reads.
const MAX_HELD: usize = 1_000;

fn held() -> MutexGuard<'static, Option<Vec<String>>> {
    HELD.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Keeps messages back from here on.
#[cfg(all(unix, feature = "live"))]
pub(crate) fn hold_stderr() {
    held().get_or_insert_default();
}

/// Prints the messages that were kept back, and later ones at once.
#[cfg(all(unix, feature = "live"))]
pub(crate) fn release_stderr() {
    let lines = held().take().unwrap_or_default().concat();
    let _ = io::stderr().write_all(lines.as_bytes());
}

/// A path as part of a line of text.
pub(crate) fn shown(path: &Path) -> String {
    strip_control(&path.display().to_string(), Keep::Nothing)
}

/// Names the warnings of a document that standard output gets, where nobody reads their text.
pub(crate) fn name_warnings<'a>(
    output: &OutputArgs,
    warnings: impl IntoIterator<Item = &'a Warning>,
) {
    let codes = distinct(warnings.into_iter().map(|warning| warning.code.as_str()));
    if output.json_to_stdout() && !output.quiet && !codes.is_empty() {
        let codes = codes.join(", ");
        warn_stderr(&format!("warnings in the document: {codes}; see udperf explain CODE"));
    }
}

pub(crate) fn color(when: ColorChoice) -> bool {
    color_of(when, &io::stdout())
}

/// Whether a stream gets colours.
pub(crate) fn color_of(when: ColorChoice, stream: &impl anstream::stream::RawStream) -> bool {
    match when {
        ColorChoice::Always => true,
        ColorChoice::Never => false,
        ColorChoice::Auto => anstream::AutoStream::choice(stream) != anstream::ColorChoice::Never,
    }
}

/// Columns of text in pipes and files: fits a code block on a web page. Arbitrary.
const NO_TERMINAL: usize = 100;

/// Flags whose format goes to standard output where the file is `-`.
pub(crate) const TO_STDOUT: [&str; 3] = ["json", "markdown", EVENTS];

/// The environment variable with the folder into which the process of a step writes its document
/// and its error. A flag would appear in the command that documents have.
pub(crate) const STEP_FOLDER: &str = "UDPERF_STEP_FOLDER";
/// The document of a step, in that folder.
pub(crate) const DOCUMENT_OF_STEP: &str = "document.json";
/// The error that ended a step, in that folder.
pub(crate) const ERROR_OF_STEP: &str = "error.txt";

/// Writes a file for `udperf run`, if this process is one of its steps.
pub(crate) fn leave_for_run(name: &str, text: impl FnOnce() -> String) -> CliResult<()> {
    let Some(folder) = std::env::var_os(STEP_FOLDER) else { return Ok(()) };
    let path = Path::new(&folder).join(name);
    std::fs::write(&path, text()).map_err(|error| {
        CliError::Failed(format!("cannot write {} for udperf run: {error}", path.display()))
    })
}

/// The flag of events, which are written while the run goes on, not from its document.
pub(crate) const EVENTS: &str = "events";

pub(crate) struct Outputs {
    style: Style,
    /// The flag whose format takes the place of text on standard output.
    stdout: Option<&'static str>,
    files: Vec<(&'static str, OutputTarget)>,
    /// Files that are read.
    inputs: Vec<PathBuf>,
    /// Whether the document is only rendered from files, so that it need not be kept.
    pub(crate) is_repeatable: bool,
}

impl Outputs {
    /// Checks before the run that all files, by their format's flag, can be written and differ.
    pub(crate) fn check<D: Document>(
        args: &OutputArgs,
        files: &[(&'static str, Option<&Path>)],
    ) -> CliResult<Self> {
        let (mut stdout, mut requested) = (None, Vec::new());
        let common = [("json", args.json.as_deref()), ("html", args.html.as_deref())];
        let all = common.into_iter().chain(files.iter().copied());
        for (flag, path) in all.filter_map(|(flag, path)| Some((flag, path?))) {
            if TO_STDOUT.contains(&flag) && path.as_os_str() == "-" {
                if let Some(other) = stdout.replace(flag) {
                    return usage(format!(
                        "--{other} and --{flag} cannot both go to standard output; name a file for \
                         one"
                    ));
                }
                continue;
            }
            if path.as_os_str() == "-" {
                OutputTarget::check(flag, path)?;
            }
            for format in D::FORMATS.iter().filter(|format| format.flag == flag) {
                let mut path = path.as_os_str().to_owned();
                path.push(format.suffix);
                requested.push((format.name, flag, PathBuf::from(path)));
            }
            if flag == EVENTS {
                requested.push((EVENTS, EVENTS, path.to_owned()));
            }
        }
        let check = |&(name, flag, ref path): &(&'static str, &'static str, PathBuf)| {
            Ok((name, OutputTarget::check(flag, path)?))
        };
        let files: Vec<_> = requested.iter().map(check).collect::<CliResult<_>>()?;
        let all: Vec<_> = files.iter().map(|(_, target)| target.identity()).collect();
        if let Some(at) = (0..all.len()).find(|at| all[..*at].contains(&all[*at])) {
            let path = requested[at].2.display();
            return usage(format!("two results cannot both go to {path}; name two files"));
        }
        for (_, target) in files.iter().filter(|(_, target)| target.is_stdout()) {
            let (flag, path) = (target.flag, target.path.display());
            match stdout {
                Some(other) => {
                    return usage(format!(
                        "--{flag} {path} and --{other} cannot both go to standard output; name a \
                         file for one"
                    ));
                }
                None if flag == EVENTS => stdout = Some(EVENTS),
                None => {}
            }
        }
        let size = terminal_size::terminal_size_of(io::stdout());
        let width = size.map_or(NO_TERMINAL, |(columns, _)| columns.0.into());
        let style = Style { color: color(args.color), width, verbose: args.verbose };
        Ok(Self { style, stdout, files, inputs: Vec::new(), is_repeatable: false })
    }

    pub(crate) fn protect<'a>(
        &mut self,
        inputs: impl IntoIterator<Item = &'a Path>,
    ) -> CliResult<()> {
        self.inputs.extend(inputs.into_iter().filter_map(|path| path.canonicalize().ok()));
        for (_, target) in self.files.iter().filter(|(_, target)| target.path.is_file()) {
            let (flag, path) = (target.flag, target.identity());
            if self.inputs.contains(&path) {
                let path = path.display();
                return usage(format!(
                    "--{flag} would replace {path}, which is read; name another"
                ));
            }
        }
        Ok(())
    }

    /// Checks before the run the files that formats with one for each cell will write.
    pub(crate) fn check_cells<D: Document>(&self, ids: &[String]) -> CliResult<()> {
        for (name, target) in &self.files {
            let has_cells = |one: &Format<D>| one.name == *name && one.render_cells.is_some();
            if ids.len() > 1 && D::FORMATS.iter().any(has_cells) && !target.is_in_place() {
                for name in hgrm::file_names(ids.iter().map(String::as_str)) {
                    let file = target.of_cell(&name);
                    OutputTarget::check(file.flag, &file.path)?;
                    self.refuse_taken(target, &file)?;
                }
            }
        }
        Ok(())
    }

    /// Whether standard output gets text.
    pub(crate) const fn prints_text(&self) -> bool {
        self.stdout.is_none()
    }

    /// Whether a terminal shows the text, so that standard error need not repeat parts of it.
    pub(crate) fn shows_text(&self) -> bool {
        self.prints_text() && io::stdout().is_terminal()
    }

    pub(crate) const fn style(&self) -> Style {
        self.style
    }

    pub(crate) fn unsupported<D: Document>(&self) -> Option<&'static str> {
        let files = self.files.iter().map(|(_, target)| target.flag);
        let is_missing = |flag: &&str| D::FORMATS.iter().all(|format| format.flag != *flag);
        self.stdout.into_iter().chain(files).find(is_missing)
    }

    /// Prints the document and writes its files; a failed file does not stop the others.
    pub(crate) fn write<D: Document>(
        &self,
        document: &D,
        options: &RenderOptions<'_>,
    ) -> CliResult<()> {
        let left = leave_for_run(DOCUMENT_OF_STEP, || {
            let json = D::FORMATS.iter().find(|format| format.flag == "json");
            let text = json.and_then(|format| render(format, document, options).ok().flatten());
            text.unwrap_or_default()
        });
        let printed = self.print(document, options);
        let write = |(name, target): &(&str, OutputTarget)| {
            let format = D::FORMATS.iter().find(|format| format.name == *name);
            if let Some((format, cells)) = format.and_then(|one| Some((one, one.render_cells?))) {
                let files = target.of_cells(guarded(format.name, || cells(document))??);
                return files.into_iter().try_for_each(|(file, text)| {
                    self.refuse_taken(target, &file)?;
                    file.write(&text)
                });
            }
            match format.map(|format| render(format, document, options)).transpose()?.flatten() {
                Some(text) => {
                    self.refuse_huge(target.flag, text.len())?;
                    target.write(&text)
                }
                None => Ok(()),
            }
        };
        let written: Vec<_> = self.files.iter().map(write).chain([printed, left]).collect();
        let flags = self.files.iter().map(|(_, target)| Some(target.flag)).chain([self.stdout]);
        let has_json = |(flag, written): (Option<&str>, &Result<_, _>)| {
            flag == Some("json") && written.is_ok()
        };
        let is_stored = self.is_repeatable || flags.zip(&written).any(has_json);
        let failed: Vec<CliError> = written.into_iter().filter_map(Result::err).collect();
        let is_lost =
            |error: &CliError| matches!(error, CliError::File { .. } | CliError::Stdout(_));
        if !is_stored && failed.iter().any(is_lost) {
            save_elsewhere(document, options);
        }
        let mut failed = failed.into_iter();
        let first = failed.next();
        failed.for_each(|error| warn_stderr(&error.to_string()));
        first.map_or(Ok(()), Err)
    }

    /// Refuses a file of a cell that is an input or another output.
    fn refuse_taken(&self, target: &OutputTarget, file: &OutputTarget) -> CliResult<()> {
        let (own, path) = (target.identity(), file.identity());
        let others = self.files.iter().map(|(_, other)| other.identity());
        if path == own || !others.chain(self.inputs.iter().cloned()).any(|other| other == path) {
            return Ok(());
        }
        let (flag, path) = (file.flag, path.display());
        usage(format!("--{flag} would replace {path}, which is read or written; name another"))
    }

    /// Refuses a document that `report` would not read again; a run is written at any length.
    fn refuse_huge(&self, flag: &str, bytes: usize) -> CliResult<()> {
        if flag != "json" || !self.is_repeatable || bytes as u64 <= MAX_BYTES {
            return Ok(());
        }
        let (size, most) = (show_bytes(bytes as u64), show_bytes(MAX_BYTES));
        Err(CliError::Failed(format!(
            "cannot write JSON of {size}, since udperf reads up to {most}; keep the file that was \
             read"
        )))
    }

    fn print<D: Document>(&self, document: &D, options: &RenderOptions<'_>) -> CliResult<()> {
        let format = |flag| D::FORMATS.iter().find(|format| format.flag == flag);
        if self.stdout == Some(EVENTS) {
            return Ok(());
        }
        let rendered = match self.stdout.and_then(format) {
            Some(format) => render(format, document, options),
            None => guarded("text", || Some(document.text(self.style))),
        };
        match rendered {
            // JSON stays as it is for programs.
            Ok(Some(text)) if self.stdout == Some("json") => {
                self.refuse_huge("json", text.len())?;
                print(&text).map(drop)
            }
            Ok(Some(text)) => print(&strip_control(&text, Keep::LinesAndColors)).map(drop),
            Ok(None) => Ok(()),
            Err(error) => {
                let json = format("json").map(|format| render(format, document, options));
                if let Some(Ok(Some(json))) = json {
                    print(&json)?;
                }
                Err(error)
            }
        }
    }
}

fn render<D>(
    format: &Format<D>,
    document: &D,
    options: &RenderOptions<'_>,
) -> CliResult<Option<String>> {
    Ok(guarded(format.name, || (format.render)(document, options))??)
}

/// Saves a document that could not be written to any requested file, and prints its path.
fn save_elsewhere<D: Document>(document: &D, options: &RenderOptions<'_>) {
    let Some(format) = D::FORMATS.iter().find(|format| format.flag == "json") else { return };
    let Ok(Some(text)) = render(format, document, options) else { return };
    let folder = std::env::temp_dir();
    let keep = || -> io::Result<PathBuf> {
        let mut builder = tempfile::Builder::new();
        let mut file = builder.prefix("udperf-").suffix(".json").tempfile_in(&folder)?;
        file.write_all(text.as_bytes())?;
        Ok(file.keep()?.1)
    };
    warn_stderr(&match keep() {
        Ok(path) => format!("the document is saved in {}", path.display()),
        Err(error) => {
            format!("the document could not be saved in {}: {}", folder.display(), error.kind())
        }
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cannot_be_read_again_is_written_of_a_new_run_only() {
        let style = Style { color: false, width: NO_TERMINAL, verbose: false };
        let mut outputs =
            Outputs { style, stdout: None, files: vec![], inputs: vec![], is_repeatable: true };
        let most = MAX_BYTES as usize;
        assert!(outputs.refuse_huge("json", most).is_ok());
        assert!(outputs.refuse_huge("html", most + 1).is_ok());
        let error = outputs.refuse_huge("json", most + 1).unwrap_err().to_string();
        assert!(error.contains("reads up to 256 MiB"), "{error}");
        outputs.is_repeatable = false;
        assert!(outputs.refuse_huge("json", most + 1).is_ok());
    }
}
