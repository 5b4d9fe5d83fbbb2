//! The authorization server: whom it gives no token, and what it says about tokens to whom.

use std::time::Duration;

use base64::Engine as _;
use serde_json::json;

use super::*;
use crate::organisations::credentials::assertions::ASSERTION_TYPE;
use crate::organisations::credentials::jose::SigningKey;
use crate::organisations::credentials::oauth::{Form, OauthError};

async fn ask(world: &World, party: Option<&Party>, fields: &[(&str, &str)]) -> Result<String, OauthError> {
    let mut form = url::form_urlencoded::Serializer::new(String::new());
    form.extend_pairs(fields);
    let form = Form::parse(form.finish().as_bytes())?;
    let grant = world.credentials.grant(party.map(|party| &party.peer), &form, world.now()).await?;
    assert_eq!(grant.token_type, "Bearer");
    assert_eq!(grant.expires_in, 300);
    Ok(grant.access_token)
}

async fn refusal(world: &World, party: Option<&Party>, fields: &[(&str, &str)]) -> &'static str {
    ask(world, party, fields).await.unwrap_err().error
}

const GRANT: (&str, &str) = ("grant_type", "client_credentials");
const CLIENT: (&str, &str) = ("client_id", KREDIETBANK);

#[actix_web::test]
async fn a_token_has_the_claims_of_the_profile() {
    let world = World::new().await;
    let party = world.party(KREDIETBANK, None).await;
    let token = ask(&world, Some(&party), &[GRANT, CLIENT, ("scope", "events referrals")]).await.unwrap();
    let claims = claims(&token);
    for name in ["azp", "sub", "client_id"] {
        assert_eq!(claims[name], KREDIETBANK);
    }
    assert_eq!(claims["iss"], "https://gateway.example");
    assert_eq!(claims["aud"], "https://gateway.example");
    assert_eq!(claims["scope"], "referrals events");
    assert_eq!(claims["exp"].as_i64().unwrap() - claims["iat"].as_i64().unwrap(), 300);
    assert_eq!(claims["cnf"]["x5t#S256"], party.record.thumbprint.as_str());
    assert!(uuid::Uuid::try_parse(claims["jti"].as_str().unwrap()).is_ok());
}

#[actix_web::test]
async fn a_malformed_or_foreign_request_gets_the_error_of_the_rfc() {
    let world = World::new().await;
    let party = world.party(KREDIETBANK, None).await;
    let party = Some(&party);
    assert_eq!(refusal(&world, party, &[CLIENT]).await, "invalid_request");
    assert_eq!(refusal(&world, party, &[GRANT]).await, "invalid_request", "tls_client_auth needs client_id");
    assert_eq!(refusal(&world, party, &[GRANT, CLIENT, CLIENT]).await, "invalid_request", "a field twice");
    assert_eq!(refusal(&world, party, &[("grant_type", "password"), CLIENT]).await, "unsupported_grant_type");
    assert_eq!(refusal(&world, party, &[GRANT, ("client_id", MUNICIPALITY)]).await, "invalid_client");
    assert_eq!(refusal(&world, party, &[GRANT, CLIENT, ("client_secret", "x")]).await, "invalid_client");
    assert_eq!(refusal(&world, party, &[GRANT, CLIENT, ("client_assertion", "a.b.c")]).await, "invalid_request");
    let other_type = [GRANT, CLIENT, ("client_assertion", "a.b.c"), ("client_assertion_type", "saml")];
    assert_eq!(refusal(&world, party, &other_type).await, "invalid_request");
    assert!(Form::parse(&vec![b'a'; 70_000]).is_err());
}

#[actix_web::test]
async fn scopes_beyond_those_of_the_client_are_refused() {
    let world = World::new().await;
    let party = world.party(KREDIETBANK, None).await;
    for scope in ["audit:read", "referrals audit:read", "organisations:write", "unheard-of", "REFERRALS", " "] {
        assert_eq!(refusal(&world, Some(&party), &[GRANT, CLIENT, ("scope", scope)]).await, "invalid_scope", "{scope}");
    }
    let all = ask(&world, Some(&party), &[GRANT, CLIENT]).await.unwrap();
    assert_eq!(claims(&all)["scope"], "referrals consents events organisations:read access-reports");
}

#[actix_web::test]
async fn no_token_without_an_accepted_certificate() {
    let world = World::new().await;
    let party = world.party(KREDIETBANK, None).await;
    let code =
        async |party| ask(&world, party, &[GRANT, CLIENT]).await.map(drop).map_err(|error| (error.status, error.code));
    assert_eq!(code(None).await, Err((401, Some("client-certificate-required"))));
    world.set_status(KREDIETBANK, Status::Suspended).await;
    assert_eq!(code(Some(&party)).await, Err((401, Some("organisation-suspended"))));
    world.set_status(KREDIETBANK, Status::Active).await;
    world.revoke(&party.record.serial).await;
    assert_eq!(code(Some(&party)).await, Err((401, Some("certificate-revoked"))));
}

/// An assertion with everything as it should be, for changing.
fn assertion(world: &World) -> Value {
    let now = world.now().as_seconds();
    json!({"iss": KREDIETBANK, "sub": KREDIETBANK, "aud": "https://gateway.example/oauth/token",
        "jti": uuid::Uuid::now_v7().to_string(), "iat": now, "exp": now + 60})
}

async fn assert_with(world: &World, party: &Party, jws: &str) -> Result<String, OauthError> {
    ask(world, Some(party), &[GRANT, CLIENT, ("client_assertion_type", ASSERTION_TYPE), ("client_assertion", jws)])
        .await
}

fn key_of(party: &Party) -> SigningKey {
    SigningKey::from_pem(party.key.serialize_pem().as_bytes()).unwrap()
}

#[actix_web::test]
async fn an_assertion_counts_once() {
    let world = World::new().await;
    let party = world.party(KREDIETBANK, None).await;
    let jws = key_of(&party).sign("JWT", assertion(&world).to_string().as_bytes()).unwrap();
    let token = assert_with(&world, &party, &jws).await.unwrap();
    assert_eq!(claims(&token)["cnf"]["x5t#S256"], party.record.thumbprint.as_str());
    assert_eq!(assert_with(&world, &party, &jws).await.unwrap_err().error, "invalid_client", "replayed");
    world.clock.advance(Duration::from_secs(65));
    assert_eq!(
        assert_with(&world, &party, &jws).await.unwrap_err().error,
        "invalid_client",
        "replayed at its very end"
    );
}

#[actix_web::test]
async fn concurrent_replays_of_one_assertion_give_one_token() {
    let world = World::new().await;
    let party = world.party(KREDIETBANK, None).await;
    let jws = key_of(&party).sign("JWT", assertion(&world).to_string().as_bytes()).unwrap();
    let outcomes = futures_util::future::join_all((0..20).map(|_| assert_with(&world, &party, &jws))).await;
    assert_eq!(outcomes.iter().filter(|outcome| outcome.is_ok()).count(), 1);
}

#[actix_web::test]
async fn an_assertion_with_wrong_claims_is_refused() {
    let world = World::new().await;
    let party = world.party(KREDIETBANK, None).await;
    let key = key_of(&party);
    let now = world.now().as_seconds();
    let accepted = async |claims: Value| {
        assert_with(&world, &party, &key.sign("JWT", claims.to_string().as_bytes()).unwrap()).await.is_ok()
    };
    let with = |name: &str, value: Value| {
        let mut claims = assertion(&world);
        claims[name] = value;
        claims
    };
    assert!(accepted(with("aud", "https://gateway.example".into())).await, "the issuer is an audience too");
    assert!(accepted(with("iat", json!(now - 1))).await);
    for claims in [
        with("aud", "https://elsewhere.example".into()),
        with("aud", "https://gateway.example/".into()),
        with("aud", json!(["https://gateway.example", "https://elsewhere.example"])),
        with("aud", json!([])),
        with("aud", Value::Null),
        with("iss", MUNICIPALITY.into()),
        with("sub", MUNICIPALITY.into()),
        with("exp", json!(now - 60)),
        with("exp", json!(now + 3_600)),
        with("exp", json!(1e300)),
        with("exp", "soon".into()),
        with("iat", json!(now + 60)),
        with("iat", json!(now - 3_600)),
        with("nbf", json!(now + 60)),
        with("jti", "".into()),
        with("jti", "x".repeat(300).into()),
    ] {
        assert!(!accepted(claims.clone()).await, "{claims}");
    }
    for name in ["iss", "sub", "aud", "exp", "iat", "jti"] {
        let mut claims = assertion(&world);
        claims.as_object_mut().unwrap().remove(name);
        assert!(!accepted(claims).await, "without {name}");
    }
}

#[actix_web::test]
async fn an_assertion_by_another_key_or_algorithm_is_refused() {
    let world = World::new().await;
    let (party, other) = (world.party(KREDIETBANK, None).await, world.party(MUNICIPALITY, None).await);
    let claims = assertion(&world).to_string();
    let refused = async |jws: &str| assert_with(&world, &party, jws).await.unwrap_err().error;
    assert_eq!(refused(&key_of(&other).sign("JWT", claims.as_bytes()).unwrap()).await, "invalid_client");
    let named = json!({"typ": "JWT", "x5t#S256": other.record.thumbprint});
    assert_eq!(refused(&key_of(&other).sign_with(named, claims.as_bytes()).unwrap()).await, "invalid_client");
    let encode = |text: &str| base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(text);
    for header in [r#"{"alg":"none"}"#, r#"{"alg":"HS256"}"#, r#"{"alg":"RS256"}"#] {
        assert_eq!(refused(&format!("{}.{}.", encode(header), encode(&claims))).await, "invalid_client", "{header}");
        assert_eq!(
            refused(&format!("{}.{}.AAAA", encode(header), encode(&claims))).await,
            "invalid_client",
            "{header}"
        );
    }
}

#[actix_web::test]
async fn a_registered_key_or_an_own_certificate_signs_assertions_until_it_is_taken_back() {
    let world = World::new().await;
    let (party, second) = (world.party(KREDIETBANK, None).await, world.party(KREDIETBANK, None).await);
    let sign =
        |key: &SigningKey, header: Value| key.sign_with(header, assertion(&world).to_string().as_bytes()).unwrap();
    // The key of the organisation's other certificate, named by its thumbprint.
    let header = || json!({"typ": "JWT", "x5t#S256": second.record.thumbprint});
    assert!(assert_with(&world, &party, &sign(&key_of(&second), header())).await.is_ok());
    world.revoke(&second.record.serial).await;
    assert!(
        assert_with(&world, &party, &sign(&key_of(&second), header())).await.is_err(),
        "its certificate was revoked"
    );

    let registered =
        SigningKey::from_pem(KeyPair::generate_for(&rcgen::PKCS_ED25519).unwrap().serialize_pem().as_bytes()).unwrap();
    let named = || json!({"typ": "JWT", "kid": "assertions"});
    assert!(assert_with(&world, &party, &sign(&registered, named())).await.is_err(), "not registered yet");
    let set = json!({"keys": [registered.public().to_jwk("assertions")]});
    let organisation = KREDIETBANK.parse().ok();
    let actor = Actor { client_id: KREDIETBANK.into(), organisation, administers: false, ..world.operator() };
    let replaced = world.db.write("replace-keys", async move |tx: &mut Tx| {
        service::replace_keys(tx, &KREDIETBANK.parse().unwrap(), &set, 1, &actor, Timestamp::from_micros(0)).await
    });
    assert_eq!(replaced.await.unwrap(), 2);
    assert!(assert_with(&world, &party, &sign(&registered, named())).await.is_ok());
    assert!(assert_with(&world, &party, &sign(&registered, json!({"kid": "another"}))).await.is_err());
    let foreign = world.party(MUNICIPALITY, None).await;
    assert!(
        assert_with(&world, &foreign, &sign(&registered, named())).await.is_err(),
        "over somebody else's connection"
    );
}

#[actix_web::test]
async fn introspection_tells_an_organisation_about_its_own_tokens_only() {
    let world = World::new().await;
    let (party, other) = (world.party(KREDIETBANK, None).await, world.party(MUNICIPALITY, None).await);
    let token = ask(&world, Some(&party), &[GRANT, CLIENT]).await.unwrap();
    let look = async |party: &Party, token: &str| {
        let form = Form::parse(format!("token={token}").as_bytes()).unwrap();
        world.credentials.introspect(Some(&party.peer), &form, world.now()).await.unwrap()
    };
    let seen = look(&party, &token).await;
    assert_eq!(seen["active"], true);
    assert_eq!(seen["client_id"], KREDIETBANK);
    let inactive = json!({"active": false});
    assert_eq!(look(&other, &token).await, inactive);
    assert_eq!(look(&party, "nonsense").await, inactive);
    let form = Form::parse(format!("token={token}").as_bytes()).unwrap();
    assert_eq!(world.credentials.introspect(None, &form, world.now()).await.unwrap_err().status, 401);

    let revoke = async |party: &Party| {
        let form = Form::parse(format!("token={token}").as_bytes()).unwrap();
        world.credentials.revoke(Some(&party.peer), &form, world.now()).await.map_err(|error| error.error)
    };
    assert_eq!(revoke(&other).await, Err("unauthorized_client"));
    assert_eq!(world.outcome(Some(&party.peer), Some(&format!("Bearer {token}"))).await, "ok");
    assert_eq!(revoke(&party).await, Ok(()));
    assert_eq!(revoke(&party).await, Ok(()), "again is no error");
    assert_eq!(world.outcome(Some(&party.peer), Some(&format!("Bearer {token}"))).await, "token-revoked");
    assert_eq!(look(&party, &token).await, inactive);
}

#[actix_web::test]
async fn the_metadata_is_that_of_the_endpoints() {
    let world = World::new().await;
    let metadata = world.credentials.metadata();
    assert_eq!(metadata["issuer"], "https://gateway.example");
    assert_eq!(metadata["token_endpoint"], "https://gateway.example/oauth/token");
    assert_eq!(metadata["mtls_endpoint_aliases"]["token_endpoint"], "https://gateway.example/oauth/token");
    assert_eq!(metadata["tls_client_certificate_bound_access_tokens"], true);
    let algorithms = &metadata["token_endpoint_auth_signing_alg_values_supported"];
    assert_eq!(*algorithms, json!(["PS256", "ES256", "EdDSA"]));
}
