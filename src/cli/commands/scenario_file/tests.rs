use std::ffi::OsString;

use clap::error::{ContextKind, ContextValue};
use clap::{Arg, Command, FromArgMatches};

use super::file::PlannedStep;
use super::words::{COMMANDS, find, is_output, key_of, program};
use super::*;
use crate::cli::args::Cli;

fn read(text: &str) -> CliResult<ScenarioFile> {
    read_with(text, &[])
}

fn read_with(text: &str, settings: &[(&str, &str)]) -> CliResult<ScenarioFile> {
    let pairs = |all: &[(&str, &str)]| -> Vec<_> {
        all.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    };
    ScenarioFile::read(Path::new("f.toml"), text, &pairs(settings), &[])
}

fn words(step: &PlannedStep) -> String {
    shell_words(&step.words)
}

/// Values of which one is valid for nearly every flag.
const SAMPLES: &str = "1 64 10ms 1k 50% on x 127.0.0.1 127.0.0.1:9 127.0.0.0/8 lo a=b 5-9 \
    loss>1% dns ef 0:u16be utf-8 1/2 0a p50 even bench 10M 2m text:x prefix:x after:x 1:0a";

/// Commands that are complete, so that one more flag fits: any of these.
fn bases(command: &str) -> Vec<Vec<(&'static str, &'static str)>> {
    let target = ("target", "127.0.0.1");
    match command {
        "blast" | "ping" => vec![vec![target]],
        "load" => vec![
            vec![("preset", "echo"), target],
            vec![("preset", "dns"), ("--name", "a.example"), target],
            vec![("text", "x"), target],
            vec![("pcap", "x"), target],
            vec![target],
        ],
        "search" => vec![vec![("goal", "loss<=1%")]],
        "compare" => vec![vec![("base", "a.json"), ("new", "b.json")]],
        _ => vec![vec![]],
    }
}

type Pairs = Vec<(String, String)>;

/// As typed: flags, then arguments, then the inner command.
fn typed(definition: &Command, pairs: &Pairs) -> Vec<OsString> {
    let (mut flags, mut positionals) = (Vec::new(), Vec::new());
    for (key, value) in pairs {
        let arg = find(definition, key).unwrap();
        let takes_value = arg.get_action().takes_values();
        match (arg.get_long(), arg.get_short()) {
            (Some(long), _) if !takes_value => flags.push(format!("--{long}")),
            (Some(long), _) if arg.is_require_equals_set() => {
                flags.push(format!("--{long}={value}"))
            }
            (Some(long), _) => flags.extend([format!("--{long}"), value.clone()]),
            (_, Some(letter)) if !takes_value => flags.push(format!("-{letter}")),
            (_, Some(letter)) => flags.extend([format!("-{letter}"), value.clone()]),
            _ => positionals.push((arg.get_index(), value.clone())),
        }
    }
    positionals.sort();
    let mut all = vec!["udperf".to_owned(), definition.get_name().to_owned()];
    all.extend(flags.into_iter().chain(positionals.into_iter().map(|(_, value)| value)));
    if definition.get_arguments().any(Arg::is_last_set) {
        all.extend(["--", "bench", "--engine=plain"].map(str::to_owned));
    }
    all.into_iter().map(OsString::from).collect()
}

/// The same as a step of a file.
fn written(name: usize, definition: &Command, pairs: &Pairs) -> String {
    let command = definition.get_name();
    let mut text = format!("[[step]]\nname = {name}\ncommand = \"{command}\"\n");
    for (key, value) in pairs {
        let arg = find(definition, key).unwrap();
        let key = if key.starts_with('-') { key.clone() } else { key.replace('-', "_") };
        let is_list = matches!(arg.get_action(), clap::ArgAction::Append);
        let value = match (arg.get_action().takes_values(), is_list) {
            (false, _) => "true".to_owned(),
            (true, true) => format!("['{value}']"),
            (true, false) => format!("'{value}'"),
        };
        text += &format!("{key} = {value}\n");
    }
    if definition.get_arguments().any(Arg::is_last_set) {
        text += "inner = { command = \"bench\", engine = \"plain\" }\n";
    }
    text
}

/// A command with this flag that clap accepts.
fn sample(definition: &Command, arg: &Arg) -> Option<Pairs> {
    let key = key_of(arg)?;
    let key = if key == "name" { "--name".to_owned() } else { key };
    let possible = arg.get_possible_values();
    let possible = possible.iter().map(|word| word.get_name().to_owned());
    let samples: Vec<_> = possible.chain(SAMPLES.split(' ').map(str::to_owned)).collect();
    let mut parser = definition.clone();
    for base in bases(definition.get_name()) {
        let base: Vec<_> =
            base.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
        for value in &samples {
            let mut pairs = base.clone();
            pairs.retain(|(known, _)| *known != key);
            pairs.push((key.clone(), value.clone()));
            for _ in 0..3 {
                let words = typed(definition, &pairs);
                let Err(error) = parser.try_get_matches_from_mut(&words[1..]) else {
                    return Some(pairs);
                };
                // What the flag needs.
                let Some(ContextValue::Strings(missing)) = error.get(ContextKind::InvalidArg)
                else {
                    break;
                };
                let Some(word) = missing[0].strip_prefix("--") else { break };
                let name = word.split([' ', '=']).next().unwrap_or_default();
                pairs.push((name.to_owned(), "127.0.0.1:9".to_owned()));
                if find(definition, name).is_none() {
                    break;
                }
            }
        }
    }
    None
}

#[test]
fn each_flag_of_each_command_is_a_key() {
    let program = program();
    let mut parser = program.clone();
    let (mut tried, mut unknown, mut text) = (0, Vec::new(), String::new());
    let mut expected = Vec::new();
    for name in COMMANDS {
        let definition = program.find_subcommand(name).unwrap();
        for arg in definition.get_arguments().filter(|arg| key_of(arg).is_some()) {
            tried += 1;
            let Some(pairs) = sample(definition, arg) else {
                unknown.push(format!("{name} {}", arg.get_id()));
                continue;
            };
            // Two steps must not write one file.
            let file = format!("x{tried}");
            let pairs =
                pairs.into_iter().map(|(key, value)| match value == "1" && is_output(arg) {
                    true => (key, file.clone()),
                    false => (key, value),
                });
            let pairs: Pairs = pairs.collect();
            text += &written(tried, definition, &pairs);
            let mut matches = parser.try_get_matches_from_mut(typed(definition, &pairs)).unwrap();
            expected.push(Cli::from_arg_matches_mut(&mut matches).unwrap().command);
        }
    }
    let file = read(&text).unwrap_or_else(|error| panic!("{error}\n{text}"));
    assert_eq!(file.steps.len(), expected.len());
    for (step, expected) in file.steps.iter().zip(&expected) {
        assert_eq!(format!("{:?}", step.command), format!("{expected:?}"), "{}", words(step));
    }
    // A flag without a sample is no fault of the file; most have one.
    assert!(tried > 200 && unknown.len() * 20 < tried, "of {tried}, no value for {unknown:?}");
}

#[test]
fn invalid_files_are_refused_with_a_place() {
    const BENCH: &str = "[[step]]\nname = 's'\ncommand = 'bench'\n";
    for (text, place, part) in [
        ("", "1:1", "no step"),
        ("x = \n", "1:5", "not TOML"),
        ("step = 3\n", "1:8", "steps are tables; write [[step]] before each"),
        ("[step]\nname = 's'\n", "1:2", "[step] is a single table; write [[step]] before each"),
        (
            &format!("{BENCH}engine = 'plian'\n"),
            "4:10",
            "engine 'plian' is unknown; did you mean plain? use auto",
        ),
        (&format!("{BENCH}fail_if = 'lsos>1%'\n"), "4:11", "no metric 'lsos'; did you mean loss?"),
        (
            &format!("{BENCH}baseline = {{ base = 'b', metric = 'p9' }}\n"),
            "4:35",
            "unknown metric; did you mean p90? use one of",
        ),
        (
            "[[step]]\nname = 's'\ncommand = 'load'\ntarget = '127.0.0.1'\npreset = 'dsn'\n",
            "5:10",
            "invalid value 'dsn' for '--preset <NAME>'; did you mean dns? use one of dns, ntp",
        ),
        ("ratee = '5k'\n[[step]]\nname = 's'\ncommand = 'bench'\n", "1:1", "did you mean rate?"),
        ("name = 'x'\n", "1:1", "name belongs in a [[step]]; the flag --name is the key --name"),
        ("[[step]]\ncommand = 'bench'\n", "1:1", "needs a name"),
        ("[[step]]\nname = 's'\n", "1:1", "needs a command"),
        ("[[step]]\nname = 's'\ncommand = 'bnch'\n", "3:11", "did you mean bench?"),
        ("[[step]]\nname = 's'\ncommand = 'sink'\n", "3:11", "cannot be a step"),
        (&format!("{BENCH}tiem = 3\n"), "4:1", "unknown key 'tiem' of bench; did you mean time?"),
        (
            &format!("{BENCH}reverse = true\n"),
            "4:1",
            "'reverse' is not a flag of bench, only of blast",
        ),
        (&format!("{BENCH}time = true\n"), "4:8", "takes text or a number, not true or false"),
        (&format!("{BENCH}df = 'yes'\n"), "4:6", "df is a switch; write true or false"),
        (&format!("{BENCH}time = [1, 2]\n"), "4:8", "takes one value, not a list"),
        (&format!("{BENCH}rate = []\n"), "4:8", "empty list"),
        (&format!("{BENCH}size = [64, []]\n"), "4:13", "takes text or a number, not array"),
        (&format!("{BENCH}  rate = '5x'\n"), "4:10", "step 's': invalid value '5x' for '--rate"),
        (&format!("{BENCH}count = 5\ntime = 5\n"), "", "cannot be used with"),
        (&format!("{BENCH}rate = 5\n-r = 5\n"), "5:1", "unknown key '-r' of bench"),
        (&format!("{BENCH}socket_buffer = 5\n--socket-buffer = 5\n"), "5:1", "is given twice"),
        (&format!("{BENCH}time = '${{tiem}}'\n[variables]\ntime = 1\n"), "4:8", "variable 'tiem'"),
        (&format!("{BENCH}time = '${{time'\n"), "4:8", "${ without }"),
        (&format!("{BENCH}json = true\n"), "4:8", "name a file"),
        (&format!("{BENCH}events = '-'\n"), "4:10", "name a file"),
        (&format!("{BENCH}inner = {{}}\n"), "4:1", "bench has no inner command"),
        (&format!("{BENCH}baseline = {{ bse = 'x' }}\n"), "4:12", "needs base"),
        (
            "[[step]]\nname = 's'\ncommand = 'search'\ngoal = 'loss<=1%'\n",
            "1:1",
            "search needs an inner command",
        ),
        (
            "[[step]]\nname = 's'\ncommand = 'search'\nbaseline = 'x'\ngoal = 'loss<=1%'\n\
             inner = { command = 'bench' }\n",
            "4:1",
            "search has no baseline",
        ),
        ("[[step]]\nname = 's'\ncommand = 'ping'\ntarget = '-x'\n", "4:10", "begins with a dash"),
        (&format!("{BENCH}{BENCH}"), "5:1", "two steps have the name 's'"),
        (
            &format!("csv = 'x'\n{BENCH}{}", BENCH.replace("'s'", "'t'")),
            "1:7",
            "steps 's' and 't' would both write x",
        ),
        (
            &format!("csv = 'x'\n{BENCH}{}csv = './x'\n", BENCH.replace("'s'", "'t'")),
            "8:7",
            "steps 's' and 't' would both write ./x",
        ),
        (
            &format!("{BENCH}csv = 'x'\nbaseline = {{ base = 'b', html = './x' }}\n"),
            "5:33",
            "html: csv writes ./x, too",
        ),
        ("step = []\n", "1:8", "no step"),
        (&format!("{BENCH}stop-on-failure = true\n"), "4:1", "is of the whole file"),
        ("[variables]\na = '${b}'\nb = 1\n", "2:5", "unknown variable 'b'; define it"),
        (&format!("{BENCH}[labels]\na = [1]\n"), "5:5", "text or a number"),
        (&format!("{BENCH}[labels]\n'a=b' = 'c'\n"), "5:1", "'a=b' is no name"),
    ] {
        let Err(error) = read(text) else { panic!("{text}") };
        let error = error.to_string();
        assert!(error.starts_with(&format!("f.toml:{place}")), "{text}{error}");
        assert!(error.contains(part), "{text}{error}");
        assert!(!error.contains('\n') && !error.contains("Usage"), "{error}");
    }
    let file = format!("{BENCH}[variables]\na = 1\n");
    let Err(error) = read_with(&file, &[("b", "2")]) else { panic!("{file}") };
    assert!(
        error.to_string().contains("--set b: f.toml has no such variable; it has: a"),
        "{error}"
    );
}

#[test]
fn variables_defaults_and_labels_reach_the_steps() {
    let text = "\
time = 5
preset = 'dns'
fail-if = ['loss>1%', 'p99>5ms']
[variables]
server = '127.0.0.1'
port = 5300
[labels]
commit = 'abc'
[[step]]
name = 'a'
command = 'load'
target = '${server}:${port}'
--name = 'a.example'
rate = ['1k', 2_000]
[[step]]
name = 'b'
command = 'load'
target = '${server}'
text = 'cost $${x} 0'
count = 0x10
[[step]]
name = 'c'
command = 'search'
tags = ['slow']
goal = 'loss<=1%'
inner = { command = 'bench', size = [64, 512], df = false }
[[step]]
name = 'd'
command = 'bench'
baseline = { base = 'base.json', tolerance = '5%' }
";
    let file = read_with(text, &[("port", "53")]).unwrap();
    let expected = [
        "udperf load --name=a.example --rate=1k,2000 --time=5 --preset=dns '--fail-if=loss>1%' \
         '--fail-if=p99>5ms' --label=commit=abc 127.0.0.1:53",
        // A source of requests and a count exclude the defaults for these.
        "udperf load '--text=cost ${x} 0' --count=16 '--fail-if=loss>1%' '--fail-if=p99>5ms' \
         --label=commit=abc 127.0.0.1",
        "udperf search --time=5 --label=commit=abc 'loss<=1%' -- bench --size=64,512",
        "udperf bench --time=5 '--fail-if=loss>1%' '--fail-if=p99>5ms' --label=commit=abc",
    ];
    assert_eq!(file.steps.iter().map(words).collect::<Vec<_>>(), expected);
    let baseline = file.steps[3].baseline.as_ref().unwrap();
    assert_eq!(
        (&baseline.flags[..], &*baseline.base),
        (&["compare", "--tolerance=5%"].map(str::to_owned)[..], "base.json",)
    );
    let only = |words: &[&str]| {
        let words: Vec<_> = words.iter().map(|word| (*word).to_owned()).collect();
        let steps = chosen(&file, &words).map_err(|error| error.to_string())?;
        Ok(steps.iter().map(|step| step.name.as_str()).collect::<String>())
    };
    assert_eq!(only(&[]), Ok("abcd".to_owned()));
    assert_eq!(only(&["tag:slow", "a"]), Ok("ac".to_owned()));
    let error: String = only(&["tag:slo"]).unwrap_err();
    assert!(error.contains("no step has this name or tag; did you mean tag:slow?"), "{error}");
}

#[test]
fn the_worst_exit_code_is_that_of_the_run() {
    use Exit::*;
    for (exits, expected) in [
        (&[][..], Success),
        (&[Success, Undecided], Undecided),
        (&[ConditionHeld, Undecided, Success], ConditionHeld),
        (&[ConditionHeld, Invalid], Invalid),
        (&[Failed, Invalid, Success], Failed),
        (&[Usage, Failed], Usage),
        (&[Success, Interrupted, Usage], Interrupted),
    ] {
        assert_eq!(worst(exits.iter().copied()), expected, "{exits:?}");
    }
    for (exit, ..) in crate::cli::error::EXITS {
        assert_eq!(Exit::of(*exit as u8), Some(*exit));
    }
}

#[test]
fn the_schema_has_each_key_of_the_example_and_no_other() {
    let schema = schema::scenario_file();
    let validator = jsonschema::validator_for(&schema).unwrap();
    let json = |text: &str| {
        to_json(&toml::de::DeValue::Table(toml::de::DeTable::parse(text).unwrap().into_inner()))
    };
    let manual = include_str!("../../../../docs/scenarios.md");
    let (_, manual) = manual.split_once("```toml\n").unwrap();
    let (manual, _) = manual.split_once("```").unwrap();
    for text in [example::EXAMPLE, manual] {
        if let Err(error) = read(text) {
            panic!("{error}");
        }
        let errors: Vec<_> =
            validator.iter_errors(&json(text)).map(|one| one.to_string()).collect();
        assert_eq!(errors, [""; 0]);
    }
    for (from, to) in [
        ("engine = ", "engin = "),
        ("command = \"bench\"", "command = \"sink\""),
        ("preset = \"echo\"", "preset = \"ech\""),
        ("no_curve = true", "no_curve = 1"),
        ("inner = {", "iner = {"),
        ("name = \"host\"", "tags = []"),
    ] {
        let text = example::EXAMPLE.replacen(from, to, 1);
        assert!(text != example::EXAMPLE, "{from}");
        let is_valid = toml::de::DeTable::parse(&text).is_ok() && validator.is_valid(&json(&text));
        assert!(!is_valid && read(&text).is_err(), "{to}");
    }
}

fn to_json(value: &toml::de::DeValue<'_>) -> serde_json::Value {
    use toml::de::DeValue;
    match value {
        DeValue::String(text) => text.as_ref().into(),
        DeValue::Integer(number) => number.as_str().parse::<i64>().unwrap().into(),
        DeValue::Float(number) => number.as_str().parse::<f64>().unwrap().into(),
        DeValue::Boolean(is_on) => (*is_on).into(),
        DeValue::Datetime(_) => unreachable!("no key takes one"),
        DeValue::Array(items) => items.iter().map(|item| to_json(item.get_ref())).collect(),
        DeValue::Table(table) => source::entries(table)
            .into_iter()
            .map(|entry| (entry.key.to_owned(), to_json(entry.value)))
            .collect(),
    }
}
