//! Which events there are, what they carry, and that the documents say so.

use super::*;

fn published(happening: &Happening) -> Published {
    Published {
        position: 7,
        id: "0193a1b2-0000-7000-8000-000000000001".into(),
        kind: happening.kind().as_str().into(),
        subject: happening.subject(),
        data: happening.data().to_string(),
        path: happening.path().unwrap_or_default(),
        time: "2026-11-21T12:00:00Z".parse().unwrap(),
        trace_parent: None,
    }
}

fn speaker() -> Speaker {
    Speaker {
        source: source(&"00000099000000099000".parse().unwrap()),
        base_url: "https://gateway.example:8443".into(),
    }
}

#[test]
fn the_structured_form_is_the_documented_one() {
    let referral = Uuid::parse_str("0193a1b2-0000-7000-8000-00000000000a").unwrap();
    let update = Uuid::parse_str("0193a1b2-0000-7000-8000-00000000000b").unwrap();
    let mut event = published(&Happening::ReferralStatusUpdated {
        referral,
        update,
        status: "accepted".into(),
        operation: "updates",
        visible: true,
    });
    event.trace_parent = Some("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01".into());
    assert_eq!(
        event.to_json(&speaker()).unwrap(),
        json!({
            "specversion": "1.0",
            "id": "0193a1b2-0000-7000-8000-000000000001",
            "source": "urn:nld:oin:00000099000000099000:systeem:sluis",
            "type": "nl.sluis.referral.status-updated.v1",
            "subject": "0193a1b2-0000-7000-8000-00000000000a",
            "time": "2026-11-21T12:00:00Z",
            "datacontenttype": "application/json",
            "dataref": "https://gateway.example:8443/v1/referrals/0193a1b2-0000-7000-8000-00000000000a",
            "sequence": "7",
            "sequencetype": "Integer",
            "traceparent": "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
            "data": {
                "referral": "0193a1b2-0000-7000-8000-00000000000a",
                "update": "0193a1b2-0000-7000-8000-00000000000b",
                "status": "accepted",
                "operation": "updates"
            }
        })
    );
}

#[test]
fn an_attribute_without_a_value_is_left_out() {
    let event = published(&Happening::ReferralDisclosed { referral: Uuid::nil() });
    assert!(event.to_json(&speaker()).unwrap().get("traceparent").is_none());
    let event = published(&Happening::HandoffOverdue { handoff: Uuid::nil(), missed: 1 });
    assert!(event.to_json(&speaker()).unwrap().get("dataref").is_none());
}

#[test]
fn every_type_has_a_name_of_the_profile_and_is_found_by_it() {
    for kind in EventType::ALL {
        let name = kind.as_str();
        assert!(name.strip_prefix("nl.sluis.").and_then(|name| name.strip_suffix(".v1")).is_some(), "{name}");
        assert_eq!(EventType::from_name(name), Some(kind));
    }
    assert_eq!(EventType::from_name("nl.sluis.referral.requested"), None);
}

#[test]
fn the_documentation_lists_exactly_these_types() {
    let page = include_str!("../../docs/events.md");
    let listed: Vec<&str> = page
        .lines()
        .filter_map(|line| line.strip_prefix("| `nl.sluis.").and_then(|rest| rest.split('`').next()))
        .collect();
    let known: Vec<&str> =
        EventType::ALL.into_iter().filter_map(|kind| kind.as_str().strip_prefix("nl.sluis.")).collect();
    assert_eq!(listed, known);
}
