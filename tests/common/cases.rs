//! How many random cases a property tries.
#![allow(missing_docs, unreachable_pub)]

use proptest::test_runner::Config;

/// Cases of each property: 64, or as many as `PROPTEST_CASES` says. scripts/check tries more.
pub fn cases() -> Config {
    let default = Config::default();
    let cases = if std::env::var_os("PROPTEST_CASES").is_some() { default.cases } else { 64 };
    Config { cases, ..default }
}
