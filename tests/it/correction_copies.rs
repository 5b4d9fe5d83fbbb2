//! A correction of what was copied: every copy is found, each recipient is decided on anew, and no more copies are made than one correction
//! reaches.

use serde_json::{Value, json};
use sluis::encryption::{Curve, PrivateKey};

use crate::app::{KREDIETBANK, MUNICIPALITY, SMOW, TestApp, debts, with_sections};
use crate::consistency::set_status;
use crate::corrections::{
    about, content, correct, correction, corrections, debts_at_the_bank, effects, finish, id, kept_with, right, sealed,
    step, told,
};
use crate::encryption::{encrypted, key_of, label, publish};

/// A referral to the credit bank that it read and rejected, and the one to SMOW that went on from it; SMOW has read it too.
async fn gone_on(app: &TestApp, categories: &[&str]) -> (String, String) {
    let first = debts_at_the_bank(app, categories).await;
    assert!(!content(app, "kredietbank", &first).await.is_empty());
    step(app, "kredietbank", &first, json!({ "status": "rejected", "statusReason": "no-capacity" })).await;
    let onward = json!({
        "recipient": SMOW, "purpose": "welfare-support", "legalBasis": "wmo-2015", "onWithheld": "minimise",
    });
    let second = app.post("gemeente-wassenaar", format!("{first}/re-referrals"), onward).await;
    assert_eq!(second.status, 201, "{}", second.text);
    let second = second.headers["location"].clone();
    assert!(!content(app, "smow", &second).await.is_empty());
    (first, second)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn copies_are_corrected_up_and_down_and_what_only_looks_alike_is_not() {
    let app = TestApp::start().await;
    let (first, second) = gone_on(&app, &["question", "finance", "housing"]).await;
    // The same resident, categories and content; one even based on the same referral, but given anew.
    let alike = debts_at_the_bank(&app, &["question", "housing"]).await;
    let mut retyped = debts();
    for (name, value) in [
        ("recipient", json!(SMOW)),
        ("purpose", json!("welfare-support")),
        ("legalBasis", json!("wmo-2015")),
        ("basedOn", json!(id(&first))),
    ] {
        retyped[name] = value;
    }
    let retyped = app.refer("gemeente-wassenaar", retyped, &["question", "housing"]).await;
    assert_eq!(retyped.status, 201, "{}", retyped.text);
    let retyped = retyped.headers["location"].clone();
    let untouched = [("kredietbank", &alike), ("smow", &retyped)];
    for (who, path) in untouched {
        assert_eq!(content(&app, who, path).await, [about("question"), about("housing")]);
    }
    let old = sealed(&app, &second, "housing").await;

    let corrected =
        correct(&app, "gemeente-wassenaar", &first, correction("outdated", &["housing"], &["finance"])).await;
    let copies = corrected.body["copies"].as_array().unwrap();
    assert_eq!(copies.len(), 1, "{}", corrected.text);
    assert_eq!(copies[0]["referral"], id(&second));
    assert_eq!(effects(&copies[0]), [("housing", "replaced")], "finance never went on");
    assert_eq!(kept_with(&app, old).await, 0);
    assert_eq!(content(&app, "smow", &second).await, [about("question"), right("housing")]);
    let (bank, smow) = (told(&app, "kredietbank").await, told(&app, "smow").await);
    assert_eq!((bank.len(), smow.len()), (1, 1));
    assert_eq!((&bank[0]["data"]["referral"], &smow[0]["data"]["referral"]), (&json!(id(&first)), &json!(id(&second))));
    assert_eq!(smow[0]["data"]["correction"], copies[0]["correction"]);
    // Nothing leads from one to the other.
    for linking in [id(&first), corrected.text_at("/id").unwrap(), "finance"] {
        let seen = app.get("smow", format!("{second}/corrections")).await;
        let log = app.get("smow", "/v1/audit/records?kind=correction").await;
        for text in [seen.text, log.text, smow[0].to_string()] {
            assert!(!text.contains(linking), "{linking} in {text}");
        }
    }
    let trace = |event: &Value| event.get("traceparent").and_then(|it| it.as_str()).map(|it| it[3..35].to_owned());
    assert!(trace(&bank[0]).is_some() && trace(&smow[0]).is_none());
    assert_eq!(app.get("smow", format!("/v1/referrals/{}/corrections", id(&first))).await.status, 404);

    // Named at the copy, it goes up.
    let upward = correct(&app, "gemeente-wassenaar", &second, correction("inaccurate", &["question"], &[])).await;
    assert_eq!(upward.body["copies"][0]["referral"], id(&first));
    assert_eq!(told(&app, "kredietbank").await.len(), 2);
    assert_eq!(content(&app, "gemeente-wassenaar", &first).await, [right("question"), right("housing")]);
    for (who, path) in untouched {
        assert_eq!(content(&app, who, path).await, [about("question"), about("housing")], "{path}");
        assert!(corrections(&app, who, path).await.is_empty(), "{path}");
    }
    for nobody in ["mee", "jgz", "kwadraad", "gemeente-wassenaar"] {
        assert!(told(&app, nobody).await.is_empty(), "{nobody}");
    }
    finish(app).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_section_is_copied_no_further_than_one_correction_reaches() {
    let app = TestApp::start().await;
    let first = debts_at_the_bank(&app, &["question", "finance"]).await;
    let (mut last, mut copies) = (first.clone(), 0);
    let refused = loop {
        step(&app, "kredietbank", &last, json!({ "status": "rejected", "statusReason": "no-capacity" })).await;
        let again = app.post("gemeente-wassenaar", format!("{last}/re-referrals"), json!({ "recipient": KREDIETBANK }));
        let again = again.await;
        if again.status != 201 {
            break again;
        }
        (last, copies) = (again.headers["location"].clone(), copies + 1);
    };
    assert_eq!((refused.status, copies), (409, 32), "{}", refused.text);
    let corrected = correct(&app, "gemeente-wassenaar", &last, correction("inaccurate", &["finance"], &[])).await;
    assert_eq!(corrected.body["copies"].as_array().map(Vec::len), Some(32), "those between, and the first");
    for path in [&first, &last] {
        assert_eq!(content(&app, "gemeente-wassenaar", path).await, [about("question"), right("finance")]);
    }
    finish(app).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_not_meant_for_one_recipient_stays_with_the_others() {
    let app = TestApp::start().await;
    let (first, second) = gone_on(&app, &["question", "housing"]).await;
    let replaced = correction("wrong-recipient", &["housing"], &[]);
    let refused = app.post("gemeente-wassenaar", format!("{first}/corrections"), replaced).await;
    assert_eq!(refused.status, 400, "there is nothing right for a wrong recipient: {}", refused.text);
    let only_here = correct(&app, "gemeente-wassenaar", &first, correction("wrong-recipient", &[], &["housing"])).await;
    assert_eq!(only_here.body["copies"], json!([]));
    assert_eq!(content(&app, "smow", &second).await, [about("question"), about("housing")]);
    assert!(told(&app, "smow").await.is_empty());
    // A later correction does not bring it back to whom it was not meant for.
    let later = correct(&app, "gemeente-wassenaar", &second, correction("inaccurate", &["housing"], &[])).await;
    assert_eq!(later.body["copies"], json!([]));
    assert!(sealed(&app, &first, "housing").await.is_empty());
    assert_eq!(told(&app, "kredietbank").await.len(), 1);
    finish(app).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_recipient_gets_of_a_correction_what_the_protocol_allows_it() {
    let app = TestApp::start().await;
    let (first, second) = gone_on(&app, &["question", "housing"]).await;
    // Encrypted for the bank: nobody else can read it, so there it is only retracted.
    let key = PrivateKey::generate("sections-2026", Curve::P256).unwrap();
    publish(&app, "kredietbank", KREDIETBANK, &[key.public_jwk()]).await;
    let key = key_of(&app, "gemeente-wassenaar", "kredietbank", KREDIETBANK).await;
    let bound = label(MUNICIPALITY, KREDIETBANK, "debt-counselling", "housing");
    let sealed_for_the_bank = json!({
        "reason": "inaccurate",
        "sections": [{ "category": "housing", "jwe": encrypted(&app, b"{\"rent\":1}", &bound, &key) }],
    });
    let corrected = correct(&app, "gemeente-wassenaar", &first, sealed_for_the_bank).await;
    assert_eq!(effects(&corrected.body), [("housing", "replaced")]);
    assert_eq!(effects(&corrected.body["copies"][0]), [("housing", "retracted")]);
    assert_eq!(content(&app, "smow", &second).await, [about("question")]);
    // A recipient that may not exchange now gets no new content, and hears of the retraction when it is back.
    assert_eq!(set_status(app.world(), SMOW, "suspended").await.status, 200);
    let corrected = correct(&app, "gemeente-wassenaar", &first, correction("inaccurate", &["question"], &[])).await;
    assert_eq!(effects(&corrected.body), [("question", "replaced")]);
    assert_eq!(effects(&corrected.body["copies"][0]), [("question", "withheld")]);
    assert_eq!(set_status(app.world(), SMOW, "active").await.status, 200);
    assert!(content(&app, "smow", &second).await.is_empty());
    assert_eq!(told(&app, "smow").await.len(), 2);
    finish(app).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_added_goes_along_to_the_next_organisation_and_is_corrected_there_too() {
    let app = TestApp::start().await;
    let first = debts_at_the_bank(&app, &["question"]).await;
    let add = |category: &'static str| {
        app.post("gemeente-wassenaar", format!("{first}/supplements"), with_sections(json!({}), &[category]))
    };
    let added = add("housing").await;
    assert_eq!(added.status, 201, "{}", added.text);
    assert_eq!(add("finance").await.status, 201);
    let note = with_sections(json!({ "status": "rejected", "statusReason": "no-capacity" }), &["contact"]);
    assert_eq!(app.post("kredietbank", format!("{first}/updates"), note).await.status, 201);
    let onward =
        json!({ "recipient": SMOW, "purpose": "welfare-support", "legalBasis": "wmo-2015", "onWithheld": "minimise" });
    let second = app.post("gemeente-wassenaar", format!("{first}/re-referrals"), onward).await;
    assert_eq!(second.status, 201, "{}", second.text);
    let effects: Vec<_> = second.body["decision"]["sections"]
        .as_array()
        .unwrap()
        .iter()
        .map(|s| (&s["category"], &s["effect"]))
        .collect();
    let (permit, withhold) = (json!("permit"), json!("withhold"));
    // What the bank said back was never the sender's to give.
    let [question, housing, finance] = ["question", "housing", "finance"].map(|category| json!(category));
    assert_eq!(effects, [(&question, &permit), (&housing, &permit), (&finance, &withhold)], "each decided anew");
    let second = second.headers["location"].as_str();
    assert_eq!(content(&app, "smow", second).await, [about("question"), about("housing")]);
    // What was wrong in what was added is wrong in the copy.
    let supplement = added.headers["location"].rsplit('/').next().unwrap();
    let correction = json!({ "updateId": supplement, "reason": "inaccurate", "sections": [{ "category": "housing", "content": right("housing").1 }] });
    let corrected = app.post("gemeente-wassenaar", format!("{first}/corrections"), correction).await;
    assert_eq!(corrected.status, 201, "{}", corrected.text);
    assert_eq!(content(&app, "smow", second).await, [about("question"), right("housing")]);
    finish(app).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_given_twice_the_sender_says_anew() {
    let app = TestApp::start().await;
    let first = debts_at_the_bank(&app, &["question", "housing"]).await;
    let more = json!({ "sections": [{ "category": "housing", "content": { "text": "more about housing" } }] });
    assert_eq!(app.post("gemeente-wassenaar", format!("{first}/supplements"), more).await.status, 201);
    let onward = json!({ "recipient": SMOW, "purpose": "welfare-support", "legalBasis": "wmo-2015" });
    let turned_down = json!({ "status": "rejected", "statusReason": "no-capacity" });
    assert_eq!(app.post("kredietbank", format!("{first}/updates"), turned_down).await.status, 201);
    let refused = app.post("gemeente-wassenaar", format!("{first}/re-referrals"), onward).await;
    assert_eq!((refused.status, refused.text_at("/code")), (409, Some("conflict")), "{}", refused.text);
    assert!(refused.text.contains("basedOn"), "what to do: {}", refused.text);
    assert_eq!(app.get("gemeente-wassenaar", &first).await.body["holder"], MUNICIPALITY, "nothing happened");
    finish(app).await;
}
