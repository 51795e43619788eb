//! Documents of made-up figures: a run of this very program, edited so that all that is checked of
//! a document still holds.

use std::path::Path;

use serde_json::{Value, json};

use super::run;

/// Each cell of a made-up run is a second long, so that rates are counts.
const SECOND_NS: u64 = 1_000_000_000;

/// A fresh run of one cell, flat out and without a system call, measured so many times.
pub fn fresh(trials: usize) -> Value {
    let output =
        run(&format!("bench -J -q -e null -l 64 -n 2000 -r max --warmup 0 --trials {trials}"));
    assert_eq!(output.status.code(), Some(0), "{}", super::stderr(&output));
    serde_json::from_slice(&output.stdout).unwrap()
}

/// The same, as if each run had delivered about so many datagrams a second, a little apart.
pub fn at_rate(document: &Value, pps: u64) -> Value {
    let mut edited = document.clone();
    for (trial, cell) in edited["cells"].as_array_mut().unwrap().iter_mut().enumerate() {
        let count = pps + pps * (trial as u64 % 10) / 500;
        cell["elapsed_ns"] = json!(SECOND_NS);
        for name in ["attempted", "sent", "received", "arrived"] {
            cell["ledger"][name] = json!(count);
        }
        for side in ["tx", "rx"] {
            cell[side]["datagrams"] = json!(count);
            cell[side]["datagrams_in_window"] = json!(count);
            cell[side]["bytes"] = json!(count * 64);
            cell[side]["pps"] = json!(count as f64);
            cell[side]["bits_per_second"] = json!(count as f64 * 512.0);
        }
    }
    edited
}

/// Writes a document into a folder; its path, as an argument.
pub fn put(folder: &Path, name: &str, document: &Value) -> String {
    let path = folder.join(name);
    std::fs::write(&path, document.to_string()).unwrap();
    path.to_str().unwrap().to_owned()
}
