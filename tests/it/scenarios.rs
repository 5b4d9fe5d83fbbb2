//! The scenarios of `tests/scenarios/`, played with the same runner as `sluis demo`, each on a gateway of its own.

use std::collections::BTreeMap;

use sluis::demo::narration::Console;
use sluis::demo::words::{Language, MEMBERS};
use sluis::demo::{runner, scenarios};

use crate::app::TestApp;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_scenario_ends_as_it_says() {
    let mut wrong = Vec::new();
    for scenario in scenarios::all().unwrap() {
        let mut app = TestApp::start().await;
        let mut told = Vec::new();
        let mut console = Console::plain(&mut told, Language::En);
        let report = runner::play(&scenario, &mut app.house, &mut console, Language::En).await;
        if let Some(failure) = &report.failure {
            wrong.push(format!("{}: {failure}\n{}", scenario.title.en, String::from_utf8_lossy(&told)));
        }
        crate::consistency::the_log_holds(&app).await;
        app.finish().await;
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n\n"));
}

#[test]
fn every_partner_is_the_main_actor_of_at_least_two() {
    let mut count: BTreeMap<String, usize> = BTreeMap::new();
    let all = scenarios::all().unwrap();
    for scenario in &all {
        for actor in &scenario.main {
            *count.entry(actor.clone()).or_default() += 1;
        }
    }
    assert!(all.len() >= 15);
    for member in MEMBERS {
        assert!(count.get(member).copied().unwrap_or(0) >= 2, "{member}: {count:?}");
    }
}
