//! Which addresses of documents a client is shown: those that a page may link to
//! without doing more than that. Documents name them, and anybody may have
//! written those.

use url::Url;

/// Characters of an address.
const LONGEST: usize = 2_048;

/// Whether `address` is an absolute http or https one, without a password, and
/// without what some programs read in another way than others.
pub fn is_shown(address: &str) -> bool {
    let scheme = address.split_once("://").map(|(scheme, _)| scheme);
    let is_web = scheme.is_some_and(|scheme| {
        scheme.eq_ignore_ascii_case("http") || scheme.eq_ignore_ascii_case("https")
    });
    let is_plain = |c: char| !c.is_whitespace() && !c.is_control() && !is_invisible(c) && c != '\\';
    if !is_web || address.len() > LONGEST || !address.chars().all(is_plain) {
        return false;
    }
    Url::parse(address)
        .is_ok_and(|url| url.has_host() && url.username().is_empty() && url.password().is_none())
}

/// What is not seen and changes what is: the controls of the direction of text,
/// with which one text can be made to look like another (Unicode Technical Report
/// 36, *Bidirectional Text Spoofing*).
pub fn is_invisible(c: char) -> bool {
    matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_shown_that_a_page_may_link_to() {
        for address in [
            "https://contoh.id/a?b=c#d",
            "http://contoh.id",
            "HTTPS://Contoh.id/",
            "https://contoh.id:8443/berkas.pdf",
            "https://id.wikipedia.org/wiki/Institut_Teknologi_Bandung_(ITB)",
            "https://contoh.id/é",
            "http://192.0.2.1/",
        ] {
            assert!(is_shown(address), "{address}");
        }
        let long = format!("https://contoh.id/{}", "a".repeat(LONGEST));
        for address in [
            "",
            "javascript:alert(1)",
            "JavaScript://contoh.id/%0aalert(1)",
            "java\nscript:alert(1)",
            "data:text/html,<script>alert(1)</script>",
            "vbscript:x",
            "file:///etc/passwd",
            "ftp://contoh.id/",
            "blob:https://contoh.id/a",
            "//contoh.id/",
            "/berkas.pdf",
            "berkas.pdf",
            "contoh.id",
            "https:contoh.id",
            "https://",
            "https:///",
            "https://nama@contoh.id/",
            "https://nama:kunci@contoh.id/",
            "https://itb.ac.id\\@contoh.id/",
            "https://itb.ac.id@contoh.id/",
            " https://contoh.id/",
            "https://contoh.id/a b",
            "https://contoh.id/\t",
            "https://contoh.id/\u{202e}fdp",
            "https://contoh.id/\u{0}",
            "https://contoh.id:99999/",
            long.as_str(),
        ] {
            assert!(!is_shown(address), "{address:?}");
        }
    }
}
