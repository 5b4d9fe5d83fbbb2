//! Who may do what: every operation of the contract, and every route outside it, is called by everyone who must not get in.
//!
//! An operation that the table does not name fails the tests.

use std::collections::BTreeSet;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};
use sluis::demo::governance::{new_key, signing_request};
use sluis::http::contract::Operation;
use sluis::http::routes::ROUTES;

use crate::app::{BSN, CONTRACT, KREDIETBANK, SMOW, TestApp, by_consent, consent, debts, with_sections};
use crate::wire::{Connection, Reply, Wire, settings};

/// What the credentials of another organisation are worth at an operation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Others {
    /// It is for everyone, without credentials.
    Public,
    /// Everyone with the scope gets the same.
    Shared,
    /// A collection: everyone sees their own.
    Own,
    /// It belongs to one organisation; for others it does not exist.
    Hidden,
}

/// How to call an operation: `path` is a resource of the credit bank where there is one, `missing` the same path of none.
struct Case {
    id: &'static str,
    path: String,
    missing: String,
    body: Option<Value>,
    others: Others,
}

impl Case {
    fn operation(&self) -> &'static Operation {
        CONTRACT.operations().find(|operation| operation.id == self.id).unwrap()
    }
}

const NO_ID: &str = "01932d5a-7c1e-7b3f-9d42-6f1f0a7c0001";
const NO_OIN: &str = "00000099000000077000";

/// What the credit bank has.
struct Belongings {
    referral: String,
    /// The case of the referral, by the bank's alias.
    kase: String,
    update: String,
    /// Of what it received.
    correction: String,
    consent: String,
    /// Of what it received under a consent of MEE.
    confirmation: String,
    subscription: String,
    record: String,
    serial: String,
    version: String,
    emergency: String,
    incident: String,
    veto: String,
    objection: String,
    restriction: String,
    /// To inform a resident of the referral.
    duty: String,
    erasure: String,
}

fn id_at(reply: &sluis::demo::client::Answer, pointer: &str) -> String {
    reply.text_at(pointer).unwrap_or_else(|| panic!("no {pointer} in {}", reply.text)).to_owned()
}

fn csr() -> String {
    signing_request(&new_key().unwrap(), "Kredietbank", &[]).unwrap()
}

fn incident(referral: &str) -> Value {
    json!({ "referral": referral, "kind": "failed-verification" })
}

fn emergency() -> Value {
    json!({
        "recipient": SMOW, "subject": { "bsn": "999990019" }, "role": "manager-on-duty", "reason": "danger-to-life",
        "categories": ["safety"],
    })
}

/// Of another resident than everything else: nothing of whom is to be blocked.
fn vetoed() -> Value {
    json!({ "subject": { "bsn": "999990020" } })
}

/// Of a resident about whom nothing else is done here.
fn objection(app: &TestApp) -> Value {
    json!({ "subject": { "bsn": "999990020" }, "obtainedAt": app.app().now() })
}

fn restriction() -> Value {
    json!({ "subject": { "bsn": "999990020" }, "ground": "accuracy-contested" })
}

fn erasing() -> Value {
    json!({ "subject": { "bsn": BSN }, "ground": "no-longer-necessary" })
}

impl Belongings {
    async fn of_the_credit_bank(app: &TestApp) -> Self {
        let created = app.refer("gemeente-wassenaar", debts(), &["question", "finance"]).await;
        let referral = id_at(&created, "/id");
        let update = json!({ "status": "accepted" });
        let update = app.post("kredietbank", format!("/v1/referrals/{referral}/updates"), update).await;
        let recorded = consent(app, SMOW, "welfare-support", &["question"]);
        let recorded = app.post("kredietbank", "/v1/consents", recorded).await;
        let certificates = format!("/v1/organisations/{KREDIETBANK}/certificates");
        let certificate = app.post("kredietbank", certificates, json!({ "csr": csr() })).await;
        let opened = app.get("kredietbank", format!("/v1/referrals/{referral}/sections")).await;
        assert_eq!(opened.status, 200);
        let corrected = json!({ "reason": "inaccurate", "retracted": ["finance"] });
        let corrected =
            app.post("gemeente-wassenaar", format!("/v1/referrals/{referral}/corrections"), corrected).await;
        let withdrawn = consent(app, KREDIETBANK, "debt-counselling", &["question"]);
        let withdrawn = id_at(&app.post("mee", "/v1/consents", withdrawn).await, "/id");
        let under_it = app.refer("mee", by_consent(KREDIETBANK, "debt-counselling"), &["question"]).await;
        let read = app.get("kredietbank", format!("{}/sections", under_it.headers["location"])).await;
        assert_eq!(read.status, 200);
        let asked = json!({ "reasonCode": "resident-asked" });
        assert_eq!(app.post("mee", format!("/v1/consents/{withdrawn}/withdrawals"), asked).await.status, 201);
        app.app().sequence().await.unwrap();
        Self {
            confirmation: id_at(&app.get("kredietbank", "/v1/consent-confirmations").await, "/items/0/id"),
            kase: id_at(&app.get("kredietbank", format!("/v1/referrals/{referral}")).await, "/caseId"),
            update: id_at(&update, "/id"),
            correction: id_at(&corrected, "/id"),
            consent: id_at(&recorded, "/id"),
            subscription: id_at(&app.get("kredietbank", "/v1/subscriptions").await, "/items/0/id"),
            record: id_at(&app.get("kredietbank", "/v1/audit/records?kind=disclosure").await, "/items/0/id"),
            serial: id_at(&certificate, "/serial"),
            version: id_at(&app.get("kredietbank", "/v1/covenants").await, "/items/0/version"),
            emergency: id_at(&app.post("kredietbank", "/v1/emergency-accesses", emergency()).await, "/id"),
            incident: id_at(&app.post("kredietbank", "/v1/incidents", incident(&referral)).await, "/id"),
            veto: id_at(&app.post("kredietbank", "/v1/vetoes", vetoed()).await, "/id"),
            objection: id_at(&app.post("kredietbank", "/v1/objections", objection(app)).await, "/id"),
            restriction: id_at(&app.post("kredietbank", "/v1/restrictions", restriction()).await, "/id"),
            duty: id_at(&app.get("kredietbank", "/v1/informing-duties?status=open").await, "/items/1/id"),
            erasure: id_at(&app.post("kredietbank", "/v1/erasures", erasing()).await, "/id"),
            referral,
        }
    }

    /// Every operation. What ends a resource comes last, so that its owner can be shown to have had it.
    #[rustfmt::skip]
    #[allow(clippy::too_many_lines, reason = "one line for each operation")]
    fn cases(&self, app: &TestApp) -> Vec<Case> {
        use Others::{Hidden, Own, Public, Shared};
        let Self { referral, kase, update, correction, consent: recorded, confirmation, subscription, record, serial, version, emergency: declared, incident: opened, veto, objection: objected, restriction: restricted, duty, erasure } = self;
        let case = |id, path: &str, body, others| Case {
            id,
            path: path.to_owned(),
            missing: [referral, kase, update, correction, recorded, confirmation, subscription, record, declared, opened, veto, objected, restricted, duty, erasure].into_iter().fold(path.to_owned(), |path, id| path.replace(id.as_str(), NO_ID))
                .replace(serial.as_str(), "0abc").replace(KREDIETBANK, NO_OIN),
            body,
            others,
        };
        let bank = format!("/organisations/{KREDIETBANK}");
        let of_referral = format!("/referrals/{referral}");
        let of_veto = format!("/vetoes/{veto}");
        let of_emergency = format!("/emergency-accesses/{declared}");
        let of_incident = format!("/incidents/{opened}");
        let of_case = format!("/cases/{kase}");
        let naming = || Some(json!({ "organisation": SMOW }));
        let sending = || Some(with_sections(debts(), &["finance"]));
        vec![
            case("getContract", "/openapi.json", None, Public),
            case("listOrganisations", "/organisations", None, Shared),
            case("registerOrganisation", "/organisations", Some(json!({ "id": "00000099000000010000", "name": "GGD" })), Shared),
            case("getOrganisation", &bank, None, Shared),
            case("changeOrganisation", &bank, Some(json!({ "name": "Bank" })), Shared),
            case("listCertificates", &format!("{bank}/certificates"), None, Hidden),
            case("issueCertificate", &format!("{bank}/certificates"), Some(json!({ "csr": csr() })), Hidden),
            case("getOrganisationKeys", &format!("{bank}/keys"), None, Shared),
            case("replaceOrganisationKeys", &format!("{bank}/keys"), Some(json!({ "keys": [] })), Hidden),
            case("listCovenants", "/covenants", None, Shared),
            case("publishCovenant", "/covenants", Some(json!({ "files": { "covenant.toml": "" } })), Shared),
            case("assessCovenantDraft", "/covenants/_impact", Some(json!({ "files": { "covenant.toml": "" } })), Shared),
            case("getCovenant", &format!("/covenants/{version}"), None, Shared),
            case("listCovenantSignatures", &format!("/covenants/{version}/signatures"), None, Shared),
            case("signCovenant", &format!("/covenants/{version}/signatures"), Some(json!({ "jws": "e30..AAAA" })), Shared),
            case("listConsents", "/consents", None, Own),
            case("recordConsent", "/consents", Some(consent(app, SMOW, "welfare-support", &["question"])), Own),
            case("getConsent", &format!("/consents/{recorded}"), None, Hidden),
            case("withdrawConsent", &format!("/consents/{recorded}/withdrawals"), Some(json!({ "reasonCode": "other" })), Hidden),
            case("reportWithdrawal", "/consents/_withdraw", Some(json!({ "subject": { "bsn": BSN } })), Own),
            case("listConfirmationsOfConsent", &format!("/consents/{recorded}/confirmations"), None, Hidden),
            case("confirmWithdrawal", &format!("/consents/{confirmation}/confirmations"), Some(json!({ "outcome": "deleted" })), Hidden),
            case("listConsentReceipts", &format!("/consents/{recorded}/receipts"), None, Hidden),
            case("listConfirmations", "/consent-confirmations", None, Own),
            case("unlinkSubjectMatch", "/subject-matches/_unlink", Some(json!({ "subject": { "match": { "givenName": "Noor", "familyName": "Bos", "birthDate": "2010-03-01", "postalCode": "2242 AB" } }, "reasonCode": "wrong-resident" })), Own),
            case("listReferrals", "/referrals", None, Own),
            case("createReferral", "/referrals", sending(), Own),
            case("checkReferral", "/referrals/_check", sending(), Own),
            case("getReferral", &of_referral, None, Hidden),
            case("discloseSections", &format!("{of_referral}/sections"), None, Hidden),
            case("listUpdates", &format!("{of_referral}/updates"), None, Hidden),
            case("listSupplements", &format!("{of_referral}/supplements"), None, Hidden),
            case("addSupplement", &format!("{of_referral}/supplements"), Some(json!({ "sections": [{ "category": "question", "content": {} }] })), Hidden),
            case("listCorrections", &format!("{of_referral}/corrections"), None, Hidden),
            case("correctReferral", &format!("{of_referral}/corrections"), Some(json!({ "reason": "inaccurate", "retracted": ["question"] })), Hidden),
            case("getCorrection", &format!("{of_referral}/corrections/{correction}"), None, Hidden),
            case("extendReferral", &format!("{of_referral}/extensions"), Some(json!({ "businessStatus": "under-examination" })), Hidden),
            case("listCancellationRequests", &format!("{of_referral}/cancellation-requests"), None, Hidden),
            case("requestCancellation", &format!("{of_referral}/cancellation-requests"), Some(json!({ "statusReason": "no-longer-needed" })), Hidden),
            case("refuseCancellation", &format!("{of_referral}/cancellation-refusals"), Some(json!({ "statusReason": "nearly-done" })), Hidden),
            case("resolveReferral", &format!("{of_referral}/resolutions"), Some(json!({ "outcome": "not-helped" })), Hidden),
            case("stepUpReferral", &format!("{of_referral}/step-ups"), Some(json!({ "businessStatus": "stepped-up" })), Hidden),
            case("referOn", &format!("{of_referral}/re-referrals"), Some(json!({ "recipient": SMOW })), Hidden),
            case("reassignReferral", &format!("{of_referral}/reassignments"), Some(json!({ "recipient": SMOW })), Hidden),
            case("addUpdate", &format!("{of_referral}/updates"), Some(json!({ "status": "in-progress" })), Hidden),
            case("getUpdate", &format!("{of_referral}/updates/{update}"), None, Hidden),
            case("discloseUpdateSections", &format!("{of_referral}/updates/{update}/sections"), None, Hidden),
            case("listCases", "/cases", None, Own),
            case("getCase", &of_case, None, Hidden),
            case("closeCase", &format!("{of_case}/closures"), None, Hidden),
            case("listCoordinators", &format!("{of_case}/coordinators"), None, Hidden),
            case("offerCoordination", &format!("{of_case}/coordinators"), naming(), Hidden),
            case("acceptCoordination", &format!("{of_case}/coordinators/acceptances"), None, Hidden),
            case("declineCoordination", &format!("{of_case}/coordinators/refusals"), None, Hidden),
            case("revokeOffer", &format!("{of_case}/coordinators/revocations"), None, Hidden),
            case("callMeeting", &format!("{of_case}/meetings"), Some(json!({ "organisations": [SMOW] })), Hidden),
            case("listParticipants", &format!("{of_case}/participants"), None, Hidden),
            case("inviteParticipant", &format!("{of_case}/participants"), naming(), Hidden),
            case("removeParticipant", &format!("{of_case}/participants/{KREDIETBANK}/removals"), None, Hidden),
            case("stepDown", &format!("{of_case}/step-downs"), None, Hidden),
            case("listStepUps", &format!("{of_case}/step-ups"), None, Hidden),
            case("stepUp", &format!("{of_case}/step-ups"), Some(json!({ "reason": "other" })), Hidden),
            case("refuseStepUp", &format!("{of_case}/step-ups/refusals"), None, Hidden),
            case("listCapacityNotices", "/capacity-notices", None, Shared),
            case("announceCapacity", "/capacity-notices", Some(json!({ "purpose": "debt-counselling", "kind": "no-intake", "until": "2026-11-30" })), Shared),
            case("getCapacityNotice", &format!("/capacity-notices/{NO_ID}"), None, Shared),
            case("endCapacityNotice", &format!("/capacity-notices/{NO_ID}/endings"), None, Shared),
            case("listEmergencyAccesses", "/emergency-accesses", None, Own),
            case("declareEmergency", "/emergency-accesses", Some(emergency()), Own),
            case("getEmergencyAccess", &of_emergency, None, Hidden),
            case("endEmergency", &format!("{of_emergency}/endings"), None, Hidden),
            case("listEmergencyNotifications", &format!("{of_emergency}/notifications"), None, Hidden),
            case("recordEmergencyNotification", &format!("{of_emergency}/notifications"), Some(json!({ "outcome": "postponed", "reason": "not-reached-yet" })), Hidden),
            case("vetoReferral", &format!("{of_referral}/vetoes"), None, Hidden),
            case("listVetoes", "/vetoes", None, Own),
            case("setVeto", "/vetoes", Some(vetoed()), Own),
            case("getVeto", &of_veto, None, Hidden),
            case("concludeVeto", &format!("{of_veto}/conclusions"), Some(json!({ "conclusion": "continued" })), Hidden),
            case("weighVeto", &format!("/vetoes/{NO_ID}/weighings"), Some(json!({ "weighing": "may-be-reported" })), Shared),
            case("listReviews", "/reviews", None, Shared),
            case("getReview", &format!("/reviews/{NO_ID}"), None, Shared),
            case("listConclusions", &format!("/reviews/{NO_ID}/conclusions"), None, Shared),
            case("concludeReview", &format!("/reviews/{NO_ID}/conclusions"), Some(json!({ "conclusion": "justified", "measures": [] })), Shared),
            case("listIncidents", "/incidents", None, Own),
            case("openIncident", "/incidents", Some(incident(referral)), Own),
            case("getIncident", &of_incident, None, Hidden),
            case("listIncidentAssessments", &format!("{of_incident}/assessments"), None, Hidden),
            case("assessIncident", &format!("{of_incident}/assessments"), Some(json!({ "outcome": "no-breach" })), Hidden),
            case("listIncidentConfirmations", &format!("{of_incident}/confirmations"), None, Hidden),
            case("confirmIncidentDeletion", &format!("{of_incident}/confirmations"), Some(json!({ "passedOn": "nobody" })), Hidden),
            case("composeAccessReport", "/access-reports", Some(json!({ "subject": { "bsn": BSN }, "scope": "own", "identification": "identity-document", "requestedBy": "resident" })), Own),
            case("listInformingNotifications", &format!("{of_referral}/notifications"), None, Hidden),
            case("recordInforming", &format!("{of_referral}/notifications"), Some(json!({ "outcome": "already-informed" })), Hidden),
            case("listInformingDuties", "/informing-duties", None, Own),
            case("getInformingDuty", &format!("/informing-duties/{duty}"), None, Hidden),
            case("listObjections", "/objections", None, Own),
            case("recordObjection", "/objections", Some(objection(app)), Own),
            case("getObjection", &format!("/objections/{objected}"), None, Hidden),
            case("endObjection", &format!("/objections/{objected}/endings"), Some(json!({ "reason": "taken-back", "takenBackAt": app.app().now(), "method": "by-telephone" })), Hidden),
            case("extendObjection", &format!("/objections/{NO_ID}/extensions"), Some(json!({ "reason": "complexity", "residentInformedAt": app.app().now() })), Shared),
            case("weighObjection", &format!("/objections/{NO_ID}/weighings"), Some(json!({ "outcome": "upheld", "residentInformedAt": app.app().now(), "method": "by-letter" })), Shared),
            case("listRestrictions", "/restrictions", None, Own),
            case("recordRestriction", "/restrictions", Some(restriction()), Own),
            case("getRestriction", &format!("/restrictions/{restricted}"), None, Hidden),
            case("endRestriction", &format!("/restrictions/{restricted}/endings"), Some(json!({ "residentInformedAt": app.app().now(), "method": "by-letter" })), Hidden),
            case("listErasures", "/erasures", None, Own),
            case("eraseContent", "/erasures", Some(erasing()), Own),
            case("getErasure", &format!("/erasures/{erasure}"), None, Hidden),
            case("listEvents", "/events", None, Own),
            case("listSubscriptions", "/subscriptions", None, Own),
            case("createSubscription", "/subscriptions", Some(json!({ "sink": "https://localhost:9/hook" })), Own),
            case("getSubscription", &format!("/subscriptions/{subscription}"), None, Hidden),
            case("changeSubscription", &format!("/subscriptions/{subscription}"), Some(json!({ "status": "active" })), Hidden),
            case("listDeliveries", &format!("/subscriptions/{subscription}/deliveries"), None, Hidden),
            case("replayDeliveries", &format!("/subscriptions/{subscription}/replays"), Some(json!({ "since": app.app().now() })), Hidden),
            case("listOverdueHandoffs", "/handoffs", None, Shared),
            case("summariseHandoffs", "/handoffs/summary", None, Shared),
            case("summariseNeeds", "/handoffs/needs", None, Shared),
            case("listRetentionRemovals", "/retention-removals", None, Shared),
            case("listAuditRecords", "/audit/records", None, Own),
            case("getAuditRecord", &format!("/audit/records/{record}"), None, Hidden),
            case("getAuditProof", &format!("/audit/records/{record}/proof"), None, Hidden),
            case("revokeCertificate", &format!("{bank}/certificates/{serial}/revocations"), Some(json!({ "reasonCode": "superseded" })), Hidden),
            case("deleteSubscription", &format!("/subscriptions/{subscription}"), None, Hidden),
        ]
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cursor_that_was_not_made_here_is_refused_by_every_collection() {
    let app = TestApp::start().await;
    let cases = Belongings::of_the_credit_bank(&app).await.cases(&app);
    let pages = |case: &&Case| case.operation().parameters.iter().any(|parameter| parameter.name == "cursor");
    let mut tried = 0;
    for case in cases.iter().filter(pages) {
        // Nothing, three bytes, and what is nearly a key of some collection: a number, an id in capitals, two of them, an event feed's.
        let almost =
            ["-1", "+1", "01", "1/", "/", "1/x", "01932D5A-7C1E-7B3F-9D42-6F1F0A7C0001", "0000009900000000100", "x"];
        let almost = almost.map(|text| URL_SAFE_NO_PAD.encode(text));
        let cursors = ["AAAA", "A", "AQAAAAAAAAAR"].into_iter().chain(almost.iter().map(String::as_str));
        for cursor in cursors {
            let path = format!("/v1{}?cursor={cursor}", case.path);
            let mut answer = app.get("kredietbank", &path).await;
            for who in ["monitor", "privacy-officer", "administrator"] {
                if answer.status == 403 {
                    answer = app.get(who, &path).await;
                }
            }
            let named = (answer.text_at("/invalidParams/0/name"), answer.text_at("/invalidParams/0/code"));
            assert_eq!((answer.status, named), (400, (Some("cursor"), Some("cursor"))), "{path} {}", answer.text);
        }
        tried += 1;
    }
    assert!(tried >= 15, "{tried} collections");
    app.finish().await;
}

/// Calls an operation as it should be called, but for who does.
async fn call(wire: &Wire, case: &Case, path: &str, token: Option<&str>) -> Reply {
    let mut request = wire.request(&case.operation().method, &format!("/v1{path}"));
    if let Some(token) = token {
        request = request.bearer_auth(token);
    }
    if case.operation().requires_idempotency_key() {
        request = request.header("idempotency-key", uuid::Uuid::now_v7().to_string());
    }
    if let Some(body) = &case.body {
        request = request.json(body);
    }
    wire.send(request).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_table_names_every_operation() {
    let app = TestApp::start().await;
    let cases = Belongings::of_the_credit_bank(&app).await.cases(&app);
    let named: BTreeSet<&str> = cases.iter().map(|case| case.id).collect();
    let known: BTreeSet<&str> = CONTRACT.operations().map(|operation| operation.id.as_str()).collect();
    assert_eq!(named, known);
    assert_eq!(named.len(), cases.len(), "each once");
    for case in &cases {
        let operation = case.operation();
        assert_eq!(operation.scopes.is_none(), case.others == Others::Public, "{}", case.id);
        assert_eq!(operation.body.is_some(), case.body.is_some(), "{}", case.id);
        assert!(case.path != case.missing || case.others != Others::Hidden, "{}", case.id);
    }
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_the_right_certificate_and_token_no_operation_answers() {
    // Every operation is asked eight times by who is not let in, at once.
    let app = TestApp::start_with(&[("SLUIS_LIMITS__ANONYMOUS_BURST", "2000")]).await;
    let cases = Belongings::of_the_credit_bank(&app).await.cases(&app);
    let (nobody, bank) = (Wire::nobody(&app), Wire::of(&app, "kredietbank"));
    let own = app.world().client("kredietbank").unwrap().token(None).await.unwrap();
    let foreign = app.world().client("smow").unwrap().token(None).await.unwrap();
    let of_a_role = app.world().client("administrator").unwrap().token(None).await.unwrap();
    let unsigned = format!("{}AAAA", own.get(..own.len() - 4).unwrap());
    for case in &cases {
        if case.others == Others::Public {
            assert_eq!(call(&nobody, case, &case.path, None).await.status, 200);
            continue;
        }
        for (wire, token, code) in [
            (&nobody, None, "client-certificate-required"),
            (&nobody, Some(own.as_str()), "client-certificate-required"),
            (&bank, None, "token-required"),
            (&bank, Some(foreign.as_str()), "token-binding"),
            (&bank, Some(of_a_role.as_str()), "token-binding"),
            (&bank, Some("garbage"), "token-invalid"),
            (&bank, Some("eyJhbGciOiJub25lIn0.e30."), "token-invalid"),
            (&bank, Some(unsigned.as_str()), "token-invalid"),
        ] {
            let reply = call(wire, case, &case.path, token).await;
            assert_eq!((reply.status, reply.code()), (401, code), "{} {token:?}", case.id);
        }
    }
    // The tokens are good where they belong, until they end.
    assert_eq!(bank.get("/v1/covenants", Some(&own)).await.status, 200);
    app.app().clock.advance(Duration::from_secs(310));
    for case in cases.iter().filter(|case| case.others != Others::Public) {
        let reply = call(&bank, case, &case.path, Some(&own)).await;
        assert_eq!((reply.status, reply.code()), (401, "token-invalid"), "{} after its end", case.id);
    }
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_token_without_the_scope_is_told_which_one_it_needs() {
    let app = TestApp::start().await;
    let cases = Belongings::of_the_credit_bank(&app).await.cases(&app);
    let bank = Wire::of(&app, "kredietbank");
    let mut held = 0;
    for case in &cases {
        let scopes = case.operation().scopes.as_deref().unwrap_or_default();
        if scopes.is_empty() {
            continue;
        }
        let other =
            ["events", "consents"].into_iter().find(|other| !scopes.iter().any(|scope| scope == other)).unwrap();
        let token = app.world().client("kredietbank").unwrap().token(Some(other)).await.unwrap();
        let reply = call(&bank, case, &case.path, Some(&token)).await;
        assert_eq!((reply.status, reply.code()), (403, "insufficient-scope"), "{}", case.id);
        for scope in scopes {
            assert!(reply.body["detail"].as_str().unwrap().contains(scope.as_str()), "{}", reply.text);
        }
        assert!(reply.header("www-authenticate").contains("error=\"insufficient_scope\""), "{}", case.id);
        held += 1;
    }
    assert!(held > 20, "only {held} operations need a scope");
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_belongs_to_another_organisation_does_not_exist() {
    let app = TestApp::start().await;
    let belongings = Belongings::of_the_credit_bank(&app).await;
    let cases = belongings.cases(&app);
    let (stranger, bank) = (Wire::of(&app, "smow"), Wire::of(&app, "kredietbank"));
    let strangers = app.world().client("smow").unwrap().token(None).await.unwrap();
    let banks = app.world().client("kredietbank").unwrap().token(None).await.unwrap();
    for case in cases.iter().filter(|case| case.others == Others::Hidden) {
        let foreign = call(&stranger, case, &case.path, Some(&strangers)).await;
        let missing = call(&stranger, case, &case.missing, Some(&strangers)).await;
        assert_eq!((foreign.status, foreign.code()), (404, "not-found"), "{}: {}", case.id, foreign.text);
        assert_eq!(foreign.body, missing.body, "{}: told apart from what is not there", case.id);
    }
    for case in cases.iter().filter(|case| case.others == Others::Hidden) {
        let own = call(&bank, case, &case.path, Some(&banks)).await;
        assert!(own.status != 404 && own.status < 500, "{}: its owner has it: {}", case.id, own.text);
    }
    for case in cases.iter().filter(|case| case.others == Others::Own && case.body.is_none()) {
        let list = call(&stranger, case, &case.path, Some(&strangers)).await;
        assert_eq!(list.status, 200, "{}", case.id);
        for id in [
            &belongings.referral,
            &belongings.kase,
            &belongings.consent,
            &belongings.confirmation,
            &belongings.subscription,
            &belongings.record,
            &belongings.veto,
        ] {
            assert!(!list.text.contains(id.as_str()), "{}: {}", case.id, list.text);
        }
    }
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_only_an_administrator_does_no_other_client_does() {
    let app = TestApp::start().await;
    let belongings = Belongings::of_the_credit_bank(&app).await;
    for case in belongings.cases(&app) {
        let Some([scope]) = case.operation().scopes.as_deref() else { continue };
        if !["organisations:write", "covenants"].contains(&scope.as_str()) {
            continue;
        }
        for who in ["gemeente-wassenaar", "kredietbank", "monitor"] {
            let token = app.world().client(who).unwrap().token(None).await.unwrap();
            let reply = call(&Wire::of(&app, who), &case, &case.path, Some(&token)).await;
            assert_eq!((reply.status, reply.code()), (403, "insufficient-scope"), "{who} {}", case.id);
        }
    }
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_of_the_body_is_read_before_the_caller_is_known() {
    let app = TestApp::start().await;
    let cases = Belongings::of_the_credit_bank(&app).await.cases(&app);
    let nobody = Wire::nobody(&app);
    for case in cases.iter().filter(|case| case.body.is_some()) {
        let operation = case.operation();
        for (media_type, body) in [("application/json", "{\"a\": "), ("text/plain", "x"), ("application/json", "")] {
            let request = nobody.request(&operation.method, &format!("/v1{}", case.path));
            let request = request.header("content-type", media_type).header("accept", "image/png");
            let reply = nobody.send(request.body(body)).await;
            assert_eq!((reply.status, reply.code()), (401, "client-certificate-required"), "{} {body:?}", case.id);
        }
    }
    // A body that never comes: the answer does not wait for it.
    let anyone = settings(&app, None, &rustls::version::TLS13);
    let json = cases.iter().filter(|case| case.body.is_some());
    let routes = json.map(|case| (case.operation().method.as_str(), format!("/v1{}", case.path)));
    let forms = ["/oauth/token", "/oauth/introspect", "/oauth/revoke"].map(|path| ("POST", path.to_owned()));
    for (method, path) in routes.chain(forms) {
        let head = format!(
            "{method} {path} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 900000\r\n\r\n{{"
        );
        let (status, _, body) = Connection::open(&app, &anyone).unwrap().say(&head).unwrap();
        assert_eq!(status, 401, "{method} {path}");
        assert!(body.contains("client-certificate-required"), "{method} {path} {body}");
    }
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_huge_body_of_a_stranger_is_answered_with_401() {
    let app = TestApp::start().await;
    for http1 in [true, false] {
        let version = |builder: reqwest::ClientBuilder| if http1 { builder.http1_only() } else { builder };
        let nobody = Wire::new(&app, None, version);
        for path in ["/v1/referrals", "/oauth/token"] {
            let request = nobody.request("POST", path).header("content-type", "application/json");
            let reply = nobody.send(request.body(vec![b' '; 6 * 1024 * 1024])).await;
            assert_eq!((reply.status, reply.code()), (401, "client-certificate-required"), "{path} {http1}");
        }
    }
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn outside_the_contract_exactly_the_documents_are_public() {
    let app = TestApp::start().await;
    let _ = Belongings::of_the_credit_bank(&app).await;
    let nobody = Wire::nobody(&app);
    for route in ROUTES.iter().filter(|route| !route.path.starts_with("/v1/")) {
        match (route.method, route.path) {
            ("POST", path @ ("/oauth/token" | "/oauth/introspect" | "/oauth/revoke")) => {
                for fields in
                    [&[][..], &[("grant_type", "client_credentials"), ("client_id", KREDIETBANK), ("token", "x")]]
                {
                    let reply = nobody.form(path, fields).await;
                    assert_eq!((reply.status, reply.code()), (401, "client-certificate-required"), "{path}");
                    assert_eq!(reply.body["error"], "invalid_client", "{path}");
                }
            }
            ("GET", "/log/tile/{*tile}") => {
                let checkpoint = nobody.get("/log/checkpoint", None).await.text;
                let size: u64 = checkpoint.lines().nth(1).unwrap().parse().unwrap();
                let tile = nobody.get(&format!("/log/tile/0/000.p/{size}"), None).await;
                assert_eq!(tile.status, 200, "{checkpoint}");
            }
            (
                "GET",
                path @ ("/oauth/jwks"
                | "/.well-known/oauth-authorization-server"
                | "/pki/ca.pem"
                | "/pki/crl"
                | "/log/checkpoint"),
            ) => assert_eq!(nobody.get(path, None).await.status, 200, "{path}"),
            (method, path) => panic!("this test does not know {method} {path}"),
        }
    }
    app.finish().await;
}
