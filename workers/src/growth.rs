//! Readers of text from outside, each against everything that could make it look further than it needs to.

use std::hint::black_box;
use std::sync::Arc;

use common::testing::growth::{MARKS, assert_linear, pieces};

use crate::{
    knowledge::{
        analyser::stems,
        chunk::{chunks, is_item},
        document::Document,
        lexicon::Lexicon,
        markdown,
        passages::passages,
        sentence,
        vocabulary::UnlistedVocabulary,
    },
    query::Interpreter,
    sentences::{self, SentenceSplitter},
    speakable::speakable,
};

#[test]
fn documents_are_read_in_linear_time() {
    assert_linear("markdown", MARKS, |text| {
        black_box(markdown::sections(text));
    });
    assert_linear("passages", MARKS, |text| {
        black_box(passages(&[Document::from_markdown("a", text)]));
    });
    assert_linear("chunks of a line", MARKS, |text| {
        let text = text.replace('\n', " ");
        black_box(chunks(&Document::from_markdown("a", &text)));
        black_box(is_item(&text));
    });
    assert_linear("sentences of a paragraph", MARKS, |text| {
        black_box(sentence::sentences(text));
    });
}

#[test]
fn words_are_read_in_linear_time() {
    let lexicon = Lexicon::bundled();
    assert_linear("stems", MARKS, |text| {
        black_box(stems(text, &lexicon));
    });
    let interpreter = Interpreter::new(Arc::new(lexicon), Arc::new(UnlistedVocabulary));
    assert_linear("question", MARKS, |text| {
        black_box(interpreter.understand(text, &[text, text]));
    });
}

#[test]
fn answers_are_read_in_linear_time() {
    assert_linear("speakable", MARKS, |text| {
        black_box(speakable(text));
    });
    assert_linear("sentences", MARKS, |text| {
        black_box(sentences::split(text));
    });
    assert_linear("sentences as they come", MARKS, |text| {
        let mut splitter = SentenceSplitter::new();
        for piece in pieces(text) {
            black_box(splitter.push(piece));
        }
        black_box(splitter.finish());
    });
}
