//! Where the noise of machines is kept between comparisons.

use std::io;
use std::path::{Path, PathBuf};

use super::error::CliError;
use super::output::{OutputTarget, pretty};
use crate::compare::noise::{NoiseProfile, SCHEMA};

/// Says that none is to be used.
const NONE: &str = "none";

/// The noise profile and its path; `None` if there is none, or `none` was asked for.
pub(crate) fn read(asked: Option<&Path>) -> Result<Option<(NoiseProfile, String)>, CliError> {
    let Some(path) = place(asked) else { return Ok(None) };
    let input = |why: String| CliError::Input { flag: "noise", path: path.clone(), why };
    let text = match std::fs::read_to_string(&path) {
        Ok(text) => text,
        // Without a profile, no noise floor is known.
        Err(error) if error.kind() == io::ErrorKind::NotFound && asked.is_none() => {
            return Ok(None);
        }
        Err(error) => return Err(input(format!("{}; measure it with udperf ab", error.kind()))),
    };
    let book: NoiseProfile = serde_json::from_str(&text)
        .map_err(|error| input(format!("not a noise file of udperf ({error}); remove it")))?;
    if book.schema != SCHEMA {
        return Err(input(format!("its schema is {}, not {SCHEMA}; remove it", book.schema)));
    }
    Ok(Some((book, path.display().to_string())))
}

/// Like [`read`], but a missing file is an empty profile.
pub(crate) fn read_or_begin(
    asked: Option<&Path>,
) -> Result<Option<(NoiseProfile, String)>, CliError> {
    match place(asked) {
        Some(path) if asked.is_some() && !path.exists() => Ok(None),
        _ => read(asked),
    }
}

/// Writes the profile; returns its path, if any.
pub(crate) fn write(asked: Option<&Path>, book: &NoiseProfile) -> Result<Option<String>, CliError> {
    let Some((target, path)) = target(asked)? else { return Ok(None) };
    target.write(&pretty(book))?;
    Ok(Some(path.display().to_string()))
}

/// The file, checked to be writable; creates the folder of the default one.
pub(crate) fn target(asked: Option<&Path>) -> Result<Option<(OutputTarget, PathBuf)>, CliError> {
    let Some(path) = place(asked) else { return Ok(None) };
    if let (None, Some(folder)) = (asked, path.parent()) {
        std::fs::create_dir_all(folder).map_err(|source| CliError::File {
            flag: "noise",
            path: path.clone(),
            source,
        })?;
    }
    Ok(Some((OutputTarget::check("noise", &path)?, path)))
}

fn place(asked: Option<&Path>) -> Option<PathBuf> {
    match asked {
        Some(path) if path.as_os_str() == NONE => None,
        Some(path) => Some(path.to_owned()),
        None => {
            let folder = |name: &str| {
                std::env::var_os(name).map(PathBuf::from).filter(|path| path.is_absolute())
            };
            // The XDG Base Directory Specification, 0.8.
            let state =
                folder("XDG_STATE_HOME").or_else(|| Some(folder("HOME")?.join(".local/state")))?;
            Some(state.join("udperf/noise.json"))
        }
    }
}
