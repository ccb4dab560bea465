//! What runs beside what in this process.
//!
//! A message that ends its process takes along whatever else is in work there. So that the same message does not do it
//! to them again and again, until they look as harmful as it is, one that has been in several processes that ended is
//! taken up alone.

use tokio::sync::{RwLock, RwLockReadGuard, RwLockWriteGuard};

/// Processes that a message may have been in when they ended, and still be taken up beside others. Most were there by
/// chance: to take them up one by one after every killed worker would make them late, a remote answer at a time.
const BY_CHANCE: u32 = 1;

/// Of this process, whichever of its stages: a crash ends them all.
static COMPANY: RwLock<()> = RwLock::const_new(());

/// Held while a message is in work.
pub enum Seat {
    Shared {
        _guard: RwLockReadGuard<'static, ()>,
    },
    Alone {
        _guard: RwLockWriteGuard<'static, ()>,
    },
}

impl Seat {
    /// Beside others. Waits for one that is alone, or that waits to be.
    pub async fn shared() -> Self {
        Self::Shared {
            _guard: COMPANY.read().await,
        }
    }

    /// Waits until what is in work is done, and keeps others waiting.
    pub async fn alone() -> Self {
        Self::Alone {
            _guard: COMPANY.write().await,
        }
    }

    /// Whether a message belongs elsewhere that was in `crashes` processes before.
    pub fn is_too_shared_for(&self, crashes: u32) -> bool {
        crashes > BY_CHANCE && matches!(self, Self::Shared { .. })
    }
}
