//! Sections that only their recipient can read, as the partners' systems of the scenarios make and open them.
//!
//! Invariant: each system keeps its own private key; a sender knows its recipient's certificate from the recipient, and of what the gateway answers
//! it believes nothing but what that certificate signed.

use std::time::Duration;

use reqwest::Method;
use serde_json::{Value, json};

use super::client::{Answer, Request};
use super::requests::oin;
use super::scenario::Handover;
use super::world::{PlayError, World, refused};
use crate::encryption::{Curve, EncryptError, KeyError, KeySet, KeySetError, Label, PrivateKey, Trust, TrustError};
use crate::encryption::{decrypt, encrypt};
use crate::ids::{Entropy, Oin};
use crate::organisations::credentials::jose::{JoseError, SigningKey};

/// How long a set of the scenarios holds.
const LIFETIME: Duration = Duration::from_hours(24 * 90);

/// Why a partner's system could not encrypt, or publish a key.
#[derive(Debug, thiserror::Error)]
pub enum EnvelopeError {
    /// Its own key.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// The key of its certificate.
    #[error(transparent)]
    Signing(#[from] JoseError),
    /// The key set of the other party.
    #[error(transparent)]
    Set(#[from] KeySetError),
    /// The certificate of the other party.
    #[error(transparent)]
    Trust(#[from] TrustError),
    /// The section.
    #[error(transparent)]
    Encrypt(#[from] EncryptError),
    /// A party or a code that the covenant does not know.
    #[error("{0} is no party, category or purpose of the covenant")]
    Unnamed(String),
}

/// Makes a key for a party's system and publishes it.
///
/// # Errors
/// When no key can be made, or no answer comes.
pub async fn publish(who: &str, world: &mut World) -> Result<Answer, PlayError> {
    let owner = party(world, who)?;
    let now = world.clock().now();
    let key = PrivateKey::generate(&format!("{who}-{}", now.as_seconds()), Curve::P256).map_err(EnvelopeError::from)?;
    let identity = world.identity(who)?;
    let signing = SigningKey::from_pem(&identity.key).map_err(EnvelopeError::from)?;
    let set = KeySet::sign(&owner, &[key.public_jwk()], &signing, &identity.certificate, now, LIFETIME);
    let request = Request::post(format!("/v1/organisations/{owner}/keys"), set.map_err(EnvelopeError::from)?);
    let answer = world.ask(who, Request { method: Method::PUT, ..request }).await?;
    world.keep_key(who, key);
    Ok(answer)
}

/// Puts what the sender encrypts in the place of what would go in clear.
///
/// # Errors
/// When the recipient's key is not to be believed, or no answer comes.
pub async fn seal(who: &str, handover: &Handover, body: &mut Value, world: &World) -> Result<(), PlayError> {
    if handover.encrypted.is_empty() {
        return Ok(());
    }
    let (sender, recipient) = (party(world, who)?, party(world, &handover.to)?);
    let now = world.clock().now();
    let answer = world.ask(who, Request::get(format!("/v1/organisations/{recipient}/keys"))).await?;
    if answer.status != 200 {
        return Err(refused("the keys of the recipient", &answer));
    }
    let trust = Trust::pinned(&world.identity(&handover.to)?.certificate).map_err(EnvelopeError::from)?;
    let keys = KeySet::verified(&answer.body, &recipient, &trust, now).map_err(EnvelopeError::from)?;
    let key = keys.current(now).map_err(EnvelopeError::from)?;
    for section in body.pointer_mut("/sections").and_then(Value::as_array_mut).into_iter().flatten() {
        let category = section.get("category").and_then(Value::as_str).unwrap_or_default().to_owned();
        if !handover.encrypted.contains(&category) {
            continue;
        }
        let label = label(&sender, &recipient, &category, &handover.purpose)?;
        let content = section.get("content").map(Value::to_string).unwrap_or_default();
        let jwe = encrypt(content.as_bytes(), &label, key, &Entropy::system(), now).map_err(EnvelopeError::from)?;
        *section = json!({ "category": category, "jwe": jwe });
    }
    Ok(())
}

/// Opens the sections of an answer that the reader's own system can open; the others stay as they are.
pub fn open(who: &str, (sender, recipient, purpose): (&str, &str, &str), body: &mut Value, world: &World) {
    let (Ok(sender), Ok(recipient)) = (party(world, sender), party(world, recipient)) else { return };
    for section in body.pointer_mut("/sections").and_then(Value::as_array_mut).into_iter().flatten() {
        let category = section.get("category").and_then(Value::as_str).unwrap_or_default();
        let Ok(label) = label(&sender, &recipient, category, purpose) else { continue };
        let Some(jwe) = section.get("jwe").and_then(Value::as_str) else { continue };
        let opened = decrypt(jwe, &label, world.keys_of(who)).ok();
        let content = opened.and_then(|opened| serde_json::from_slice::<Value>(&opened.content).ok());
        if let (Some(content), Value::Object(members)) = (content, section) {
            members.remove("jwe");
            members.insert("content".to_owned(), content);
        }
    }
}

fn party(world: &World, who: &str) -> Result<Oin, EnvelopeError> {
    oin(world.words(), who).parse().map_err(|_| EnvelopeError::Unnamed(who.to_owned()))
}

fn label(sender: &Oin, recipient: &Oin, category: &str, purpose: &str) -> Result<Label, EnvelopeError> {
    Ok(Label {
        sender: sender.clone(),
        recipient: recipient.clone(),
        category: category.parse().map_err(|_| EnvelopeError::Unnamed(category.to_owned()))?,
        purpose: purpose.parse().map_err(|_| EnvelopeError::Unnamed(purpose.to_owned()))?,
    })
}
