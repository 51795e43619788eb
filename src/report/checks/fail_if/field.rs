//! Fields of a cell by their path, such as `latency.p99_9_ns`.

use serde_json::Value;

use crate::document::{Cell, bounded};
use crate::report::checks::metric::{Metric, MetricKind};

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Field {
    pub(super) path: String,
    /// By the unit that its name ends in.
    pub(super) kind: MetricKind,
}

impl Field {
    /// The number at this path; `None` where a cell has no such number.
    pub(super) fn at(path: &str) -> Option<Self> {
        let schema: Value = serde_json::from_str(crate::report::schema::RUN).ok()?;
        let mut here = &schema["$defs"]["Cell"];
        let mut name = "";
        for step in path.split('.') {
            let next = here.get("properties").and_then(|fields| fields.get(step));
            // A map has whatever names it has, such as the error codes of a protocol.
            let next = next.or_else(|| here.get("additionalProperties"));
            // A list has numbers, from 0.
            let item = || step.parse::<usize>().ok().and_then(|_| here.get("items"));
            here = resolve(&schema, next.or_else(item)?);
            name = step;
        }
        is_number(here).then(|| Self { path: path.to_owned(), kind: kind(name) })
    }

    /// Its value, or its upper limit if it is below the bound. A key missing from a map is 0.
    pub(super) fn read(&self, cell: &Cell) -> (Option<f64>, Option<f64>) {
        if self.path == "latency.p99_with_loss_ns" {
            // `null` has two reasons, which the metric distinguishes.
            return Metric::named("p99_with_loss")
                .map(|metric| metric.read(cell))
                .unwrap_or_default();
        }
        let Ok(cell) = serde_json::to_value(cell) else { return (None, None) };
        let (mut here, mut within, mut bound_ns) = (&cell, &Value::Null, 0);
        for step in self.path.split('.') {
            if let (Value::Array(items), Ok(at)) = (here, step.parse::<usize>()) {
                let Some(next) = items.get(at) else { return (None, None) };
                here = next;
                continue;
            }
            let Value::Object(fields) = here else { return (None, None) };
            let Some(next) = fields.get(step) else { return (Some(0.0), None) };
            bound_ns = fields.get("bound_ns").and_then(Value::as_u64).unwrap_or(bound_ns);
            // Of the legs, those within one host are exact. A limit has no limit itself.
            if WITHIN_ONE_HOST.contains(&step) || step == "upper_limits" {
                bound_ns = 0;
            }
            (within, here) = (here, next);
        }
        let name = self.path.rsplit('.').next().unwrap_or_default();
        if AS_MEASURED.contains(&name) && bound_ns > 0 && !here.is_null() {
            let (known, at_most) = bounded(here.as_u64(), bound_ns);
            return (known.map(|ns| ns as f64), at_most.map(|ns| ns as f64));
        }
        // Older documents have no limits: what is withheld is below the bound.
        let assumed = (bound_ns > 0 && WITHHELD.contains(&name)).then_some(bound_ns as f64 * 2.0);
        let at_most = match &within["upper_limits"] {
            Value::Object(limits) => limits.get(name).and_then(Value::as_f64),
            _ => assumed,
        };
        (here.as_f64(), at_most)
    }
}

/// Latencies that are withheld below the bound: names of the document.
const WITHHELD: [&str; 8] =
    ["min_ns", "mean_ns", "p50_ns", "p90_ns", "p99_ns", "p99_9_ns", "p99_99_ns", "max_ns"];

/// Latencies that older documents, and legs, give although they are below the bound; as above.
const AS_MEASURED: [&str; 2] = ["mean_ns", "max_ns"];

/// Legs that both ends of are read from one clock; as above.
const WITHIN_ONE_HOST: [&str; 3] = ["lag", "system_call", "in_socket"];

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
fn kind(name: &str) -> MetricKind {
    match name {
        _ if name.ends_with("_ns") => MetricKind::Time,
        _ if name.ends_with("bits_per_second") => MetricKind::Bits,
        _ if name == "pps" || name.ends_with("_pps") => MetricKind::Packets,
        _ => MetricKind::Number,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::fixture;

    #[test]
    fn any_number_of_a_cell_is_a_field() {
        let cell = fixture::cell("plain", 64, "max", 271e3);
        let pps = cell.rx.as_ref().unwrap().pps;
        for (path, kind, value) in [
            ("elapsed_ns", MetricKind::Time, Some(cell.elapsed_ns as f64)),
            ("rx.pps", MetricKind::Packets, pps),
            ("ledger.refused.other", MetricKind::Number, Some(0.0)),
            // Unknown in this cell, and a number all the same.
            ("exchange.timeouts", MetricKind::Number, None),
            ("exchange.errors.SERVFAIL", MetricKind::Number, None),
        ] {
            let field = Field::at(path).unwrap();
            assert_eq!((field.kind, field.read(&cell).0), (kind, value), "{path}");
        }
        for path in ["", "latency", "latency.histogram", "id", "latency.p98_ns", "rx.", "warnings"]
        {
            assert_eq!(Field::at(path), None, "{path}");
        }
    }
}
