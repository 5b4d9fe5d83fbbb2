//! Tests of what is told to be done about a refusal: everything at once, only what works, and nothing of what others recorded.

use super::tests::{code, debt_counselling, engine, folder, oin, record};
use super::*;
use crate::covenant::Bundle;

#[test]
fn a_remedy_names_recipient_purpose_and_category() {
    let mut request = debt_counselling(&["finance"]);
    request.giver = oin("kwadraad");
    request.referral.sender = oin("kwadraad");
    request.referral.basis = code("consent");
    request.records = vec![record(1, "kwadraad", "kredietbank")];
    let decision = engine().decide(&request);
    let remedy = decision.sections()[0].remedy().unwrap();
    assert_eq!(remedy.code, "record-secrecy-release");
    assert_eq!(remedy.en, "record a secrecy release for kredietbank, purpose debt-counselling, category finance");
}

/// The codes of everything that would mend the first section of this request.
fn remedies_of(request: &Request) -> Vec<String> {
    let decision = engine().decide(request);
    assert_eq!(decision.sections()[0].effect(), Effect::Withhold);
    decision.sections()[0].remedies().iter().map(|remedy| remedy.code.clone()).collect()
}

/// From a party with a secret to another on consent, for one category.
fn on_consent(category: &str) -> Request {
    let mut request = debt_counselling(&[category]);
    request.giver = oin("jgz");
    request.receiver = oin("kwadraad");
    request.referral.sender = oin("jgz");
    request.referral.recipient = oin("kwadraad");
    request.referral.purpose = code("social-work");
    request.referral.basis = code("consent");
    request.subject.by_bsn = false;
    request
}

#[test]
fn whatever_is_missing_is_told_at_once() {
    let mut request = on_consent("mental-health");
    // An explicit consent is a consent: nobody is told to record both.
    assert_eq!(remedies_of(&request), ["record-explicit-consent", "record-secrecy-release"]);
    request.records = vec![record(1, "jgz", "kwadraad")];
    request.records[0].categories = vec![code("mental-health")];
    request.records[0].purposes = vec![code("social-work")];
    request.records[0].explicit = true;
    assert_eq!(remedies_of(&request), ["record-secrecy-release"], "what is there is not asked for");
    request.records[0].explicit = false;
    assert_eq!(remedies_of(&request), ["record-explicit-consent", "record-secrecy-release"]);
    request.records = Vec::new();
    request.sections = vec![code("question")];
    assert_eq!(remedies_of(&request), ["record-consent", "record-secrecy-release"]);
    let needed = explain::explain(engine(), &request, &engine().decide(&request), OnWithheld::Reject).sections[0]
        .needed
        .clone()
        .unwrap();
    assert_eq!(
        needed.nl,
        "Nodig: leg een toestemming vast voor kwadraad, doel social-work, categorie question; \
         en leg een ontheffing van het beroepsgeheim vast voor kwadraad, doel social-work, categorie question."
    );
    // Also what is not named as the reason, being of another hundred.
    request.receiver_standing.signed = false;
    assert_eq!(remedies_of(&request), ["sign-covenant", "record-consent", "record-secrecy-release"]);
    assert_eq!(engine().decide(&request).sections()[0].rules(), ["receiver-signed"]);
}

#[test]
fn nobody_is_told_to_mend_one_thing_where_another_cannot_be_mended() {
    let mut request = debt_counselling(&["mental-health"]);
    request.receiver_standing.signed = false;
    assert!(remedies_of(&request).is_empty(), "the credit bank never gets it");
    // Nothing is to be signed for what no row allows.
    let mut request = debt_counselling(&["social"]);
    request.receiver_standing.signed = false;
    let decision = engine().decide(&request);
    assert_eq!(decision.sections()[0].code(), Some(Code::CovenantNotSigned));
    assert!(remedies_of(&request).is_empty());
    let mut request = debt_counselling(&["finance"]);
    request.receiver_standing.signed = false;
    request.rights.objection = Some(Objection::Upheld);
    assert!(remedies_of(&request).is_empty(), "the resident's objection was upheld");
}

#[test]
fn without_an_age_group_nobody_is_told_to_record_what_may_be_there() {
    let mut request = on_consent("question");
    request.subject.age_group = None;
    assert_eq!(remedies_of(&request), ["state-age-group", "record-consent", "record-secrecy-release"]);
    request.records = vec![record(1, "jgz", "kwadraad")];
    request.records[0].categories = vec![code("question")];
    request.records[0].purposes = vec![code("social-work")];
    assert_eq!(remedies_of(&request), ["state-age-group", "record-secrecy-release"], "a consent is there");
    let anew = engine().decide_anew(&request);
    assert_eq!(anew, engine().decide(&request));
}

/// A note back to smow from the municipality, whose investigation rests on smow's care agreement.
fn note_to(sender: &str) -> Request {
    let mut request = debt_counselling(&["finance"]);
    request.action = Action::Note;
    request.giver = oin("gemeente-wassenaar");
    request.receiver = oin(sender);
    request.referral.sender = oin(sender);
    request.referral.recipient = oin("gemeente-wassenaar");
    request.referral.purpose = code("access-investigation");
    request.referral.basis = code("wmo-2015");
    request
}

#[test]
fn the_care_agreement_of_a_note_is_not_asked_of_who_gives_the_note() {
    let mut request = note_to("smow");
    let told = |request: &Request| engine().decide(request).sections()[0].remedies().to_vec();
    let [asked] = &told(&request)[..] else { panic!("{:?}", told(&request)) };
    assert_eq!(asked.code, "ask-sender-for-care-agreement");
    assert_eq!(
        asked.en,
        "have smow, the sender of the referral, record a care agreement for gemeente-wassenaar, purpose access-investigation"
    );
    // What the giver records itself helps nothing, and says nothing else.
    let agreement = |by: &str| {
        let mut agreement = record(1, by, "gemeente-wassenaar");
        agreement.kind = RecordKind::CareAgreement;
        agreement.purposes = vec![code("access-investigation")];
        agreement
    };
    request.records = vec![agreement("gemeente-wassenaar")];
    assert_eq!(told(&request), std::slice::from_ref(asked));
    // One of the sender that does not count reads as none at all.
    request.records = vec![agreement("smow")];
    request.records[0].withdrawn_at = Some(request.now);
    assert_eq!(told(&request), std::slice::from_ref(asked));
    // Doing what it says works.
    request.records = vec![agreement("smow")];
    assert_eq!(engine().decide(&request).sections()[0].effect(), Effect::Permit);
    // The sender itself is told to record it.
    let mut request = Request { action: Action::Refer, ..request };
    (request.giver, request.receiver) = (oin("smow"), oin("gemeente-wassenaar"));
    request.records = Vec::new();
    assert_eq!(remedies_of(&request), ["record-care-agreement"]);
    // Nor can who gives a note state the age group, which is the referral's.
    let mut request = note_to("smow");
    request.subject.age_group = None;
    assert_eq!(remedies_of(&request), ["ask-sender-for-age-group", "ask-sender-for-care-agreement"]);
}

#[test]
fn under_break_glass_nobody_is_told_to_ask_who_cannot_consent() {
    let mut request = debt_counselling(&["physical-health"]);
    request.giver = oin("kwadraad");
    request.receiver = oin("ggd");
    request.referral.sender = oin("kwadraad");
    request.referral.recipient = oin("ggd");
    request.referral.purpose = code("safety-concern");
    request.referral.basis = code("vital-interest");
    assert_eq!(remedies_of(&request), ["declare-break-glass", "declare-cannot-consent"]);
    let glass = |cannot_consent| Some(BreakGlass { categories: vec![code("physical-health")], cannot_consent });
    request.break_glass = glass(false);
    assert_eq!(remedies_of(&request), ["declare-cannot-consent"]);
    assert_eq!(engine().decide(&request).sections()[0].code(), Some(Code::ExplicitConsentMissing));
    request.break_glass = glass(true);
    assert_eq!(engine().decide(&request).sections()[0].effect(), Effect::Permit);
    // A note goes under no declaration; what is told of it is a referral of one's own.
    (request.action, request.giver, request.receiver) = (Action::Note, oin("ggd"), oin("kwadraad"));
    (request.break_glass, request.sections) = (None, vec![code("safety")]);
    let decision = engine().decide(&request);
    let told = decision.sections()[0].remedy().unwrap();
    assert!(told.en.starts_with("a note does not go under break-glass"), "{told:?}");
}

#[test]
fn a_remedy_for_some_occasions_only_does_not_load() {
    for (from, to, said) in [
        ("@remedy(\"record-care-agreement\")\n", "", "needs @remedy"),
        (
            "@remedy_note_en(\"have {sender}, the",
            "@remedy_note_en(\"have {nobody}, the",
            "leaves open what nothing fills",
        ),
        ("@remedy_covers(", "@remedy_hides(", "unknown annotation @remedy_hides"),
    ] {
        let mut files = Bundle::from_folder(&folder()).unwrap().files().clone();
        let rules = String::from_utf8(files["records.cedar"].clone()).unwrap();
        assert!(rules.contains(from), "{from}");
        files.insert("records.cedar".to_owned(), rules.replacen(from, to, 1).into_bytes());
        let findings = Engine::new(&Bundle::from_files(files).unwrap()).unwrap_err().to_string();
        assert!(findings.contains(said), "{findings}");
    }
}
