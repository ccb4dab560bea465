//! An `.env` file, which docker compose reads.

use std::{fs, io, io::Write as _, os::unix::fs::PermissionsExt as _, path::Path};

use anyhow::{Context as _, bail};

use super::SecretKind;

pub fn write(path: &Path) -> anyhow::Result<()> {
    let shown = path.display();
    let before = read(path).with_context(|| format!("{shown} cannot be read"))?;
    for kind in SecretKind::ALL {
        for value in before
            .lines()
            .filter_map(|line| value(line, kind.variable()))
        {
            // What compose puts in place of a variable is not known here.
            if !value.is_empty() && !value.contains('$') {
                kind.check(value)
                    .with_context(|| format!("{shown} is left as it is"))?;
            }
        }
    }
    let (after, added) = completed(&before, SecretKind::generate)?;
    if added.is_empty() {
        println!("{shown} has all secrets; nothing was changed.");
        return Ok(());
    }
    replace(path, &after).with_context(|| format!("{shown} cannot be written"))?;
    let names: Vec<_> = added.iter().map(|kind| kind.variable()).collect();
    println!("{shown}: made {}.", names.join(", "));
    println!("Only its owner can read it. Clients need the value of API_KEY.");
    Ok(())
}

fn read(path: &Path) -> anyhow::Result<String> {
    match fs::symlink_metadata(path) {
        Ok(found) if !found.is_file() => bail!("it is a link or no file"),
        Ok(_) => Ok(fs::read_to_string(path)?),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(String::new()),
        Err(error) => Err(error.into()),
    }
}

/// The text with the secrets that it lacks, and which these are. A variable without a value is filled in where it is.
fn completed(
    before: &str,
    generate: impl Fn(SecretKind) -> anyhow::Result<String>,
) -> anyhow::Result<(String, Vec<SecretKind>)> {
    let mut lines: Vec<String> = before.lines().map(str::to_owned).collect();
    let mut added = Vec::new();
    for kind in SecretKind::ALL {
        let values = |line: &String| value(line, kind.variable()).map(str::to_owned);
        if lines
            .iter()
            .filter_map(values)
            .any(|value| !value.is_empty())
        {
            continue;
        }
        let line = format!("{}={}", kind.variable(), generate(kind)?);
        match lines.iter().position(|line| values(line).is_some()) {
            Some(at) => lines[at] = line,
            None => lines.push(line),
        }
        added.push(kind);
    }
    let mut after = lines.join("\n");
    after.push('\n');
    Ok((after, added))
}

/// The value of `variable`, if the line sets it.
fn value<'a>(line: &'a str, variable: &str) -> Option<&'a str> {
    let line = line.trim();
    let line = line.strip_prefix("export ").unwrap_or(line).trim_start();
    let value = line
        .strip_prefix(variable)?
        .trim_start()
        .strip_prefix('=')?;
    // A comment begins behind a space.
    let value = value.split(" #").next().unwrap_or_default();
    Some(value.trim().trim_matches(['"', '\'']))
}

/// In one step, and readable by its owner alone from the beginning.
fn replace(path: &Path, text: &str) -> io::Result<()> {
    let folder = path
        .parent()
        .filter(|folder| !folder.as_os_str().is_empty());
    // Made with mode 0600.
    let mut file = tempfile::NamedTempFile::new_in(folder.unwrap_or(Path::new(".")))?;
    file.write_all(text.as_bytes())?;
    file.as_file()
        .set_permissions(fs::Permissions::from_mode(0o600))?;
    file.as_file().sync_all()?;
    file.persist(path)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn made(before: &str) -> (String, Vec<SecretKind>) {
        completed(before, |kind| Ok(format!("made-{kind:?}"))).unwrap()
    }

    #[test]
    fn what_is_set_stays_and_what_is_missing_is_added_in_its_place() {
        let before =
            "# Keys\nAPI_KEY=\nexport REDIS_PASSWORD = \"mine\"\n#WEBHOOK_SECRET=old\nPORT=80\n";
        let (after, added) = made(before);
        assert_eq!(
            after,
            "# Keys\nAPI_KEY=made-ApiKey\nexport REDIS_PASSWORD = \"mine\"\n#WEBHOOK_SECRET=old\nPORT=80\n\
             RABBITMQ_PASSWORD=made-RabbitMq\nQDRANT_API_KEY=made-Qdrant\nWEBHOOK_SECRET=made-Webhook\n"
        );
        assert_eq!(added.len(), 4);
        assert_eq!(made(&after), (after.clone(), vec![]));
        assert_eq!(made("").1, SecretKind::ALL);
    }

    #[test]
    fn the_file_is_its_owners_alone_and_a_link_is_not_written_through() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(".env");
        fs::write(&path, "API_KEY=kunci-yang-panjang # mine\n").unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
        write(&path).unwrap();
        let first = fs::read_to_string(&path).unwrap();
        assert!(
            first.starts_with("API_KEY=kunci-yang-panjang # mine\n")
                && first.contains("REDIS_PASSWORD=")
        );
        assert_eq!(
            fs::metadata(&path).unwrap().permissions().mode() & 0o777,
            0o600
        );
        write(&path).unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), first);

        let link = folder.path().join("link");
        std::os::unix::fs::symlink(folder.path().join("elsewhere"), &link).unwrap();
        assert!(write(&link).is_err());
        assert!(!folder.path().join("elsewhere").exists());
    }

    #[test]
    fn a_file_with_a_secret_that_is_too_weak_is_left_as_it_is() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(".env");
        for (line, is_good) in [
            ("API_KEY=dev", false),
            ("API_KEY='dev' # for a try", false),
            ("export WEBHOOK_SECRET=x", false),
            ("API_KEY=${KEY_OF_THE_SHELL}", true),
            ("API_KEY= # none yet", true),
        ] {
            fs::write(&path, line).unwrap();
            assert_eq!(write(&path).is_ok(), is_good, "{line}");
            let is_untouched = fs::read_to_string(&path).unwrap() == line;
            assert_eq!(is_untouched, !is_good, "{line}");
        }
    }
}
