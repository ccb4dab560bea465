//! Processes of other programs, and what they see of this one: nothing but what is listed for them. The keys are in
//! this process's environment, and its working folder may be anybody's.

use std::{
    ffi::OsStr,
    path::{Path, PathBuf},
    process::Stdio,
};

use tokio::process::Command;

/// A command for `program`, which must be an absolute path or lie in `PATH`. Its environment has the `passed` variables
/// alone, as far as they are set here; it works in the root folder, reads nothing, and ends when it is dropped.
pub(crate) fn command(program: &Path, passed: &[&str]) -> Command {
    let mut command = Command::new(program);
    let set = passed
        .iter()
        .filter_map(|&name| Some((name, std::env::var_os(name)?)));
    command
        .env_clear()
        .envs(set)
        .current_dir("/")
        .stdin(Stdio::null())
        .kill_on_drop(true);
    command
}

/// The first program of this name in a list of folders such as `PATH`. Folders that depend on where this process was
/// started do not count.
pub(crate) fn find_program(name: &str, search_path: &OsStr) -> Option<PathBuf> {
    std::env::split_paths(search_path)
        .filter(|folder| folder.is_absolute())
        .map(|folder| folder.join(name))
        .find(|path| is_program(path))
}

/// As it is found from the root folder, in which children work.
pub(crate) fn absolute(path: PathBuf) -> PathBuf {
    std::path::absolute(&path).unwrap_or(path)
}

#[cfg(unix)]
pub(crate) fn is_program(path: &Path) -> bool {
    use std::os::unix::fs::PermissionsExt;
    path.metadata()
        .is_ok_and(|found| found.is_file() && found.permissions().mode() & 0o111 != 0)
}

#[cfg(not(unix))]
pub(crate) fn is_program(path: &Path) -> bool {
    path.is_file()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_child_sees_the_listed_variables_and_the_root_folder_alone() {
        let shell = Path::new("/bin/sh");
        // A shell sets PWD and some others by itself.
        let seen = |passed: &'static [&str]| async move {
            let script = r#"pwd; env | grep -E '^(HOME|PATH|CARGO.*)='"#;
            let output = command(shell, passed).args(["-c", script]).output();
            String::from_utf8(output.await.unwrap().stdout).unwrap()
        };
        assert_eq!(seen(&[]).await, "/\n");
        let passed = seen(&["PATH", "NO_SUCH_VARIABLE"]).await;
        let path = std::env::var("PATH").unwrap();
        assert_eq!(passed, format!("/\nPATH={path}\n"));
    }

    #[test]
    fn a_program_is_found_in_absolute_folders_alone() {
        let name = "Cargo.toml";
        let here = Path::new(env!("CARGO_MANIFEST_DIR"));
        assert!(here.join(name).is_file());
        assert_eq!(find_program(name, OsStr::new(":.:..")), None);
        let sh = find_program("sh", OsStr::new(".:/nowhere:/bin"));
        assert_eq!(sh, Some("/bin/sh".into()));
    }
}
