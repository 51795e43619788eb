//! Where results go: standard output, and files that are written whole or not at all.

use std::fs::File;
use std::io::{self, IsTerminal, Write};
use std::path::{Path, PathBuf};

use tempfile::NamedTempFile;

use super::args::{ColorWhen, OutputArgs};
use super::error::{CliError, Exit};
use super::guard::guarded;
pub(crate) use crate::report::format::json::render as pretty;
use crate::report::format::text::Style;
use crate::report::format::{Document, Format, RenderOptions};
use crate::unit::{Keep, strip_control};

/// Prints to standard output; a closed one is no error.
pub(crate) fn print(text: &str) -> Result<Exit, CliError> {
    let mut out = io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(CliError::Stdout(error)),
        _ => Ok(Exit::Well),
    }
}

pub(crate) fn warn_stderr(text: &str) {
    let _ = writeln!(io::stderr(), "udperf: {}", printable(text));
}

/// Text without control characters except our colours: documents come from anywhere.
pub(crate) fn printable(text: &str) -> String {
    strip_control(text, Keep::LinesAndColors)
}

pub(crate) fn color(when: ColorWhen) -> bool {
    match when {
        ColorWhen::Always => true,
        ColorWhen::Never => false,
        ColorWhen::Auto => {
            anstream::AutoStream::choice(&io::stdout()) != anstream::ColorChoice::Never
        }
    }
}

pub(crate) fn width() -> usize {
    /// For pipes and files; fits a code block on a web page. Arbitrary.
    const NO_TERMINAL: usize = 100;
    if !io::stdout().is_terminal() {
        return NO_TERMINAL;
    }
    let size = terminal_size::terminal_size_of(io::stdout());
    size.map_or(NO_TERMINAL, |(columns, _)| usize::from(columns.0))
}

/// A file to be written at the end of a run, checked before it.
#[derive(Debug)]
pub(crate) struct OutputTarget {
    flag: &'static str,
    path: PathBuf,
}

impl OutputTarget {
    /// Checks that the file can be written; leaves nothing behind.
    pub(crate) fn check(flag: &'static str, path: &Path) -> Result<Self, CliError> {
        let target = Self { flag, path: path.to_owned() };
        let result = if target.is_pipe() {
            // Opening and closing a pipe would signal its end to the reader.
            Ok(())
        } else if target.in_place() {
            File::options().write(true).open(path).map(|_| ())
        } else {
            target.beside().map(|_| ())
        };
        result.map_err(|source| target.error(source))?;
        Ok(target)
    }

    /// Writes the whole file or leaves it unchanged.
    pub(crate) fn write(&self, text: &str) -> Result<(), CliError> {
        let result = if self.in_place() {
            File::options()
                .write(true)
                .open(&self.path)
                .and_then(|mut file| file.write_all(text.as_bytes()))
        } else {
            self.beside().and_then(|mut file| {
                file.write_all(text.as_bytes())?;
                file.persist(&self.path).map(|_| ()).map_err(|error| error.error)
            })
        };
        match result {
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
            other => other.map_err(|source| self.error(source)),
        }
    }

    /// Whether the path is a device or pipe, which cannot be replaced by a file.
    fn in_place(&self) -> bool {
        self.path.metadata().is_ok_and(|found| !found.is_file() && !found.is_dir())
    }

    fn is_pipe(&self) -> bool {
        #[cfg(unix)]
        {
            use std::os::unix::fs::FileTypeExt;
            self.path.metadata().is_ok_and(|found| found.file_type().is_fifo())
        }
        #[cfg(not(unix))]
        false
    }

    /// A temporary file in the same folder, to replace the path.
    fn beside(&self) -> io::Result<NamedTempFile> {
        if self.path.is_dir() {
            return Err(io::ErrorKind::IsADirectory.into());
        }
        if self.path.file_name().is_none() {
            return Err(io::ErrorKind::InvalidInput.into());
        }
        let folder = self.path.parent().filter(|folder| !folder.as_os_str().is_empty());
        let mut builder = tempfile::Builder::new();
        builder.prefix(".udperf-").suffix(".tmp");
        // As any program would create it: the umask decides.
        #[cfg(unix)]
        let builder = {
            use std::os::unix::fs::PermissionsExt;
            builder.permissions(std::fs::Permissions::from_mode(0o666))
        };
        builder.tempfile_in(folder.unwrap_or_else(|| Path::new(".")))
    }

    fn error(&self, source: io::Error) -> CliError {
        CliError::File { flag: self.flag, path: self.path.clone(), source }
    }
}

fn style(args: &OutputArgs) -> Style {
    Style { color: color(args.color), width: width(), verbose: args.verbose }
}

/// Flags whose format goes to standard output where the file is `-`.
const TO_STDOUT: [&str; 2] = ["json", "markdown"];

pub(crate) struct Outputs {
    style: Style,
    /// The flag whose format takes the place of text on standard output.
    stdout: Option<&'static str>,
    /// Each with the name of its format.
    files: Vec<(&'static str, OutputTarget)>,
}

impl Outputs {
    /// Checks before the run that all files, by their format's flag, can be written and differ.
    pub(crate) fn check<D: Document>(
        args: &OutputArgs,
        files: &[(&'static str, Option<&Path>)],
    ) -> Result<Self, CliError> {
        let (mut stdout, mut asked) = (None, Vec::new());
        let all = [("json", args.json.as_deref())].into_iter().chain(files.iter().copied());
        for (flag, path) in all.filter_map(|(flag, path)| Some((flag, path?))) {
            if TO_STDOUT.contains(&flag) && path.as_os_str() == "-" {
                if stdout.replace(flag).is_some() {
                    let why =
                        "--json and --markdown cannot both go to standard output; give one =FILE";
                    return Err(CliError::Contradiction(why.to_owned()));
                }
                continue;
            }
            for format in D::FORMATS.iter().filter(|format| format.flag == flag) {
                let mut path = path.as_os_str().to_owned();
                path.push(format.suffix);
                asked.push((format, PathBuf::from(path)));
            }
        }
        let is_repeated = |at: usize| asked[..at].iter().any(|(_, path)| *path == asked[at].1);
        if let Some(at) = (0..asked.len()).find(|at| is_repeated(*at)) {
            let path = asked[at].1.display();
            let why = format!("two results cannot both go to {path}; name two files");
            return Err(CliError::Contradiction(why));
        }
        let check = |(format, path): &(&Format<D>, PathBuf)| {
            Ok((format.name, OutputTarget::check(format.flag, path)?))
        };
        let files = asked.iter().map(check).collect::<Result<_, CliError>>()?;
        Ok(Self { style: style(args), stdout, files })
    }

    /// A flag that was given although documents of type `D` have no such format.
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
    ) -> Result<(), CliError> {
        let printed = self.print(document, options);
        let write = |(name, target): &(&str, OutputTarget)| {
            let format = D::FORMATS.iter().find(|format| format.name == *name);
            match format.map(|format| render(format, document, options)).transpose()?.flatten() {
                Some(text) => target.write(&text),
                None => Ok(()),
            }
        };
        let written: Vec<_> = self.files.iter().map(write).collect();
        written.into_iter().collect::<Result<(), _>>()?;
        printed
    }

    /// Prints the document; if its text or Markdown fails, prints it as JSON.
    fn print<D: Document>(
        &self,
        document: &D,
        options: &RenderOptions<'_>,
    ) -> Result<(), CliError> {
        let format = |flag| D::FORMATS.iter().find(|format| format.flag == flag);
        let rendered = match self.stdout.and_then(format) {
            Some(format) => render(format, document, options),
            None => guarded("text", || Ok(Some(document.text(self.style)))),
        };
        match rendered {
            // JSON stays as it is for programs.
            Ok(Some(text)) if self.stdout == Some("json") => print(&text).map(drop),
            Ok(text) => print(&printable(&text.unwrap_or_default())).map(drop),
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
) -> Result<Option<String>, CliError> {
    guarded(format.name, || Ok((format.render)(document, options)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_whole_or_untouched() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("run.json");
        std::fs::write(&path, "old").unwrap();
        let target = OutputTarget::check("json", &path).unwrap();
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "old");
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
        target.write("new").unwrap();
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "new");
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
    }

    #[test]
    fn what_cannot_be_written_is_found_before() {
        let folder = tempfile::tempdir().unwrap();
        assert!(OutputTarget::check("csv", folder.path()).is_err());
        assert!(OutputTarget::check("csv", &folder.path().join("no/such/file")).is_err());
        assert!(OutputTarget::check("csv", Path::new("")).is_err());
    }

    #[test]
    #[cfg(unix)]
    fn a_device_stays_a_device() {
        let target = OutputTarget::check("hdr", Path::new("/dev/null")).unwrap();
        target.write("gone").unwrap();
        assert!(!Path::new("/dev/null").is_file());
    }
}
