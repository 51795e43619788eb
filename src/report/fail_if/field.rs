//! Fields of the document that have no shorter name: a path into a cell, such as
//! `latency.p99_9_ns`.

use serde_json::Value;

use crate::report::document::Cell;
use crate::report::metric::Kind;

/// A number somewhere in a cell.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Field {
    /// As typed.
    pub(super) path: String,
    /// By the unit that its name ends in.
    pub(super) kind: Kind,
}

impl Field {
    /// The number at this path; `None` where a cell has no such number.
    pub(super) fn at(path: &str) -> Option<Self> {
        let schema = crate::report::schema();
        let mut here = &schema["$defs"]["Cell"];
        let mut name = "";
        for step in path.split('.') {
            let next = here.get("properties").and_then(|fields| fields.get(step));
            // A map has whatever names it has, such as the error codes of a protocol.
            here = resolve(&schema, next.or_else(|| here.get("additionalProperties"))?);
            name = step;
        }
        is_number(here).then(|| Self { path: path.to_owned(), kind: kind(name) })
    }

    /// Its value; `None` where it is not known. What a map does not name is 0.
    pub(super) fn of(&self, cell: &Cell) -> Option<f64> {
        let cell = serde_json::to_value(cell).ok()?;
        let mut here = &cell;
        for step in self.path.split('.') {
            match here {
                Value::Object(fields) => match fields.get(step) {
                    Some(next) => here = next,
                    None => return Some(0.0),
                },
                _ => return None,
            }
        }
        here.as_f64()
    }
}

/// What a schema stands for, without the `null` that it may be instead.
fn resolve<'a>(root: &'a Value, mut schema: &'a Value) -> &'a Value {
    let by_reference = |schema: &'a Value| {
        let name = schema["$ref"].as_str()?.strip_prefix("#/$defs/")?;
        root["$defs"].get(name)
    };
    if let Some(choices) = schema["anyOf"].as_array() {
        schema = choices.iter().find(|choice| choice["type"] != "null").unwrap_or(schema);
    }
    by_reference(schema).unwrap_or(schema)
}

fn is_number(schema: &Value) -> bool {
    let number = |word: &Value| word == "integer" || word == "number";
    match &schema["type"] {
        Value::Array(words) => words.iter().any(number),
        word => number(word),
    }
}

/// Names end in their unit.
fn kind(name: &str) -> Kind {
    if name.ends_with("_ns") {
        Kind::Time
    } else if name.ends_with("bits_per_second") {
        Kind::Bits
    } else if name == "pps" || name.ends_with("_pps") {
        Kind::Packets
    } else {
        Kind::Number
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::fixture;

    #[test]
    fn any_number_of_a_cell_can_be_asked_for() {
        let report = fixture::default_run();
        let cell = &report.cells[0];
        let of = |path: &str| Field::at(path).map(|field| (field.kind, field.of(cell)));
        assert_eq!(of("elapsed_ns"), Some((Kind::Time, Some(cell.elapsed_ns as f64))));
        assert_eq!(of("rx.pps"), Some((Kind::Packets, cell.rx.as_ref().and_then(|rx| rx.pps))));
        assert_eq!(of("ledger.refused.other"), Some((Kind::Number, Some(0.0))));
        // Unknown in this cell, and a number all the same.
        assert_eq!(of("exchange.timeouts"), Some((Kind::Number, None)));
        assert_eq!(of("exchange.errors.SERVFAIL"), Some((Kind::Number, None)));
    }

    #[test]
    fn what_is_no_number_is_no_field() {
        for path in ["", "latency", "latency.histogram", "id", "latency.p98_ns", "rx.", "warnings"]
        {
            assert_eq!(Field::at(path), None, "{path}");
        }
    }
}
