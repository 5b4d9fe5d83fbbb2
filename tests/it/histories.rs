//! Random histories, played through HTTP on the running gateway and step by step in the core; after every move everyone must see, be told and
//! be allowed exactly what the core says.
//!
//! [`moves`] says what a history is made of, [`oracle`] runs the core, [`cast`] is the account of who is what and sees how much, [`chronicle`] what is
//! remembered of a case, [`news`] who is told, [`stage`] is the gateway with a clock that stands still, [`play`], [`steps`], [`case_steps`] and
//! [`choices`] make the moves and [`readers`] compares. Where the core decides (what is possible, who stands in, what is noted when, as what somebody
//! may act) it is asked itself; who sees and hears what is said once more, from the documents. What is not covered: notes in updates, corrections,
//! purposes that rest on a case, information and advice, encrypted sections, consents that end, organisations that retire, the municipality's own
//! suspension, several gateways at once.
//!
//! Set in the environment:
//!
//! | variable | default | |
//! |---|---|---|
//! | `SLUIS_HISTORIES` | 5 | how many |
//! | `SLUIS_HISTORIES_LENGTH` | 40 | moves in each, before everything is brought to an end |
//! | `SLUIS_HISTORIES_SEED` | 1 | seed of the first; the next has the next number |
//! | `SLUIS_HISTORIES_TRIES` | 60 | how often a failing one is tried in a shorter form |
//!
//! A failure names the seed, and the shortest part of the history that fails, with everything that was done in it. One seed alone is
//! played by `SLUIS_HISTORIES_SEED=… SLUIS_HISTORIES=1`.

#![allow(
    clippy::trivially_copy_pass_by_ref,
    reason = "commands are handed over as the core takes them, whatever their size"
)]

mod case_steps;
mod cast;
mod choices;
mod chronicle;
mod commands;
mod moves;
mod news;
mod oracle;
mod play;
mod readers;
mod stage;
mod steps;

use proptest::strategy::{Strategy as _, ValueTree as _};
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};

use self::moves::History;
use self::play::{Play, Tally};
use self::stage::Stage;

/// After so many days of its time a gateway is founded anew: certificates last a year, and a history moves the clock by months.
const AGE: i64 = 150;

fn setting(name: &str, default: u64) -> u64 {
    let Ok(text) = std::env::var(name) else { return default };
    text.parse().unwrap_or_else(|_| panic!("{name} is no number"))
}

fn count(name: &str, default: u64) -> usize {
    usize::try_from(setting(name, default)).unwrap()
}

/// The history of a seed.
fn history(seed: u64, length: usize) -> History {
    let mut bytes = [0; 32];
    bytes[..8].copy_from_slice(&seed.to_be_bytes());
    let rng = TestRng::from_seed(RngAlgorithm::ChaCha, &bytes);
    let mut runner = TestRunner::new_with_rng(Config::default(), rng);
    moves::histories(length).new_tree(&mut runner).unwrap().current()
}

/// How a history failed: what was done, and what was wrong.
struct Failure {
    log: Vec<String>,
    found: String,
}

impl std::fmt::Display for Failure {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}\n\n{}", self.log.join("\n"), self.found)
    }
}

/// Gateways one after the other, each with a name of its own.
#[derive(Default)]
struct Stages {
    present: Option<Stage>,
    founded: usize,
}

impl Stages {
    /// One that is young enough for another history.
    async fn young(&mut self) -> &mut Stage {
        if self.present.as_ref().is_some_and(|stage| stage.days() > AGE) {
            self.drop().await;
        }
        if self.present.is_none() {
            self.founded += 1;
            self.present = Some(Stage::open(&format!("histories-{}", self.founded)).await);
        }
        self.present.as_mut().unwrap()
    }

    async fn drop(&mut self) {
        if let Some(stage) = self.present.take() {
            stage.finish().await;
        }
    }

    async fn play(&mut self, history: &History) -> Result<Tally, Failure> {
        let mut play = Play::begin(self.young().await).await;
        let played = play.whole(history).await;
        let Play { tally, log, .. } = play;
        if played.is_err() {
            // What it left behind would get in the way of the next one.
            self.drop().await;
        }
        played.map(|()| tally).map_err(|found| Failure { log, found })
    }

    /// The shortest part of a failing history that was found to fail.
    async fn shorten(&mut self, mut history: History, mut failure: Failure) -> (History, Failure) {
        let (mut size, mut tries) = (history.moves.len().div_ceil(2), 0);
        let most = count("SLUIS_HISTORIES_TRIES", 60);
        while size > 0 && tries < most {
            let mut from = 0;
            while from < history.moves.len() && tries < most {
                tries += 1;
                let mut shorter = history.clone();
                shorter.moves.drain(from..history.moves.len().min(from + size));
                match self.play(&shorter).await {
                    Err(still) => (history, failure) = (shorter, still),
                    Ok(_) => from += size,
                }
            }
            size /= 2;
        }
        (history, failure)
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whatever_is_tried_everyone_sees_and_is_told_what_the_core_says() {
    let (first, many) = (setting("SLUIS_HISTORIES_SEED", 1), setting("SLUIS_HISTORIES", 5));
    let length = count("SLUIS_HISTORIES_LENGTH", 40);
    let (mut stages, mut all) = (Stages::default(), Tally::default());
    for seed in first..first + many {
        let history = history(seed, length);
        match stages.play(&history).await {
            Ok(tally) => {
                println!("seed {seed}: {} moves, {} steps", tally.moves, tally.taken.values().sum::<usize>());
                all.add(&tally);
            }
            Err(failure) => {
                println!("seed {seed} fails: {}\nlooking for a shorter history", failure.found);
                let (shortest, failure) = stages.shorten(history, failure).await;
                panic!("SLUIS_HISTORIES_SEED={seed} SLUIS_HISTORIES_LENGTH={length}\n{shortest:#?}\n{failure}");
            }
        }
    }
    stages.drop().await;
    println!("{many} histories from seed {first}, {} gateways: {all:#?}", stages.founded);
}
