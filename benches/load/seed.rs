//! Fills a gateway's database with as many referrals as are wanted, in bulk, and puts their records and events in order.

use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use sluis::app::App;
use sluis::audit;
use sluis::clock::Timestamp;
use sluis::storage::{Insert, Otherwise, Tx};

use crate::seed_rows::{Cast, Mould};
use crate::template;
use crate::{Outcome, say};

/// Referrals written by one change.
const TOGETHER: u64 = 50;
/// Such bundles under way.
const UNDER_WAY: usize = 8;
/// The first referral is so old.
const AGE: Duration = Duration::from_hours(24 * 14);

/// Makes referrals like one that the gateway has accepted.
pub struct Seeder {
    app: App,
    mould: Arc<Mould>,
    tables: &'static [Insert],
    /// When the first one was handed over.
    start: Timestamp,
    made: u64,
}

impl Seeder {
    /// On a database in which at least one referral was accepted; takes the newest one as its example.
    pub async fn new(app: App, url: &str) -> Outcome<Self> {
        let mould = Arc::new(Mould::of(&app, template::of_referral(url).await?).await?);
        // What is appended to is constant for the storage; these few are made once and stay as long as the program runs.
        let tables: Vec<Insert> = mould.tables().iter().map(append).collect();
        let start = app.now().minus(AGE);
        Ok(Self { app, mould, tables: tables.leak(), start, made: 0 })
    }

    /// Makes at least so many more, and has everything sequenced.
    pub async fn make(&mut self, count: u64) -> Outcome<()> {
        let begin = Instant::now();
        let bundles = (self.made..self.made + count).step_by(usize::try_from(TOGETHER)?);
        self.made += count.next_multiple_of(TOGETHER);
        let seeder = &*self;
        stream::iter(bundles)
            .map(|first| seeder.bundle(first))
            .buffered(UNDER_WAY)
            .try_for_each(async |first| {
                if first > 0 && first.is_multiple_of(100_000) {
                    say(&format!("load: {first} referrals made, {:.0} s", begin.elapsed().as_secs_f64()));
                }
                Ok(())
            })
            .await?;
        let written = begin.elapsed();
        self.app.sequence().await?;
        let (written, all) = (written.as_secs_f64(), begin.elapsed().as_secs_f64());
        say(&format!("load: {count} referrals made in {written:.0} s, sequenced in {:.0} s more", all - written));
        Ok(())
    }

    async fn bundle(&self, first: u64) -> Outcome<u64> {
        let (app, mould, start, tables) = (self.app.clone(), Arc::clone(&self.mould), self.start, self.tables);
        let numbers = first..first + TOGETHER;
        let cast = move || -> Outcome<Vec<Cast>> {
            numbers.map(|number| mould.cast(&app, number, start.plus(Duration::from_secs(number)))).collect()
        };
        let made = tokio::task::spawn_blocking(cast).await??;
        let write = async move |tx: &mut Tx| {
            for referral in &made {
                for record in &referral.records {
                    audit::write(tx, record);
                }
                for (table, rows) in tables.iter().zip(&referral.rows) {
                    for row in rows {
                        tx.append(table, row.clone());
                    }
                }
            }
            Ok(())
        };
        self.app.db.write("load-seed", write).await?;
        Ok(first)
    }
}

/// How such rows are appended. What is there already stays as it is.
fn append(insert: &template::Insert) -> Insert {
    let columns: Vec<&'static str> = insert.columns.iter().map(|column| &*column.clone().leak()).collect();
    Insert {
        rank: u8::from(matches!(insert.table, "referral_sections" | "case_aliases")),
        table: insert.table,
        columns: columns.leak(),
        conflict: if insert.conflict.is_empty() { "" } else { "ON CONFLICT DO NOTHING" },
        otherwise: Otherwise::Fine,
    }
}
