use common::testing::growth::{MARKS, assert_linear, pieces};

use super::*;

fn habit() -> Habit {
    Habit::new(ThoughtStyle::Tagged)
}

fn holding() -> Habit {
    Habit::new(ThoughtStyle::OpenedByPrompt)
}

fn read(habit: &Habit, pieces: &[&str], ending: Ending) -> Result<String, Leaked> {
    let mut thoughts = habit.thoughts();
    let mut answer = String::new();
    for piece in pieces {
        answer += &thoughts.push(piece)?;
    }
    answer += &thoughts.finish(ending, habit);
    Ok(answer)
}

#[test]
fn thoughts_are_dropped_wherever_the_text_is_cut() {
    for (text, expected) in [
        ("Halo, dunia 🙂", "Halo, dunia 🙂"),
        ("<think>hm</think>\n\n Ya.", "Ya."),
        ("\n<THINK>hm</Think> Ya.", "Ya."),
        ("A <think>b</think> c <think>d</think>e", "A c e"),
        ("<think>é < </thin </think>ok", "ok"),
        ("<think></think>ok", "ok"),
        ("ok <think>and never ends", "ok "),
        ("<think>never ends </thin", ""),
        ("1 < 2 <th> <thinker", "1 < 2 <th> <thinker"),
        ("<thinking>hm</thinking>\n\n Ya.", "Ya."),
        ("<Thinking>é </think >hm</THINKING>Ya.", "Ya."),
        ("<think>a</thinking>b", "b"),
        ("ends in </thinkin", "ends in </thinkin"),
        ("ends in <thin", "ends in <thin"),
        ("<<think>x</think>y", "<y"),
        ("<think>a<think>b</think>c</think>d", "cd"),
        ("  \n ok ", "ok "),
        (" </think>\n\nok", "ok"),
        ("", ""),
        (" \n", ""),
    ] {
        let splits = text.char_indices().map(|(cut, _)| text.split_at(cut));
        for (first, second) in splits {
            let answer = read(&habit(), &[first, second], Ending::Complete);
            assert_eq!(answer.as_deref(), Ok(expected), "{first:?} {second:?}");
        }
        let letters: Vec<String> = text.chars().map(String::from).collect();
        let letters: Vec<&str> = letters.iter().map(String::as_str).collect();
        let answer = read(&habit(), &letters, Ending::Complete);
        assert_eq!(answer.as_deref(), Ok(expected), "{text:?}");
    }
}

#[test]
fn text_is_passed_on_at_once_up_to_what_may_become_a_tag() {
    let mut thoughts = habit().thoughts();
    for (piece, expected) in [
        ("Halo", "Halo"),
        (", a <", ", a "),
        ("b", "<b"),
        ("</thin", ""),
        ("gs> <t", "</things> "),
        ("hink>no", ""),
        ("no</think", ""),
        (">", ""),
        ("  ", ""),
        (" ya", "ya"),
    ] {
        assert_eq!(thoughts.push(piece).as_deref(), Ok(expected), "{piece:?}");
    }
}

#[test]
fn a_thought_opened_by_the_prompt_is_dropped_if_none_of_it_was_passed_on() {
    for text in ["hm, so </think>\nYa.", "hm, so </thinking>\nYa."] {
        let answer = read(&habit(), &[text], Ending::Complete);
        assert_eq!(answer.as_deref(), Ok("Ya."), "{text}");
    }
}

#[test]
fn a_thought_that_was_passed_on_fails_once_and_is_held_back_from_then_on() {
    let habit = habit();
    let pieces = ["hm, ", "so</th", "ink>", "Ya."];
    assert_eq!(read(&habit, &pieces, Ending::Complete), Err(Leaked));
    habit.learn_opened_by_prompt();
    assert_eq!(
        read(&habit, &pieces, Ending::Complete).as_deref(),
        Ok("Ya.")
    );

    // Held back for nothing once, and not again.
    let plain = ["Ya, ", "itu."];
    assert_eq!(
        read(&habit, &plain, Ending::Complete).as_deref(),
        Ok("Ya, itu.")
    );
    assert_eq!(habit.thoughts().push("Ya").as_deref(), Ok("Ya"));
}

#[test]
fn a_text_that_is_held_back_is_an_answer_only_if_it_ends_by_itself() {
    for (pieces, ending, expected) in [
        (&["hm ", "so</think> Ya", "."][..], Ending::Complete, "Ya."),
        (&["<think>hm</think>Ya."], Ending::Complete, "Ya."),
        (&["Ya", "."], Ending::Complete, "Ya."),
        (&["hm ", "so"], Ending::CutShort, ""),
        (&["Ya. <think>hm"], Ending::Complete, "Ya. "),
    ] {
        let answer = read(&holding(), pieces, ending);
        assert_eq!(answer.as_deref(), Ok(expected), "{pieces:?}");
    }
}

#[test]
fn a_style_that_was_configured_is_not_unlearned() {
    let habit = holding();
    read(&habit, &["Ya."], Ending::Complete).unwrap();
    assert_eq!(habit.thoughts().push("hm").as_deref(), Ok(""));
}

#[test]
fn thoughts_are_taken_out_in_linear_time() {
    for (name, habit) in [("shown", habit as fn() -> Habit), ("held", holding)] {
        assert_linear(&format!("{name} thoughts"), MARKS, |text| {
            let _ = read(&habit(), &[text], Ending::Complete);
        });
        assert_linear(&format!("{name} thoughts as they come"), MARKS, |text| {
            let pieces: Vec<&str> = pieces(text).collect();
            let _ = read(&habit(), &pieces, Ending::Complete);
        });
    }
}
