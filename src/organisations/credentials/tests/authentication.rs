//! Every way in which a request must not get in, and that taking something back works at the next request.

use std::time::Duration;

use rcgen::{CertificateParams, DnType, KeyPair};

use super::*;
use crate::organisations::credentials::Purpose;
use crate::organisations::credentials::certificate::VouchedBy;
use crate::problem::Code;

#[actix_web::test]
async fn a_certificate_and_a_token_bound_to_it_let_a_client_in() {
    let world = World::new().await;
    let party = world.party(KREDIETBANK, None).await;
    let token = world.bearer(&party).await;
    let caller = world.credentials.authenticate(Some(&party.peer), Some(&token), world.now()).await.unwrap();
    assert_eq!(caller.organisation.as_str(), KREDIETBANK);
    assert_eq!(caller.client_id, KREDIETBANK);
    assert!(
        caller.has_scope("referrals") && !caller.has_scope("audit:read") && !caller.has_scope("organisations:write")
    );
    // Verified before, and still verified now.
    assert_eq!(world.outcome(Some(&party.peer), Some(&token)).await, "ok");
}

#[actix_web::test]
async fn without_certificate_or_token_nobody_gets_in() {
    let world = World::new().await;
    let party = world.party(KREDIETBANK, None).await;
    let token = world.bearer(&party).await;
    assert_eq!(world.outcome(None, Some(&token)).await, "client-certificate-required");
    assert_eq!(world.outcome(None, None).await, "client-certificate-required");
    let bare = token.strip_prefix("Bearer ").unwrap();
    for header in [None, Some(""), Some("Bearer"), Some("Bearer "), Some(bare), Some("Basic YTpi")] {
        assert_eq!(world.outcome(Some(&party.peer), header).await, "token-required", "{header:?}");
    }
}

#[actix_web::test]
async fn an_unknown_certificate_does_not_get_in_even_with_a_good_token() {
    let world = World::new().await;
    let party = world.party(KREDIETBANK, None).await;
    let token = world.bearer(&party).await;
    let mut params = CertificateParams::default();
    params.distinguished_name.push(DnType::from_oid(&[2, 5, 4, 5]), KREDIETBANK);
    let own = params.self_signed(&KeyPair::generate().unwrap()).unwrap();
    let mut stranger = world.credentials.anchors.identify(own.der()).unwrap();
    assert_eq!(stranger.vouched_by, None, "nobody signed it");
    assert_eq!(world.outcome(Some(&stranger), Some(&token)).await, "certificate-unknown");
    stranger.vouched_by = Some(VouchedBy::Gateway);
    assert_eq!(
        world.outcome(Some(&stranger), Some(&token)).await,
        "certificate-unknown",
        "the gateway never issued it"
    );
    stranger.vouched_by = Some(VouchedBy::Anchor("unheard-of".into()));
    assert_eq!(world.outcome(Some(&stranger), Some(&token)).await, "certificate-unknown");
    assert!(world.credentials.anchors.identify(b"not a certificate").is_err());
}

#[actix_web::test]
async fn a_revoked_certificate_stops_at_the_next_request_and_its_neighbour_goes_on() {
    let world = World::new().await;
    let (old, renewed) = (world.party(KREDIETBANK, None).await, world.party(KREDIETBANK, None).await);
    let (old_token, token) = (world.bearer(&old).await, world.bearer(&renewed).await);
    assert_eq!(world.outcome(Some(&old.peer), Some(&old_token)).await, "ok");
    assert_eq!(world.outcome(Some(&renewed.peer), Some(&token)).await, "ok", "both hold: a renewal overlaps");
    world.revoke(&old.record.serial).await;
    assert_eq!(world.outcome(Some(&old.peer), Some(&old_token)).await, "certificate-revoked");
    assert_eq!(world.outcome(Some(&renewed.peer), Some(&token)).await, "ok");
}

#[actix_web::test]
async fn a_certificate_that_ends_during_a_connection_stops_there() {
    let world = World::new().await;
    let party = world.party(KREDIETBANK, None).await;
    world.clock.advance(Duration::from_hours(24 * 365) + Duration::from_secs(2));
    assert_eq!(world.outcome(Some(&party.peer), None).await, "certificate-expired");
    let early =
        PeerCertificate { not_before: world.now().plus(MINUTE), not_after: world.now().plus(MINUTE), ..party.peer };
    assert_eq!(world.outcome(Some(&early), None).await, "certificate-expired");
}

#[actix_web::test]
async fn a_suspended_organisation_is_out_at_once_and_in_again_when_resumed_but_a_retired_one_never() {
    let world = World::new().await;
    let party = world.party(KREDIETBANK, None).await;
    let token = world.bearer(&party).await;
    world.set_status(KREDIETBANK, Status::Suspended).await;
    assert_eq!(world.outcome(Some(&party.peer), Some(&token)).await, "organisation-suspended");
    world.set_status(KREDIETBANK, Status::Active).await;
    assert_eq!(world.outcome(Some(&party.peer), Some(&token)).await, "ok");
    world.set_status(KREDIETBANK, Status::Retired).await;
    assert_eq!(world.outcome(Some(&party.peer), Some(&token)).await, "organisation-retired");
}

#[actix_web::test]
async fn a_token_is_worth_nothing_over_another_certificate() {
    let world = World::new().await;
    let (party, other) = (world.party(KREDIETBANK, None).await, world.party(MUNICIPALITY, None).await);
    let token = world.bearer(&party).await;
    assert_eq!(world.outcome(Some(&other.peer), Some(&token)).await, "token-binding");
    let renewed = world.party(KREDIETBANK, None).await;
    assert_eq!(
        world.outcome(Some(&renewed.peer), Some(&token)).await,
        "token-binding",
        "not even the owner's other one"
    );
}

#[actix_web::test]
async fn a_token_ends_and_does_not_begin_early() {
    let world = World::new().await;
    let party = world.party(KREDIETBANK, None).await;
    let token = world.bearer(&party).await;
    let at = async |moment| {
        let outcome = world.credentials.authenticate(Some(&party.peer), Some(&token), moment).await;
        outcome.map(drop).map_err(|problem| problem.code())
    };
    assert_eq!(at(world.now().plus(Duration::from_secs(290))).await, Ok(()));
    assert_eq!(at(world.now().plus(Duration::from_secs(310))).await, Err(Code::TokenInvalid));
    assert_eq!(at(world.now().minus(MINUTE)).await, Err(Code::TokenInvalid));
}

#[actix_web::test]
async fn a_token_that_was_touched_or_made_elsewhere_is_refused() {
    let world = World::new().await;
    let party = world.party(KREDIETBANK, None).await;
    let token = world.bearer(&party).await;
    let ring = world.credentials.keys.ring(world.now()).await.unwrap();
    let claims = claims(&token);
    let sign = |purpose, kind: &str, claims: &Value| {
        format!("Bearer {}", ring.sign(purpose, kind, claims.to_string().as_bytes(), world.now()).unwrap())
    };
    assert_eq!(world.outcome(Some(&party.peer), Some(&sign(Purpose::Token, "at+jwt", &claims))).await, "ok");
    let changed = |name: &str, value: Value| {
        let mut claims = claims.clone();
        claims[name] = value;
        sign(Purpose::Token, "at+jwt", &claims)
    };
    let without = |name: &str| {
        let mut claims = claims.clone();
        claims.as_object_mut().unwrap().remove(name);
        sign(Purpose::Token, "at+jwt", &claims)
    };
    let mut refused = vec![
        sign(Purpose::Token, "JWT", &claims),
        sign(Purpose::Receipt, "at+jwt", &claims),
        sign(Purpose::Checkpoint, "at+jwt", &claims),
        changed("iss", "https://elsewhere.example".into()),
        changed("aud", "https://elsewhere.example".into()),
        changed("aud", serde_json::json!(["https://gateway.example"])),
        changed("sub", MUNICIPALITY.into()),
        changed("scope", "everything".into()),
        changed("exp", 0.into()),
        changed("nbf", i64::MAX.into()),
        changed("iat", i64::MAX.into()),
        format!("{token}x"),
        token.replacen("Bearer e", "Bearer f", 1),
        "Bearer a.b.c".to_owned(),
    ];
    refused.extend(["iss", "azp", "sub", "aud", "exp", "iat", "nbf", "jti", "scope", "cnf"].map(without));
    for token in refused {
        assert_eq!(world.outcome(Some(&party.peer), Some(&token)).await, "token-invalid", "{token}");
    }
}

#[actix_web::test]
async fn scopes_that_were_taken_away_are_gone_from_tokens_in_use() {
    let world = World::new().await;
    let party = world.party(KREDIETBANK, None).await;
    let token = world.bearer(&party).await;
    let taken = world.db.write("take-scope", async move |tx: &mut Tx| {
        Ok(tx.execute("UPDATE clients SET scopes = 'events' WHERE client_id = $1", crate::args![KREDIETBANK]).await?)
    });
    assert_eq!(taken.await.unwrap(), 1);
    let caller = world.credentials.authenticate(Some(&party.peer), Some(&token), world.now()).await.unwrap();
    assert_eq!(caller.scopes.into_iter().collect::<Vec<_>>(), ["events"]);
    let closed = world.db.write("close-client", async move |tx: &mut Tx| {
        Ok(tx.execute("UPDATE clients SET status = 'inactive' WHERE client_id = $1", crate::args![KREDIETBANK]).await?)
    });
    closed.await.unwrap();
    assert_eq!(world.outcome(Some(&party.peer), Some(&token)).await, "certificate-unknown");
}

#[actix_web::test]
async fn a_named_client_has_the_scopes_of_its_role_and_no_others() {
    let world = World::new().await;
    let officer = world.party(MUNICIPALITY, Some(Role::PrivacyOfficer)).await;
    let token = world.bearer(&officer).await;
    let caller = world.credentials.authenticate(Some(&officer.peer), Some(&token), world.now()).await.unwrap();
    assert_eq!(caller.client_id, "00000099000000001000-privacy-officer");
    assert_eq!(caller.organisation.as_str(), MUNICIPALITY);
    let scopes: Vec<_> = caller.scopes.iter().map(String::as_str).collect();
    assert_eq!(scopes, ["access-reports", "audit:read", "covenants", "events", "organisations:read", "reviews"]);
}

#[test]
fn every_401_carries_a_challenge() {
    for code in Code::ALL {
        let challenge = super::super::challenge(*code);
        assert_eq!(challenge.is_some(), code.status() == 401 || *code == Code::InsufficientScope, "{code:?}");
    }
}
