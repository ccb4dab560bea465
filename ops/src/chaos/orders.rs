//! What callers will ask for: decided by the seed alone.

use std::time::Duration;

use super::dice::Dice;

/// A conversation, with the orders of its turns.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Conversation {
    pub name: String,
    pub orders: Vec<Order>,
    /// Its turns are asked for all at once, and not one after another.
    pub at_once: bool,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Order {
    /// Also its idempotency key.
    pub name: String,
    pub kind: Kind,
    pub manner: Manner,
    pub callback: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Chat,
    Voice,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Manner {
    /// The answer is waited for on the line.
    Line,
    /// Submitted, and asked after.
    Poll,
    /// Listened to.
    Stream,
    /// Submitted, and called off after this time.
    CalledOff(Duration),
}

const MOST_TURNS: usize = 4;

/// `jobs` orders, in conversations of one to four turns.
pub fn plan(seed: u64, jobs: usize) -> Vec<Conversation> {
    let mut dice = Dice::for_purpose(seed, "orders");
    let mut conversations = Vec::new();
    let mut number = 0;
    while number < jobs {
        let turns = (1 + dice.below(MOST_TURNS)).min(jobs - number);
        let orders = (0..turns).map(|_| {
            number += 1;
            order(&mut dice, seed, number)
        });
        let orders = orders.collect();
        conversations.push(Conversation {
            name: format!("chaos-{seed}-{}", conversations.len() + 1),
            orders,
            at_once: dice.percent(25),
        });
    }
    conversations
}

fn order(dice: &mut Dice, seed: u64, number: usize) -> Order {
    let kind = match dice.percent(12) {
        true => Kind::Voice,
        false => Kind::Chat,
    };
    let manner = match dice.below(20) {
        0..7 => Manner::Line,
        7..12 => Manner::Poll,
        12..19 => Manner::Stream,
        _ => Manner::CalledOff(dice.millis(0, 800)),
    };
    Order {
        name: format!("order-{seed}-{number}"),
        kind,
        manner,
        callback: dice.percent(15),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn a_plan_holds_as_many_orders_as_asked_for_each_with_a_name_of_its_own() {
        for jobs in [0, 1, 5, 500] {
            let plan = plan(7, jobs);
            let names = plan.iter().flat_map(|it| &it.orders).map(|it| &it.name);
            assert_eq!(names.collect::<BTreeSet<_>>().len(), jobs);
            let turns = plan.iter().map(|it| it.orders.len());
            assert!(turns.into_iter().all(|it| (1..=MOST_TURNS).contains(&it)));
        }
        assert_eq!(plan(7, 50), plan(7, 50));
        assert_ne!(plan(7, 50), plan(8, 50));
    }

    #[test]
    fn a_small_plan_holds_every_kind_and_manner() {
        let plan = plan(1, 200);
        let orders = || plan.iter().flat_map(|it| &it.orders);
        for kind in [Kind::Chat, Kind::Voice] {
            for manner in [Manner::Line, Manner::Poll, Manner::Stream] {
                let those = |it: &&Order| it.kind == kind && it.manner == manner;
                assert!(orders().any(|it| those(&it)), "{kind:?} {manner:?}");
            }
        }
        assert!(orders().any(|it| matches!(it.manner, Manner::CalledOff(_))));
        assert!(orders().any(|it| it.callback));
        assert!(plan.iter().any(|it| it.at_once && it.orders.len() > 1));
    }
}
