//! The document's form, for programs that read it.

use schemars::JsonSchema;
use schemars::generate::SchemaSettings;
use serde_json::Value;

use crate::document::{Report, SCHEMA};

/// The JSON Schema (2020-12) of a [`Report`] as it is written: fields that can be unknown are
/// there, and `null`.
#[must_use]
pub fn schema() -> Value {
    schema_of::<Report>("udperf report")
}

/// The same of another document.
#[must_use]
pub fn schema_of<T: JsonSchema>(title: &str) -> Value {
    let settings = SchemaSettings::draft2020_12().for_serialize();
    let mut schema = settings.into_generator().into_root_schema_for::<T>();
    schema.insert("$id".to_owned(), SCHEMA.into());
    schema.insert("title".to_owned(), title.into());
    schema.to_value()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::fixture;

    #[test]
    fn a_document_reads_back_and_keeps_to_the_schema() {
        let mut report = fixture::default_run();
        fixture::two_clocks(&mut report.cells[1], 12_000);
        fixture::one_ended(&mut report.cells[2]);
        report.clock = Some(crate::document::Clock::same());
        let text = serde_json::to_string(&report).unwrap();
        let read: Report = serde_json::from_str(&text).unwrap();
        assert_eq!(read, report);
        let validator = jsonschema::validator_for(&schema()).unwrap();
        let mut value: Value = serde_json::from_str(&text).unwrap();
        assert!(validator.is_valid(&value));
        assert!(value["cells"][1]["latency"]["p50_ns"].is_null());
        assert!(value["cells"][2]["ledger"]["lost"].is_null() && value["cells"][2]["rx"].is_null());
        value["cells"][0]["ledger"]["lost"] = (-1).into();
        assert!(!validator.is_valid(&value));
    }

    #[test]
    fn unknown_is_null_and_not_absent() {
        let schema = schema();
        assert_eq!(schema["$schema"], "https://json-schema.org/draft/2020-12/schema");
        assert_eq!(schema["$id"], "udperf/1");
        assert_eq!(schema["title"], "udperf report");
        let required = schema["$defs"]["Cell"]["required"].as_array().unwrap();
        for name in ["id", "latency", "jitter_ns"] {
            assert!(required.contains(&name.into()), "{name}");
        }
    }
}
