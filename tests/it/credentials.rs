//! Credentials over real TLS: who gets a token, what it is worth on which connection, and that what is taken back stops at the next
//! request on a connection that was open before.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::{Algorithm, EncodingKey, Header, encode};
use rcgen::{CertificateParams, DnType, KeyPair, PKCS_ED25519, PKCS_RSA_SHA256};
use reqwest::Method;
use serde_json::{Value, json};
use sluis::demo::client::{Answer, Identity, Request};
use sluis::demo::governance;
use sluis::demo::jws;
use sluis::demo::scenario::{Action, Publication};
use sluis::organisations::credentials::Purpose;
use sluis::organisations::credentials::jose::SigningKey;

use crate::app::{KREDIETBANK, MUNICIPALITY, SMOW, TestApp, consent, debts};
use crate::wire::{Connection, Reply, Wire, settings};

const ASSERTION_TYPE: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";

/// The claims of an assertion of the credit bank, as they should be.
fn claims(app: &TestApp) -> Value {
    let now = app.app().now().as_seconds();
    json!({
        "iss": KREDIETBANK, "sub": KREDIETBANK, "aud": format!("{}/oauth/token", app.app().issuer()),
        "jti": uuid::Uuid::now_v7().to_string(), "iat": now, "exp": now + 60,
    })
}

fn sign(algorithm: Algorithm, kid: Option<&str>, key: &EncodingKey, claims: &Value) -> String {
    let _ = jsonwebtoken::crypto::aws_lc::DEFAULT_PROVIDER.install_default();
    let header = Header { kid: kid.map(str::to_owned), ..Header::new(algorithm) };
    encode(&header, claims, key).unwrap()
}

async fn present(wire: &Wire, assertion: &str) -> Reply {
    let fields = [
        ("grant_type", "client_credentials"),
        ("client_assertion_type", ASSERTION_TYPE),
        ("client_assertion", assertion),
    ];
    wire.form("/oauth/token", &fields).await
}

/// Registers public keys for the credit bank's signatures.
async fn register_keys(app: &TestApp, keys: &[(&str, &KeyPair)]) {
    let jwk = |(kid, key): &(&str, &KeyPair)| {
        SigningKey::from_pem(key.serialize_pem().as_bytes()).unwrap().public().to_jwk(kid)
    };
    let set = json!({ "keys": keys.iter().map(jwk).collect::<Vec<_>>() });
    let request = Request::post(format!("/v1/organisations/{KREDIETBANK}/keys"), set);
    let replaced = app.ask("kredietbank", Request { method: Method::PUT, ..request }).await;
    assert_eq!(replaced.status, 200, "{}", replaced.text);
}

async fn set_status(app: &TestApp, oin: &str, status: &str) {
    let request = Request::post(format!("/v1/organisations/{oin}"), json!({ "status": status }));
    let changed = app.ask("administrator", Request { method: Method::PATCH, ..request }).await;
    assert_eq!(changed.status, 200, "{}", changed.text);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_proves_itself_with_its_certificate_or_with_an_assertion_of_each_algorithm() {
    let app = TestApp::start().await;
    let bank = Wire::of(&app, "kredietbank");
    let (rsa, ed25519) =
        (KeyPair::generate_for(&PKCS_RSA_SHA256).unwrap(), KeyPair::generate_for(&PKCS_ED25519).unwrap());
    register_keys(&app, &[("rsa", &rsa), ("ed25519", &ed25519)]).await;
    let certified = EncodingKey::from_ec_pem(&app.world().identity("kredietbank").unwrap().key).unwrap();
    let rsa = EncodingKey::from_rsa_pem(rsa.serialize_pem().as_bytes()).unwrap();
    let ed25519 = EncodingKey::from_ed_pem(ed25519.serialize_pem().as_bytes()).unwrap();

    let plain = bank.token(KREDIETBANK).await;
    assert_eq!(bank.get("/v1/referrals", Some(&plain)).await.status, 200);
    for (algorithm, kid, key) in [
        (Algorithm::ES256, None, &certified),
        (Algorithm::PS256, Some("rsa"), &rsa),
        (Algorithm::EdDSA, Some("ed25519"), &ed25519),
    ] {
        let assertion = sign(algorithm, kid, key, &claims(&app));
        let granted = present(&bank, &assertion).await;
        assert_eq!(granted.status, 200, "{algorithm:?} {}", granted.text);
        assert_eq!(granted.body["token_type"], "Bearer");
        let token = granted.body["access_token"].as_str().unwrap();
        assert_eq!(bank.get("/v1/referrals", Some(token)).await.status, 200, "{algorithm:?}");
        let replayed = present(&bank, &assertion).await;
        assert_eq!(
            (replayed.status, &replayed.body["error"]),
            (401, &json!("invalid_client")),
            "{algorithm:?} replayed"
        );
    }
    // The assertion of one client is no use on the connection of another.
    let smow = Wire::of(&app, "smow");
    let assertion = sign(Algorithm::PS256, Some("rsa"), &rsa, &claims(&app));
    assert_eq!(present(&smow, &assertion).await.body["error"], "invalid_client");
    assert_eq!(present(&Wire::nobody(&app), &assertion).await.code(), "client-certificate-required");
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_assertion_for_somebody_else_of_another_time_or_algorithm_is_refused() {
    let app = TestApp::start().await;
    let bank = Wire::of(&app, "kredietbank");
    let rsa = KeyPair::generate_for(&PKCS_RSA_SHA256).unwrap();
    register_keys(&app, &[("rsa", &rsa)]).await;
    let identity = app.world().identity("kredietbank").unwrap();
    let certified = EncodingKey::from_ec_pem(&identity.key).unwrap();
    let foreign = EncodingKey::from_ec_pem(&app.world().identity("smow").unwrap().key).unwrap();
    let private = EncodingKey::from_rsa_pem(rsa.serialize_pem().as_bytes()).unwrap();
    let now = app.app().now().as_seconds();
    let with = |name: &str, value: Value| {
        let mut claims = claims(&app);
        claims[name] = value;
        sign(Algorithm::ES256, None, &certified, &claims)
    };
    let good = claims(&app);
    let unsigned = |algorithm: &str| {
        let header = URL_SAFE_NO_PAD.encode(json!({ "alg": algorithm, "typ": "JWT" }).to_string());
        format!("{header}.{}.", URL_SAFE_NO_PAD.encode(claims(&app).to_string()))
    };
    // The classic confusion: the public key, which everyone has, as a shared secret.
    let public = rsa.public_key_pem();
    let mut tried = vec![
        with("aud", json!("https://elsewhere.example/oauth/token")),
        with("aud", json!([app.app().issuer(), "https://elsewhere.example"])),
        with("exp", json!(now - 60)),
        with("exp", json!(now + 3_600)),
        with("iat", json!(now + 120)),
        with("iss", json!(SMOW)),
        with("sub", json!(SMOW)),
        with("jti", json!("")),
        sign(Algorithm::HS256, Some("rsa"), &EncodingKey::from_secret(public.as_bytes()), &good),
        sign(Algorithm::HS256, None, &EncodingKey::from_secret(&identity.certificate), &good),
        sign(Algorithm::RS256, Some("rsa"), &private, &good),
        sign(Algorithm::PS384, Some("rsa"), &private, &good),
        sign(Algorithm::PS256, Some("unheard-of"), &private, &good),
        sign(Algorithm::ES256, None, &foreign, &good),
        unsigned("none"),
        unsigned("None"),
        unsigned("ES256"),
        "a.b.c".to_owned(),
    ];
    let mut altered = sign(Algorithm::ES256, None, &certified, &good);
    altered.truncate(altered.len() - 2);
    tried.push(altered);
    for assertion in tried {
        let refused = present(&bank, &assertion).await;
        assert_eq!(
            (refused.status, &refused.body["error"]),
            (401, &json!("invalid_client")),
            "{assertion} {}",
            refused.text
        );
    }
    let accepted = present(&bank, &sign(Algorithm::ES256, None, &certified, &good)).await;
    assert_eq!(accepted.status, 200, "what was refused has not used the jti up: {}", accepted.text);
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_token_endpoint_says_what_is_wrong_in_the_words_of_the_rfc() {
    let app = TestApp::start().await;
    let bank = Wire::of(&app, "kredietbank");
    let (grant, client) = (("grant_type", "client_credentials"), ("client_id", KREDIETBANK));
    for (fields, status, error) in [
        (&[client][..], 400, "invalid_request"),
        (&[grant], 400, "invalid_request"),
        (&[grant, client, client], 400, "invalid_request"),
        (&[grant, grant, client], 400, "invalid_request"),
        (&[("grant_type", "authorization_code"), client], 400, "unsupported_grant_type"),
        (&[grant, ("client_id", SMOW)], 401, "invalid_client"),
        (&[grant, ("client_id", "00000099000000001000-administrator")], 401, "invalid_client"),
        (&[grant, client, ("client_secret", "secret")], 401, "invalid_client"),
        (&[grant, client, ("scope", "audit:read")], 400, "invalid_scope"),
        (&[grant, client, ("scope", "referrals organisations:write")], 400, "invalid_scope"),
        (&[grant, client, ("client_assertion_type", ASSERTION_TYPE)], 400, "invalid_request"),
    ] {
        let refused = bank.form("/oauth/token", fields).await;
        assert_eq!((refused.status, &refused.body["error"]), (status, &json!(error)), "{fields:?} {}", refused.text);
        assert!(refused.body["error_description"].is_string());
    }
    let form = "grant_type=client_credentials&client_id=00000099000000006000&token=x";
    for path in ["/oauth/token", "/oauth/introspect", "/oauth/revoke"] {
        for media_type in ["application/json", "text/plain", "multipart/form-data", ""] {
            let request = bank.request("POST", path).header("content-type", media_type).body(form);
            let refused = bank.send(request).await;
            assert_eq!(
                (refused.status, &refused.body["error"]),
                (400, &json!("invalid_request")),
                "{path} {media_type}"
            );
        }
        let typed = "application/x-www-form-urlencoded; charset=UTF-8";
        let accepted = bank.send(bank.request("POST", path).header("content-type", typed).body(form)).await;
        assert_eq!(accepted.status, 200, "{path} {}", accepted.text);
    }
    let typed = bank.request("POST", "/oauth/token").header("content-type", "application/x-www-form-urlencoded");
    let basic = bank.send(typed.basic_auth(KREDIETBANK, Some("secret")).body(form)).await;
    assert_eq!((basic.status, &basic.body["error"]), (401, &json!("invalid_client")));
    let granted = bank.form("/oauth/token", &[grant, client, ("scope", "events")]).await;
    assert_eq!((granted.header("cache-control"), granted.header("pragma")), ("no-store", "no-cache"));
    assert_eq!((&granted.body["scope"], &granted.body["expires_in"]), (&json!("events"), &json!(300)));
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_revoked_token_stops_at_the_next_request_of_an_open_connection() {
    let app = TestApp::start().await;
    let (bank, smow) = (Wire::of(&app, "kredietbank"), Wire::of(&app, "smow"));
    let (token, other) = (bank.token(KREDIETBANK).await, bank.token(KREDIETBANK).await);
    let mut open = Connection::of(&app, "kredietbank");
    assert_eq!(open.get("/v1/referrals", &token).unwrap().0, 200);

    let seen = bank.form("/oauth/introspect", &[("token", &token)]).await;
    assert_eq!((&seen.body["active"], &seen.body["client_id"]), (&json!(true), &json!(KREDIETBANK)));
    assert!(seen.body["cnf"]["x5t#S256"].is_string());
    assert_eq!(smow.form("/oauth/introspect", &[("token", &token)]).await.body, json!({ "active": false }));
    assert_eq!(bank.form("/oauth/introspect", &[("token", "x.y.z")]).await.body, json!({ "active": false }));

    let refused = smow.form("/oauth/revoke", &[("token", &token)]).await;
    assert_eq!((refused.status, &refused.body["error"]), (400, &json!("unauthorized_client")));
    assert_eq!(open.get("/v1/referrals", &token).unwrap().0, 200, "nobody else revokes it");
    assert_eq!(bank.form("/oauth/revoke", &[("token", &token)]).await.status, 200);
    let (status, problem) = open.get("/v1/referrals", &token).unwrap();
    assert_eq!((status, &problem["code"]), (401, &json!("token-revoked")));
    assert_eq!(open.get("/v1/referrals", &other).unwrap().0, 200, "another token goes on");
    assert_eq!(bank.form("/oauth/introspect", &[("token", &token)]).await.body, json!({ "active": false }));
    assert_eq!(bank.form("/oauth/revoke", &[("token", &token)]).await.status, 200, "again is no error");
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whoever_is_put_out_is_out_on_the_connection_that_is_open() {
    let app = TestApp::start().await;
    let code = |answer: (u16, Value)| (answer.0, answer.1["code"].as_str().unwrap_or_default().to_owned());
    let refused = |what: &str| (401, what.to_owned());
    // One TCP connection each, opened now and used to the end: a `Connection` never opens another.
    let mut bank = Connection::of(&app, "kredietbank");
    let token = app.world().client("kredietbank").unwrap().token(None).await.unwrap();
    assert_eq!(bank.get("/v1/referrals", &token).unwrap().0, 200);
    set_status(&app, KREDIETBANK, "suspended").await;
    assert_eq!(code(bank.get("/v1/referrals", &token).unwrap()), refused("organisation-suspended"));
    set_status(&app, KREDIETBANK, "active").await;
    assert_eq!(bank.get("/v1/referrals", &token).unwrap().0, 200, "resumed, with the same token");

    let path = format!("/v1/organisations/{KREDIETBANK}/certificates");
    let serial = app.get("kredietbank", &path).await.text_at("/items/0/serial").unwrap().to_owned();
    let revoked = app
        .post("administrator", format!("{path}/{serial}/revocations"), json!({ "reasonCode": "key-compromise" }))
        .await;
    assert_eq!(revoked.status, 201, "{}", revoked.text);
    assert_eq!(code(bank.get("/v1/referrals", &token).unwrap()), refused("certificate-revoked"));
    let again = Wire::of(&app, "kredietbank").get("/v1/referrals", Some(&token)).await;
    assert_eq!((again.status, again.code()), (401, "certificate-revoked"), "nor on a new one");

    let mut smow = Connection::of(&app, "smow");
    let token = app.world().client("smow").unwrap().token(None).await.unwrap();
    assert_eq!(smow.get("/v1/referrals", &token).unwrap().0, 200);
    set_status(&app, SMOW, "retired").await;
    assert_eq!(code(smow.get("/v1/referrals", &token).unwrap()), refused("organisation-retired"));

    let mut jgz = Connection::of(&app, "jgz");
    let token = app.world().client("jgz").unwrap().token(None).await.unwrap();
    assert_eq!(jgz.get("/v1/referrals", &token).unwrap().0, 200);
    app.app().clock.advance(Duration::from_hours(24 * 366));
    assert_eq!(code(jgz.get("/v1/referrals", &token).unwrap()), refused("certificate-expired"));
    assert!(Connection::of(&app, "jgz").get("/v1/referrals", &token).is_err(), "a new handshake fails altogether");
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_gateways_keys_succeed_each_other_and_what_they_signed_goes_on_verifying() {
    let app = TestApp::start().await;
    let (bank, anyone) = (Wire::of(&app, "kredietbank"), Wire::nobody(&app));
    let created = app.refer("gemeente-wassenaar", debts(), &["finance", "mental-health"]).await;
    let receipt = created.text_at("/receipt").unwrap();
    let keys = anyone.get("/oauth/jwks", None).await.body;
    let kids = |keys: &Value| -> Vec<String> {
        keys["keys"].as_array().unwrap().iter().map(|key| key["kid"].as_str().unwrap().to_owned()).collect()
    };
    assert_eq!(kids(&keys).len(), 3, "{keys}");
    assert!(!keys.to_string().contains("\"d\""), "public halves only");
    let said = jws::verified(receipt, &keys).unwrap();
    assert!(said.to_string().contains(created.text_at("/decision/id").unwrap()), "{said}");
    let complaints = json!([
        { "organisation": MUNICIPALITY, "contact": "klachten@gemeente-wassenaar.example" },
        { "organisation": KREDIETBANK, "contact": "klachten@kredietbank.example" },
    ]);
    assert_eq!(
        said["complaints"], complaints,
        "where a resident complains about both parties, and nothing else of them"
    );
    let (head, signature) = receipt.rsplit_once('.').unwrap();
    let forged = format!("{}.{signature}", head.replacen('J', "K", 2));
    assert_eq!(jws::verified(&forged, &keys), None);

    let app_keys = &app.app().credentials.keys;
    for purpose in [Purpose::Token, Purpose::Receipt] {
        assert!(app_keys.rotate(purpose, app.app().now()).await.unwrap().is_some());
    }
    let overlapping = anyone.get("/oauth/jwks", None).await.body;
    assert_eq!(kids(&overlapping).len(), 5, "successors are published before they sign: {overlapping}");
    app.app().clock.advance(Duration::from_mins(9));
    let old = bank.token(KREDIETBANK).await;
    app.app().clock.advance(Duration::from_mins(2));
    let new = bank.token(KREDIETBANK).await;
    let both = anyone.get("/oauth/jwks", None).await.body;
    for token in [&old, &new] {
        assert!(jws::verified(token, &both).is_some(), "each verifies with the published keys");
        assert_eq!(bank.get("/v1/referrals", Some(token)).await.status, 200, "until it ends");
    }
    assert_ne!(old.split('.').next(), new.split('.').next(), "another key signs now");
    assert!(jws::verified(&new, &overlapping).is_some(), "whoever kept the set knows the new key already");
    app.app().clock.advance(Duration::from_mins(4));
    assert_eq!(bank.get("/v1/referrals", Some(&old)).await.status, 401, "ended");
    assert_eq!(bank.get("/v1/referrals", Some(&new)).await.status, 200);
    app.app().clock.advance(Duration::from_hours(1));
    let later = anyone.get("/oauth/jwks", None).await.body;
    assert_eq!(kids(&later).len(), 4, "the former token key is gone, the former receipt key stays");
    assert!(jws::verified(receipt, &later).is_some());
    let fresh = app.refer("gemeente-wassenaar", debts(), &["finance"]).await;
    assert!(jws::verified(fresh.text_at("/receipt").unwrap(), &later).is_some());
    app.finish().await;
}

/// A certificate for an OIN that nobody known here issued.
fn stranger(oin: &str) -> Identity {
    let key = KeyPair::generate().unwrap();
    let mut params = CertificateParams::default();
    params.distinguished_name.push(DnType::from_oid(&[2, 5, 4, 5]), oin);
    let certificate = params.self_signed(&key).unwrap().pem().into_bytes();
    Identity { certificate, key: key.serialize_pem().into_bytes().into() }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_handshake_takes_tls_1_3_and_known_authorities_only_and_resumes_nothing() {
    let app = TestApp::start().await;
    let identity = app.world().identity("kredietbank").unwrap();
    let ask = "GET /v1/openapi.json HTTP/1.1\r\nHost: localhost\r\n\r\n";
    let with =
        |identity, version| Connection::open(&app, &settings(&app, identity, version)).and_then(|mut one| one.say(ask));
    assert_eq!(with(Some(identity), &rustls::version::TLS13).unwrap().0, 200);
    assert_eq!(with(None, &rustls::version::TLS13).unwrap().0, 200);
    assert!(with(Some(identity), &rustls::version::TLS12).is_err());
    assert!(with(None, &rustls::version::TLS12).is_err(), "not even the public documents");
    let stranger = stranger(KREDIETBANK);
    assert!(with(Some(&stranger), &rustls::version::TLS13).is_err());
    let server = Identity {
        certificate: std::fs::read(app.folder.join("server.pem")).unwrap(),
        key: std::fs::read(app.folder.join("server-key.pem")).unwrap().into(),
    };
    assert!(with(Some(&server), &rustls::version::TLS13).is_err(), "of the right authority, but not for clients");

    let shared = settings(&app, Some(identity), &rustls::version::TLS13);
    for _ in 0..2 {
        let mut one = Connection::open(&app, &shared).unwrap();
        assert_eq!(one.say(ask).unwrap().0, 200);
        assert_eq!(one.tls().handshake_kind(), Some(rustls::HandshakeKind::Full));
        assert_eq!(one.tls().tls13_tickets_received(), 0);
    }
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_named_clients_have_the_rights_of_their_role_and_no_others() {
    let app = TestApp::start().await;
    let created = app.refer("gemeente-wassenaar", debts(), &["finance"]).await;
    let sections = format!("{}/sections", created.headers["location"]);
    assert_eq!(app.get("kredietbank", &sections).await.status, 200);
    for role in ["privacy-officer", "monitor", "administrator"] {
        for path in ["/v1/referrals", "/v1/events", "/v1/subscriptions", sections.as_str()] {
            let answer = app.get(role, path).await;
            if role == "privacy-officer" && ["/v1/events", "/v1/subscriptions"].contains(&path) {
                assert_eq!(
                    (answer.status, &answer.body["items"]),
                    (200, &json!([])),
                    "what is told to it: nothing yet"
                );
            } else {
                assert_eq!(answer.body["code"], "insufficient-scope", "{role} {path}");
            }
        }
        // The covenant's privacy officer reads consents; nobody but a main client records them.
        let consents = app.get(role, "/v1/consents").await;
        assert_eq!(consents.status, if role == "privacy-officer" { 200 } else { 403 }, "{role}");
        let recorded =
            app.post(role, "/v1/consents", consent(&app, KREDIETBANK, "debt-counselling", &["finance"])).await;
        assert_eq!(recorded.body["code"], "insufficient-scope", "{role}");
        assert_eq!(app.get(role, "/v1/organisations").await.status, 200, "{role}");
    }
    let publish = |who: &'static str| app.post(who, "/v1/covenants", json!({ "files": { "covenant.toml": "" } }));
    for (who, status) in [
        ("monitor", 403),
        ("gemeente-wassenaar", 403),
        ("kredietbank", 403),
        ("privacy-officer", 400),
        ("administrator", 400),
    ] {
        let answer = publish(who).await;
        assert_eq!(answer.status, status, "{who} {}", answer.text);
    }
    let owners = async |who: &str| {
        let page = app.get(who, "/v1/audit/records?limit=1000").await;
        let items = page.body["items"].as_array().unwrap().iter();
        items
            .map(|record| record["organisation"].as_str().unwrap().to_owned())
            .collect::<std::collections::BTreeSet<_>>()
    };
    assert!(owners("privacy-officer").await.len() >= 6, "all organisations");
    for who in ["gemeente-wassenaar", "monitor", "administrator"] {
        assert_eq!(owners(who).await.into_iter().collect::<Vec<_>>(), [MUNICIPALITY], "{who}");
        let foreign = app.get(who, format!("/v1/audit/records?organisation={KREDIETBANK}")).await;
        assert_eq!(foreign.body["items"], json!([]), "{who}");
    }
    // The certificate of a role is no certificate of the organisation's main client, and the other way round.
    let monitor = Wire::of(&app, "monitor");
    let fields = [("grant_type", "client_credentials"), ("client_id", MUNICIPALITY)];
    assert_eq!(monitor.form("/oauth/token", &fields).await.body["error"], "invalid_client");
    let token = app.world().client("gemeente-wassenaar").unwrap().token(None).await.unwrap();
    assert_eq!(monitor.get("/v1/referrals", Some(&token)).await.code(), "token-binding");
    app.finish().await;
}

/// Publishes a version that nobody has signed; gives its digest.
pub async fn new_version(app: &mut TestApp, version: &str) -> String {
    let publication = Publication { version: version.to_owned(), in_force_after_days: 1 };
    let publish = Action::PublishCovenant(publication);
    let (answer, _) = governance::take("privacy-officer", &publish, &mut app.house.world).await.unwrap();
    assert_eq!(answer.status, 201, "{}", answer.text);
    answer.text_at("/digest").unwrap().to_owned()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn only_a_partys_main_certificate_signs_a_covenant_and_once() {
    let mut app = TestApp::start().await;
    let digest = new_version(&mut app, "2026.2").await;
    let path = "/v1/covenants/2026.2/signatures";
    let by = |who: &str| jws::detached(digest.as_bytes(), app.world().identity(who).unwrap()).unwrap();
    let send = async |who: &str, jws: String| app.post(who, path, json!({ "jws": jws })).await;
    let refused = |answer: &Answer| {
        assert_eq!(
            (answer.status, answer.text_at("/invalidParams/0/code")),
            (400, Some("signature")),
            "{}",
            answer.text
        );
    };
    for (who, jws, why) in [
        ("monitor", by("monitor"), "a role does not bind the organisation, over its own connection"),
        ("privacy-officer", by("privacy-officer"), "nor this one"),
        ("gemeente-wassenaar", by("monitor"), "nor over the main client's"),
        ("monitor", by("kredietbank"), "somebody else's"),
        ("smow", by("kredietbank"), "somebody else's"),
        ("smow", jws::detached(b"sha-256:0000", app.world().identity("smow").unwrap()).unwrap(), "another digest"),
        ("smow", jws::detached(digest.as_bytes(), &stranger(SMOW)).unwrap(), "a certificate of nobody here"),
        ("smow", "e30..AAAA".to_owned(), "no algorithm"),
    ] {
        let answer = send(who, jws).await;
        assert_eq!(answer.status, 400, "{why}: {}", answer.text);
        refused(&answer);
    }
    let whole = send("smow", by("smow").replacen("..", ".e30.", 1)).await;
    assert_eq!((whole.status, whole.text_at("/invalidParams/0/name")), (400, Some("jws")), "a payload of its own");
    let listed = app.get("smow", path).await;
    assert_eq!(listed.body["items"], json!([]), "nothing of it counts");

    let signed = send("smow", by("smow")).await;
    assert_eq!(signed.status, 201, "{}", signed.text);
    let again = send("smow", by("smow")).await;
    assert_eq!((again.status, &again.body["code"]), (409, &json!("already-exists")));
    let listed = app.get("kredietbank", path).await;
    assert_eq!(listed.body["items"].as_array().unwrap().len(), 1);
    assert_eq!(listed.body["items"][0]["organisation"], SMOW);
    assert_eq!(send("smow", by("smow")).await.status, 409);
    assert_eq!(app.post("smow", "/v1/covenants/1999.1/signatures", json!({ "jws": by("smow") })).await.status, 404);

    // A revoked certificate's key signs no more, also when another certificate opens the connection.
    let certificates = format!("/v1/organisations/{KREDIETBANK}/certificates");
    let serial = app.get("kredietbank", &certificates).await.text_at("/items/0/serial").unwrap().to_owned();
    let key = governance::new_key().unwrap();
    let csr = governance::signing_request(&key, "Kredietbank", &[]).unwrap();
    let renewed = app.post("kredietbank", &certificates, json!({ "csr": csr })).await;
    let identity = Identity { certificate: renewed.text_at("/certificate").unwrap().into(), key };
    let former = by("kredietbank");
    let revoked = json!({ "reasonCode": "key-compromise" });
    let revoked = app.post("administrator", format!("{certificates}/{serial}/revocations"), revoked).await;
    assert_eq!(revoked.status, 201, "{}", revoked.text);
    app.house.world.admit("kredietbank", identity).unwrap();
    refused(&app.post("kredietbank", path, json!({ "jws": former })).await);
    let jws = jws::detached(digest.as_bytes(), app.world().identity("kredietbank").unwrap()).unwrap();
    assert_eq!(app.post("kredietbank", path, json!({ "jws": jws })).await.status, 201);
    app.finish().await;
}
