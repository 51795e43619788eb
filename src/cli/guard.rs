//! The one place where a panic is caught, so that measured results survive a failed step.

use std::panic::{AssertUnwindSafe, catch_unwind};

use super::error::CliError;

/// In debug builds, the step named by this variable panics, for tests.
#[cfg(debug_assertions)]
const PANIC_IN: &str = "UDPERF_TEST_PANIC_IN";

/// Runs a step after a run. A panic becomes an error that names the step.
pub(crate) fn guarded<T>(
    part: &str,
    work: impl FnOnce() -> Result<T, CliError>,
) -> Result<T, CliError> {
    let work = || {
        #[cfg(debug_assertions)]
        if std::env::var(PANIC_IN).is_ok_and(|asked| part.starts_with(&asked)) {
            panic!("{PANIC_IN} asks for it");
        }
        work()
    };
    catch_unwind(AssertUnwindSafe(work)).unwrap_or_else(|panic| {
        let text = panic.downcast_ref::<String>().map(String::as_str);
        let text = text.or_else(|| panic.downcast_ref::<&str>().copied());
        let reason = text.unwrap_or("no message").to_owned();
        Err(CliError::Bug { part: part.to_owned(), reason })
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::error::Exit;

    #[test]
    fn a_panic_becomes_an_error_that_names_the_part() {
        assert_eq!(guarded("text", || Ok(7)).unwrap(), 7);
        let nothing: Vec<u64> = Vec::new();
        let error = guarded("text", || Ok(nothing[3])).unwrap_err();
        assert_eq!(error.exit(), Exit::Failed);
        let said = error.to_string();
        assert!(said.starts_with("internal error in the text: index out of bounds"), "{said}");
        let error = guarded("cell", || -> Result<(), _> { std::panic::panic_any(3_u8) });
        assert!(error.unwrap_err().to_string().contains("no message"));
    }
}
