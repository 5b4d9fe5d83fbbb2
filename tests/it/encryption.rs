//! Sections that only their recipient can read, over real TLS: what the gateway decides and relays without being able to read it, what
//! it refuses, and how both ends find out when it is not honest.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use reqwest::Method;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use serde_json::{Value, json};
use sluis::args;
use sluis::demo::client::{Answer, Request};
use sluis::encryption::{
    Curve, DecryptError, EncryptionKey, KeySet, KeySetError, Label, PrivateKey, Trust, TrustError, decrypt, encrypt,
};
use sluis::ids::{Entropy, Oin};
use sluis::organisations::credentials::ca::Profile;
use sluis::organisations::credentials::certificate::PeerCertificate;
use sluis::organisations::credentials::jose::SigningKey;
use sluis::storage::{Query as _, Tx};

use crate::app::{KREDIETBANK, MUNICIPALITY, SMOW, TestApp, by_consent, consent, debts, with_sections};
use crate::chain::step;

const DAY: Duration = Duration::from_hours(24);
/// What only the credit bank may read.
pub const DEBTS: &[u8] = br#"{ "debts": 18400, "text": "acht schuldeisers, \u00e9\u00e9n ontruiming" }"#;

fn oin(text: &str) -> Oin {
    text.parse().unwrap()
}

pub fn label(sender: &str, recipient: &str, purpose: &str, category: &str) -> Label {
    Label {
        sender: oin(sender),
        recipient: oin(recipient),
        category: category.parse().unwrap(),
        purpose: purpose.parse().unwrap(),
    }
}

/// From SMOW to the credit bank.
fn to_the_bank(category: &str) -> Label {
    label(SMOW, KREDIETBANK, "debt-counselling", category)
}

/// A set signed with a party's own certificate, as its system makes it.
fn signed(app: &TestApp, who: &str, owner: &str, jwks: &[Value], lifetime: Duration) -> Value {
    let identity = app.world().identity(who).unwrap();
    let key = SigningKey::from_pem(&identity.key).unwrap();
    KeySet::sign(&oin(owner), jwks, &key, &identity.certificate, app.app().now(), lifetime).unwrap()
}

async fn put_keys(app: &TestApp, who: &str, owner: &str, set: Value) -> Answer {
    let request = Request::post(format!("/v1/organisations/{owner}/keys"), set);
    app.ask(who, Request { method: Method::PUT, ..request }).await
}

/// Publishes these keys for encryption, for a month.
pub async fn publish(app: &TestApp, who: &str, owner: &str, jwks: &[Value]) {
    let published = put_keys(app, who, owner, signed(app, who, owner, jwks, 30 * DAY)).await;
    assert_eq!(published.status, 200, "{}", published.text);
}

/// The key of a party as another one finds it, which knows the party's certificate.
pub async fn key_of(app: &TestApp, reader: &str, who: &str, owner: &str) -> EncryptionKey {
    let answer = app.get(reader, format!("/v1/organisations/{owner}/keys")).await;
    let trust = Trust::pinned(&app.world().identity(who).unwrap().certificate).unwrap();
    let now = app.app().now();
    KeySet::verified(&answer.body, &oin(owner), &trust, now).unwrap().current(now).unwrap().clone()
}

pub fn encrypted(app: &TestApp, content: &[u8], label: &Label, to: &EncryptionKey) -> String {
    encrypt(content, label, to, &Entropy::system(), app.app().now()).unwrap()
}

/// A gateway where the credit bank has published a key, SMOW has a consent, and the key as SMOW finds it.
async fn with_keys() -> (TestApp, PrivateKey, EncryptionKey) {
    let app = TestApp::start().await;
    let private = PrivateKey::generate("sections-2026", Curve::P256).unwrap();
    publish(&app, "kredietbank", KREDIETBANK, &[private.public_jwk()]).await;
    let categories = ["question", "contact", "finance", "housing"];
    let given = app.post("smow", "/v1/consents", consent(&app, KREDIETBANK, "debt-counselling", &categories)).await;
    assert_eq!(given.status, 201, "{}", given.text);
    let key = key_of(&app, "smow", "kredietbank", KREDIETBANK).await;
    (app, private, key)
}

pub fn referral(on_withheld: &str, sections: Value) -> Value {
    let mut referral = by_consent(KREDIETBANK, "debt-counselling");
    referral["onWithheld"] = json!(on_withheld);
    referral["sections"] = sections;
    referral
}

/// What is wrong, by name and code.
pub fn wrong(answer: &Answer) -> Vec<(String, String)> {
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let list = answer.body["invalidParams"].as_array().unwrap_or_else(|| panic!("{}", answer.text));
    list.iter().map(|one| (text(&one["name"]), text(&one["code"]))).collect()
}

pub fn named(name: &str, code: &str) -> Vec<(String, String)> {
    vec![(name.to_owned(), code.to_owned())]
}

/// The category, effect and code of each section of a decision.
fn decided(body: &Value) -> Vec<(&str, &str, &str)> {
    let sections = body["decision"]["sections"].as_array().unwrap();
    sections
        .iter()
        .map(|section| {
            let of = |name: &str| section[name].as_str().unwrap_or_default();
            (of("category"), of("effect"), of("code"))
        })
        .collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_bank_reads_byte_for_byte_what_may_cross_and_what_may_not_is_stored_nowhere() {
    let (app, private, key) = with_keys().await;
    let finance = encrypted(&app, DEBTS, &to_the_bank("finance"), &key);
    let health = encrypted(&app, b"{\"text\":\"somber\"}", &to_the_bank("mental-health"), &key);
    let body = referral(
        "minimise",
        json!([
            { "category": "finance", "jwe": finance },
            { "category": "mental-health", "jwe": health },
            { "category": "question", "content": { "text": "in clear beside it" } },
        ]),
    );
    let checked = app.ask("smow", Request::post("/v1/referrals/_check", body.clone())).await;
    assert_eq!(checked.status, 200, "{}", checked.text);
    let created = app.post("smow", "/v1/referrals", body).await;
    assert_eq!(created.status, 201, "{}", created.text);
    // Decided on the label, exactly as what is in clear.
    let expected = [
        ("finance", "permit", ""),
        ("mental-health", "withhold", "category-never-for-recipient"),
        ("question", "permit", ""),
    ];
    assert_eq!(decided(&created.body), expected);
    assert_eq!(decided(&checked.body), expected);
    let path = &created.headers["location"];
    for who in ["kredietbank", "smow"] {
        let given = app.get(who, format!("{path}/sections")).await;
        assert_eq!(
            given.body["sections"],
            json!([
                { "category": "finance", "jwe": finance },
                { "category": "question", "content": { "text": "in clear beside it" } },
            ]),
            "{who} gets the very bytes"
        );
    }
    let given = app.get("kredietbank", format!("{path}/sections")).await;
    let jwe = given.text_at("/sections/0/jwe").unwrap();
    let opened = decrypt(jwe, &to_the_bank("finance"), &[private]).unwrap();
    assert_eq!(opened.content.as_slice(), DEBTS);
    let rows = app.app().db.reader().rows("SELECT category FROM referral_sections ORDER BY category", args![]).await;
    let stored: Vec<String> = rows.unwrap().iter().map(|row| row.text("category").unwrap()).collect();
    assert_eq!(stored, ["finance", "question"], "what was withheld is stored nowhere");
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_label_that_was_swapped_is_refused_at_both_ends() {
    let (app, private, key) = with_keys().await;
    let finance = encrypted(&app, DEBTS, &to_the_bank("finance"), &key);
    let send = async |category: &str, jwe: &str| {
        app.post("smow", "/v1/referrals", referral("reject", json!([{ "category": category, "jwe": jwe }]))).await
    };
    // By the sender itself, or by whoever stands between it and the gateway.
    let housing = send("housing", &finance).await;
    assert_eq!((housing.status, wrong(&housing)), (400, named("sections[0].jwe.category", "differs")));
    let elsewhere = encrypted(&app, DEBTS, &label(SMOW, KREDIETBANK, "welfare-support", "finance"), &key);
    assert_eq!(wrong(&send("finance", &elsewhere).await), named("sections[0].jwe.purpose", "differs"));
    let of_another = encrypted(&app, DEBTS, &label(MUNICIPALITY, KREDIETBANK, "debt-counselling", "finance"), &key);
    assert_eq!(wrong(&send("finance", &of_another).await), named("sections[0].jwe.apu", "differs"));
    let for_another = encrypted(&app, DEBTS, &label(SMOW, MUNICIPALITY, "debt-counselling", "finance"), &key);
    assert_eq!(wrong(&send("finance", &for_another).await), named("sections[0].jwe.apv", "differs"));
    // Everything at once, in every section.
    let both = referral(
        "reject",
        json!([{ "category": "finance", "jwe": for_another }, { "category": "housing", "jwe": elsewhere }]),
    );
    let both = app.post("smow", "/v1/referrals", both).await;
    let expected = ["sections[0].jwe.apv", "sections[1].jwe.category", "sections[1].jwe.purpose"];
    assert_eq!(wrong(&both), expected.map(|name| (name.to_owned(), "differs".to_owned())));
    let rows = app.app().db.reader().rows("SELECT id FROM referrals", args![]).await.unwrap();
    assert!(rows.is_empty(), "nothing was created");

    // By a gateway that is not honest: the bank finds out, whether it swaps the label beside it or the one inside as well.
    let keys = [private];
    let under_another = to_the_bank("housing");
    assert_eq!(decrypt(&finance, &under_another, &keys).unwrap_err(), DecryptError::Label(vec!["category"]));
    let (header, rest) = finance.split_once('.').unwrap();
    let header = String::from_utf8(URL_SAFE_NO_PAD.decode(header).unwrap()).unwrap();
    let swapped = format!("{}.{rest}", URL_SAFE_NO_PAD.encode(header.replace("\"finance\"", "\"housing\"")));
    assert_eq!(decrypt(&swapped, &under_another, &keys).unwrap_err(), DecryptError::Altered);
    assert!(decrypt(&finance, &to_the_bank("finance"), &keys).is_ok());
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_not_in_the_documented_form_is_refused_with_everything_that_is_wrong() {
    let (app, _, key) = with_keys().await;
    let good = encrypted(&app, DEBTS, &to_the_bank("finance"), &key);
    let (_, rest) = good.split_once('.').unwrap();
    let send = async |jwe: &str| {
        app.post("smow", "/v1/referrals", referral("reject", json!([{ "category": "finance", "jwe": jwe }]))).await
    };
    let header = json!({ "alg": "RSA-OAEP", "enc": "A256GCM", "zip": "DEF" }).to_string();
    let refused = send(&format!("{}.{rest}", URL_SAFE_NO_PAD.encode(&header))).await;
    assert_eq!(refused.status, 400);
    let names: Vec<String> = wrong(&refused).into_iter().map(|(name, _)| name).collect();
    let expected = ["header", "alg", "crit", "kid", "epk", "apu", "apv", "category", "purpose", "iat", "jti"];
    assert_eq!(names, expected.map(|member| format!("sections[0].jwe.{member}")));
    assert!(!refused.text.contains("RSA-OAEP"), "what was sent is not repeated: {}", refused.text);
    assert_eq!(wrong(&send("e30.e30.e30.e30.e30").await).first().unwrap().0, "sections[0].jwe.encrypted_key");
    assert_eq!(wrong(&send("clear text").await), named("sections[0].jwe", "pattern"));
    let ahead = app.app().now().plus(10 * Duration::from_mins(1));
    let early = encrypt(DEBTS, &to_the_bank("finance"), &key, &Entropy::system(), ahead).unwrap();
    assert_eq!(wrong(&send(&early).await), named("sections[0].jwe.iat", "invalid"));
    let x25519 = PrivateKey::generate("sections-2026", Curve::X25519).unwrap();
    let other_curve = {
        let identity = app.world().identity("kredietbank").unwrap();
        let set = signed(&app, "kredietbank", KREDIETBANK, &[x25519.public_jwk()], DAY);
        let trust = Trust::pinned(&identity.certificate).unwrap();
        KeySet::verified(&set, &oin(KREDIETBANK), &trust, app.app().now()).unwrap()
    };
    let other_curve = encrypted(&app, DEBTS, &to_the_bank("finance"), other_curve.current(app.app().now()).unwrap());
    assert_eq!(wrong(&send(&other_curve).await), named("sections[0].jwe.epk", "invalid"));
    assert_eq!(send(&good).await.status, 201);
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_key_that_the_gateway_puts_in_the_place_of_the_banks_is_found_out_by_the_sender() {
    let (app, ..) = with_keys().await;
    let path = format!("/v1/organisations/{KREDIETBANK}/keys");
    let honest = app.get("smow", &path).await.body;
    let bank = app.world().identity("kredietbank").unwrap().certificate.clone();
    let believed = async |trust: &Trust| {
        let answer = app.get("smow", &path).await.body;
        KeySet::verified(&answer, &oin(KREDIETBANK), trust, app.app().now())
    };
    let pinned = Trust::pinned(&bank).unwrap();
    let gateways = Trust::authorities(app.app().credentials.ca_pem().as_bytes()).unwrap();
    assert!(believed(&pinned).await.is_ok() && believed(&gateways).await.is_ok());
    let own = PrivateKey::generate("sections-2026", Curve::P256).unwrap();
    let serve = async |set: Value| {
        // As somebody can who has the gateway's database.
        let text = set.to_string();
        let sql = "UPDATE organisations SET keys = $1 WHERE oin = $2";
        let change = async move |tx: &mut Tx| Ok(tx.execute(sql, args![text.as_str(), KREDIETBANK]).await?);
        assert_eq!(app.app().db.write("dishonest", change).await.unwrap(), 1);
    };

    // Beside the signed form: nobody looks at that.
    serve(json!({ "keys": [own.public_jwk()], "signed": honest["signed"] })).await;
    assert_eq!(believed(&pinned).await.unwrap().jwks(), honest["keys"].as_array().unwrap());
    // Without a signature, and with one by itself under the certificate of its own authority in the bank's name.
    serve(json!({ "keys": [own.public_jwk()] })).await;
    assert_eq!(believed(&pinned).await.unwrap_err(), KeySetError::Unsigned);
    let profile = Profile {
        oin: oin(KREDIETBANK),
        organisation: "Kredietbank".into(),
        common_name: "kredietbank".into(),
        server: false,
        server_names: vec![],
        client: true,
        lifetime: DAY,
    };
    let now = app.app().now();
    let authority = app.app().credentials.authority.as_ref().unwrap();
    let (forged, private) = authority.certify_new_key(&profile, &Entropy::system(), now).unwrap();
    let key = SigningKey::from_pem(private.as_bytes()).unwrap();
    let set = KeySet::sign(&oin(KREDIETBANK), &[own.public_jwk()], &key, forged.pem.as_bytes(), now, DAY).unwrap();
    serve(set).await;
    assert_eq!(believed(&pinned).await.unwrap_err(), KeySetError::Trust(TrustError::NotPinned));
    assert!(believed(&gateways).await.is_ok(), "who trusts the gateway's own authority trusts the gateway");
    // A gateway that is honest itself does not believe what somebody put into its database either.
    let answer = app.get("smow", &path).await.body;
    let fooled = KeySet::verified(&answer, &oin(KREDIETBANK), &gateways, now).unwrap();
    let jwe = encrypted(&app, DEBTS, &to_the_bank("finance"), fooled.current(now).unwrap());
    let sent =
        app.post("smow", "/v1/referrals", referral("reject", json!([{ "category": "finance", "jwe": jwe }]))).await;
    assert_eq!((sent.status, wrong(&sent)), (400, named("sections[0].jwe.kid", "no-keys")));
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn keys_follow_each_other_and_the_old_one_still_decrypts() {
    let (app, old, first_key) = with_keys().await;
    let send = async |jwe: &str| {
        app.post("smow", "/v1/referrals", referral("reject", json!([{ "category": "finance", "jwe": jwe }]))).await
    };
    let to_old = || encrypted(&app, DEBTS, &to_the_bank("finance"), &first_key);
    let before = send(&to_old()).await;
    assert_eq!(before.status, 201, "{}", before.text);
    // The bank has a new key; senders have a week to find out.
    let new = PrivateKey::generate("sections-2027", Curve::X25519).unwrap();
    let now = app.app().now().as_seconds();
    let (mut leaving, mut coming) = (old.public_jwk(), new.public_jwk());
    leaving["exp"] = json!(now + 7 * 86_400);
    coming["nbf"] = json!(now);
    publish(&app, "kredietbank", KREDIETBANK, &[coming.clone(), leaving.clone()]).await;
    let next_key = key_of(&app, "smow", "kredietbank", KREDIETBANK).await;
    assert_eq!(next_key.key_id(), "sections-2027");
    assert_eq!(send(&to_old()).await.status, 201, "still accepted");
    app.world().clock().advance(8 * DAY);
    let retired = send(&to_old()).await;
    assert_eq!((retired.status, wrong(&retired)), (400, named("sections[0].jwe.kid", "retired-key")));
    let to_new = encrypted(&app, DEBTS, &to_the_bank("finance"), &next_key);
    let after = send(&to_new).await;
    assert_eq!(after.status, 201, "{}", after.text);
    // What lies there from before is handed over, and opens with the key that it was encrypted to.
    let keys = [new, old];
    for created in [before, after] {
        let given = app.get("kredietbank", format!("{}/sections", created.headers["location"])).await;
        let jwe = given.text_at("/sections/0/jwe").unwrap_or_else(|| panic!("{}", given.text));
        assert_eq!(decrypt(jwe, &to_the_bank("finance"), &keys).unwrap().content.as_slice(), DEBTS);
    }
    // Gone from the set, not begun, no set any more.
    publish(&app, "kredietbank", KREDIETBANK, &[coming.clone()]).await;
    assert_eq!(wrong(&send(&to_old()).await), named("sections[0].jwe.kid", "unknown-key"));
    coming["nbf"] = json!(app.app().now().as_seconds() + 86_400);
    publish(&app, "kredietbank", KREDIETBANK, &[coming.clone()]).await;
    assert_eq!(wrong(&send(&to_new).await), named("sections[0].jwe.kid", "upcoming-key"));
    assert_eq!(put_keys(&app, "kredietbank", KREDIETBANK, json!({ "keys": [] })).await.status, 200);
    assert_eq!(wrong(&send(&to_new).await), named("sections[0].jwe.kid", "no-keys"));
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_set_counts_until_it_ends_or_its_certificate_is_revoked() {
    let (app, private, key) = with_keys().await;
    let send = async || {
        let jwe = encrypted(&app, DEBTS, &to_the_bank("finance"), &key);
        app.post("smow", "/v1/referrals", referral("reject", json!([{ "category": "finance", "jwe": jwe }]))).await
    };
    let set = signed(&app, "kredietbank", KREDIETBANK, &[private.public_jwk()], 2 * DAY);
    assert_eq!(put_keys(&app, "kredietbank", KREDIETBANK, set.clone()).await.status, 200);
    assert_eq!(send().await.status, 201);
    app.world().clock().advance(3 * DAY);
    assert_eq!(wrong(&send().await), named("sections[0].jwe.kid", "no-keys"), "it has ended");
    let again = put_keys(&app, "kredietbank", KREDIETBANK, set).await;
    assert_eq!((again.status, wrong(&again)), (400, named("signed", "signature")));
    publish(&app, "kredietbank", KREDIETBANK, &[private.public_jwk()]).await;
    assert_eq!(send().await.status, 201);
    let certificate = &app.world().identity("kredietbank").unwrap().certificate;
    let certificate = PeerCertificate::read(&CertificateDer::from_pem_slice(certificate).unwrap()).unwrap();
    let path = format!("/v1/organisations/{KREDIETBANK}/certificates/{}/revocations", certificate.serial);
    let revoked = app.post("administrator", path, json!({ "reasonCode": "key-compromise" })).await;
    assert_eq!(revoked.status, 201, "{}", revoked.text);
    assert_eq!(
        wrong(&send().await),
        named("sections[0].jwe.kid", "no-keys"),
        "who could sign it could have been anybody"
    );
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nobody_publishes_keys_for_encryption_without_the_signature_of_its_own_certificate() {
    let app = TestApp::start().await;
    let private = PrivateKey::generate("k", Curve::X25519).unwrap();
    let jwks = || vec![private.public_jwk()];
    let put = async |set: Value| put_keys(&app, "kredietbank", KREDIETBANK, set).await;
    let good = signed(&app, "kredietbank", KREDIETBANK, &jwks(), 30 * DAY);
    let unsigned = put(json!({ "keys": good["keys"] })).await;
    assert_eq!((unsigned.status, wrong(&unsigned)), (400, named("signed", "required")));
    let other = PrivateKey::generate("k", Curve::X25519).unwrap();
    let changed = put(json!({ "keys": [other.public_jwk()], "signed": good["signed"] })).await;
    assert_eq!((changed.status, wrong(&changed)), (400, named("signed", "differs")));
    let of_smow = signed(&app, "smow", SMOW, &jwks(), 30 * DAY);
    assert_eq!(wrong(&put(of_smow).await), named("signed", "signature"));
    // A named client of an organisation stands for a role in it and cannot bind it.
    let officer = signed(&app, "privacy-officer", MUNICIPALITY, &jwks(), 30 * DAY);
    let by_role = put_keys(&app, "gemeente-wassenaar", MUNICIPALITY, officer).await;
    assert_eq!((by_role.status, wrong(&by_role)), (400, named("signed", "signature")));
    let text = good["signed"].as_str().unwrap();
    for (signed, code) in [
        (text[..text.len() - 4].to_owned() + "AAAA", "signature"),
        ("e30.e30.e30".to_owned(), "signature"),
        ("no".to_owned(), "pattern"),
        (format!("{}.e30.e30", "A".repeat(70_000)), "too-long"),
    ] {
        assert_eq!(wrong(&put(json!({ "keys": good["keys"], "signed": signed })).await), named("signed", code));
    }
    assert_eq!(put_keys(&app, "smow", KREDIETBANK, good.clone()).await.status, 404, "another organisation's");
    let mut secret: Value = serde_json::from_str(&private.to_jwk().unwrap()).unwrap();
    secret["kid"] = json!("secret");
    let private_key = put(json!({ "keys": [secret], "signed": good["signed"] })).await;
    assert_eq!(private_key.status, 400);
    assert!(!private_key.text.contains(secret["d"].as_str().unwrap()), "{}", private_key.text);
    let accepted = put(good.clone()).await;
    assert_eq!((accepted.status, &accepted.body), (200, &good));
    assert_eq!(app.get("mee", format!("/v1/organisations/{KREDIETBANK}/keys")).await.body, good, "as it was signed");
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_encrypted_for_one_recipient_stays_behind_when_the_referral_goes_on_and_the_sender_is_told() {
    let (app, _, key) = with_keys().await;
    let finance = encrypted(&app, DEBTS, &label(MUNICIPALITY, KREDIETBANK, "debt-counselling", "finance"), &key);
    let rejected = async |sections: Value| {
        let mut referral = debts();
        referral["sections"] = sections;
        let created = app.post("gemeente-wassenaar", "/v1/referrals", referral).await;
        assert_eq!(created.status, 201, "{}", created.text);
        let path = created.headers["location"].clone();
        let no = json!({ "status": "rejected", "statusReason": "no-capacity" });
        assert_eq!(step(&app, "kredietbank", &path, no).await.status, 201);
        path
    };
    let go_on = async |path: &str, on_withheld: &str| {
        let onward = json!({
            "recipient": SMOW, "purpose": "welfare-support", "legalBasis": "wmo-2015", "onWithheld": on_withheld,
        });
        app.post("gemeente-wassenaar", format!("{path}/re-referrals"), onward).await
    };
    let in_clear = json!({ "category": "question", "content": { "text": "about question" } });
    let both = rejected(json!([in_clear, { "category": "finance", "jwe": finance }])).await;
    let left = [("question", "permit", ""), ("finance", "withhold", "encrypted-for-another")];
    let refused = go_on(&both, "reject").await;
    assert_eq!((refused.status, decided(&refused.body)), (403, left.to_vec()), "all or nothing: {}", refused.text);
    assert_eq!(refused.text_at("/decision/sections/1/remedy/code"), Some("encrypt-again"));
    let gone_on = go_on(&both, "minimise").await;
    assert_eq!(gone_on.status, 201, "{}", gone_on.text);
    assert_eq!((decided(&gone_on.body), gone_on.text_at("/decision/outcome")), (left.to_vec(), Some("minimised")));
    let second = gone_on.headers["location"].clone();
    let later = app.get("gemeente-wassenaar", &second).await;
    assert_eq!(decided(&later.body), left, "the sender finds it again");
    let given = app.get("smow", format!("{second}/sections")).await;
    assert_eq!(given.body["sections"], json!([in_clear]));
    let shown = app.get("smow", &second).await;
    assert!(!shown.text.contains("finance") && !given.text.contains("finance"), "as if it had never been there");
    // The record says the same, and is explained as it was.
    let id = gone_on.text_at("/decision/id").unwrap();
    let record = app.get("gemeente-wassenaar", format!("/v1/audit/records/{id}")).await;
    assert!(record.text.contains("encrypted-for-another"), "{}", record.text);
    let explained = sluis::replays::explain_record(app.app(), id).await.unwrap();
    let explained = explained.en();
    assert!(explained.contains("because it is encrypted for another recipient"), "{explained}");
    // Of what is encrypted as a whole nothing is left.
    let whole = rejected(json!([{ "category": "finance", "jwe": finance }])).await;
    for on_withheld in ["reject", "minimise"] {
        let refused = go_on(&whole, on_withheld).await;
        assert_eq!(refused.status, 403, "{}", refused.text);
        assert_eq!(decided(&refused.body), [("finance", "withhold", "encrypted-for-another")]);
    }
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn supplements_notes_and_corrections_are_bound_to_who_gives_and_who_receives() {
    let (app, banks_key, key) = with_keys().await;
    let municipalitys_key = PrivateKey::generate("sections-2026", Curve::X25519).unwrap();
    publish(&app, "gemeente-wassenaar", MUNICIPALITY, &[municipalitys_key.public_jwk()]).await;
    let back = key_of(&app, "kredietbank", "gemeente-wassenaar", MUNICIPALITY).await;
    let there = |category: &str| label(MUNICIPALITY, KREDIETBANK, "debt-counselling", category);
    let returned = |category: &str| label(KREDIETBANK, MUNICIPALITY, "debt-counselling", category);
    let referral = with_sections(debts(), &["question", "finance"]);
    let created = app.post("gemeente-wassenaar", "/v1/referrals", referral).await;
    let path = created.headers["location"].clone();
    assert_eq!(app.get("kredietbank", format!("{path}/sections")).await.status, 200);

    // More information, asked for by the bank.
    let ask = json!({ "status": "on-hold", "statusReason": "information-requested" });
    assert_eq!(step(&app, "kredietbank", &path, ask).await.status, 201);
    let supplement = async |label: &Label| {
        let jwe = encrypted(&app, b"{\"rent\":700}", label, &key);
        let body = json!({ "sections": [{ "category": "housing", "jwe": jwe }] });
        app.post("gemeente-wassenaar", format!("{path}/supplements"), body).await
    };
    assert_eq!(wrong(&supplement(&there("finance")).await), named("sections[0].jwe.category", "differs"));
    let other_way: Vec<_> = wrong(&supplement(&returned("housing")).await).into_iter().map(|(name, _)| name).collect();
    assert_eq!(other_way, ["sections[0].jwe.apu", "sections[0].jwe.apv"]);
    let supplemented = supplement(&there("housing")).await;
    assert_eq!(supplemented.status, 201, "{}", supplemented.text);
    let given = app.get("kredietbank", format!("{}/sections", supplemented.headers["location"])).await;
    let opened =
        decrypt(given.text_at("/sections/0/jwe").unwrap(), &there("housing"), std::slice::from_ref(&banks_key));
    assert_eq!(opened.unwrap().content.as_slice(), b"{\"rent\":700}");

    // The note goes the other way, to the key of the municipality.
    crate::chain::begin(&app, &path).await;
    let note = async |label: &Label, to: &EncryptionKey| {
        let jwe = encrypted(&app, b"{\"monthlyPayment\":85}", label, to);
        let body =
            json!({ "status": "completed", "outcome": "helped", "sections": [{ "category": "finance", "jwe": jwe }] });
        step(&app, "kredietbank", &path, body).await
    };
    let same_name = note(&returned("finance"), &key).await;
    assert_eq!(
        wrong(&same_name),
        named("sections[0].jwe.epk", "invalid"),
        "the bank's own key is none of the municipality"
    );
    let noted = note(&returned("finance"), &back).await;
    assert_eq!(noted.status, 201, "{}", noted.text);
    let given = app.get("gemeente-wassenaar", format!("{}/sections", noted.headers["location"])).await;
    let opened = decrypt(given.text_at("/sections/0/jwe").unwrap(), &returned("finance"), &[municipalitys_key]);
    assert_eq!(opened.unwrap().content.as_slice(), b"{\"monthlyPayment\":85}");

    // What was given in clear is corrected by what is encrypted.
    let correct = async |label: &Label| {
        let jwe = encrypted(&app, b"{\"debts\":9}", label, &key);
        let body = json!({ "reason": "inaccurate", "sections": [{ "category": "finance", "jwe": jwe }] });
        app.post("gemeente-wassenaar", format!("{path}/corrections"), body).await
    };
    assert_eq!(wrong(&correct(&there("housing")).await), named("sections[0].jwe.category", "differs"));
    let corrected = correct(&there("finance")).await;
    assert_eq!(corrected.status, 201, "{}", corrected.text);
    let given = app.get("kredietbank", format!("{path}/sections")).await;
    let sections = given.body["sections"].as_array().unwrap();
    let finance = sections.iter().find(|section| section["category"] == "finance").unwrap();
    assert!(finance["correctedAt"].is_string());
    let opened = decrypt(finance["jwe"].as_str().unwrap(), &there("finance"), &[banks_key]).unwrap();
    assert_eq!(opened.content.as_slice(), b"{\"debts\":9}");
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_repeat_gets_the_first_answer_also_when_the_key_was_retired_in_the_meantime() {
    let (app, _, key) = with_keys().await;
    let jwe = encrypted(&app, DEBTS, &to_the_bank("finance"), &key);
    let body = referral("reject", json!([{ "category": "finance", "jwe": jwe }]));
    let mut request = Request::post("/v1/referrals", body);
    request.idempotency_key = Some(app.world().new_key().unwrap());
    let first = app.ask("smow", request.clone()).await;
    assert_eq!(first.status, 201, "{}", first.text);
    assert_eq!(put_keys(&app, "kredietbank", KREDIETBANK, json!({ "keys": [] })).await.status, 200);
    let repeated = app.ask("smow", request).await;
    assert_eq!((repeated.status, &repeated.body), (201, &first.body));
    app.finish().await;
}
