//! Erasure (art. 17 AVG) by destroying keys: an organisation has erased what it gave about a resident, and of whatever is destroyed the share of its key goes.
//!
//! `erase` takes the content away in the transaction that is answered, and asks for its shares to be destroyed; `keys` destroys these in the key store right
//! after, whatever asked for it, and only then says that it is done. Invariants: nobody erases what another gave; what was erased is read by nobody from
//! that transaction on, and from no backup once it is `destroyed`; who had received something is told, and who had not sees what it would see after
//! a withdrawal; an erasure says nothing of the resident, also not whether anything was there, to anyone but who asked for it.

mod erase;
pub mod http;
mod keys;
mod store;
mod types;

pub use keys::{destroy, sweep};
pub use types::{ErasureGround, ErasureStatus};
