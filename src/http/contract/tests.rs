//! The contract against its own examples, broken variants of them, and arbitrary input.

use std::sync::LazyLock;

use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::consents;
use crate::lifecycle;
use crate::problem::Code;
use crate::referrals;

static CONTRACT: LazyLock<Contract> = LazyLock::new(|| Contract::built_in().unwrap());

const REFERRAL: &str = "01932d5a-7c1e-7b3f-9d42-6f1f0a7c0002";
const UPDATE: &str = "01932d5a-7c1e-7b3f-9d42-6f1f0a7c0021";

/// Valid values for the path parameters of every operation.
fn path_values(operation: &Operation) -> Vec<(String, String)> {
    let value = |name: &str| match name {
        "id" if operation.path.starts_with("/organisations") => "00000099000000006000",
        "id" => REFERRAL,
        "updateId" | "correctionId" => UPDATE,
        "serial" => "4F1C09D2A7",
        "version" => "2026.1",
        other => panic!("unknown path parameter {other}"),
    };
    let parameters = operation.parameters.iter().filter(|parameter| parameter.place == Place::Path);
    parameters.map(|parameter| (parameter.name.clone(), value(&parameter.name).to_owned())).collect()
}

fn validate(
    operation: &Operation,
    query: &[(&str, &str)],
    body: Option<&Value>,
) -> Result<Validated, Vec<InvalidParam>> {
    let path = path_values(operation);
    let query: Vec<(String, String)> = query.iter().map(|(name, value)| ((*name).into(), (*value).into())).collect();
    let header = |name: &str| (name == "Idempotency-Key").then_some("a-key");
    CONTRACT.validate_request(operation, &Request { path: &path, query: &query, header: &header, body })
}

/// Name and code of everything that is wrong, in order.
fn wrong(operation: &Operation, query: &[(&str, &str)], body: Option<&Value>) -> Vec<(String, String)> {
    let violations = validate(operation, query, body).err().unwrap_or_default();
    let mut pairs: Vec<_> = violations.into_iter().map(|v| (v.name, v.code.into_owned())).collect();
    pairs.sort();
    pairs
}

fn pairs(expected: &[(&str, &str)]) -> Vec<(String, String)> {
    let mut pairs: Vec<_> = expected.iter().map(|(name, code)| ((*name).into(), (*code).into())).collect();
    pairs.sort();
    pairs
}

fn operation(method: &str, path: &str) -> &'static Operation {
    CONTRACT.operation(method, path).unwrap_or_else(|| panic!("{method} {path}"))
}

fn resolve(value: &Value) -> &Value {
    match value.get("$ref").and_then(Value::as_str) {
        Some(reference) => CONTRACT.json().pointer(&reference[1..]).unwrap(),
        None => value,
    }
}

fn raw(operation: &Operation) -> &Value {
    &CONTRACT.json()["paths"][&operation.path][operation.method.to_ascii_lowercase()]
}

fn examples(media: &Value) -> Vec<&Value> {
    media.get("examples").and_then(Value::as_object).into_iter().flatten().map(|(_, e)| &resolve(e)["value"]).collect()
}

fn request_examples() -> Vec<(&'static Operation, &'static Value)> {
    let with_body = CONTRACT.operations().filter(|operation| operation.body.is_some());
    with_body
        .flat_map(|operation| {
            let media = &raw(operation)["requestBody"]["content"]["application/json"];
            examples(media).into_iter().map(move |example| (operation, example))
        })
        .collect()
}

#[test]
fn every_operation_has_an_id_of_its_own() {
    let ids: std::collections::BTreeSet<&str> = CONTRACT.operations().map(|operation| operation.id.as_str()).collect();
    assert_eq!(ids.len(), CONTRACT.operations().count());
    assert_eq!(CONTRACT.base_path(), "/v1");
    assert_eq!(operation("POST", "/referrals/_check").id, "checkReferral");
    assert!(CONTRACT.operation("PUT", "/referrals").is_none());
    assert_eq!(CONTRACT.version(), "1.0.0");
}

#[test]
fn only_the_contract_itself_is_public_and_scopes_are_as_agreed() {
    let public: Vec<&str> = CONTRACT.operations().filter(|o| o.scopes.is_none()).map(|o| o.path.as_str()).collect();
    assert_eq!(public, ["/openapi.json"]);
    let scopes = |method, path| operation(method, path).scopes.clone().unwrap();
    assert_eq!(scopes("POST", "/referrals"), ["referrals"]);
    assert_eq!(scopes("GET", "/organisations"), ["organisations:read"]);
    assert_eq!(scopes("PATCH", "/organisations/{id}"), ["organisations:write"]);
    assert_eq!(scopes("GET", "/audit/records"), [""; 0]);
    let known = &CONTRACT.json()["components"]["securitySchemes"]["oauth"]["flows"]["clientCredentials"]["scopes"];
    for scope in CONTRACT.operations().filter_map(|o| o.scopes.as_ref()).flatten() {
        assert!(known.get(scope).is_some(), "{scope} is not in the security scheme");
    }
}

#[test]
fn creating_takes_an_idempotency_key_and_checking_does_not() {
    // Reporting a withdrawal again changes nothing, and its answer is always the same. An access report is kept nowhere, also not for a repeat.
    let asking = ["checkReferral", "assessCovenantDraft", "reportWithdrawal", "composeAccessReport"];
    for operation in CONTRACT.operations().filter(|operation| operation.method == "POST") {
        assert_eq!(operation.requires_idempotency_key(), !asking.contains(&operation.id.as_str()), "{}", operation.id);
    }
    assert_eq!(operation("GET", "/events").media_types(), ["application/json", "text/event-stream"]);
    assert_eq!(operation("DELETE", "/subscriptions/{id}").media_types(), [""; 0]);
}

#[test]
fn every_request_example_fits() {
    let all = request_examples();
    assert!(all.len() >= 20, "only {} examples", all.len());
    for (operation, example) in all {
        assert_eq!(wrong(operation, &[], Some(example)), [], "{}", operation.id);
    }
}

#[test]
fn every_answer_example_fits() {
    let mut count = 0;
    for operation in CONTRACT.operations() {
        for status in operation.responses.keys() {
            let response = resolve(&raw(operation)["responses"][status.to_string()]);
            for (media_type, media) in response["content"].as_object().into_iter().flatten() {
                let mut headers = vec![("content-type".to_owned(), format!("{media_type}; charset=utf-8"))];
                for (name, header) in response["headers"].as_object().unwrap() {
                    let header = resolve(header);
                    let value = header["example"].as_str().or(header["schema"]["enum"][0].as_str()).unwrap();
                    headers.push((name.to_ascii_lowercase(), value.to_owned()));
                }
                for example in examples(media) {
                    count += 1;
                    let answer = ResponseParts { status: *status, headers: &headers, body: Some(example) };
                    assert_eq!(CONTRACT.validate_response(operation, &answer), Ok(()), "{} {status}", operation.id);
                }
            }
        }
    }
    assert!(count > 100, "only {count} examples");
}

#[test]
fn every_example_without_a_required_field_or_with_a_strange_one_names_that_field() {
    for (operation, example) in request_examples() {
        let fields: Vec<String> = example.as_object().unwrap().keys().cloned().collect();
        let schema = resolve(&raw(operation)["requestBody"]["content"]["application/json"]["schema"]);
        for field in fields {
            let mut broken = example.clone();
            broken[&field] = json!([[]]);
            let named = wrong(operation, &[], Some(&broken));
            assert!(named.iter().any(|(name, _)| name.starts_with(&field)), "{} {field}: {named:?}", operation.id);
            broken.as_object_mut().unwrap().remove(&field);
            if schema["required"].as_array().is_some_and(|all| all.contains(&json!(field))) {
                assert_eq!(wrong(operation, &[], Some(&broken)), pairs(&[(&field, "required")]), "{}", operation.id);
            }
        }
        let mut strange = example.clone();
        strange["remark"] = json!("x");
        assert_eq!(wrong(operation, &[], Some(&strange)), pairs(&[("remark", "unknown-field")]), "{}", operation.id);
    }
}

fn referral() -> Value {
    CONTRACT.json()["components"]["examples"]["ReferralCreation"]["value"].clone()
}

/// The example with one place changed, and what is wrong with it then.
fn wrong_referral(pointer: &str, value: Value) -> Vec<(String, String)> {
    let mut body = referral();
    let (parent, name) = pointer.rsplit_once('/').unwrap();
    match body.pointer_mut(parent).unwrap() {
        Value::Array(items) => items[name.parse::<usize>().unwrap()] = value,
        other => other[name] = value,
    }
    wrong(operation("POST", "/referrals"), &[], Some(&body))
}

#[test]
fn each_mistake_in_a_referral_is_named_with_its_kind() {
    let cases = [
        ("/recipient", json!("kredietbank"), "recipient", "pattern"),
        ("/purpose", json!("marketing"), "purpose", "unknown-code"),
        ("/purpose", json!(5), "purpose", "type"),
        ("/legalBasis", json!(null), "legalBasis", "type"),
        ("/priority", json!("soon"), "priority", "unknown-code"),
        ("/caseId", json!("0193"), "caseId", "format"),
        ("/subject", json!({ "bsn": "999990018" }), "subject.bsn", "format"),
        ("/subject", json!({ "bsn": "12345" }), "subject.bsn", "pattern"),
        ("/subject", json!({ "ageGroup": "18-plus" }), "subject", "alternatives"),
        (
            "/subject",
            json!({ "match": { "givenName": "Noor", "birthDate": "2010-03-01", "postalCode": "2242 AB" } }),
            "subject.match.familyName",
            "required",
        ),
        (
            "/subject",
            json!({ "bsn": "999990019", "match": { "givenName": "Noor", "familyName": "Bos", "birthDate": "2010-03-01", "postalCode": "0242" } }),
            "subject.match.postalCode",
            "pattern",
        ),
        ("/subject/ageGroup", json!("adult"), "subject.ageGroup", "unknown-code"),
        ("/sections", json!([]), "sections", "too-few"),
        ("/sections/1/category", json!("money"), "sections[1].category", "unknown-code"),
        ("/sections/1/category", json!("question"), "sections", "repeated"),
        ("/sections/2", json!({ "category": "housing" }), "sections[2]", "alternatives"),
        (
            "/sections/2",
            json!({ "category": "housing", "content": {}, "jwe": "a.b.c.d.e" }),
            "sections[2]",
            "alternatives",
        ),
        ("/sections/2/content", json!("text"), "sections[2].content", "type"),
        ("/sections/2", json!({ "category": "housing", "jwe": "a.b.c" }), "sections[2].jwe", "pattern"),
        ("/sections/0/label", json!("x"), "sections[0].label", "unknown-field"),
        ("/onWithheld", json!("ignore"), "onWithheld", "unknown-code"),
    ];
    for (pointer, value, name, code) in cases {
        assert_eq!(wrong_referral(pointer, value.clone()), pairs(&[(name, code)]), "{pointer} {value}");
    }
}

#[test]
fn all_mistakes_come_together_and_say_what_was_expected_but_never_what_was_sent() {
    let mut body = referral();
    body["purpose"] = json!("Jansen");
    body["subject"] = json!({ "bsn": "123456789", "ageGroup": "Jansen" });
    body["sections"][0] = json!({ "category": "Jansen", "123456789": 1, "jwe": "Jansen" });
    let operation = operation("POST", "/referrals");
    let violations = validate(operation, &[("cursor", "x")], Some(&body)).unwrap_err();
    assert_eq!(violations.len(), 7, "{violations:#?}");
    let text = format!("{violations:?}");
    assert!(!text.contains("Jansen") && !text.contains("123456789"), "{text}");
    let purpose = violations.iter().find(|violation| violation.name == "purpose").unwrap();
    assert!(purpose.reason.contains("debt-counselling, work-and-income"), "{}", purpose.reason);
    let category = violations.iter().find(|violation| violation.name == "sections[0].category").unwrap();
    assert!(category.reason.starts_with("expected one of identity, contact"), "{}", category.reason);
    assert!(validate(operation, &[], None).unwrap_err().iter().any(|v| v.name == "body" && v.code == "required"));
    assert!(
        validate(operation, &[], Some(&json!([1]))).unwrap_err().iter().any(|v| v.name == "body" && v.code == "type")
    );
}

#[test]
fn null_is_accepted_where_the_contract_says_so_and_nowhere_else() {
    assert_eq!(wrong_referral("/caseId", json!(null)), []);
    assert_eq!(wrong_referral("/basedOn", json!(REFERRAL)), []);
    assert_eq!(wrong_referral("/priority", json!(null)), pairs(&[("priority", "type")]));
    let updates = operation("POST", "/referrals/{id}/updates");
    assert_eq!(wrong(updates, &[], Some(&json!({ "status": "accepted", "statusReason": null, "outcome": null }))), []);
    let unknown = json!({ "status": "completed", "outcome": "cured" });
    assert_eq!(wrong(updates, &[], Some(&unknown)), pairs(&[("outcome", "unknown-code")]));
}

#[test]
fn the_query_is_typed_and_has_its_defaults() {
    let list = operation("GET", "/events");
    let query = validate(list, &[("wait", "30")], None).unwrap().query;
    assert_eq!(query, BTreeMap::from([("limit".into(), json!(100)), ("wait".into(), json!(30))]));
    for (name, value, code) in [
        ("limit", "0", "range"),
        ("limit", "1001", "range"),
        ("limit", "ten", "type"),
        ("limit", "", "type"),
        ("cursor", "", "too-short"),
        ("cursor", "a b", "pattern"),
        ("page", "2", "unknown-parameter"),
    ] {
        let named = wrong(list, &[(name, value)], None);
        assert!(named.contains(&(name.into(), code.into())), "{name}={value}: {named:?}");
    }
    assert_eq!(wrong(list, &[("limit", "1"), ("limit", "2")], None), pairs(&[("limit", "repeated")]));
    assert_eq!(wrong(list, &[], Some(&json!({}))), pairs(&[("body", "unknown-field")]));
    let audit = operation("GET", "/audit/records");
    assert_eq!(wrong(audit, &[("from", "2026-11-01")], None), pairs(&[("from", "format")]));
}

#[test]
fn headers_and_path_are_checked() {
    let create = operation("POST", "/referrals/{id}/updates");
    let body = json!({ "status": "accepted" });
    let check = |id: &str, headers: &[(&str, &'static str)]| {
        let path = [("id".to_owned(), id.to_owned())];
        let header = |name: &str| headers.iter().find(|(given, _)| *given == name).map(|(_, value)| *value);
        let request = Request { path: &path, query: &[], header: &header, body: Some(&body) };
        let violations = CONTRACT.validate_request(create, &request).err().unwrap_or_default();
        violations.into_iter().map(|v| (v.name, v.code.into_owned())).collect::<Vec<_>>()
    };
    assert_eq!(check(REFERRAL, &[("Idempotency-Key", "k"), ("If-Match", "\"3\"")]), []);
    assert_eq!(check(REFERRAL, &[]), pairs(&[("Idempotency-Key", "required")]));
    assert_eq!(check(REFERRAL, &[("Idempotency-Key", "two words")]), pairs(&[("Idempotency-Key", "pattern")]));
    assert_eq!(check(REFERRAL, &[("Idempotency-Key", "k"), ("If-Match", "3")]), pairs(&[("If-Match", "pattern")]));
    assert_eq!(check("12", &[("Idempotency-Key", "k")]), pairs(&[("id", "format")]));
    // A malformed trace is ignored, not refused (W3C Trace Context section 4.3).
    assert_eq!(check(REFERRAL, &[("Idempotency-Key", "k"), ("traceparent", "nonsense")]), []);
}

#[test]
fn an_answer_with_a_status_header_type_or_field_of_its_own_is_a_fault() {
    let get = operation("GET", "/referrals/{id}");
    let example = &CONTRACT.json()["components"]["examples"]["ReferralForRecipient"]["value"];
    let headers = |media: &str| {
        [("content-type", media), ("api-version", "1.0.0"), ("etag", "\"3\"")]
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
    };
    let good = headers("application/json");
    let check = |status, headers: &[(String, String)], body: Option<&Value>| {
        CONTRACT.validate_response(get, &ResponseParts { status, headers, body })
    };
    assert_eq!(check(200, &good, Some(example)), Ok(()));
    assert!(check(418, &good, Some(example)).is_err());
    assert!(check(200, &good[..2], Some(example)).unwrap_err()[0].contains("ETag"));
    assert!(check(200, &headers("text/html"), Some(example)).is_err());
    assert!(check(200, &good, None).is_err());
    let mut leaking = example.clone();
    leaking["withheld"] = json!(["mental-health"]);
    assert_eq!(check(200, &good, Some(&leaking)).unwrap_err().len(), 1);
    let problem = json!({ "type": "/v1/openapi.json#/components/x-problems/not-found", "status": 404, "title": "t", "detail": "d", "code": "not-found" });
    let answer = ResponseParts { status: 404, headers: &headers("application/problem+json"), body: Some(&problem) };
    assert_eq!(CONTRACT.validate_problem(&answer), Ok(()));
    assert_eq!(CONTRACT.validate_response(get, &answer), Ok(()));
    assert!(CONTRACT.validate_problem(&ResponseParts { status: 405, ..answer }).is_err());
}

fn codes(schema: &str) -> Vec<String> {
    let codes = &CONTRACT.json()["components"]["schemas"][schema]["enum"];
    codes.as_array().unwrap().iter().filter_map(|code| code.as_str().map(str::to_owned)).collect()
}

#[test]
fn the_code_lists_are_those_of_the_code() {
    let mut problems: Vec<&str> = Code::ALL.iter().map(|code| code.as_str()).collect();
    let mut listed = codes("ProblemCode");
    problems.sort_unstable();
    listed.sort_unstable();
    assert_eq!(listed, problems);
    assert_eq!(codes("ReferralStatus"), lifecycle::Status::ALL.iter().map(|s| s.as_str()).collect::<Vec<_>>());
    assert_eq!(codes("StatusReason"), lifecycle::Reason::ALL.iter().map(|r| r.as_str()).collect::<Vec<_>>());
    assert_eq!(codes("StatusReasonOrNull"), codes("StatusReason"));
    let of_cases = lifecycle::StepUpReason::ALL.iter().map(|r| r.as_str()).filter(|code| *code != "other");
    let mut recorded: Vec<_> = lifecycle::Reason::ALL.iter().map(|r| r.as_str()).chain(of_cases).collect();
    let of_corrections = codes("CorrectionReason");
    let more: Vec<_> = of_corrections.iter().map(String::as_str).filter(|code| !recorded.contains(code)).collect();
    recorded.extend(more);
    assert_eq!(codes("RecordedReason"), recorded);
    assert_eq!(codes("ReferralStatusOrNull"), codes("ReferralStatus"));
    assert_eq!(codes("Outcome"), codes("OutcomeOrNull"));
    assert_eq!(codes("BusinessStatusOrNull"), lifecycle::Business::ALL.iter().map(|b| b.as_str()).collect::<Vec<_>>());
    let operations = lifecycle::referral::Operation::ALL;
    assert_eq!(codes("StepOperation"), operations.iter().map(|o| o.as_str()).collect::<Vec<_>>());
    assert_eq!(
        codes("CorrectionReason"),
        referrals::CorrectionReason::ALL.iter().map(|r| r.as_str()).collect::<Vec<_>>()
    );
    assert_eq!(
        codes("CorrectionEffect"),
        referrals::CorrectionEffect::ALL.iter().map(|e| e.as_str()).collect::<Vec<_>>()
    );
    assert_eq!(codes("OutcomeOrNull"), lifecycle::Outcome::ALL.iter().map(|o| o.as_str()).collect::<Vec<_>>());
    let outcomes = consents::ConfirmationOutcome::ALL;
    assert_eq!(codes("ConfirmationOutcome"), outcomes.iter().map(|o| o.as_str()).collect::<Vec<_>>());
    let statuses = consents::ConfirmationStatus::ALL;
    assert_eq!(codes("ConfirmationStatus"), statuses.iter().map(|s| s.as_str()).collect::<Vec<_>>());
    assert_eq!(codes("RetentionLaw"), consents::Retention::ALL.iter().map(|r| r.as_str()).collect::<Vec<_>>());
}

#[test]
fn every_code_is_explained_in_both_languages() {
    for (name, schema) in CONTRACT.json()["components"]["schemas"].as_object().unwrap() {
        if schema.get("enum").is_none() || ["StatusReasonOrNull", "ReferralStatusOrNull"].contains(&name.as_str()) {
            continue;
        }
        if name == "ProblemCode" {
            for code in codes(name) {
                let explained = &CONTRACT.json()["components"]["x-problems"][code.as_str()];
                assert!(
                    ["en", "nl"].iter().all(|language| !explained[*language].as_str().unwrap().is_empty()),
                    "{code}"
                );
            }
            continue;
        }
        let description = schema["description"].as_str().unwrap();
        assert!(name == "EventType" || description.contains("English | Nederlands |"), "{name}");
        for code in codes(name) {
            assert!(description.contains(&format!("`{code}`")), "{name}: {code}");
        }
    }
}

/// A document with one operation, whose body has this schema.
fn document_with(schema: &str) -> String {
    format!(
        "openapi: 3.0.3
info: {{ title: t, version: 1.0.0 }}
servers: [{{ url: 'https://localhost/v1' }}]
components: {{ schemas: {{ Problem: {{ type: object }}, Name: {{ type: string }} }} }}
paths:
  /things:
    post:
      operationId: addThing
      requestBody:
        required: true
        content: {{ application/json: {{ schema: {schema} }} }}
      responses: {{ '204': {{ description: done }} }}
"
    )
}

#[test]
fn what_is_not_enforced_does_not_load() {
    assert!(Contract::load(&document_with("{ type: object }")).is_ok());
    for schema in [
        "{ description: no type }",
        "{ type: string, format: email }",
        "{ type: string, nullable: true, enum: [a] }",
        "{ type: object, oneOf: [{ type: object }, { required: [a] }] }",
        "{ type: object, oneOf: [{ required: [a, b] }, { required: [c] }] }",
        "{ type: object, anyOf: [{ required: [a, b] }, { required: [c] }] }",
        "{ type: object, allOf: [{ $ref: '#/components/schemas/Name' }] }",
        "{ $ref: '#/components/schemas/Name', description: beside }",
        "{ $ref: '#/components/schemas/Missing' }",
        "{ type: string, pattern: '(' }",
        "{ type: string, pattern: '(?=a)a' }",
        "{ type: object, properties: { a: { type: string, deprecated: true } } }",
    ] {
        assert!(Contract::load(&document_with(schema)).is_err(), "{schema}");
    }
    let good = document_with("{ type: object }");
    for (from, to) in [
        ("operationId: addThing", "description: nameless"),
        ("'204'", "default"),
        ("'204'", "4XX"),
        ("application/json", "text/plain"),
        ("/things", "/things/{id}"),
        ("operationId: addThing", "operationId: addThing\n      security: [{ key: [] }]"),
        (
            "operationId: addThing",
            "operationId: a\n      parameters: [{ name: a, in: cookie, schema: { type: string } }]",
        ),
        (
            "operationId: addThing",
            "operationId: a\n      parameters: [{ name: a, in: query, schema: { type: array } }]",
        ),
        ("https://localhost/v1", "/v1"),
    ] {
        assert!(good.contains(from));
        assert!(Contract::load(&good.replace(from, to)).is_err(), "{to}");
    }
}

#[test]
fn formats_accept_what_they_name() {
    for good in ["2026-11-01T00:00:00Z", "2026-11-01T02:00:00.5+02:00"] {
        assert!(format::is_date_time(good), "{good}");
    }
    for bad in [
        "2026-11-01",
        "2026-11-01t00:00:00Z",
        "2026-11-01T00:00:00z",
        "2026-11-01T00:00:00-00:00",
        "2026-13-01T00:00:00Z",
    ] {
        assert!(!format::is_date_time(bad), "{bad}");
    }
    assert!(format::is_date("2028-02-29"));
    for bad in ["2026-02-29", "2026-11-1", "2026-11-01T00:00:00Z"] {
        assert!(!format::is_date(bad), "{bad}");
    }
    assert!(format::is_uuid(REFERRAL) && !format::is_uuid("01932d5a7c1e7b3f9d426f1f0a7c0002"));
    assert!(format::is_bsn_if_nine_digits("999990019"));
    for bad in ["999990018", "000000000", "123456789"] {
        assert!(!format::is_bsn_if_nine_digits(bad), "{bad}");
    }
    for good in ["DOSSIER-2026-118", "2026-0001", "999990018"] {
        assert!(format::is_reference_without_bsn(good), "{good}");
    }
    for bad in ["999990019", "BSN-999990019", "a999990019b", "999-990-019"] {
        assert!(!format::is_reference_without_bsn(bad), "{bad}");
    }
}

/// Any JSON value, with names from the contract among the names.
fn any_json() -> impl Strategy<Value = Value> {
    let names = prop_oneof![
        Just("sections".to_owned()),
        Just("category".to_owned()),
        Just("subject".to_owned()),
        Just("files".to_owned()),
        Just("keys".to_owned()),
        any::<String>(),
    ];
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        any::<String>().prop_map(Value::from),
        Just(json!("finance")),
    ];
    leaf.prop_recursive(4, 32, 6, move |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..5).prop_map(Value::from),
            proptest::collection::btree_map(names.clone(), inner, 0..5)
                .prop_map(|members| Value::Object(members.into_iter().collect())),
        ]
    })
}

proptest! {
    #[test]
    fn arbitrary_requests_never_panic(body in any_json(), name in any::<String>(), value in any::<String>()) {
        for operation in CONTRACT.operations() {
            let path = [("id".to_owned(), value.clone()), (name.clone(), value.clone())];
            let query = [(name.clone(), value.clone()), ("limit".to_owned(), value.clone())];
            let header = |_: &str| Some(value.as_str());
            let request = Request { path: &path, query: &query, header: &header, body: Some(&body) };
            prop_assert!(CONTRACT.validate_request(operation, &request).is_err());
        }
    }

    #[test]
    fn an_accepted_referral_has_every_required_field(patch in any_json(), index in 0_usize..11) {
        let mut body = referral();
        let name = body.as_object().unwrap().keys().nth(index).cloned();
        if let Some(name) = name {
            body[name] = patch;
        }
        if wrong(operation("POST", "/referrals"), &[], Some(&body)).is_empty() {
            let sections = body["sections"].as_array().unwrap();
            prop_assert!(!sections.is_empty());
            prop_assert!(sections.iter().all(|s| s.get("content").is_some() != s.get("jwe").is_some()));
            prop_assert!(body["subject"].get("bsn").is_some() != body["subject"].get("pseudonym").is_some());
        }
    }
}
