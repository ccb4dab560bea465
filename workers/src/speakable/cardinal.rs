//! Whole numbers in Indonesian words.

const DIGITS: [&str; 10] = [
    "nol", "satu", "dua", "tiga", "empat", "lima", "enam", "tujuh", "delapan", "sembilan",
];

/// Powers of a thousand by name; "kuadriliun" is 10^15 in the short scale that
/// Indonesian uses.
const SCALES: [(u64, &str); 5] = [
    (1_000_000_000_000_000, "kuadriliun"),
    (1_000_000_000_000, "triliun"),
    (1_000_000_000, "miliar"),
    (1_000_000, "juta"),
    (1_000, "ribu"),
];

/// Numbers from here on are read digit by digit.
pub(super) const LIMIT: u64 = 1_000_000_000_000_000_000;

/// `number` (below [`LIMIT`]) in words: 2024 is "dua ribu dua puluh empat".
/// Years are read the same way, as newsreaders do.
pub(super) fn say(number: u64) -> String {
    if number == 0 {
        return DIGITS[0].to_owned();
    }
    let mut words = Vec::new();
    let mut rest = number % LIMIT;
    for (value, name) in SCALES {
        let count = rest / value;
        rest %= value;
        match (count, value) {
            (0, _) => {}
            (1, 1_000) => words.push("seribu"),
            _ => {
                below_thousand(count, &mut words);
                words.push(name);
            }
        }
    }
    below_thousand(rest, &mut words);
    words.join(" ")
}

fn below_thousand(number: u64, words: &mut Vec<&'static str>) {
    match number / 100 {
        0 => {}
        1 => words.push("seratus"),
        hundreds => words.extend([digit(hundreds), "ratus"]),
    }
    match number % 100 {
        0 => {}
        10 => words.push("sepuluh"),
        11 => words.push("sebelas"),
        small @ 1..=9 => words.push(digit(small)),
        teen @ 12..=19 => words.extend([digit(teen - 10), "belas"]),
        large => {
            words.extend([digit(large / 10), "puluh"]);
            if large % 10 > 0 {
                words.push(digit(large % 10));
            }
        }
    }
}

fn digit(value: u64) -> &'static str {
    DIGITS[(value % 10) as usize]
}

/// The digits of `text` one by one; other characters are passed over.
pub(super) fn say_digits(text: &str) -> String {
    let digits = text.bytes().filter(u8::is_ascii_digit);
    digits
        .map(|byte| digit(u64::from(byte - b'0')))
        .collect::<Vec<_>>()
        .join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_read_as_in_school() {
        let table = [
            (0, "nol"),
            (1, "satu"),
            (10, "sepuluh"),
            (11, "sebelas"),
            (12, "dua belas"),
            (20, "dua puluh"),
            (99, "sembilan puluh sembilan"),
            (100, "seratus"),
            (101, "seratus satu"),
            (110, "seratus sepuluh"),
            (1_000, "seribu"),
            (1_001, "seribu satu"),
            (1_920, "seribu sembilan ratus dua puluh"),
            (2_024, "dua ribu dua puluh empat"),
            (11_000, "sebelas ribu"),
            (100_000, "seratus ribu"),
            (1_000_000, "satu juta"),
            (2_500_000, "dua juta lima ratus ribu"),
            (1_000_000_000, "satu miliar"),
            (1_001_000_000_000, "satu triliun satu miliar"),
            (1_000_000_000_000_000, "satu kuadriliun"),
        ];
        for (number, words) in table {
            assert_eq!(say(number), words);
        }
    }

    #[test]
    fn no_number_panics() {
        for number in [LIMIT - 1, LIMIT, u64::MAX] {
            assert!(!say(number).contains("  "));
        }
        assert_eq!(say_digits("0-8é1"), "nol delapan satu");
    }
}
