//! The JSON Schema of scenario files, from the definition of the command line.

use std::collections::BTreeMap;

use clap::{Arg, ArgAction, Command, ValueHint};
use serde_json::{Map, Value, json};

use super::words::{COMMANDS, is_step, key_of, program};
use crate::report::read::WITH_CELLS;

/// The schema, for `docs/schema/scenario-file.json`.
pub(crate) fn scenario_file() -> Value {
    let program = program();
    let mut definitions = Map::new();
    let steps: Vec<_> = program.get_subcommands().filter(|command| is_step(command)).collect();
    let groups = groups(&steps);
    for command in steps {
        let name = command.get_name();
        let own = groups.keys().filter(|names| names.contains(&name));
        let own: Vec<_> = own.map(|names| reference(&group(names))).collect();
        definitions.insert(format!("flags-{name}"), json!({ "allOf": own }));
        definitions.insert(name.to_owned(), step(command));
    }
    for (names, flags) in groups {
        definitions.insert(group(&names), json!({ "properties": flags }));
    }
    let flags = COMMANDS.map(|name| reference(&format!("flags-{name}")));
    json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "udperf run",
        "description": "A scenario file in TOML. Flags at the top are defaults of all steps.",
        "type": "object",
        "properties": {
            "variables": values("Values for ${NAME} in the values of the file"),
            "labels": values("Labels of all documents"),
            "stop_on_failure": {
                "type": "boolean", "description": "Run no step after one that fails",
            },
            "step": {
                "type": "array", "minItems": 1, "items": { "oneOf": COMMANDS.map(reference) },
            },
        },
        "allOf": flags,
        "unevaluatedProperties": false,
        "required": ["step"],
        "$defs": definitions,
    })
}

fn reference(name: &str) -> Value {
    json!({ "$ref": format!("#/$defs/{name}") })
}

/// The name of the flags that these commands share.
fn group(commands: &[&str]) -> String {
    format!("shared-{}", commands.join("-"))
}

/// The flags of all commands, each once, by the commands that share them.
fn groups<'a>(commands: &[&'a Command]) -> BTreeMap<Vec<&'a str>, Map<String, Value>> {
    // By key and definition.
    let mut owners: BTreeMap<(String, String), (Vec<&str>, Value)> = BTreeMap::new();
    for command in commands {
        for arg in command.get_arguments() {
            let Some(key) = key_of(arg) else { continue };
            let value = value(arg);
            let owner = owners.entry((key, value.to_string())).or_insert((Vec::new(), value));
            owner.0.push(command.get_name());
        }
    }
    let mut groups: BTreeMap<_, Map<_, _>> = BTreeMap::new();
    for ((key, _), (names, value)) in owners {
        // The name of a step takes the plain word.
        let key = if key == "name" { "--name".to_owned() } else { key };
        // Keys with dashes can be written so, too.
        let written = if key.starts_with('-') { key.clone() } else { key.replace('-', "_") };
        let place = format!("{}/properties/{written}", group(&names));
        let flags = groups.entry(names).or_default();
        if written != key {
            flags.insert(key, reference(&place));
        }
        flags.insert(written, value);
    }
    groups
}

/// A step, with the keys of its command.
fn step(command: &Command) -> Value {
    let name = command.get_name();
    let flags = format!("#/$defs/flags-{name}");
    let mut properties = json!({
        "name": { "type": "string", "description": "The name of the step" },
        "command": { "const": name },
        "tags": { "type": "array", "items": { "type": "string" } },
    });
    let mut required = vec!["name", "command"];
    if WITH_CELLS.contains(&name) {
        properties["baseline"] = json!({
            "type": ["string", "object"],
            "description": "A document to compare with: its path, or a table of keys of compare \
                            with base, or with step, an earlier step of the file",
        });
    }
    if command.get_arguments().any(Arg::is_last_set) {
        let inner = WITH_CELLS.map(|name| {
            json!({
                "type": "object",
                "$ref": format!("#/$defs/flags-{name}"),
                "properties": { "command": { "const": name } },
                "required": ["command"],
                "unevaluatedProperties": false,
            })
        });
        properties["inner"] = json!({ "oneOf": inner });
        required.push("inner");
    }
    let about = command.get_about().map(ToString::to_string).unwrap_or_default();
    json!({
        "type": "object", "description": about, "$ref": flags, "properties": properties,
        "required": required, "unevaluatedProperties": false,
    })
}

fn value(arg: &Arg) -> Value {
    let help = arg.get_help().map(ToString::to_string).unwrap_or_default();
    let words = arg.get_possible_values();
    // Other words are valid, too, where shells only complete some.
    let words = words.iter().filter(|_| arg.get_value_hint() != ValueHint::Other);
    let words: Vec<_> = words.map(|word| word.get_name().to_owned()).collect();
    let one = match words.is_empty() {
        true => json!({ "type": ["string", "number"] }),
        // Or a variable.
        false => json!({ "anyOf": [{ "enum": words }, { "type": "string", "pattern": "\\$\\{" }] }),
    };
    let mut schema = match arg.get_action() {
        ArgAction::Append => json!({ "anyOf": [one, { "type": "array", "items": one }] }),
        action if !action.takes_values() => json!({ "type": "boolean" }),
        _ if arg.is_require_equals_set() => json!({ "anyOf": [one, { "type": "boolean" }] }),
        _ => one,
    };
    schema["description"] = help.into();
    schema
}

fn values(description: &str) -> Value {
    json!({
        "type": "object", "description": description,
        "additionalProperties": { "type": ["string", "number"] },
    })
}
