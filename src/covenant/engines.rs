//! The policy engines of the published versions: made when they are first needed, kept while they are in use.
//!
//! Invariants: an engine is kept under the digest of its own bytes, so it can never be the engine of other ones; whoever decides
//! holds one engine to the end, so that nothing that is published meanwhile gets into a decision. Nobody who decides under a
//! version that is kept ever waits for another one to be loaded.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock};

use tokio::sync::{Mutex, OwnedMutexGuard};
use tokio::task::spawn_blocking;

use super::service::none_in_force;
use super::store::{self, Published};
use super::{Bundle, Covenant, Findings};
use crate::clock::Timestamp;
use crate::ids::Oin;
use crate::policy::Engine;
use crate::problem::Problem;
use crate::storage::Query;

/// How many engines are kept: the one in force, the next one, and two more that records of the log are explained with.
const KEPT: usize = 4;

/// The policy engines of the published versions.
#[derive(Default)]
pub struct Covenants {
    shelf: Arc<Shelf>,
    /// Held while an engine is made, so that a hundred requests for a version load it once, and loading never takes more than
    /// one thread.
    loading: Arc<Mutex<()>>,
    /// Held while something is proven, so that proofs never take more than one thread and one solver.
    proving: Arc<Mutex<()>>,
    /// Held while a draft is held against past decisions, so that one such question at a time reads the log.
    weighing: Arc<Mutex<()>>,
}

/// The engines that are kept.
#[derive(Default)]
struct Shelf {
    engines: RwLock<Vec<Kept>>,
    /// Counts up with every use.
    turn: AtomicU64,
    loaded: AtomicU64,
}

struct Kept {
    engine: Arc<Engine>,
    /// The turn of its last use.
    used: AtomicU64,
    /// The turn of its last use as the version in force.
    ruled: AtomicU64,
}

impl Shelf {
    /// The engine of these bytes, if it is kept; `rules` says that it is wanted as the version in force.
    fn find(&self, digest: &str, rules: bool) -> Option<Arc<Engine>> {
        let engines = self.engines.read().unwrap_or_else(PoisonError::into_inner);
        let kept = engines.iter().find(|kept| kept.engine.digest().as_str() == digest)?;
        let turn = self.turn.fetch_add(1, Ordering::Relaxed) + 1;
        kept.used.store(turn, Ordering::Relaxed);
        if rules {
            kept.ruled.store(turn, Ordering::Relaxed);
        }
        Some(Arc::clone(&kept.engine))
    }

    /// Makes the engine of a bundle, outside of the lock, and keeps it. Where there are too many the one that was used longest
    /// ago is dropped, but never the last one that ruled; whoever decides with it goes on.
    fn load(&self, bundle: &Bundle) -> Result<Arc<Engine>, Findings> {
        let engine = Arc::new(Engine::new(bundle)?);
        self.loaded.fetch_add(1, Ordering::Relaxed);
        let turn = self.turn.fetch_add(1, Ordering::Relaxed) + 1;
        let mut engines = self.engines.write().unwrap_or_else(PoisonError::into_inner);
        if engines.len() >= KEPT {
            let ruling = engines.iter().map(|kept| kept.ruled.load(Ordering::Relaxed)).max().unwrap_or(0);
            let spare = |(_, kept): &(usize, &Kept)| ruling == 0 || kept.ruled.load(Ordering::Relaxed) < ruling;
            let oldest =
                engines.iter().enumerate().filter(spare).min_by_key(|(_, kept)| kept.used.load(Ordering::Relaxed));
            if let Some((place, _)) = oldest {
                engines.remove(place);
            }
        }
        engines.push(Kept { engine: Arc::clone(&engine), used: AtomicU64::new(turn), ruled: AtomicU64::new(0) });
        Ok(engine)
    }
}

impl Covenants {
    /// The engine of the version in force.
    ///
    /// # Errors
    /// 403 when no version is in force, 500 when the published bytes do not load.
    pub async fn in_force(&self, query: &mut impl Query, now: Timestamp) -> Result<Arc<Engine>, Problem> {
        let published = store::in_force(query, now).await?.ok_or_else(none_in_force)?;
        self.engine(query, &published).await
    }

    /// The organisation that is the municipality of the covenant in force; none without a covenant.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn municipality(&self, query: &mut impl Query, now: Timestamp) -> Result<Option<Oin>, Problem> {
        let Some(published) = store::in_force(query, now).await? else { return Ok(None) };
        let engine = self.engine(query, &published).await?;
        Ok(engine.covenant().municipality().map(|party| party.oin.clone()))
    }

    /// The engine of a published version.
    ///
    /// # Errors
    /// 404 for an unknown version, 500 when the published bytes do not load.
    pub async fn of_version(&self, query: &mut impl Query, version: &str) -> Result<Arc<Engine>, Problem> {
        let published = store::find(query, version).await?.ok_or_else(Problem::not_found)?;
        self.of_published(query, &published).await
    }

    /// How many engines were made since the start.
    #[must_use]
    pub fn loaded(&self) -> u64 {
        self.shelf.loaded.load(Ordering::Relaxed)
    }

    /// How many engines are in memory; never more than a handful, whatever was published.
    #[must_use]
    pub fn kept(&self) -> usize {
        self.shelf.engines.read().unwrap_or_else(PoisonError::into_inner).len()
    }

    /// The engine of the version in force, to decide with. It is the last to be dropped from memory.
    ///
    /// # Errors
    /// 500 when the published bytes do not load.
    pub async fn engine(&self, query: &mut impl Query, published: &Published) -> Result<Arc<Engine>, Problem> {
        if let Some(engine) = self.shelf.find(&published.digest, true) {
            return Ok(engine);
        }
        let engine = self.of_published(query, published).await?;
        self.shelf.find(&published.digest, true);
        Ok(engine)
    }

    /// The engine of a version, in force or not.
    pub(super) async fn of_published(
        &self,
        query: &mut impl Query,
        published: &Published,
    ) -> Result<Arc<Engine>, Problem> {
        if let Some(engine) = self.shelf.find(&published.digest, false) {
            return Ok(engine);
        }
        let turn = self.turn_to_load().await;
        if let Some(engine) = self.shelf.find(&published.digest, false) {
            return Ok(engine);
        }
        let bundle = bundle_of(query, published).await?;
        let loaded = self.load(turn, bundle).await?;
        loaded.map_err(|_| Problem::internal("the published covenant does not load"))
    }

    /// The covenant of a published version, without making an engine for it.
    pub(super) async fn covenant(&self, query: &mut impl Query, published: &Published) -> Result<Covenant, Problem> {
        if let Some(engine) = self.shelf.find(&published.digest, false) {
            return Ok(engine.covenant().clone());
        }
        let bundle = bundle_of(query, published).await?;
        let covenant = spawn_blocking(move || bundle.covenant()).await.map_err(|_| stopped())?;
        covenant.map_err(|_| Problem::internal("the published covenant does not load"))
    }

    /// The engine of a bundle, whether or not it is published.
    ///
    /// # Errors
    /// 500 when the process stops; inside, what is wrong with the bundle.
    pub(super) async fn of_bundle(&self, bundle: &Bundle) -> Result<Result<Arc<Engine>, Findings>, Problem> {
        if let Some(engine) = self.shelf.find(bundle.digest().as_str(), false) {
            return Ok(Ok(engine));
        }
        let turn = self.turn_to_load().await;
        if let Some(engine) = self.shelf.find(bundle.digest().as_str(), false) {
            return Ok(Ok(engine));
        }
        self.load(turn, bundle.clone()).await
    }

    /// The engine of a draft (see [`Engine::of_draft`]): nobody decides with it, so it is not kept.
    ///
    /// # Errors
    /// 500 when the process stops; inside, what is wrong with the bundle.
    pub async fn of_draft(&self, bundle: Bundle) -> Result<Result<Arc<Engine>, Findings>, Problem> {
        let turn = self.turn_to_load().await;
        let load = move || {
            let engine = Engine::of_draft(&bundle).map(Arc::new);
            drop(turn);
            engine
        };
        spawn_blocking(load).await.map_err(|_| stopped())
    }

    /// Waits until no other draft is being held against past decisions.
    pub(crate) async fn turn_to_weigh(&self) -> OwnedMutexGuard<()> {
        Arc::clone(&self.weighing).lock_owned().await
    }

    /// Waits until nothing else is being proven.
    pub(super) async fn turn_to_prove(&self) -> OwnedMutexGuard<()> {
        Arc::clone(&self.proving).lock_owned().await
    }

    async fn turn_to_load(&self) -> OwnedMutexGuard<()> {
        Arc::clone(&self.loading).lock_owned().await
    }

    /// Loads on a thread for what takes long. The turn goes with it: when the request that wanted the engine is gone, the next
    /// one still finds it.
    async fn load(&self, turn: OwnedMutexGuard<()>, bundle: Bundle) -> Result<Result<Arc<Engine>, Findings>, Problem> {
        let shelf = Arc::clone(&self.shelf);
        let load = move || {
            let engine = shelf.load(&bundle);
            drop(turn);
            engine
        };
        spawn_blocking(load).await.map_err(|_| stopped())
    }
}

/// The published bytes of a version, which must still be those that were signed.
async fn bundle_of(query: &mut impl Query, published: &Published) -> Result<Bundle, Problem> {
    let files = store::files(query, &published.version).await?.ok_or_else(Problem::not_found)?;
    let files = files.into_iter().map(|(path, text)| (path, text.into_bytes())).collect();
    let bundle = Bundle::from_files(files).map_err(|_| Problem::internal("the published covenant does not load"))?;
    if bundle.digest().as_str() != published.digest {
        return Err(Problem::internal("the published covenant has another digest than was signed: it was altered"));
    }
    Ok(bundle)
}

fn stopped() -> Problem {
    Problem::internal("the gateway stopped while a covenant was loaded")
}
