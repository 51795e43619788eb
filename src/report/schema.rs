//! The JSON Schemas (2020-12) of documents, for programs that read them. The files are generated
//! from the structures: `UDPERF_UPDATE_DOCS=1 cargo test --lib schemas`.

/// Of a report. Fields that can be unknown are required, and can be `null`.
pub(crate) const RUN: &str = include_str!("../../docs/schema/run.json");
/// Of a comparison.
pub(crate) const COMPARISON: &str = include_str!("../../docs/schema/comparison.json");
/// Of a search.
pub(crate) const SEARCH: &str = include_str!("../../docs/schema/search.json");
/// Of a sink.
pub(crate) const SINK: &str = include_str!("../../docs/schema/sink.json");
/// Of an echo.
pub(crate) const ECHO: &str = include_str!("../../docs/schema/echo.json");
/// Of the result of a scenario file.
pub(crate) const SCENARIO_RESULT: &str = include_str!("../../docs/schema/scenario-result.json");
/// Of a scenario file, from the definition of the command line.
pub(crate) const SCENARIO_FILE: &str = include_str!("../../docs/schema/scenario-file.json");
/// Of a doctor.
pub(crate) const DOCTOR: &str = include_str!("../../docs/schema/doctor.json");
/// Of a selftest.
pub(crate) const SELFTEST: &str = include_str!("../../docs/schema/selftest.json");

#[cfg(test)]
pub(crate) fn schema_of<T: schemars::JsonSchema>(title: &str) -> serde_json::Value {
    let settings = schemars::generate::SchemaSettings::draft2020_12().for_serialize();
    let mut schema = settings.into_generator().into_root_schema_for::<T>();
    schema.insert("$id".to_owned(), crate::document::SCHEMA.into());
    schema.insert("title".to_owned(), title.into());
    schema.to_value()
}

/// The JSON of a document, which reads back and conforms to this schema.
#[cfg(test)]
#[track_caller]
pub(crate) fn read_back<T>(document: &T, schema: &str) -> serde_json::Value
where
    T: serde::Serialize + serde::de::DeserializeOwned + PartialEq + std::fmt::Debug,
{
    let value = serde_json::to_value(document).unwrap();
    let read: T = serde_json::from_str(&value.to_string()).unwrap();
    assert_eq!(read, *document);
    assert!(validator(schema).is_valid(&value));
    value
}

#[cfg(test)]
fn validator(schema: &str) -> jsonschema::Validator {
    jsonschema::validator_for(&serde_json::from_str(schema).unwrap()).unwrap()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::fixture;

    #[test]
    fn reports_read_back_and_match_the_schema() {
        let mut report = fixture::default_run();
        fixture::two_clocks(&mut report.cells[1], 12_000);
        fixture::one_ended(&mut report.cells[2]);
        report.clock = Some(crate::document::Clock::same());
        let mut value = read_back(&report, RUN);
        assert!(value["cells"][1]["latency"]["p50_ns"].is_null());
        assert!(value["cells"][2]["ledger"]["lost"].is_null() && value["cells"][2]["rx"].is_null());
        value["cells"][0]["ledger"]["lost"] = (-1).into();
        assert!(!validator(RUN).is_valid(&value));
        // Unknown is null, and not absent.
        for name in ["id", "latency", "jitter_ns"] {
            let mut incomplete = serde_json::to_value(&report).unwrap();
            incomplete["cells"][0].as_object_mut().unwrap().remove(name);
            assert!(!validator(RUN).is_valid(&incomplete), "{name}");
        }
    }
}
