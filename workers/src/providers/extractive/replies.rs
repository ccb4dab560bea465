//! What is said where no document is quoted.

use crate::knowledge::analyser::token::tokens;
use crate::query::language::Language;
use crate::query::small_talk::SmallTalk;

/// Whom the assistant speaks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Institution {
    pub name: String,
    /// Where to ask when the documents do not answer.
    pub contact: String,
    /// What can be asked, as it is read after "tentang".
    pub topics: String,
    /// The same for replies in English.
    pub topics_english: String,
}

impl Institution {
    /// The institution whose documents are bundled.
    pub fn bundled() -> Self {
        let profile = include_str!("../../../data/institution/profile.tsv");
        let value = |key: &str| {
            let pairs = profile.lines().filter_map(|line| line.split_once('\t'));
            pairs
                .filter(|(name, _)| *name == key)
                .map(|(_, value)| value.to_owned())
                .next()
                .unwrap_or_default()
        };
        Self {
            name: value("name"),
            contact: value("contact"),
            topics: value("topics"),
            topics_english: value("topics_english"),
        }
    }

    /// The honest refusal.
    pub fn not_found(&self, language: Language) -> String {
        let Self { name, contact, .. } = self;
        match language {
            Language::Indonesian => format!(
                "Maaf, saya tidak menemukan informasi tentang hal itu di dokumen {name} yang saya miliki. \
                 Silakan hubungi {contact}."
            ),
            Language::English => format!(
                "Sorry, I could not find information about that in the {name} documents I have. Please contact {contact}."
            ),
        }
    }

    /// The refusal of one question among several.
    pub fn part_not_found(&self, question: &str, language: Language) -> String {
        let contact = &self.contact;
        let question = question.trim_end_matches(['?', '.', '!']);
        match language {
            Language::Indonesian => {
                format!(
                    "Tentang “{question}”, saya tidak menemukan informasinya; silakan hubungi {contact}."
                )
            }
            Language::English => {
                format!("About “{question}” I found no information; please contact {contact}.")
            }
        }
    }

    /// What comes before quotes in another language than the question's: they are not translated.
    pub fn quoting<'a>(
        &self,
        quotes: impl Iterator<Item = &'a str>,
        language: Language,
    ) -> Option<String> {
        let mut foreign = quotes.filter(|quote| !is_english(quote));
        let name = &self.name;
        (language == Language::English && foreign.next().is_some())
            .then(|| format!("The {name} documents are in Indonesian; they say:"))
    }

    /// The reply to a message without anything to search for.
    pub fn unclear(&self, language: Language) -> String {
        let Self {
            topics,
            topics_english,
            ..
        } = self;
        match language {
            Language::Indonesian => {
                format!(
                    "Maaf, saya belum menangkap pertanyaannya. Silakan sebutkan topiknya, misalnya {topics}."
                )
            }
            Language::English => {
                format!(
                    "Sorry, I did not catch the question. Please name the topic, for example {topics_english}."
                )
            }
        }
    }

    /// The reply to small talk.
    pub fn small_talk(&self, talk: SmallTalk, language: Language) -> String {
        let Self {
            name,
            topics,
            topics_english,
            ..
        } = self;
        match (language, talk) {
            (Language::Indonesian, SmallTalk::Greeting) => {
                format!("Halo! Silakan tanyakan apa saja tentang {name}, misalnya {topics}.")
            }
            (Language::Indonesian, SmallTalk::Thanks) => {
                format!(
                    "Sama-sama! Kalau masih ada pertanyaan tentang {name}, silakan tanyakan saja."
                )
            }
            (Language::Indonesian, SmallTalk::Farewell) => {
                format!(
                    "Sampai jumpa! Silakan kembali kapan saja kalau ada pertanyaan tentang {name}."
                )
            }
            (Language::Indonesian, SmallTalk::Identity) => format!(
                "Saya asisten informasi {name}. Saya menjawab pertanyaan dari dokumen {name}, misalnya tentang {topics}."
            ),
            // 119 is the emergency number that the Ministry of Health runs in all of Indonesia.
            (Language::Indonesian, SmallTalk::Distress) => format!(
                "Terima kasih sudah bercerita; Anda tidak sendirian. Jika ada pikiran untuk menyakiti diri, segera hubungi \
                 orang yang dipercaya, psikolog, instalasi gawat darurat terdekat, atau layanan darurat 119. Layanan \
                 bimbingan konseling mahasiswa {name} dan dosen wali juga dapat membantu."
            ),
            (Language::English, SmallTalk::Distress) => format!(
                "Thank you for telling me; you are not alone. If you think of hurting yourself, please contact someone you \
                 trust, a psychologist, the nearest emergency room or the emergency number 119 right away. The {name} \
                 student counselling service can help too."
            ),
            (Language::English, SmallTalk::Greeting) => {
                format!(
                    "Hello! Feel free to ask anything about {name}, for example {topics_english}."
                )
            }
            (Language::English, SmallTalk::Thanks) => {
                format!("You are welcome! If you have more questions about {name}, just ask.")
            }
            (Language::English, SmallTalk::Farewell) => {
                format!("Goodbye! Come back any time you have a question about {name}.")
            }
            (Language::English, SmallTalk::Identity) => format!(
                "I am the {name} information assistant. I answer from {name} documents, for example about {topics_english}."
            ),
        }
    }
}

/// Whether a quote can be read by someone who asks in English: articles and prepositions tell.
fn is_english(quote: &str) -> bool {
    let words = tokens(quote);
    let telling = words.iter().filter(|word| {
        matches!(
            word.text.as_str(),
            "the" | "of" | "for" | "and" | "a" | "to"
        )
    });
    telling.count() * ENGLISH_SHARE >= words.len()
}

/// Of English prose at least every tenth word is one of the commonest.
const ENGLISH_SHARE: usize = 10;
