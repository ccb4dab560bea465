//! What was seen, for people and for programs.

use std::{collections::BTreeMap, fmt, path::PathBuf};

use serde::Serialize;
use strum::VariantArray as _;

use super::{
    faults::Done,
    ledger::{Balance, Outcome, Promise},
};

/// Violations that are printed of each promise; the file has all.
const SHOWN: usize = 20;

#[derive(Debug, Serialize)]
pub struct Report {
    pub seed: u64,
    pub jobs: usize,
    pub seconds: f64,
    pub balance: Balance,
    pub faults: Vec<Done>,
    /// Where the programs' logs are.
    pub logs: PathBuf,
}

impl Report {
    fn faults_by_kind(&self) -> BTreeMap<&str, usize> {
        let mut kinds = BTreeMap::new();
        for fault in &self.faults {
            *kinds.entry(fault.kind).or_default() += 1;
        }
        kinds
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let balance = &self.balance;
        let mut row = |name: &str, count: u64| writeln!(f, "{name:<58} {count:>8}");
        let count = |count: usize| u64::try_from(count).unwrap_or(u64::MAX);
        let ended = |outcome| count(balance.ended.get(&outcome).copied().unwrap_or(0));
        row("requests", count(balance.orders))?;
        row("accepted", count(balance.accepted))?;
        row("  succeeded", ended(Outcome::Succeeded))?;
        row("  failed", ended(Outcome::Failed))?;
        row("  cancelled", ended(Outcome::Cancelled))?;
        row("  expired", ended(Outcome::Expired))?;
        row("turns in conversations", count(balance.turns))?;
        row("streams", count(balance.streams))?;
        row("callbacks asked for", count(balance.callbacks))?;
        row("callbacks received", count(balance.letters))?;
        row("dead letters", balance.dead_letters)?;
        row("faults", count(self.faults.len()))?;
        for (kind, number) in self.faults_by_kind() {
            row(&format!("  {kind}"), count(number))?;
        }
        row("broken promises", count(balance.violations.len()))?;
        for promise in Promise::VARIANTS {
            let name = format!("  not: {promise}");
            match balance.broken(*promise) {
                0 => {}
                broken => row(&name, count(broken))?,
            }
        }
        for promise in Promise::VARIANTS {
            let broken = balance.violations.iter();
            let broken = broken.filter(|it| it.promise == *promise);
            for violation in broken.take(SHOWN) {
                writeln!(f, "{}: {}", violation.of, violation.detail)?;
            }
        }
        if !balance.is_clean() {
            writeln!(
                f,
                "seed {}; the programs' logs are in {}",
                self.seed,
                self.logs.display()
            )?;
        }
        write!(f, "{:.0} s", self.seconds)
    }
}
