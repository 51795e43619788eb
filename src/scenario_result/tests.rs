use super::*;
use crate::compare::fixture as compared;
use crate::compare::store::load_with_steps;
use crate::report::fixture;
use crate::report::format::{Document, RenderOptions, text::Style};
use crate::report::schema::{self, read_back};

/// One step of each kind, the first compared with its baseline, and one that did not run.
fn steps() -> ScenarioDocument {
    let step = |name: &str, exit: Option<u8>, document: Option<CommandDocument>| ScenarioStep {
        name: name.to_owned(),
        command: vec!["udperf".to_owned(), "bench".to_owned()],
        exit,
        result: format!("result of {name}"),
        document,
        ..ScenarioStep::default()
    };
    let mut run = fixture::default_run();
    run.cells.truncate(2);
    let conditions = ["sent>0", "p50>60s"].map(|word| word.parse().unwrap());
    run.gates = crate::report::gates(&run, &conditions);
    let mut verdict = compared::comparison();
    verdict.head.schema = crate::document::SCHEMA.to_owned();
    let verdict = Box::new(verdict);
    let run = CommandDocument::Run(Box::new(run));
    let mut search = fixture::search();
    "search".clone_into(&mut search.report.kind);
    let search = CommandDocument::Search(Box::new(search));
    let mut first = step("run", Some(3), Some(run));
    first.verdict = Some(verdict.clone());
    ScenarioDocument {
        head: Head {
            schema: crate::document::SCHEMA.to_owned(),
            kind: SCENARIO_RESULT.to_owned(),
            ..verdict.head.clone()
        },
        file: "f.toml".to_owned(),
        variables: BTreeMap::from([("server".to_owned(), "lab7".to_owned())]),
        exit: 3,
        steps: vec![
            first,
            step("search", Some(0), Some(search)),
            step("verdict", Some(4), Some(CommandDocument::Verdict(verdict))),
            step("failed", Some(1), None),
            step("none", None, None),
        ],
        is_printed: false,
    }
}

fn rendered(document: &ScenarioDocument, flag: &str) -> String {
    let format = ScenarioDocument::FORMATS.iter().find(|format| format.flag == flag).unwrap();
    (format.render)(document, &RenderOptions::default()).unwrap().unwrap()
}

#[test]
fn documents_of_all_kinds_read_back() {
    let document = steps();
    let value = read_back(&document, schema::SCENARIO_RESULT);
    assert_eq!(value["steps"][1]["document"]["kind"], "search");
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("o.json");
    let read = |value: &Value| {
        std::fs::write(&path, value.to_string()).unwrap();
        ScenarioDocument::read(&path)
    };
    assert_eq!(read(&value).unwrap().unwrap(), document);
    // A document inside is checked as one alone is.
    let mut damaged = value.clone();
    damaged["steps"][0]["document"]["cells"][0]["ledger"]["attempted"] = 7.into();
    let error = read(&damaged).unwrap().unwrap_err().to_string();
    assert!(error.contains("does not hold"), "{error}");
    damaged["steps"][0]["document"]["kind"] = "sink".into();
    assert!(read(&damaged).unwrap().is_err());
    // Reading it for a comparison checks the exit codes, too.
    for place in ["/exit", "/steps/1/exit"] {
        let mut damaged = value.clone();
        *damaged.pointer_mut(place).unwrap() = 300.into();
        std::fs::write(&path, damaged.to_string()).unwrap();
        let error = load_with_steps(&path).unwrap_err().to_string();
        assert!(error.contains("exit code is not between 0 and 255"), "{error}");
    }
    // Documents of other kinds are for other readers.
    assert!(read(&value["steps"][0]["document"]).is_none());
}

#[test]
fn a_result_without_steps_has_a_last_line() {
    let document = ScenarioDocument { steps: Vec::new(), ..steps() };
    let text = document.text(Style { color: false, width: 80, verbose: false });
    assert!(text.ends_with("\n0 steps; exit code 3\n"), "{text}");
}

#[test]
fn each_step_is_a_suite() {
    let xml = rendered(&steps(), "junit");
    let document = roxmltree::Document::parse(&xml).unwrap();
    let cases = document.descendants().filter(|node| node.has_tag_name("testcase"));
    let cases: Vec<_> = cases
        .map(|case| {
            let outcome = case.first_element_child().unwrap().tag_name().name().to_owned();
            let [class, name] = ["classname", "name"].map(|name| case.attribute(name).unwrap());
            format!("{class}: {name}: {outcome}")
        })
        .collect();
    let expected = [
        "run: step: failure",
        "run: plain/64/max sent>0: failure",
        "run: plain/64/50% sent>0: failure",
        "run: plain/64/50% p50>60s: system-out",
        "run: plain/64/max rx_pps: failure",
        "run: plain/64/max loss: system-out",
        "run: plain/64/50% p50: system-out",
        "run: plain/64/50% p99: failure",
        "run: plain/512/max cell: failure",
        "search: step: system-out",
        "search: plain/64 loss<=0.1%: system-out",
        "search: plain/64 p99<=200us: system-out",
        "verdict: step: failure",
        "verdict: plain/64/max rx_pps: failure",
        "verdict: plain/64/max loss: system-out",
        "verdict: plain/64/50% p50: system-out",
        "verdict: plain/64/50% p99: failure",
        "verdict: plain/512/max cell: failure",
        "failed: step: failure",
        "none: step: skipped",
    ];
    assert_eq!(cases, expected);
}

#[test]
fn goals_of_a_search_are_cases_that_fail_if_no_rate_passed() {
    let mut document = steps();
    let Some(CommandDocument::Search(search)) = &mut document.steps[1].document else { panic!() };
    let found = &mut search.searches[0];
    found.low_pps = None;
    found.trials.remove(0);
    let outcomes = |document: &ScenarioDocument| {
        let xml = rendered(document, "junit");
        let parsed = roxmltree::Document::parse(&xml).unwrap();
        let cases = parsed.descendants().filter(|node| node.has_tag_name("testcase"));
        let of_goal = cases.filter(|case| case.attribute("name").unwrap().contains("<="));
        let outcome = |case: roxmltree::Node<'_, '_>| {
            case.first_element_child().unwrap().tag_name().name().to_owned()
        };
        of_goal.map(outcome).collect::<Vec<_>>()
    };
    // The first trial at the lowest rate was disturbed, and names no goal.
    assert_eq!(outcomes(&document), ["failure", "failure"]);
    let Some(CommandDocument::Search(search)) = &mut document.steps[1].document else { panic!() };
    search.searches[0].trials.drain(..2);
    assert_eq!(outcomes(&document), ["failure", "system-out"]);
}

#[test]
fn every_format_has_all_steps_and_escapes_their_names() {
    let mut document = steps();
    let hostile = "</title><script>x</script> | `c` [a](b) *d* \u{1b}[2J";
    hostile.clone_into(&mut document.file);
    for step in &mut document.steps {
        step.name += hostile;
        step.result += hostile;
    }
    let page = rendered(&document, "html");
    let options = roxmltree::ParsingOptions { allow_dtd: true, ..Default::default() };
    let parsed = roxmltree::Document::parse_with_options(&page, options).unwrap();
    let count = |tag| parsed.descendants().filter(|node| node.has_tag_name(tag)).count();
    // The script of the page itself; a section for each step, one for the baseline, one for the
    // size and engine of the search.
    assert_eq!((count("script"), count("section")), (1, 5 + 1 + 1));
    let markdown = rendered(&document, "markdown");
    assert!(!markdown.contains("<script") && !markdown.contains("[a](b)"), "{markdown}");
    assert!(!markdown.contains('\u{1b}'), "{markdown}");
    let style = Style { color: false, width: 100, verbose: false };
    let text = steps().text(style);
    let at = |part: &str| text.find(part).unwrap_or_else(|| panic!("{part}: {text}"));
    let order = [
        "step 1 of 5 · run\nudperf bench",
        "plain/64/max",
        "new is worse",
        "step 2 of 5 · search",
        "243.1 kpps",
        "step 5 of 5 · none",
        "step     command  exit  result\n",
        "none     bench       –  result of none\n",
        "1 passed, 3 failed, 1 not run of 5 steps; exit code 3\n",
    ];
    assert!(order.map(at).is_sorted(), "{text}");
    document.is_printed = true;
    assert!(document.text(style).starts_with("step "), "the table only");
}
