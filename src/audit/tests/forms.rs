//! The forms that are fixed for ever: commitments, leaves, notes; and what a recipient's record may say.

use crate::audit::checkpoint::*;
use crate::audit::commitment::{Salt, commit, leaf};
use crate::audit::merkle::{Hash, Head, empty_root, leaf_hash};
use crate::audit::record::leaf_of;
use crate::audit::tests::*;
use crate::clock::Timestamp;

#[test]
fn a_commitment_is_what_the_documentation_says() {
    let salt = Salt([7; 16]);
    let by_hand =
        [b"sluis audit field v1\n".as_slice(), &[7; 16], &[0, 0, 0, 7], b"purpose", &[1], &[0, 0, 0, 6], b"triage"]
            .concat();
    assert_eq!(commit(&salt, "purpose", Some("triage")), Hash::of(&by_hand));
    assert_ne!(commit(&salt, "purpose", Some("")), commit(&salt, "purpose", None), "empty is not absent");
    assert_ne!(commit(&Salt([8; 16]), "purpose", Some("triage")), Hash::of(&by_hand));
}

#[test]
fn the_worked_example_of_the_documentation_is_right() {
    let documentation = include_str!("../../../docs/audit.md");
    let salt = Salt(hex::decode("000102030405060708090a0b0c0d0e0f").unwrap().try_into().unwrap());
    let commitment = commit(&salt, "purpose", Some("debt-counselling"));
    assert!(documentation.contains(&commitment.to_string()), "{commitment}");
    let leaf = leaf([("purpose", commitment)].into_iter());
    assert!(documentation.contains(&leaf_hash(&leaf).to_string()), "{}", leaf_hash(&leaf));
    for field in Field::ALL {
        assert!(documentation.contains(&format!("`{}`", field.as_str())), "{} is not described", field.as_str());
    }
}

#[test]
fn the_fields_of_version_one_never_change() {
    let names = "id kind time organisation client_id request_id trace_id span_id parent_span_id action resource sender \
                 recipient purpose phase legal_basis processing_activity covenant_version policy_digest outcome \
                 sections consent_ids subject referral update_id decision consent status status_reason facts";
    let fields: Vec<&str> = Field::ALL.iter().map(|field| field.as_str()).collect();
    assert_eq!(fields, names.split_whitespace().collect::<Vec<_>>());
    assert!(Field::ALL.iter().enumerate().all(|(place, field)| *field as usize == place));
}

#[test]
fn every_field_of_a_record_changes_the_leaf() {
    let salts = [Salt([9; 16]); 30];
    let now = Timestamp::from_micros(1_795_219_200_123_456);
    let record = decision(uuid::Uuid::from_u128(1), now);
    let commitments = |values: &[Option<String>]| -> Vec<u8> {
        let fields = Field::ALL.iter().zip(salts).zip(values);
        fields.flat_map(|((field, salt), value)| *commit(&salt, field.as_str(), value.as_deref()).as_bytes()).collect()
    };
    let values = Field::ALL.map(|field| record.value(field));
    let original = leaf_of(&commitments(&values)).unwrap();
    assert_eq!(
        original.len(),
        b"sluis audit record v1\n".len() + 4 + 30 * 36 + Field::ALL.map(Field::as_str).concat().len()
    );
    for place in 0..values.len() {
        let mut changed = values.clone();
        changed[place] = Some("changed".into());
        assert_ne!(leaf_of(&commitments(&changed)).unwrap(), original, "{:?}", Field::ALL[place]);
    }
    assert_eq!(leaf_of(&commitments(&values)[1..]), None);
    assert_eq!(leaf_of(&[]), None);
}

#[test]
fn a_recipients_record_names_only_what_it_received() {
    let now = Timestamp::from_micros(1);
    let sent = decision(uuid::Uuid::from_u128(1), now);
    let received = sent
        .for_recipient(uuid::Uuid::from_u128(2), oin(RECIPIENT), Some("pseudonym-of-the-recipient".into()))
        .unwrap();
    let mut without = sent.clone();
    without.sections.retain(|section| section.effect == Effect::Permit);
    without.outcome = Some(Outcome::Permitted);
    let as_if_never_sent = without
        .for_recipient(uuid::Uuid::from_u128(2), oin(RECIPIENT), Some("pseudonym-of-the-recipient".into()))
        .unwrap();
    assert_eq!(received, as_if_never_sent, "what was withheld leaves no trace");
    let text = Field::ALL.iter().filter_map(|field| received.value(*field)).collect::<Vec<_>>().join(" ");
    for hidden in ["mental-health", "credit-bank-no-health", "minimised", "pseudonym-of-the-sender", "18-plus"] {
        assert!(!text.contains(hidden), "{hidden}");
    }
    let mut refused = sent;
    refused.sections.retain(|section| section.effect == Effect::Withhold);
    assert_eq!(refused.for_recipient(uuid::Uuid::from_u128(2), oin(RECIPIENT), None), None);
}

#[test]
fn a_signed_note_of_another_implementation_is_read() {
    // The example of the Go module `golang.org/x/mod/sumdb/note`, with its published key; not a checkpoint, but its
    // signature is examined first.
    let key = VerifierKey::parse("PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW").unwrap();
    assert_eq!(key.to_text(), "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW");
    let note = "If you think cryptography is the answer to your problem,\nthen you don't know what your problem is.\n\n\
                \u{2014} PeterNeumann x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6KE6RyyBwJnAM=\n";
    let keys = [key];
    assert_eq!(Checkpoint::open(note, &keys), Err(InvalidCheckpoint::Malformed), "signed, but no checkpoint");
    let altered = note.replace("cryptography", "bureaucracy");
    assert_eq!(Checkpoint::open(&altered, &keys), Err(InvalidCheckpoint::BadSignature));
    assert_eq!(Checkpoint::open(note, &[]), Err(InvalidCheckpoint::UnknownKey));
}

#[test]
fn a_checkpoint_has_the_form_of_the_specification() {
    let checkpoint =
        Checkpoint { origin: "example.com/log".into(), head: Head { size: 20_852_163, root: Hash::from([0; 32]) } };
    assert_eq!(checkpoint.text(), "example.com/log\n20852163\nAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\n");
}

#[test]
fn a_checkpoint_is_accepted_only_as_it_was_signed() {
    let signer = TestSigner::new();
    let keys = [VerifierKey::of(&signer)];
    let head = Head { size: 7, root: empty_root() };
    let note = Checkpoint::sign(head, &signer).unwrap();
    assert_eq!(Checkpoint::open(&note, &keys).unwrap().head, head);
    for (what, altered) in [
        ("size", note.replace("\n7\n", "\n8\n")),
        ("origin", note.replacen("sluis.test", "other.test", 1)),
        ("signature", note.replace("\u{2014} sluis.test/log ", "\u{2014} sluis.test/log AAAA")),
        ("no signature", note.split('\u{2014}').next().unwrap().to_owned()),
        ("carriage return", note.replace('\n', "\r\n")),
        ("tail", format!("{note}tail")),
        ("empty", String::new()),
    ] {
        assert!(Checkpoint::open(&altered, &keys).is_err(), "{what}");
    }
    assert_eq!(Checkpoint::open(&note, &[VerifierKey::of(&TestSigner::new())]), Err(InvalidCheckpoint::UnknownKey));
    let cosigned = format!("{note}\u{2014} witness.test AAAAAAAAAA==\n");
    assert_eq!(Checkpoint::open(&cosigned, &keys).unwrap().head, head, "signatures of unknown keys are passed over");
}

#[test]
fn a_link_cannot_pass_for_a_note_nor_a_note_for_a_link() {
    let signer = TestSigner::new();
    let keys = [VerifierKey::of(&signer)];
    let link = Link { previous: Link::first(), time: Timestamp::from_micros(5), note: empty_root() };
    let signature = link.sign(&signer).unwrap();
    assert!(link.verify(&signature, &keys));
    assert!(!Link { time: Timestamp::from_micros(6), ..link.clone() }.verify(&signature, &keys));
    assert!(!Link { previous: empty_root(), ..link }.verify(&signature, &keys));
}
