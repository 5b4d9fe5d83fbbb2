//! Whatever is changed in what is signed or proven, the document says something else: tried value by value.
//!
//! The digests and lengths of the files are left aside: they change with every byte and would hide what is not shown.

use toml::{Table, Value};

use super::said::Kind;
use super::*;
use crate::covenant::Covenant;

/// Where a value stands in `covenant.toml`: names of tables and places in lists.
type Place = Vec<Step>;

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Step {
    Key(String),
    At(usize),
}

/// Every single value, and every list.
fn leaves(value: &Value, place: &Place, found: &mut Vec<Place>) {
    let deeper = |step: Step| place.iter().cloned().chain([step]).collect::<Place>();
    match value {
        Value::Table(table) => {
            for (key, value) in table {
                leaves(value, &deeper(Step::Key(key.clone())), found);
            }
        }
        Value::Array(items) => {
            for (at, item) in items.iter().enumerate() {
                leaves(item, &deeper(Step::At(at)), found);
            }
            found.push(place.clone());
        }
        _ => found.push(place.clone()),
    }
}

fn at<'v>(value: &'v mut Value, place: &[Step]) -> &'v mut Value {
    place.iter().fold(value, |value, step| match step {
        Step::Key(key) => value.get_mut(key.as_str()).unwrap(),
        Step::At(at) => value.get_mut(*at).unwrap(),
    })
}

/// What may be written in the place of a value: other texts, words of closed lists, numbers nearby, a list without one of its items.
fn others(value: &Value) -> Vec<Value> {
    let words = [
        "municipality",
        "partner",
        "consent",
        "law",
        "municipal-law",
        "triage",
        "case",
        "separate",
        "draft",
        "sad",
        "any-party",
        "social-work",
        "housing",
        "special",
        "resident-unreachable",
    ];
    match value {
        Value::String(text) => {
            let texts = [
                format!("{text} anders"),
                format!("{text}x"),
                text.replace("000000", "000007"),
                "2026-02-03T00:00:00Z".to_owned(),
            ];
            texts.into_iter().chain(words.map(str::to_owned)).filter(|other| other != text).map(Value::String).collect()
        }
        Value::Integer(number) => vec![Value::Integer(number + 1), Value::Integer(number - 1)],
        Value::Boolean(flag) => vec![Value::Boolean(!flag)],
        Value::Array(items) => {
            let without =
                |at: usize| items.iter().enumerate().filter(move |(one, _)| *one != at).map(|(_, item)| item.clone());
            if !items.is_empty() && items.iter().all(Value::is_table) {
                return vec![Value::Array(items.iter().cloned().chain(items.last().map(another)).collect())];
            }
            let one_less = (0..items.len()).map(|at| Value::Array(without(at).collect()));
            let one_more = words
                .iter()
                .map(|word| Value::Array(items.iter().cloned().chain([Value::String((*word).to_owned())]).collect()));
            one_less.chain(one_more).collect()
        }
        other => panic!("{other} is in no covenant"),
    }
}

/// One more item of a list, like this one.
fn another(item: &Value) -> Value {
    let mut another = item.clone();
    let table = another.as_table_mut().unwrap();
    table.insert("id".to_owned(), Value::String("een-ander".to_owned()));
    for (key, value) in [("oin", Value::String("00000099000000098000".to_owned())), ("bases", Value::Array(Vec::new()))]
    {
        // Only a row has bases that it needs.
        if table.contains_key(key) && !table.contains_key("from") {
            table.insert(key.to_owned(), value);
        }
    }
    another
}

/// The path without the numbers: which kind of value it is.
fn kind(place: &Place) -> String {
    let keys = place.iter().filter_map(|step| match step {
        Step::Key(key) => Some(key.as_str()),
        Step::At(_) => None,
    });
    keys.collect::<Vec<_>>().join(".")
}

/// The example's covenant as a tree, written anew so that only what is meant to differ differs.
fn tree() -> Value {
    let bundle = Bundle::from_folder(&policies()).unwrap();
    let mut tree = Value::Table(bundle.text(COVENANT_FILE).parse::<Table>().unwrap());
    // What the example leaves open can be changed too.
    let register = tree.get_mut("register").unwrap().as_table_mut().unwrap();
    register.insert("dpia".to_owned(), Value::String("kenmerk".to_owned()));
    let purposes = tree.get_mut("purposes").unwrap().as_array_mut().unwrap();
    let triage = purposes[1].as_table_mut().unwrap();
    for (key, value) in [("controllers", "joint"), ("dpia", "eigen")] {
        triage.insert(key.to_owned(), Value::String(value.to_owned()));
    }
    let investigation = purposes[2].as_table_mut().unwrap();
    investigation.insert("arrangement".to_owned(), Value::String("eigen".to_owned()));
    tree
}

fn written(tree: &Value) -> Files {
    let mut files = files();
    files.insert(COVENANT_FILE.to_owned(), toml::to_string(tree).unwrap().into_bytes());
    files
}

/// English names are for other readers; the document is in Dutch, but for the English annotations in Cedar texts.
const NOT_SHOWN: [&str; 5] = ["title-en", "bases.en", "categories.en", "purposes.en", "emergency.roles.en"];

/// Works on both halves at once, as a machine with two processors would like it.
fn shared<T: Sync>(items: &[T], work: impl Fn(&T) + Sync) {
    let (first, second) = items.split_at(items.len() / 2);
    std::thread::scope(|scope| {
        scope.spawn(|| first.iter().for_each(&work));
        second.iter().for_each(&work);
    });
}

#[test]
fn whatever_is_changed_in_the_covenant_changes_the_document() {
    let tree = tree();
    let original = said(&of_files(written(&tree)).unwrap().html);
    let mut places = Vec::new();
    leaves(&tree, &Vec::new(), &mut places);
    assert!(places.len() > 400, "{}", places.len());
    // Of each kind of value one; of every item: `what_each_item_says_stands_at_its_own_anchor`, and for rows the matrix.
    let mut kinds: BTreeMap<String, Vec<Place>> = BTreeMap::new();
    for place in places {
        kinds.entry(kind(&place)).or_default().push(place);
    }
    let kinds: Vec<_> = kinds.into_iter().collect();
    let resisted = std::sync::Mutex::new(Vec::new());
    shared(&kinds, |(kind, places)| {
        let changed = places.iter().flat_map(|place| changes(&tree, place)).find_map(|changed| {
            // Most of what does not fit is found without making an engine.
            Covenant::parse(&toml::to_string(&changed).unwrap()).ok()?;
            of_files(written(&changed)).ok()
        });
        match changed {
            Some(changed) if NOT_SHOWN.contains(&kind.as_str()) || said(&changed.html) != original => {}
            Some(_) => panic!("a change of {kind} changes nothing in the document"),
            None => resisted.lock().unwrap().push(kind.clone()),
        }
    });
    let mut resisted = resisted.into_inner().unwrap();
    resisted.retain(|kind| !NOT_ALONE.contains(&kind.as_str()));
    assert_eq!(resisted, [""; 0], "of these nothing could be changed");
    assert!(kinds.len() > 75, "{}", kinds.len());
}

/// What may not be possible to change without changing something else: codes that rules and rows name (`a_code_that_is_changed_everywhere…`), and what must
/// fit the rows, the bases of purposes or an arrangement.
const NOT_ALONE: [&str; 7] = [
    "bases.id",
    "categories.id",
    "parties.id",
    "purposes.bases",
    "purposes.id",
    "register.controllers",
    "rows.purpose",
];

/// The covenant with another value at a place, each that might fit.
fn changes<'t>(tree: &'t Value, place: &'t Place) -> impl Iterator<Item = Value> + 't {
    let mut original = tree.clone();
    others(at(&mut original, place)).into_iter().map(move |other| {
        let mut changed = tree.clone();
        *at(&mut changed, place) = other;
        changed
    })
}

#[test]
fn a_code_that_is_changed_everywhere_is_changed_in_the_document() {
    for (kind, kinds, code) in [
        (Kind::Party, "Party", "smow"),
        (Kind::Purpose, "Purpose", "youth-health"),
        (Kind::Category, "Category", "finance"),
        (Kind::Basis, "Basis", "wvggz"),
    ] {
        let renamed = |text: &str| {
            let text = text.replace(&format!("{kinds}::\"{code}\""), &format!("{kinds}::\"{code}-x\""));
            text.replace(&format!("\"{code}\""), &format!("\"{code}-x\""))
                .replace(&format!("purposes.{code}]"), &format!("purposes.{code}-x]"))
        };
        let renamed = |files: &Files| -> Files {
            let all = files
                .iter()
                .map(|(name, content)| (name.clone(), renamed(std::str::from_utf8(content).unwrap()).into_bytes()));
            all.collect()
        };
        let bundle = Bundle::from_files(renamed(&files())).unwrap();
        let guards = Invariants::from_files(renamed(invariants().files())).unwrap();
        let html = render(&bundle, &guards).unwrap_or_else(|findings| panic!("{findings}")).html;
        assert!(values(&html, "id").contains(&kind.anchor(&format!("{code}-x")).as_str()), "{code}");
        assert!(!values(&html, "id").contains(&kind.anchor(code).as_str()), "{code}");
    }
}

#[test]
fn what_each_item_says_stands_at_its_own_anchor() {
    let mut tree = tree();
    let mut expected = Vec::new();
    for (list, key, anchor) in [
        ("parties", "name", "<h3 id=\"partij-"),
        ("purposes", "nl", "<h3 id=\"doel-"),
        ("categories", "nl", "<th scope=\"row\" id=\"categorie-"),
        ("bases", "nl", "<th scope=\"row\" id=\"grondslag-"),
    ] {
        for item in tree.get_mut(list).unwrap().as_array_mut().unwrap() {
            let (id, text) = (item["id"].as_str().unwrap().to_owned(), format!("{list} {}", expected.len()));
            item.as_table_mut().unwrap().insert(key.to_owned(), Value::String(text.clone()));
            expected.push(format!("{anchor}{id}\">{text}</"));
        }
    }
    for item in tree.get_mut("rows").unwrap().as_array_mut().unwrap() {
        let (id, text) = (item["id"].as_str().unwrap().to_owned(), format!("rij {}", expected.len()));
        item.as_table_mut().unwrap().insert("nl".to_owned(), Value::String(text.clone()));
        expected.push(format!("<h3 id=\"rij-{id}\">{id}</h3>\n<p>{text}</p>"));
    }
    assert!(expected.len() > 70);
    let html = of_files(written(&tree)).unwrap().html;
    let missing: Vec<_> = expected.into_iter().filter(|text| !html.contains(text)).collect();
    assert_eq!(missing, [""; 0]);
}

#[test]
fn whatever_is_changed_in_a_rule_changes_the_document() {
    let original = said(&shipped().html);
    let mut all = files();
    for (name, content) in &mut all {
        if name != COVENANT_FILE && name != SCHEMA_FILE {
            let text = String::from_utf8(content.clone()).unwrap();
            *content = text.replace("@nl(\"", "@nl(\"Anders: ").replace("forbid (", "// anders\nforbid (").into_bytes();
        }
    }
    let html = of_files(all).unwrap().html;
    for (rule, cedar) in Paper::of(engine()).withholding() {
        assert!(
            html.contains(&format!("<h4 id=\"regel-{}\">Anders: {}</h4>", rule.id, escaped(&rule.nl))),
            "{}",
            rule.id
        );
        let changed = cedar.replace("@nl(\"", "@nl(\"Anders: ").replace("forbid (", "// anders\nforbid (");
        assert!(html.contains(&escaped(&changed)), "{}", rule.id);
    }
    for (file, from, to) in [
        ("never.cedar", "resource == Party::\"kredietbank\"", "resource == Party::\"mee\""),
        ("never.cedar", "@order(\"120\")", "@order(\"121\")"),
        ("process.cedar", "unless { context.steppedUp }", "unless { context.steppedUp || context.breakGlass }"),
        ("records.cedar", "@remedy_nl(\"geef de", "@remedy_nl(\"noem de"),
        ("records.cedar", "@rule(\"4\")", "@rule(\"5\")"),
        ("bases.cedar", "@code(\"basis-not-for-sender\")", "@code(\"consent-never-basis\")"),
        ("schema.cedarschema", "// bound by professional secrecy", "// anders"),
    ] {
        let mut files = files();
        let text = String::from_utf8(files[file].clone()).unwrap();
        assert!(text.contains(from), "{from}");
        files.insert(file.to_owned(), text.replacen(from, to, 1).into_bytes());
        assert_ne!(said(&of_files(files).unwrap().html), original, "{from}");
    }
}

#[test]
fn whatever_is_changed_in_an_invariant_changes_the_document() {
    let bundle = Bundle::from_folder(&policies()).unwrap();
    let changed = |(name, content): (&String, &Vec<u8>)| {
        let text = String::from_utf8(content.clone()).unwrap();
        let text = text.replacen("@nl(\"", &format!("@nl(\"Anders: {name} "), 1).replacen(
            "forbid (",
            "// anders\nforbid (",
            1,
        );
        (name.clone(), text.into_bytes())
    };
    let files: BTreeMap<_, _> = invariants().files().iter().map(changed).collect();
    let html = of_engine(engine(), &bundle, &Invariants::from_files(files.clone()).unwrap()).unwrap().html;
    for (name, content) in files {
        let id = name.trim_end_matches(".cedar");
        assert!(html.contains(&format!("<h3 id=\"invariant-{id}\">Anders: {name} ")), "{name}");
        let text = String::from_utf8(content).unwrap();
        assert!(html.contains(&escaped(text[text.find("@id").unwrap()..].trim_end())), "{name}");
    }
}

#[test]
fn what_is_left_aside_when_documents_are_compared_is_only_what_follows_from_the_bytes() {
    let text = said(&shipped().html);
    assert!(text.contains("Gemeente Wassenaar") && text.contains("art. 6.1.e AVG, Wgs"));
    // A comment in the covenant changes its bytes and says nothing.
    let html = of_files(with_covenant(|text| format!("{text}# een opmerking\n"))).unwrap().html;
    assert_ne!(html, shipped().html);
    assert_eq!(said(&html), text);
}
