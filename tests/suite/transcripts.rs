//! What the program says word for word: help, and the errors people meet.
#![allow(missing_docs)]

#[test]
fn help_and_errors_read_as_they_are_written_down() {
    trycmd::TestCases::new().case("tests/transcripts/*.trycmd");
}
