//! Every key of a covenant left out, of another type or with a value that does not exist, one at a time: it does not load, and it is said
//! where, or what it then says is in the list of what may be left open.

use std::collections::BTreeSet;
use std::path::Path;

use toml::{Table, Value};

use super::*;

fn example() -> Table {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("policies/covenant.toml");
    std::fs::read_to_string(path).unwrap().parse().unwrap()
}

/// One place of each kind: of a list of tables the first that has the key, of a list of words the first word.
fn places(value: &Value, at: &[String], kind: &str, seen: &mut BTreeSet<String>, found: &mut Vec<Vec<String>>) {
    let mut go_on = |name: String, kind: String, value: &Value| {
        let place = [at, &[name]].concat();
        if seen.insert(kind.clone()) {
            found.push(place.clone());
        }
        places(value, &place, &kind, seen, found);
    };
    match value {
        Value::Table(table) => {
            table.iter().for_each(|(name, value)| go_on(name.clone(), format!("{kind}.{name}"), value));
        }
        Value::Array(items) => {
            items.iter().enumerate().for_each(|(index, item)| go_on(index.to_string(), format!("{kind}[]"), item));
        }
        _ => {}
    }
}

fn place_of<'a>(root: &'a mut Value, place: &[String]) -> &'a mut Value {
    place.iter().fold(root, |value, name| match value {
        Value::Table(table) => table.get_mut(name).unwrap(),
        Value::Array(items) => items.get_mut(name.parse::<usize>().unwrap()).unwrap(),
        _ => unreachable!(),
    })
}

fn without(root: &Value, place: &[String]) -> Value {
    let (name, parent) = place.split_last().unwrap();
    let mut root = root.clone();
    match place_of(&mut root, parent) {
        Value::Table(table) => drop(table.remove(name)),
        Value::Array(items) => drop(items.remove(name.parse().unwrap())),
        _ => unreachable!(),
    }
    root
}

fn odd_values() -> Vec<(&'static str, Value)> {
    let long = "x".repeat(100_000);
    vec![
        ("empty", Value::String(String::new())),
        ("unknown", Value::String("no-such-thing".to_owned())),
        ("very long", Value::String(long)),
        ("control characters", Value::String("\u{0}\u{1b}[31m\u{202e}".to_owned())),
        ("zero", Value::Integer(0)),
        ("less than nothing", Value::Integer(-1)),
        ("more than fits", Value::Integer(i64::MAX)),
        ("a fraction", Value::Float(0.5)),
        ("not a number", Value::Float(f64::NAN)),
        ("yes", Value::Boolean(true)),
        ("an empty list", Value::Array(Vec::new())),
        ("a list of nothing known", Value::Array(vec![Value::String("no-such-thing".to_owned())])),
        ("a list of numbers", Value::Array(vec![Value::Integer(1)])),
        ("an empty table", Value::Table(Table::new())),
    ]
}

fn load(root: &Value) -> Result<Covenant, String> {
    let text = toml::to_string(root).unwrap();
    Covenant::parse(&text).map_err(|findings| findings.to_string())
}

#[test]
fn a_covenant_in_which_anything_is_missing_or_odd_says_so_or_means_what_is_listed_here() {
    let root = Value::Table(example());
    assert!(load(&root).is_ok());
    let mut all = Vec::new();
    places(&root, &[], "", &mut BTreeSet::new(), &mut all);
    let (mut tried, mut loads, mut elsewhere) = (0, BTreeSet::new(), BTreeSet::new());
    for place in &all {
        let name = place.join(".");
        let mut changes = vec![("left out".to_owned(), without(&root, place))];
        let now = place_of(&mut root.clone(), place).clone();
        for (what, odd) in odd_values() {
            let mut changed = root.clone();
            *place_of(&mut changed, place) = odd.clone();
            if changed == root {
                continue;
            }
            let what = if now.same_type(&odd) { what.to_owned() } else { format!("another type: {what}") };
            changes.push((what, changed));
        }
        for (what, changed) in changes {
            tried += 1;
            match load(&changed) {
                Ok(_) => {
                    assert!(!what.starts_with("another type"), "{name}: {what}");
                    loads.insert(format!("{name}: {what}"));
                }
                Err(findings) => {
                    assert!(
                        findings.len() < 50_000,
                        "{name}: {what}: repeated whole: {}…",
                        findings.chars().take(400).collect::<String>()
                    );
                    assert!(!findings.contains(['\u{0}', '\u{1b}', '\u{202e}']), "{name}: {what}: {findings}");
                    let key = place.iter().rev().find(|part| part.parse::<usize>().is_err()).unwrap();
                    if what.starts_with("another type") && !findings.contains(key.as_str()) {
                        elsewhere.insert(format!("{name}: {what}: {findings}"));
                    }
                }
            }
        }
    }
    assert!(elsewhere.is_empty(), "said of another place:\n{elsewhere:#?}");
    let loads: Vec<_> = loads.into_iter().collect();
    assert!(tried > 10 * all.len() && loads.len() < tried / 5, "{} of {tried}", loads.len());
    insta::assert_snapshot!(loads.join("\n"));
}

#[test]
fn a_table_or_key_that_nobody_knows_is_refused_wherever_it_stands() {
    let root = Value::Table(example());
    let mut all = Vec::new();
    places(&root, &[], "", &mut BTreeSet::new(), &mut all);
    let tables = all.iter().filter(|place| place_of(&mut root.clone(), place).is_table());
    let mut tried = 0;
    for place in tables.chain([&Vec::new()]) {
        let mut changed = root.clone();
        let Value::Table(table) = place_of(&mut changed, place) else { unreachable!() };
        table.insert("colour".to_owned(), Value::String("red".to_owned()));
        let findings = load(&changed).unwrap_err();
        assert!(findings.contains("colour"), "{place:?}: {findings}");
        tried += 1;
    }
    assert!(tried > 8, "{tried}");
}
