//! How long single steps take: deciding, minimising, sealing, the log, tokens, the contract.
//!
//! `cargo bench --bench micro` measures them; `-- decide` only those whose name holds that word. Every measurement first
//! asserts that the step gives what it should.

#![allow(
    missing_docs,
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a measurement that cannot go on has failed"
)]

use std::hint::black_box;
use std::time::Duration;

use criterion::{BatchSize, Criterion, criterion_group, criterion_main};
use serde_json::json;
use sluis::audit::merkle::{Frontier, leaf_hash};
use sluis::audit::{self, Record, SealedRecord};
use sluis::clock::Timestamp;
use sluis::covenant::{Bundle, CategoryCode, Phase};
use sluis::demo::{large, policies};
use sluis::http::contract::{self, Contract};
use sluis::ids::Entropy;
use sluis::lifecycle::Status;
use sluis::lifecycle::referral::{Command, Role, State, step};
use sluis::lifecycle::terms::Terms;
use sluis::organisations::credentials::{KeyKeeper, KeyRing, Tokens};
use sluis::policy::{
    Action, AgeGroup, CaseFacts, Categorised, Code, Effect, Engine, OnWithheld, ReferralTerms, Request, RightsFacts,
    SectionDecision, Standing, SubjectFacts, minimise,
};
use sluis::storage::seal::{Key, Sealer};
use sluis::storage::{Db, StorageSettings};

/// The size of the covenant that is called large.
const ORGANISATIONS: usize = 600;
const RULES: usize = 3_000;

fn parsed<T: std::str::FromStr>(text: &str) -> T
where
    T::Err: std::fmt::Debug,
{
    text.parse().unwrap()
}

fn now() -> Timestamp {
    parsed("2026-11-15T12:00:00Z")
}

/// A referral by the municipality under a law.
fn referral(engine: &Engine, to: &str, purpose: &str, basis: &str, sections: &[&str]) -> Request {
    let oin = |slug: &str| engine.covenant().party(slug).unwrap().oin.clone();
    let (sender, recipient) = (oin("gemeente-wassenaar"), oin(to));
    Request {
        rights: RightsFacts::default(),
        action: Action::Refer,
        giver: sender.clone(),
        giver_standing: Standing::GOOD,
        receiver: recipient.clone(),
        receiver_standing: Standing::GOOD,
        referral: ReferralTerms {
            sender,
            recipient,
            purpose: parsed(purpose),
            phase: Phase::Case,
            basis: parsed(basis),
        },
        subject: SubjectFacts { age_group: Some(AgeGroup::Adult), age_group_contradicted: false, by_bsn: true },
        case: CaseFacts::default(),
        break_glass: None,
        sections: sections.iter().map(|section| parsed(section)).collect(),
        carried: Vec::new(),
        records: Vec::new(),
        now: now(),
    }
}

/// Three sections about debts: two cross, one is withheld.
fn about_debts(engine: &Engine) -> Request {
    referral(engine, "kredietbank", "debt-counselling", "wgs", &["question", "finance", "mental-health"])
}

fn deciding(criterion: &mut Criterion) {
    let bundles: [(&str, Bundle, usize); 2] = [
        ("example covenant", policies::bundle().unwrap(), 149),
        ("3,000 rules, 600 organisations", large::bundle(ORGANISATIONS, RULES).unwrap(), RULES),
    ];
    for (name, bundle, rules) in &bundles {
        let engine = Engine::new(bundle).unwrap();
        assert_eq!(engine.rules().len(), *rules);
        let mut request = about_debts(&engine);
        if *rules == RULES {
            let row = large::rows(ORGANISATIONS, RULES)[400];
            let (to, purpose) = (large::organisation(row.recipient), large::purpose(row.purpose));
            request = referral(&engine, &to, &purpose, "wmo-2015", &["question", row.categories[0], "mental-health"]);
        }
        let effects: Vec<_> = engine.decide(&request).sections().iter().map(SectionDecision::effect).collect();
        assert_eq!(effects, [Effect::Permit, Effect::Permit, Effect::Withhold]);
        assert_eq!(engine.decide(&request), engine.decide_anew(&request));
        assert_eq!(engine.remembered(), 3);
        criterion.bench_function(&format!("decide 3 sections, remembered, {name}"), |bencher| {
            bencher.iter(|| engine.decide(black_box(&request)));
        });
        criterion.bench_function(&format!("decide 3 sections, anew, {name}"), |bencher| {
            bencher.iter(|| engine.decide_anew(black_box(&request)));
        });
        criterion.bench_function(&format!("load, {name}"), |bencher| {
            bencher.iter(|| Engine::new(black_box(bundle)).unwrap());
        });
    }
}

#[derive(Clone)]
struct Section(CategoryCode, String);

impl Categorised for Section {
    fn category(&self) -> &CategoryCode {
        &self.0
    }
}

fn minimising(criterion: &mut Criterion) {
    let engine = Engine::new(&policies::bundle().unwrap()).unwrap();
    let request = about_debts(&engine);
    let decision = engine.decide(&request);
    assert_eq!(decision.sections()[2].code(), Some(Code::CategoryNeverForRecipient));
    let permit = decision.permit(OnWithheld::Minimise).unwrap();
    let sections: Vec<_> = request.sections.iter().map(|code| Section(code.clone(), "x".repeat(700))).collect();
    let kept = minimise(&permit, sections.clone());
    assert_eq!(kept.iter().map(|kept| kept.1.len()).sum::<usize>(), 1_400);
    criterion.bench_function("minimise 3 sections", |bencher| {
        let again = || sections.clone();
        bencher.iter_batched(again, |sections| minimise(&permit, sections), BatchSize::SmallInput);
    });
}

fn sealing(criterion: &mut Criterion) {
    let entropy = Entropy::system();
    let sealer = Sealer::new(Key::generate(&entropy).unwrap(), Vec::new(), entropy);
    let (key, wrapped) = sealer.new_data_key("referrals/key/1").unwrap();
    let plain = vec![b'x'; 700];
    let sealed = key.seal("sections/content/1", &plain).unwrap();
    assert_eq!(key.open("sections/content/1", &sealed).unwrap().as_slice(), plain);
    assert!(key.open("sections/content/2", &sealed).is_err());
    criterion.bench_function("seal a section of 700 bytes", |bencher| {
        bencher.iter(|| key.seal("sections/content/1", black_box(&plain)).unwrap());
    });
    criterion.bench_function("open a section of 700 bytes", |bencher| {
        bencher.iter(|| key.open("sections/content/1", black_box(&sealed)).unwrap());
    });
    criterion.bench_function("make and wrap the key of a referral", |bencher| {
        bencher.iter(|| sealer.new_data_key("referrals/key/1").unwrap());
    });
    assert!(sealer.data_key("referrals/key/1", &wrapped).is_ok());
}

fn stepping(criterion: &mut Criterion) {
    let received = Command::Update { status: Status::Received, reason: None, outcome: None };
    let terms = Terms { received: 3, decided: 5, extension_weeks: 8, percent: 100, ..Terms::default() };
    let new = State::new(&terms, now());
    let take = |state: &State| step(state, &[Role::Recipient], &received, &terms, now());
    assert_eq!(take(&new).unwrap().state.status, Status::Received);
    criterion.bench_function("one step of a referral", |bencher| bencher.iter(|| take(black_box(&new))));
}

fn logging(criterion: &mut Criterion) {
    let mut frontier = Frontier::new();
    for number in 0..1_000_000_u32 {
        frontier.append(leaf_hash(&number.to_be_bytes()), |_, _| {});
    }
    assert_eq!(frontier.size(), 1_000_000);
    let leaf = [7; 1_024];
    let (before, mut after) = (frontier.root(), frontier.clone());
    after.append(leaf_hash(&leaf), |_, _| {});
    assert_ne!(before, after.root());
    criterion.bench_function("append to a log of a million leaves, with its root", |bencher| {
        bencher.iter(|| {
            frontier.append(leaf_hash(black_box(&leaf)), |_, _| {});
            frontier.root()
        });
    });

    let engine = Engine::new(&policies::bundle().unwrap()).unwrap();
    let request = about_debts(&engine);
    let entropy = Entropy::system();
    let mut record = Record::new(entropy.uuid(now()).unwrap(), audit::Kind::Decision, now(), request.giver.clone());
    record.sender = Some(request.giver.clone());
    record.recipient = Some(request.receiver.clone());
    record.purpose = Some("debt-counselling".to_owned());
    record.covenant_version = Some("2026.1".to_owned());
    record.policy_digest = Some(engine.digest().to_string());
    record.facts = Some(json!({ "ageGroup": "18-plus", "byBsn": true, "records": [] }));
    let sealer = Sealer::new(Key::generate(&entropy).unwrap(), Vec::new(), entropy.clone());
    let one = SealedRecord::new(&record, &entropy, &sealer).unwrap();
    assert_ne!(one, SealedRecord::new(&record, &entropy, &sealer).unwrap(), "every record has salts of its own");
    criterion.bench_function("seal a record: 30 salts and commitments", |bencher| {
        bencher.iter(|| SealedRecord::new(black_box(&record), &entropy, &sealer).unwrap());
    });
}

/// Keys as a gateway has them, of a database that is thrown away.
fn key_ring() -> std::sync::Arc<KeyRing> {
    let folder = std::env::temp_dir().join(format!("sluis-micro-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let url = format!("sqlite:{}", folder.join("sluis.db").display());
    let entropy = Entropy::system();
    let sealer = Sealer::new(Key::generate(&entropy).unwrap(), Vec::new(), entropy);
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let ring = runtime.block_on(async {
        let db = Db::open(&StorageSettings { url, readers: 1, writers: 1 }).await.unwrap();
        let hours = Duration::from_hours;
        KeyKeeper::open(db, sealer, hours(1), hours(24 * 30), now()).await.unwrap().ring(now()).await.unwrap()
    });
    std::fs::remove_dir_all(folder).unwrap();
    ring
}

fn signing(criterion: &mut Criterion) {
    let ring = key_ring();
    let new = || Tokens::new("https://gateway.example".to_owned(), Duration::from_hours(1));
    let (tokens, scopes) = (new(), parsed("referrals consents events"));
    let token = tokens.issue(&ring, "client", &scopes, "thumbprint", "1".to_owned(), now()).unwrap();
    assert!(tokens.verify(&ring, &token, now()).unwrap().is_bound_to("thumbprint"));
    assert!(tokens.verify(&ring, &token, now().plus(Duration::from_hours(2))).is_err());
    criterion.bench_function("check a token for the first time", |bencher| {
        bencher.iter_batched(new, |tokens| tokens.verify(&ring, black_box(&token), now()), BatchSize::SmallInput);
    });
    criterion.bench_function("check a token that was checked before", |bencher| {
        bencher.iter(|| tokens.verify(&ring, black_box(&token), now()).unwrap());
    });
    let receipt = json!({
        "iss": "https://gateway.example", "iat": 1_794_744_000, "referral": "01932d7e-5b7a-7c3e-9d1a-0242ac120002",
        "sender": "00000099000000001000", "recipient": "00000099000000006000", "outcome": "minimised",
        "policyDigest": "sha-256:0000000000000000000000000000000000000000000000000000000000000000",
    });
    assert_eq!(ring.sign_receipt(&receipt, now()).unwrap().matches('.').count(), 2);
    criterion.bench_function("sign a receipt", |bencher| {
        bencher.iter(|| ring.sign_receipt(black_box(&receipt), now()).unwrap());
    });
}

fn validating(criterion: &mut Criterion) {
    let contract = Contract::built_in().unwrap();
    let operation = contract.operation("POST", "/referrals").unwrap();
    let section = |category| json!({ "category": category, "content": { "text": "x".repeat(500) } });
    let body = json!({
        "recipient": "00000099000000006000", "purpose": "debt-counselling", "phase": "case", "legalBasis": "wgs",
        "subject": { "bsn": "999990019", "ageGroup": "18-plus" }, "onWithheld": "minimise",
        "sections": [section("question"), section("finance"), section("housing")],
    });
    let length = body.to_string().len();
    assert!((1_800..2_300).contains(&length), "{length} bytes are no 2 KiB");
    let header =
        |name: &str| (name.eq_ignore_ascii_case("idempotency-key")).then_some("01932d7e-5b7a-7c3e-9d1a-0242ac120002");
    let valid = |body| {
        contract.validate_request(
            operation,
            &contract::Request { path: &[], query: &[], header: &header, body: Some(body) },
        )
    };
    assert!(valid(&body).is_ok(), "{:?}", valid(&body));
    let unfit = json!({ "recipient": "nobody" });
    assert!(valid(&unfit).is_err());
    criterion.bench_function("hold a referral of 2 KiB against the contract", |bencher| {
        bencher.iter(|| valid(black_box(&body)));
    });
}

criterion_group! {
    name = micro;
    config = Criterion::default().without_plots().warm_up_time(Duration::from_secs(1)).measurement_time(Duration::from_secs(3));
    targets = deciding, minimising, sealing, stepping, logging, signing, validating
}
criterion_main!(micro);
