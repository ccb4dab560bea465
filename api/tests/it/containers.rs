//! The container files: what they say of every one of our services.

use std::{collections::BTreeMap, path::PathBuf, process::Command};

use common::testing::servers::{find, skipped};

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("..")
}

fn read(file: &str) -> String {
    std::fs::read_to_string(root().join(file)).expect("the file is there")
}

/// The services by their names, each as the lines that docker-compose makes of
/// it once everything is merged.
fn services() -> Option<BTreeMap<String, Vec<String>>> {
    let Some(compose) = find("docker-compose") else {
        skipped("needs the program docker-compose");
        return None;
    };
    let output = Command::new(compose)
        .arg("config")
        .current_dir(root())
        .output()
        .expect("docker-compose runs");
    assert!(output.status.success(), "{output:?}");
    let text = String::from_utf8(output.stdout).expect("text");
    let mut services: BTreeMap<String, Vec<String>> = BTreeMap::new();
    let mut current = None;
    let lines = text.lines().skip_while(|line| *line != "services:").skip(1);
    for line in lines.take_while(|line| line.starts_with(' ')) {
        match line.strip_prefix("    ") {
            None => current = Some(line.trim().trim_end_matches(':').to_owned()),
            Some(inner) => {
                let name = current.clone().expect("a service");
                services.entry(name).or_default().push(inner.to_owned());
            }
        }
    }
    Some(services)
}

/// The items of a list that is a field of a service.
fn list<'a>(service: &'a [String], field: &str) -> Vec<&'a str> {
    let heading = format!("{field}:");
    let after = service.iter().skip_while(|line| **line != heading).skip(1);
    after.map_while(|line| line.strip_prefix("- ")).collect()
}

#[test]
fn our_services_can_write_nothing_but_their_data_and_gain_no_rights() {
    let Some(services) = services() else { return };
    let is_ours = |lines: &[String]| lines.iter().any(|line| line == "image: itb-assistant");
    let ours: Vec<_> = services
        .iter()
        .filter(|(_, lines)| is_ours(lines))
        .collect();
    assert!(ours.len() >= 6, "{:?}", services.keys());
    for (name, service) in ours {
        let says = |line: &str| service.iter().any(|found| found == line);
        assert!(says("read_only: true"), "{name}");
        assert!(!says("privileged: true") && !says("user: root"), "{name}");
        assert_eq!(list(service, "cap_drop"), ["ALL"], "{name}");
        assert_eq!(
            list(service, "security_opt"),
            ["no-new-privileges:true"],
            "{name}"
        );
        assert_eq!(list(service, "tmpfs"), ["/tmp"], "{name}");
        let volumes = list(service, "volumes");
        let expected: &[&str] = if name == "api" {
            &[]
        } else {
            &["data:/data:rw"]
        };
        assert_eq!(volumes, expected, "{name}");
    }
}

#[test]
fn every_image_is_of_a_version_and_ours_does_not_run_as_root() {
    let dockerfile = read("ops/Dockerfile");
    let bases = dockerfile
        .lines()
        .filter_map(|line| line.strip_prefix("FROM "));
    let compose = read("docker-compose.yml");
    let images = compose
        .lines()
        .filter_map(|line| line.trim().strip_prefix("image: "));
    let others = images.filter(|image| *image != "itb-assistant");
    for image in bases.chain(others) {
        let name = image.split(' ').next().expect("an image");
        let (_, tag) = name.split_once(':').unwrap_or((name, ""));
        let version = tag.trim_start_matches('v').split('-').next().unwrap_or("");
        let parts: Vec<_> = version.split('.').collect();
        let is_version = parts.len() >= 2 && parts.iter().all(|part| part.parse::<u32>().is_ok());
        assert!(is_version, "{image}");
    }
    let user = dockerfile.lines().rfind(|line| line.starts_with("USER "));
    assert_eq!(user, Some("USER 1000"));
}

#[test]
fn the_image_is_built_with_the_toolchain_that_is_tested() {
    let toolchain = read("rust-toolchain.toml");
    let channel = toolchain
        .lines()
        .find_map(|line| line.strip_prefix("channel = "))
        .expect("a channel")
        .trim_matches('"');
    let base = format!("FROM rust:{channel}-");
    assert!(read("ops/Dockerfile").contains(&base), "{base}");
}
