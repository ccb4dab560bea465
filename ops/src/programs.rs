//! Where our other programs are, for commands that start them.

use std::path::{Path, PathBuf};

use anyhow::Context as _;

/// The folder that is `given`, or that of this program.
pub fn folder(given: Option<&Path>) -> anyhow::Result<PathBuf> {
    match given {
        Some(folder) => Ok(folder.to_owned()),
        None => {
            let own = std::env::current_exe()?;
            Ok(own.parent().context("a folder")?.to_owned())
        }
    }
}
