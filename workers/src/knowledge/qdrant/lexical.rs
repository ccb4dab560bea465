//! The words of passages and queries as sparse vectors.
//!
//! The product of both, with the server's inverse document frequency (`Modifier::Idf`), is BM25.

use std::collections::BTreeMap;

use qdrant_client::qdrant::SparseVector;

use crate::knowledge::analyser::stems;
use crate::knowledge::bm25::saturated;
use crate::knowledge::index::PASSAGE_FIELDS;
use crate::knowledge::lexicon::Lexicon;
use crate::knowledge::store::StoredPassage;
use crate::query::Query;

/// Terms of a usual title, heading and text: the passages of this project's chunker have 400 characters. A passage is
/// written without knowing the others, so their real average cannot be had.
const USUAL_LENGTHS: [f32; 3] = [4.0, 4.0, 40.0];

/// How much each word of a passage counts.
pub(super) fn of_passage(passage: &StoredPassage, lexicon: &Lexicon) -> SparseVector {
    let heading = passage.heading.as_deref().unwrap_or_default();
    let texts = [passage.document.title.as_str(), heading, &passage.text];
    let mut frequencies: BTreeMap<u32, f32> = BTreeMap::new();
    for ((text, field), usual) in texts.into_iter().zip(PASSAGE_FIELDS).zip(USUAL_LENGTHS) {
        let stems = stems(text, lexicon);
        let norm = 1.0 - field.normalisation + field.normalisation * stems.len() as f32 / usual;
        for stem in stems {
            *frequencies.entry(index(&stem)).or_default() += field.weight / norm;
        }
    }
    sparse(
        frequencies
            .into_iter()
            .map(|(term, frequency)| (term, saturated(frequency))),
    )
}

/// How much each word of a query counts. The words of one form share its weight: a sparse vector cannot ask for all of
/// them together.
pub(super) fn of_query(query: &Query) -> SparseVector {
    let mut weights: BTreeMap<u32, f32> = BTreeMap::new();
    for term in &query.terms {
        for form in &term.forms {
            let share = term.weight * form.weight / form.stems.len().max(1) as f32;
            for stem in &form.stems {
                let weight = weights.entry(index(stem)).or_default();
                *weight = weight.max(share);
            }
        }
    }
    sparse(weights.into_iter().filter(|(_, weight)| *weight > 0.0))
}

fn sparse(terms: impl Iterator<Item = (u32, f32)>) -> SparseVector {
    let (indices, values) = terms.unzip();
    SparseVector { values, indices }
}

/// FNV-1a of 32 bits (RFC 9923) over the UTF-8 bytes. Part of the format of our collections: another one would find
/// nothing in those that are written already.
fn index(stem: &str) -> u32 {
    const BASIS: u32 = 0x811c_9dc5;
    const PRIME: u32 = 0x0100_0193;
    stem.bytes().fold(BASIS, |hash, byte| {
        (hash ^ u32::from(byte)).wrapping_mul(PRIME)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::knowledge::vocabulary::UnlistedVocabulary;
    use crate::query::Interpreter;
    use crate::testing::passages::stored;
    use std::sync::Arc;

    fn weight(vector: &SparseVector, stem: &str) -> f32 {
        let at = vector.indices.iter().position(|term| *term == index(stem));
        at.map_or(0.0, |at| vector.values[at])
    }

    #[test]
    fn the_number_of_a_word_is_what_other_programs_compute() {
        // Vectors of the specification.
        for (word, number) in [
            ("", 0x811c_9dc5),
            ("a", 0xe40c_292c),
            ("foobar", 0xbf9c_f968),
        ] {
            assert_eq!(index(word), number, "{word}");
        }
    }

    #[test]
    fn words_of_title_and_text_count_once_each_and_function_words_not() {
        let lexicon = Lexicon::bundled();
        let mut passage = stored(1, "asrama", "Kamar kamar kamar dan sewa yang dibayar.");
        passage.heading = Some("Biaya".into());
        let vector = of_passage(&passage, &lexicon);
        let mut distinct = vector.indices.clone();
        distinct.dedup();
        assert_eq!(distinct.len(), vector.indices.len());
        assert!(vector.indices.is_sorted());
        assert_eq!(weight(&vector, "dan"), 0.0);
        assert!(weight(&vector, "asrama") > weight(&vector, "sewa"));
        let (three, one) = (weight(&vector, "kamar"), weight(&vector, "sewa"));
        assert!(one < three && three < 3.0 * one, "{one} {three}");
    }

    #[test]
    fn a_query_asks_for_its_words_as_the_passages_hold_them() {
        let lexicon = Arc::new(Lexicon::bundled());
        let passage = of_passage(&stored(1, "asrama", "Sewa kamar dibayar."), &lexicon);
        let interpreter = Interpreter::new(lexicon, Arc::new(UnlistedVocabulary));
        let understood = interpreter.understand("berapa sewa kamar?", &[]);
        let query = of_query(&understood.queries[0]);
        for stem in ["sewa", "kamar"] {
            assert!(
                weight(&query, stem) > 0.0 && weight(&passage, stem) > 0.0,
                "{stem}"
            );
        }
    }
}
