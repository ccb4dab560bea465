//! What our programs are told.

use std::path::{Path, PathBuf};

use super::{PREFIX, Premises};
use crate::chaos::vendors::Vendors;

/// What is the same for all. A job has an hour: one that nobody works on any
/// more does not end by its deadline within the run, and is seen to be lost.
pub fn of_all(premises: &Premises<'_>, vendors: &Vendors) -> anyhow::Result<Vec<(String, String)>> {
    let knowledge = knowledge(premises.folder)?;
    let folder = premises.folder.join("data");
    let mut settings: Vec<(&str, String)> = vec![
        ("AMQP_QUEUE_PREFIX", PREFIX.into()),
        ("JOB_DEADLINE", "3600".into()),
        ("MAX_ATTEMPTS", "4".into()),
        ("EVENTS_HEARTBEAT", "2".into()),
        ("SHUTDOWN_GRACE", "5".into()),
        ("RATE_LIMIT_ENABLED", "false".into()),
        ("WEBHOOK_SECRET", "rahasia-uji".into()),
        ("WEBHOOK_ALLOW_PRIVATE", "true".into()),
        ("KNOWLEDGE_PATH", knowledge.display().to_string()),
        ("ITB_DATA_DIR", folder.display().to_string()),
        ("LOG_FORMAT", "json".into()),
        (
            "RUST_LOG",
            std::env::var("RUST_LOG").unwrap_or_else(|_| "info".into()),
        ),
    ];
    settings.extend(vendors.settings());
    if let Some(sabotage) = premises.sabotage {
        settings.push(("ITB_SABOTAGE", sabotage.to_owned()));
    }
    let owned = settings
        .into_iter()
        .map(|(name, value)| (name.to_owned(), value));
    Ok(owned.collect())
}

/// One document, so that a worker is there as soon as it is started.
fn knowledge(folder: &Path) -> anyhow::Result<PathBuf> {
    let documents = folder.join("documents");
    std::fs::create_dir_all(&documents)?;
    std::fs::write(
        documents.join("syarat-lulus.md"),
        "---\ntitle: Syarat lulus sarjana\nurl: https://contoh.id/sarjana\ndate: 2026-01-15\n---\n\n\
         Syarat lulus program sarjana ITB adalah menyelesaikan paling sedikit 144 SKS. Indeks prestasi kumulatif \
         paling rendah 2,00. Tugas akhir harus selesai.\n",
    )?;
    Ok(documents)
}
