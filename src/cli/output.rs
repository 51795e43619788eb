//! Where results go: standard output, and files that are written whole or not at all.

use std::fs::File;
use std::io::{self, IsTerminal, Write};
use std::path::{Path, PathBuf};

use serde::Serialize;
use tempfile::NamedTempFile;

use super::args::ColorWhen;
use super::error::{CliError, Exit};

/// Prints to standard output. One that is closed ends the program quietly: whoever closed it has
/// seen enough.
pub(crate) fn print(text: &str) -> Result<Exit, CliError> {
    let mut out = io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(CliError::Stdout(error)),
        _ => Ok(Exit::Well),
    }
}

/// Says something on standard error, where anybody listens.
pub(crate) fn warn_stderr(text: &str) {
    let _ = writeln!(io::stderr(), "udperf: {}", tame(text));
}

/// The text without what would command a terminal: documents come from anywhere. Colours stay.
pub(crate) fn tame(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find(|c: char| c.is_control() && c != '\n') {
        out.push_str(&rest[..at]);
        rest = &rest[at..];
        let color = rest.strip_prefix("\u{1b}[").and_then(|after| {
            let end = after.find(|c: char| !(c.is_ascii_digit() || c == ';'))?;
            after[end..].starts_with('m').then(|| rest.len() - after.len() + end + 1)
        });
        match color {
            Some(length) => {
                out.push_str(&rest[..length]);
                rest = &rest[length..];
            }
            None => {
                out.push(' ');
                rest = &rest[rest.chars().next().map_or(0, char::len_utf8)..];
            }
        }
    }
    out + rest
}

/// JSON for people and programs alike.
pub(crate) fn pretty(value: &impl Serialize) -> String {
    // Documents are made of strings, numbers and lists, which cannot fail to serialise.
    serde_json::to_string_pretty(value).map_or_else(|_| String::new(), |text| text + "\n")
}

/// Whether to colour what goes to standard output.
pub(crate) fn color(when: ColorWhen) -> bool {
    match when {
        ColorWhen::Always => true,
        ColorWhen::Never => false,
        ColorWhen::Auto => {
            anstream::AutoStream::choice(&io::stdout()) != anstream::ColorChoice::Never
        }
    }
}

/// The width to print for: that of the terminal, or one that suits files.
pub(crate) fn width() -> usize {
    /// For pipes and files; fits a code block on a web page. Arbitrary.
    const NO_TERMINAL: usize = 100;
    if !io::stdout().is_terminal() {
        return NO_TERMINAL;
    }
    let size = terminal_size::terminal_size_of(io::stdout());
    size.map_or(NO_TERMINAL, |(columns, _)| usize::from(columns.0))
}

/// A file to be written at the end of a run, found writable before it.
#[derive(Debug)]
pub(crate) struct OutputTarget {
    flag: &'static str,
    path: PathBuf,
}

impl OutputTarget {
    /// Finds out whether the file can be written, leaving nothing behind.
    pub(crate) fn check(flag: &'static str, path: &Path) -> Result<Self, CliError> {
        let target = Self { flag, path: path.to_owned() };
        let result = if target.is_pipe() {
            // Opened and closed, it would tell its reader that all has been said.
            Ok(())
        } else if target.in_place() {
            File::options().write(true).open(path).map(|_| ())
        } else {
            target.beside().map(|_| ())
        };
        result.map_err(|source| target.error(source))?;
        Ok(target)
    }

    /// Writes the file whole, or leaves it as it was.
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

    /// Whether the path is a named pipe.
    fn is_pipe(&self) -> bool {
        #[cfg(unix)]
        {
            use std::os::unix::fs::FileTypeExt;
            self.path.metadata().is_ok_and(|found| found.file_type().is_fifo())
        }
        #[cfg(not(unix))]
        false
    }

    /// A new file in the same folder, to take the path's place once it is whole.
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

/// Files that were asked for, each with what it is to hold.
pub(crate) struct Targets<F>(Vec<(F, OutputTarget)>);

impl<F: Copy> Targets<F> {
    /// Finds out whether all can be written, and no two are one. Each is given with its flag, as
    /// far as it was asked for.
    pub(crate) fn check(asked: &[(F, &'static str, Option<&Path>)]) -> Result<Self, CliError> {
        let paths: Vec<&Path> = asked.iter().filter_map(|(.., path)| *path).collect();
        let twice = paths.iter().enumerate().find(|(at, path)| paths[..*at].contains(path));
        if let Some((_, path)) = twice {
            let path = path.display();
            let why = format!("two results cannot both go to {path}; name two files");
            return Err(CliError::Contradiction(why));
        }
        let check = |&(form, flag, path): &(F, &'static str, Option<&Path>)| {
            Some(OutputTarget::check(flag, path?).map(|target| (form, target)))
        };
        asked.iter().filter_map(check).collect::<Result<_, _>>().map(Self)
    }

    /// Writes all that were asked for and hold something.
    pub(crate) fn write(
        &self,
        draw: impl Fn(F) -> Result<Option<String>, CliError>,
    ) -> Result<(), CliError> {
        let write = |(form, target): &(F, OutputTarget)| match draw(*form)? {
            Some(text) => target.write(&text),
            None => Ok(()),
        };
        // All are tried; the first that failed is told.
        let results: Vec<_> = self.0.iter().map(write).collect();
        results.into_iter().collect()
    }
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

    #[test]
    fn a_document_does_not_command_the_terminal() {
        let colored = "\u{1b}[1mudperf\u{1b}[0m\nµs";
        assert_eq!(tame(colored), colored);
        assert_eq!(tame("a\u{1b}]0;title\u{7}b\rc\u{9b}2Jd\te"), "a ]0;title b c 2Jd e");
        assert_eq!(tame("\u{1b}[2J\u{1b}[31mx\u{1b}["), " [2J\u{1b}[31mx [");
    }
}
