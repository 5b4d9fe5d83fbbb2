//! Signing keys take over from each other without a moment in which anyone is left out.

use std::time::Duration;

use super::*;
use crate::organisations::credentials::keys::{KeyKeeper, OVERLAP};
use crate::organisations::credentials::{KeyRing, Purpose};

fn published(ring: &KeyRing, now: Timestamp) -> Vec<String> {
    let set = ring.published(now);
    set["keys"].as_array().unwrap().iter().map(|key| key["kid"].as_str().unwrap().to_owned()).collect()
}

async fn ring(world: &World) -> std::sync::Arc<KeyRing> {
    world.credentials.keys.ring(world.now()).await.unwrap()
}

#[actix_web::test]
async fn the_first_start_makes_one_key_for_each_purpose_and_later_ones_none() {
    let world = World::new().await;
    let first = published(&*ring(&world).await, world.now());
    assert_eq!(first.len(), 3);
    let again =
        KeyKeeper::open(world.db.clone(), world.sealer.clone(), 5 * MINUTE, Duration::from_hours(2_160), world.now());
    assert_eq!(published(&again.await.unwrap().ring(world.now()).await.unwrap(), world.now()), first);
}

#[actix_web::test]
async fn a_new_key_is_published_before_it_signs_and_the_old_one_until_its_tokens_have_ended() {
    let world = World::new().await;
    let party = world.party(KREDIETBANK, None).await;
    let old = ring(&world).await.signing(Purpose::Token, world.now()).unwrap().key_id().to_owned();
    let new = world.credentials.keys.rotate(Purpose::Token, world.now()).await.unwrap().unwrap();
    assert_eq!(world.credentials.keys.rotate(Purpose::Token, world.now()).await.unwrap(), None, "one waits already");
    let now = ring(&world).await;
    assert!(published(&now, world.now()).contains(&new), "published at once");
    assert_eq!(now.signing(Purpose::Token, world.now()).unwrap().key_id(), old, "does not sign yet");
    assert!(now.for_token(&new, world.now()).is_none(), "and is not believed yet");

    world.clock.advance(OVERLAP.saturating_sub(Duration::from_secs(1)));
    let last = world.bearer(&party).await;
    world.clock.advance(Duration::from_secs(2));
    let after = ring(&world).await;
    assert_eq!(after.signing(Purpose::Token, world.now()).unwrap().key_id(), new);
    assert_eq!(world.outcome(Some(&party.peer), Some(&last)).await, "ok", "the old key's last token");
    assert!(published(&after, world.now()).contains(&old));
    world.clock.advance(Duration::from_secs(320));
    let later = ring(&world).await;
    assert!(later.for_token(&old, world.now()).is_none());
    assert!(!published(&later, world.now()).contains(&old));
    assert_eq!(world.outcome(Some(&party.peer), Some(&last)).await, "token-invalid");
}

#[actix_web::test]
async fn receipts_verify_with_the_published_keys_years_later() {
    use crate::organisations::credentials::jose::{Jws, VerifyingKey};
    let world = World::new().await;
    let receipt = ring(&world).await.sign_receipt(&serde_json::json!({"referral": "1"}), world.now()).unwrap();
    for _ in 0..3 {
        world.credentials.keys.rotate(Purpose::Receipt, world.now()).await.unwrap().unwrap();
        world.clock.advance(Duration::from_hours(24 * 365));
    }
    let set = ring(&world).await.published(world.now());
    let jws = Jws::parse(&receipt).unwrap();
    let key = set["keys"].as_array().unwrap().iter().find(|key| key["kid"].as_str() == jws.header().key_id.as_deref());
    assert!(jws.verify(&VerifyingKey::from_jwk(key.unwrap()).unwrap()).is_ok());
}

#[actix_web::test]
async fn keys_succeed_each_other_by_age_without_anyone_asking() {
    let world = World::new().await;
    let old = ring(&world).await.signing(Purpose::Checkpoint, world.now()).unwrap().key_id().to_owned();
    world.clock.advance(Duration::from_hours(24 * 90));
    let aged = ring(&world).await;
    assert_eq!(aged.signing(Purpose::Checkpoint, world.now()).unwrap().key_id(), old);
    world.clock.advance(OVERLAP);
    assert_ne!(ring(&world).await.signing(Purpose::Checkpoint, world.now()).unwrap().key_id(), old);
}

#[actix_web::test]
async fn private_keys_are_sealed_to_their_row_and_to_this_gateway() {
    let world = World::new().await;
    let stranger = Sealer::new(Key::generate(&Entropy::system()).unwrap(), vec![], Entropy::system());
    let opened = KeyKeeper::open(world.db.clone(), stranger, MINUTE, 100 * MINUTE, world.now());
    assert!(opened.await.is_err(), "another key-encryption key");
    let swapped = world.db.write("swap", async move |tx: &mut Tx| {
        let sql = "UPDATE gateway_keys SET private_key = (SELECT k.private_key FROM gateway_keys k WHERE k.purpose = 'receipt') \
                   WHERE purpose = 'token'";
        Ok(tx.execute(sql, crate::args![]).await?)
    });
    assert_eq!(swapped.await.unwrap(), 1);
    let opened = KeyKeeper::open(world.db.clone(), world.sealer.clone(), MINUTE, 100 * MINUTE, world.now());
    assert!(opened.await.is_err(), "a key in another row");
}
