//! The document itself, as indented JSON.

use serde::Serialize;

/// Indented JSON that ends in a line break.
pub fn render(value: &impl Serialize) -> String {
    // Documents are made of strings, numbers and lists, which cannot fail to serialise.
    serde_json::to_string_pretty(value).map_or_else(|_| String::new(), |text| text + "\n")
}
