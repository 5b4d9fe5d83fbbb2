//! The document says what the files say, all of it and nothing else, to people and to their browsers.

mod changes;
mod form;
mod matrix;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use super::*;
use crate::covenant::COVENANT_FILE;
use crate::policy::{Code, Effect, HELD_ELSEWHERE, NUMBERED};

type Files = BTreeMap<String, Vec<u8>>;

fn policies() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("policies")
}

fn files() -> Files {
    Bundle::from_folder(&policies()).unwrap().files().clone()
}

fn invariants() -> Invariants {
    Invariants::from_folder(&policies()).unwrap()
}

fn engine() -> &'static Engine {
    static ENGINE: OnceLock<Engine> = OnceLock::new();
    ENGINE.get_or_init(|| Engine::new(&Bundle::from_folder(&policies()).unwrap()).unwrap())
}

/// The document of the example.
fn shipped() -> &'static Rendered {
    static SHIPPED: OnceLock<Rendered> = OnceLock::new();
    SHIPPED.get_or_init(|| of_files(files()).unwrap_or_else(|findings| panic!("{findings}")))
}

fn of_files(files: Files) -> Result<Rendered, Findings> {
    render(&Bundle::from_files(files)?, &invariants())
}

/// The files of the example with another text of the covenant.
fn with_covenant(change: impl Fn(&str) -> String) -> Files {
    let mut files = files();
    let text = String::from_utf8(files[COVENANT_FILE].clone()).unwrap();
    let changed = change(&text);
    assert_ne!(changed, text, "nothing was changed");
    files.insert(COVENANT_FILE.to_owned(), changed.into_bytes());
    files
}

/// The document without what follows from the bytes of the files whatever they say: their digests and lengths.
fn said(html: &str) -> String {
    let mut text = html.to_owned();
    let digests: BTreeSet<String> = html
        .match_indices(|c: char| c.is_ascii_hexdigit())
        .filter_map(|(at, _)| html.get(at..at + 64))
        .filter(|run| run.bytes().all(|byte| byte.is_ascii_hexdigit() && !byte.is_ascii_uppercase()))
        .map(str::to_owned)
        .collect();
    for digest in digests {
        text = text.replace(&digest, "…");
    }
    let bytes = text.find("<h2 id=\"bestanden\">").unwrap()..text.find("<p>Het schema zegt").unwrap();
    text.replace_range(bytes, "");
    text
}

/// The values of an attribute, in the order of the document.
fn values<'a>(html: &'a str, attribute: &str) -> Vec<&'a str> {
    let open = format!(" {attribute}=\"");
    html.split(open.as_str()).skip(1).filter_map(|rest| rest.split('"').next()).collect()
}

/// A text as it is to be found in the document.
fn escaped(text: &str) -> String {
    [('&', "&#38;"), ('<', "&#60;"), ('>', "&#62;"), ('"', "&#34;"), ('\'', "&#39;")]
        .iter()
        .fold(text.to_owned(), |text, (character, reference)| text.replace(*character, reference))
}

fn findings_of(files: Files) -> String {
    match of_files(files) {
        Ok(_) => panic!("no document can be made of these files"),
        Err(findings) => findings.to_string(),
    }
}

#[test]
fn the_same_files_give_the_same_document_which_names_what_is_signed() {
    let again = of_files(files()).unwrap();
    assert_eq!(&again, shipped());
    let digest = Bundle::from_folder(&policies()).unwrap().digest().to_string();
    assert!(shipped().html.contains(&format!("<dt>Wat wordt ondertekend</dt><dd><code>{digest}</code>")));
    assert!(shipped().html.contains(&format!("<code>{}</code>", invariants().digest())));
}

#[test]
fn every_party_row_rule_invariant_and_reason_has_one_anchor_and_every_reference_leads_to_one() {
    let html = &shipped().html;
    let (ids, covenant) = (values(html, "id"), engine().covenant());
    let unique: BTreeSet<_> = ids.iter().copied().collect();
    assert_eq!(unique.len(), ids.len(), "an anchor stands twice");

    let of = |kind: Kind, codes: Vec<&str>| codes.into_iter().map(|code| kind.anchor(code)).collect::<Vec<_>>();
    let stems = invariants().files().keys().map(|file| file.trim_end_matches(".cedar").to_owned()).collect::<Vec<_>>();
    let numbers = NUMBERED.map(|rule| rule.number.to_string());
    let expected = [
        of(Kind::Party, covenant.parties.iter().map(|one| one.id.as_str()).collect()),
        of(Kind::Purpose, covenant.purposes.iter().map(|one| one.id.as_str()).collect()),
        of(Kind::Activity, covenant.purposes.iter().map(|one| one.id.as_str()).collect()),
        of(Kind::Category, covenant.categories.iter().map(|one| one.id.as_str()).collect()),
        of(Kind::Basis, covenant.bases.iter().map(|one| one.id.as_str()).collect()),
        of(Kind::Row, covenant.rows.iter().map(|one| one.id.as_str()).collect()),
        of(Kind::Rule, engine().rules().keys().map(String::as_str).collect()),
        of(Kind::Rule, HELD_ELSEWHERE.iter().map(|one| one.id).collect()),
        of(Kind::Code, Code::ALL.iter().map(|one| one.as_str()).collect()),
        of(Kind::Invariant, stems.iter().map(String::as_str).collect()),
        of(Kind::Number, numbers.iter().map(String::as_str).collect()),
    ];
    assert_eq!(expected[9].len(), 44, "all invariants are looked for");
    let missing: Vec<_> = expected.concat().into_iter().filter(|anchor| !unique.contains(anchor.as_str())).collect();
    assert_eq!(missing, [""; 0]);

    let leading_nowhere: Vec<_> = values(html, "href")
        .into_iter()
        .filter_map(|target| target.strip_prefix('#'))
        .filter(|target| !unique.contains(target))
        .collect();
    assert_eq!(leading_nowhere, [""; 0]);
}

use super::said::Kind;

#[test]
fn each_rule_stands_there_with_its_sentence_its_reason_and_its_own_cedar_text() {
    let html = &shipped().html;
    let bundle = Bundle::from_folder(&policies()).unwrap();
    let texts: Vec<&str> = bundle.rules().map(|(_, text)| text).collect();
    let paper = Paper::of(engine());
    let withholding = paper.withholding();
    assert!(withholding.len() > 30);
    for (rule, cedar) in withholding {
        assert!(texts.iter().any(|text| text.contains(cedar)), "{} is not in a file as it is shown", rule.id);
        assert!(cedar.contains("forbid") && cedar.contains(&format!("@id(\"{}\")", rule.id)), "{cedar}");
        assert!(html.contains(&format!("<pre><code>{}</code></pre>", escaped(cedar))), "{}", rule.id);
        assert!(html.contains(&format!("<h4 id=\"regel-{}\">{}</h4>", rule.id, escaped(&rule.nl))), "{}", rule.id);
    }
    // What stands between two conditions of a rule is part of its text.
    assert!(html.contains("// the statutory grounds of art. 9 AVG: purpose, basis, category"));
    for rule in engine().rules().values().filter(|rule| rule.effect == Effect::Permit) {
        assert!(html.contains(&escaped(&format!("@id(\"{}\")", rule.id))), "{}", rule.id);
    }
    for (name, content) in invariants().files() {
        let text = String::from_utf8(content.clone()).unwrap();
        let body = &text[text.find("@id").unwrap()..];
        assert!(html.contains(&escaped(body.trim_end())), "{name}");
    }
}

#[test]
fn the_exceptions_for_special_categories_are_found_by_asking_the_engine() {
    let paper = Paper::of(engine());
    let found: Vec<_> = paper
        .statutory_grounds()
        .iter()
        .map(|ground| {
            let only = if ground.cannot_consent { " only who cannot consent" } else { "" };
            format!("{} {} {}{only}", ground.row.id, ground.basis, ground.category)
        })
        .collect();
    assert_eq!(
        found,
        [
            "youth-health jeugdwet child-development",
            "safety-concern-report meldcode child-development",
            "safety-concern-report meldcode mental-health",
            "safety-concern-report meldcode physical-health",
            "safety-concern-care wvggz mental-health",
            "safety-concern-emergency vital-interest mental-health only who cannot consent",
            "safety-concern-emergency vital-interest physical-health only who cannot consent",
            "safety-concern-emergency vital-interest child-development only who cannot consent",
        ]
    );
    let chapter =
        shipped().html.split("<h2 id=\"uitzonderingen\">").nth(1).unwrap().split("</section>").next().unwrap();
    assert_eq!(chapter.matches("<tr><td>").count(), found.len());
}

#[test]
fn a_rule_or_row_without_a_dutch_text_is_a_finding() {
    for (file, from, to, said) in [
        ("never.cedar", "@nl(\"Een partij verwijst niet naar zichzelf.\")\n", "", "sender-is-not-recipient: needs @nl"),
        ("never.cedar", "@nl(\"Een partij verwijst niet naar zichzelf.\")", "@nl(\" \")", "needs @nl"),
        (
            "standing.cedar",
            "@remedy_nl(\"wacht tot de ingangsdatum van deze versie van het convenant\")\n",
            "",
            "needs @remedy_nl",
        ),
        (
            COVENANT_FILE,
            "nl = \"een partij verwijst naar de jeugdgezondheidszorg\"\n",
            "",
            "rows[youth-health].nl: is missing",
        ),
    ] {
        let mut files = files();
        let text = String::from_utf8(files[file].clone()).unwrap();
        assert!(text.contains(from), "{from}");
        files.insert(file.to_owned(), text.replacen(from, to, 1).into_bytes());
        let findings = findings_of(files);
        assert!(findings.contains(said), "{said} not in\n{findings}");
    }
    let mut silent = invariants().files().clone();
    let text = String::from_utf8(silent["nothing-unsigned.cedar"].clone()).unwrap();
    let without: String = text.lines().filter(|line| !line.starts_with("@nl")).collect::<Vec<_>>().join("\n");
    assert_ne!(without, text);
    silent.insert("nothing-unsigned.cedar".to_owned(), without.into_bytes());
    let bundle = Bundle::from_folder(&policies()).unwrap();
    let findings = render(&bundle, &Invariants::from_files(silent).unwrap()).unwrap_err().to_string();
    assert!(findings.contains("nothing-unsigned.cedar: needs @nl"), "{findings}");
}

#[test]
fn a_rule_with_the_id_of_one_that_is_held_elsewhere_is_a_finding() {
    let mut files = files();
    let text = String::from_utf8(files["never.cedar"].clone()).unwrap();
    let text = text.replacen("@id(\"sender-is-not-recipient\")", "@id(\"safety-veto\")", 1);
    files.insert("never.cedar".to_owned(), text.into_bytes());
    assert!(findings_of(files).contains("safety-veto: is the id of a rule that is held outside of the policies"));
}

// ---- the register ----

/// The covenant without anything that the register alone needs.
fn bare(text: &str) -> String {
    let (before, rest) = text.split_once("[register]\n").unwrap();
    let (_, after) = rest.split_once("# ---- parties").unwrap();
    let keys = ["status", "contact", "data-protection-officer", "description", "data-subjects"];
    let kept = |line: &&str| !keys.iter().any(|key| line.starts_with(&format!("{key} = ")));
    format!("{before}# ---- parties{after}").lines().filter(kept).collect::<Vec<_>>().join("\n")
}

#[test]
fn a_covenant_that_says_nothing_for_the_register_is_read_and_everything_is_said_to_be_open() {
    let rendered = of_files(with_covenant(bare)).unwrap();
    let covenant = engine().covenant();
    let (parties, purposes) = (covenant.parties.len(), covenant.purposes.len());
    let flowing = covenant.purposes.iter().filter(|one| covenant.rows.iter().any(|row| row.purpose == one.id)).count();
    // Status; two of each party; the description of each purpose; contact point, measures, transfers and five of the processor;
    // role, arrangement, data subjects and assessment of each purpose for which something is handed over.
    assert_eq!(rendered.left_open, 1 + 2 * parties + purposes + 8 + 4 * flowing);
    let html = &rendered.html;
    let list = html.split("<h2 id=\"open\">").nth(1).unwrap().split("</section>").next().unwrap();
    assert_eq!(values(list, "href").len(), rendered.left_open);
    assert!(!html.contains("<p class=\"warning\""), "what a covenant does not say of itself is not guessed");
    // Each is said in its place; the description of a purpose and the name of the processor stand in several.
    let said = html.matches("<em class=\"open\">niet ingevuld in het convenant</em>").count();
    assert_eq!(said, rendered.left_open + purposes + flowing);
}

#[test]
fn what_the_example_leaves_open_is_the_impact_assessment_and_one_officer() {
    let html = &shipped().html;
    let list = html.split("<h2 id=\"open\">").nth(1).unwrap().split("</section>").next().unwrap();
    let items: Vec<_> = list.split("<li>").skip(1).map(|item| item.split(':').next().unwrap()).collect();
    assert_eq!(
        items,
        [
            "functionaris gegevensbescherming van een partij",
            "gegevensbeschermingseffectbeoordeling (DPIA, art. 35 AVG)"
        ]
    );
    let complete = of_files(with_covenant(|text| {
        let text = text.replace("[register]\n", "[register]\ndpia = \"kenmerk 12\"\n");
        text.replace(
            "complaints = \"klachten@sjjw.example\"\n",
            "complaints = \"klachten@sjjw.example\"\ndata-protection-officer = \"geen\"\n",
        )
    }));
    let complete = complete.unwrap();
    assert_eq!(complete.left_open, 0);
    assert!(complete.html.contains("Alles wat dit document vraagt, vult het convenant in."));
    assert!(!complete.html.contains("niet ingevuld"));
}

#[test]
fn what_a_purpose_says_of_itself_takes_the_place_of_what_is_said_for_all() {
    let own = "id = \"youth-health\"\ncontrollers = \"separate\"\ndpia = \"kenmerk 7\"\n";
    let rendered = of_files(with_covenant(|text| text.replacen("id = \"youth-health\"\n", own, 1))).unwrap();
    let entry = |code: &str| {
        let start = format!("<h3 id=\"verwerking-{code}\">");
        rendered.html.split(start.as_str()).nth(1).unwrap().split("</dl>").next().unwrap().to_owned()
    };
    let (health, support) = (entry("youth-health"), entry("youth-support"));
    assert!(health.contains("ieder zelf verwerkingsverantwoordelijk") && health.contains("kenmerk 7"));
    assert!(!health.contains("Onderlinge regeling"), "an arrangement is that of joint controllers");
    assert!(
        support.contains("gezamenlijk verwerkingsverantwoordelijk (art. 26 AVG)")
            && support.contains("Onderlinge regeling")
    );
    assert!(health.contains("kinderen en jongeren tot 18 jaar") && !health.contains("inwoners die om hulp vragen"));
    // Who receives and what follow from the rows.
    assert!(health.contains("<dt>Ontvangers</dt><dd><a href=\"#partij-jgz\">"));
    assert_eq!(
        values(health.split("Categorieën persoonsgegevens").nth(1).unwrap().split("</dd>").next().unwrap(), "href")
            .len(),
        7
    );
    assert!(entry("steering-information").contains("geen rij van de matrix geeft voor dit doel iets over een persoon"));
}

#[test]
fn every_mistake_in_what_the_register_needs_is_named_at_once() {
    let wrong = with_covenant(|text| {
        text.replace("status = \"example\"", "status = \"sample\"")
            .replace("[register]\ncontrollers", "[register]\ncontroller")
            .replace(
                "# `joint` (art. 26 AVG) or `separate`\ncontrollers = \"joint\"",
                "controllers = \"shared\"\ndata-subject = [\"x\"]",
            )
            .replace("transfers-outside-eea = \"Geen.\"", "transfers-outside-eea = \" \"")
            .replace("name = \"Beheerder van de gateway (voorbeeld)\"\n", "phone = \"070\"\n")
            .replace("contact = \"convenant@smow.example\"", "contact = 7")
            .replace("id = \"steering-information\"\n", "id = \"steering-information\"\ndata-subjects = []\n")
            .replace("id = \"youth-health\"\nphase", "id = \"youth-health\"\ncontrollers = \"nobody\"\nphase")
    });
    let findings = findings_of(wrong);
    for place in [
        "covenant.toml: status: is \"sample\"; use one of example, draft, final",
        "covenant.toml: register.controllers: is \"shared\"; use one of joint, separate",
        "covenant.toml: register.data-subject: unknown key",
        "covenant.toml: register.transfers-outside-eea: must be a text that is not empty",
        "covenant.toml: register.processor.name: is missing",
        "covenant.toml: register.processor.phone: unknown key",
        "covenant.toml: parties[smow].contact: must be a text",
        "covenant.toml: purposes[steering-information].data-subjects: must be a list of texts that are not empty",
        "covenant.toml: purposes[youth-health].controllers: is \"nobody\"",
    ] {
        assert!(findings.contains(place), "{place} not in\n{findings}");
    }
}

#[test]
fn an_arrangement_needs_joint_controllers_and_data_subjects_need_a_row() {
    let findings = findings_of(with_covenant(|text| {
        text.replace("controllers = \"joint\"", "controllers = \"separate\"")
            .replace(
                "id = \"steering-information\"\n",
                "id = \"steering-information\"\ndata-subjects = [\"inwoners\"]\n",
            )
            .replace("id = \"youth-health\"\nphase", "id = \"youth-health\"\narrangement = \"samen\"\nphase")
    }));
    for place in [
        "covenant.toml: register.arrangement: is made between joint controllers",
        "covenant.toml: purposes[youth-health].arrangement: is made between joint controllers",
        "covenant.toml: purposes[steering-information].data-subjects: no row hands anything over",
    ] {
        assert!(findings.contains(place), "{place} not in\n{findings}");
    }
}
