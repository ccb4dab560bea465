//! What became of a run.

use std::{collections::HashSet, fmt};

use serde::Serialize;

/// Names listed in the text; the JSON holds all.
const LISTED: usize = 20;

#[derive(Debug, Default, Serialize)]
pub struct Summary {
    pub target: String,
    pub dry_run: bool,
    /// It was broken off; what was written until then is kept, and nothing was removed.
    pub interrupted: bool,
    pub documents: usize,
    pub added: usize,
    pub unchanged: usize,
    pub removed: usize,
    pub failed: Vec<Failure>,
    pub warnings: Vec<String>,
    /// Files of a kind that cannot be read.
    pub skipped: Vec<String>,
    /// Links, which are not followed, wherever they lead.
    pub links: Vec<String>,
    pub hidden: usize,
    pub seconds: f64,
}

/// A file that could not be read, or a part of one.
#[derive(Debug, Serialize)]
pub struct Failure {
    pub file: String,
    pub reason: String,
}

impl fmt::Display for Summary {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        for Failure { file, reason } in &self.failed {
            writeln!(out, "failed: {file} {reason}")?;
        }
        for warning in &self.warnings {
            writeln!(out, "warning: {warning}")?;
        }
        let kind = "no reader for this kind of file";
        list(out, "skipped", &self.skipped, kind)?;
        list(out, "link", &self.links, "links are not followed")?;
        if self.interrupted {
            writeln!(out, "interrupted: run it again to go on")?;
        }
        let failed: HashSet<&str> = self
            .failed
            .iter()
            .map(|failure| failure.file.as_str())
            .collect();
        let dry = if self.dry_run { " would be" } else { "" };
        writeln!(
            out,
            "{}: {} documents read; passages: {}{dry} added, {} unchanged, {}{dry} removed; \
             files: {} failed, {} skipped, {} links, {} hidden",
            self.target,
            self.documents,
            self.added,
            self.unchanged,
            self.removed,
            failed.len(),
            self.skipped.len(),
            self.links.len(),
            self.hidden
        )
    }
}

fn list(out: &mut fmt::Formatter<'_>, word: &str, files: &[String], why: &str) -> fmt::Result {
    for file in files.iter().take(LISTED) {
        writeln!(out, "{word}: {file} ({why})")?;
    }
    match files.len().checked_sub(LISTED + 1) {
        Some(more) => writeln!(out, "{word}: and {} more", more + 1),
        None => Ok(()),
    }
}
