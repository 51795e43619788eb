//! Files that are written whole or not at all; devices and pipes are written in place.

use std::ffi::OsStr;
use std::fs::File;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use tempfile::NamedTempFile;

use crate::cli::error::{CliError, CliResult, usage};
use crate::report::format::CellFile;
use crate::sys;

/// Folders whose files stand for open ones: these are written in place, whatever they lead to.
const OPEN_FILES: [&str; 2] = ["/proc", "/dev/fd"];
/// Symbolic links that are followed in a row; as path_resolution(7).
const LINKS: usize = 40;
/// Interval between checks whether a full pipe accepts data; arbitrary.
const PIPE_WAIT_NS: u64 = 100_000_000;

/// A file to be written at the end of a run, checked before it.
#[derive(Debug)]
pub(crate) struct OutputTarget {
    pub(super) flag: &'static str,
    pub(super) path: PathBuf,
}

impl OutputTarget {
    /// Checks that the file can be written; leaves nothing behind.
    pub(crate) fn check(flag: &'static str, path: &Path) -> CliResult<Self> {
        if path.as_os_str() == "-" {
            return usage(format!("--{flag} does not go to standard output; name a file, not '-'"));
        }
        let target = Self { flag, path: path.to_owned() };
        let result = target.file().and_then(|file| match file {
            Some(file) => beside(&file).map(drop),
            // Opening and closing a pipe would signal its end to the reader.
            None if target.is_pipe() => Ok(()),
            None => sys::open_without_waiting(path).map(drop),
        });
        result.map_err(|source| target.error(source))?;
        Ok(target)
    }

    pub(crate) fn write(&self, text: &str) -> CliResult<()> {
        let result = self.file().and_then(|file| match file {
            Some(file) => {
                let mut temporary = beside(&file)?;
                temporary.write_all(text.as_bytes())?;
                temporary.persist(&file).map(drop).map_err(|error| error.error)
            }
            None => write_in_place(&sys::open_without_waiting(&self.path)?, text.as_bytes()),
        });
        match result {
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
            other => other.map_err(|source| self.error(source)),
        }
    }

    /// A file for each cell, and its text: if there are several, with the cell's name before the
    /// extension of the path. All go to one device or pipe in place of a file.
    pub(super) fn of_cells(&self, cells: Vec<CellFile>) -> Vec<(Self, String)> {
        if cells.len() == 1 || self.is_in_place() {
            let text = cells.into_iter().map(|cell| cell.text).collect();
            return vec![(Self { flag: self.flag, path: self.path.clone() }, text)];
        }
        cells.into_iter().map(|cell| (self.of_cell(&cell.name), cell.text)).collect()
    }

    /// Whether it is written in place: one device or pipe for all cells.
    pub(super) fn is_in_place(&self) -> bool {
        self.file().is_ok_and(|file| file.is_none())
    }

    /// The file of the cell of this name, if there are several.
    pub(super) fn of_cell(&self, cell: &str) -> Self {
        let mut name = self.path.file_stem().unwrap_or_default().to_owned();
        name.push(format!("-{cell}"));
        if let Some(extension) = self.path.extension() {
            name.push(".");
            name.push(extension);
        }
        Self { flag: self.flag, path: self.path.with_file_name(name) }
    }

    /// Writes it while the run goes on: all of the bytes of a line in turn. A file is opened, and
    /// loses what it had, at the first one.
    pub(crate) fn stream(self) -> CliResult<impl FnMut(&[u8]) -> io::Result<()> + Send> {
        let mut open = match self.is_replaced() {
            true => None,
            false => Some(self.create().map_err(|source| self.error(source))?),
        };
        Ok(move |bytes: &[u8]| {
            let file = match &mut open {
                Some(file) => file,
                none => none.insert(self.create()?),
            };
            write_in_place(file, bytes)
        })
    }

    fn create(&self) -> io::Result<File> {
        match self.file()? {
            Some(file) => File::create(file),
            None => sys::open_without_waiting(&self.path),
        }
    }

    /// Whether it is a file that is replaced, not written in place.
    pub(crate) fn is_replaced(&self) -> bool {
        self.file().is_ok_and(|file| file.is_some())
    }

    /// Whether it is standard output by another name, such as `/dev/stdout`. A device other than a
    /// terminal, such as `/dev/null`, mixes nothing.
    pub(super) fn is_stdout(&self) -> bool {
        #[cfg(unix)]
        {
            use std::io::IsTerminal;
            use std::os::fd::AsFd;
            use std::os::unix::fs::{FileTypeExt, MetadataExt};
            let out = io::stdout().as_fd().try_clone_to_owned();
            let out = out.and_then(|out| File::from(out).metadata());
            let both = out.ok().zip(self.path.metadata().ok());
            both.is_some_and(|(out, own)| {
                let is_same = (out.dev(), out.ino()) == (own.dev(), own.ino());
                is_same && (!out.file_type().is_char_device() || io::stdout().is_terminal())
            })
        }
        #[cfg(not(unix))]
        false
    }

    pub(super) fn identity(&self) -> PathBuf {
        let path = self.file().ok().flatten().unwrap_or_else(|| self.path.clone());
        path.canonicalize().unwrap_or(path)
    }

    /// The file to replace, behind all symbolic links; `None` for what is written in place.
    fn file(&self) -> io::Result<Option<PathBuf>> {
        if self.path.metadata().is_ok_and(|found| !found.is_file() && !found.is_dir()) {
            return Ok(None);
        }
        let mut path = self.path.clone();
        for _ in 0..LINKS {
            let (folder, name) = split(&path)?;
            let folder = folder.canonicalize()?;
            if OPEN_FILES.iter().any(|open| folder.starts_with(open)) {
                return Ok(None);
            }
            let found = folder.join(name);
            match found.symlink_metadata() {
                Ok(link) if link.is_symlink() => path = folder.join(found.read_link()?),
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                _ => return Ok(Some(found)),
            }
        }
        Err(io::ErrorKind::InvalidInput.into())
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

    fn error(&self, source: io::Error) -> CliError {
        CliError::File { flag: self.flag, path: self.path.clone(), source }
    }
}

/// The file that an output to this path replaces; `None` if it is written in place, or cannot be
/// written.
pub(crate) fn replaced_file(path: &Path) -> Option<PathBuf> {
    OutputTarget { flag: "", path: path.to_owned() }.file().ok().flatten()
}

/// The folder and the name of a file; an error if the path can only be a folder.
fn split(path: &Path) -> io::Result<(&Path, &OsStr)> {
    let Some(name) = path.file_name() else {
        // Such as `.`, `..` and `/`.
        return Err(match path.as_os_str().is_empty() {
            true => io::ErrorKind::InvalidInput.into(),
            false => io::ErrorKind::IsADirectory.into(),
        });
    };
    // `file_name` ignores a slash or a dot at the end.
    if !path.as_os_str().as_encoded_bytes().ends_with(name.as_encoded_bytes()) {
        return Err(io::ErrorKind::IsADirectory.into());
    }
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    Ok((folder.unwrap_or_else(|| Path::new(".")), name))
}

fn beside(path: &Path) -> io::Result<NamedTempFile> {
    if path.is_dir() {
        return Err(io::ErrorKind::IsADirectory.into());
    }
    let (folder, _) = split(path)?;
    let mut builder = tempfile::Builder::new();
    builder.prefix(".udperf-").suffix(".tmp");
    // As any program would create it: the umask decides.
    #[cfg(unix)]
    let builder = {
        use std::os::unix::fs::PermissionsExt;
        builder.permissions(std::fs::Permissions::from_mode(0o666))
    };
    builder.tempfile_in(folder)
}

fn write_in_place(mut to: &File, mut bytes: &[u8]) -> io::Result<()> {
    while !bytes.is_empty() {
        match to.write(bytes) {
            Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
            Ok(count) => bytes = &bytes[count..],
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                sys::wait_writable(to, PIPE_WAIT_NS);
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn writes_all_or_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        std::fs::write(at("file"), "old").unwrap();
        for name in ["", "no/such/file", "new/", "new/.", "file/", "file/x", &"x".repeat(300)] {
            assert!(OutputTarget::check("csv", &at(name)).is_err(), "{name}");
        }
        for path in ["", "-", "..", "/"] {
            assert!(OutputTarget::check("csv", Path::new(path)).is_err(), "{path}");
        }
        let target = OutputTarget::check("json", &at("file")).unwrap();
        assert_eq!(std::fs::read_to_string(at("file")).unwrap(), "old");
        target.write("new").unwrap();
        assert_eq!(std::fs::read_to_string(at("file")).unwrap(), "new");
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
    }

    #[test]
    fn each_cell_has_its_file() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        let files = |cells: &[&str], path: &str| {
            let cell =
                |name: &&str| CellFile { name: (*name).to_owned(), text: format!("{name}.") };
            let cells = cells.iter().map(cell).collect();
            let target = OutputTarget::check("hgrm", &at(path)).unwrap();
            target.of_cells(cells).iter().for_each(|(file, text)| file.write(text).unwrap());
        };
        files(&["a"], "x.hgrm");
        files(&["a", "b.c"], "y.hgrm");
        files(&["a", "b.c"], "z");
        for (name, text) in [
            ("x.hgrm", "a."),
            ("y-a.hgrm", "a."),
            ("y-b.c.hgrm", "b.c."),
            ("z-a", "a."),
            ("z-b.c", "b.c."),
        ] {
            assert_eq!(std::fs::read_to_string(at(name)).unwrap(), text, "{name}");
        }
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 5);
    }

    #[test]
    #[cfg(unix)]
    fn follows_links() {
        use std::os::unix::fs::symlink;
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        std::fs::create_dir(at("d")).unwrap();
        std::fs::write(at("d/old"), "old").unwrap();
        for (to, link) in [
            ("d/old", "to_old"),
            ("to_old", "twice"),
            ("d/new", "to_new"),
            ("/dev/null", "to_null"),
            ("loop", "loop"),
            ("no/such", "broken"),
        ] {
            symlink(to, at(link)).unwrap();
        }
        for name in ["to_old", "twice", "to_new", "to_null"] {
            OutputTarget::check("csv", &at(name)).unwrap().write(name).unwrap();
            assert!(at(name).is_symlink(), "{name}");
        }
        assert_eq!(std::fs::read_to_string(at("d/old")).unwrap(), "twice");
        assert_eq!(std::fs::read_to_string(at("d/new")).unwrap(), "to_new");
        assert!(!Path::new("/dev/null").is_file());
        for name in ["loop", "broken"] {
            assert!(OutputTarget::check("csv", &at(name)).is_err(), "{name}");
        }
    }

    #[test]
    #[cfg(unix)]
    fn writes_open_files_in_place() {
        use std::os::fd::AsRawFd;
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("open");
        let mut open = File::create(&path).unwrap();
        open.write_all(b"text ").unwrap();
        let link = folder.path().join("link");
        let fd = format!("/dev/fd/{}", open.as_raw_fd());
        std::os::unix::fs::symlink(&fd, &link).unwrap();
        for path in [Path::new(&fd), &link] {
            OutputTarget::check("csv", path).unwrap().write("more ").unwrap();
        }
        let cells =
            ["a ", "b "].map(|text| CellFile { name: "c".to_owned(), text: text.to_owned() });
        let target = OutputTarget::check("hgrm", &link).unwrap();
        target.of_cells(cells.into()).iter().for_each(|(file, text)| file.write(text).unwrap());
        assert!(link.is_symlink());
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "text more more a b ");
        assert_eq!(open.metadata().unwrap().len(), 19, "the file was not replaced");
    }
}
