//! What is broken, in which order: decided by the seed alone, without doing it.
//!
//! There are three lanes that run side by side, so that troubles meet: the
//! programs, the servers, and the links between them. Each has dice of its own,
//! so the order within a lane does not depend on how long anything took.

use std::time::Duration;

use super::{dice::Dice, proxy::Trouble};

/// How a process is ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// `kill -9`.
    Killed,
    /// SIGTERM, and what follows from it.
    InOrder,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Server {
    RabbitMq,
    Redis,
}

/// How a server that runs is kept from its work.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hampering {
    /// RabbitMQ is short of memory, and takes no message.
    MemoryAlarm,
    /// Short of disk, likewise.
    DiskAlarm,
    /// RabbitMQ refuses what is beyond three messages in a queue.
    FullQueues,
    /// Redis has become a replica, and takes no command that writes.
    Replica,
    /// Redis asks for a password that nobody has.
    OtherPassword,
}

/// One thing that is broken, and after `lasting` made whole again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// Since the one before in its lane was made whole.
    pub after: Duration,
    pub breaking: Breaking,
    pub lasting: Duration,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Breaking {
    /// By its place in the cast.
    Program(usize, Ending),
    Server(Server, Ending),
    Hampered(Hampering),
    /// By its place in the cast.
    Link(usize, Trouble),
}

/// What there is to break.
#[derive(Clone, Debug)]
pub struct Cast {
    /// How likely each program is to be chosen.
    pub programs: Vec<usize>,
    pub links: usize,
}

/// How fast faults follow each other: 2 doubles their number.
#[derive(Clone, Copy, Debug)]
pub struct Tempo(pub f64);

impl Tempo {
    fn apply(self, gap: Duration) -> Duration {
        gap.div_f64(self.0.clamp(0.01, 100.0))
    }
}

/// An endless row of faults.
pub type Lane = Box<dyn Iterator<Item = Fault> + Send>;

/// The lanes of the schedule that `seed` stands for.
pub fn lanes(seed: u64, cast: &Cast, tempo: Tempo) -> [Lane; 3] {
    [
        programs(Dice::for_purpose(seed, "programs"), cast, tempo),
        servers(Dice::for_purpose(seed, "servers"), tempo),
        links(Dice::for_purpose(seed, "links"), cast.links, tempo),
    ]
}

fn programs(mut dice: Dice, cast: &Cast, tempo: Tempo) -> Lane {
    let weights: Vec<(usize, usize)> = cast.programs.iter().copied().enumerate().collect();
    Box::new(std::iter::repeat_with(move || {
        let ending = match dice.percent(60) {
            true => Ending::Killed,
            false => Ending::InOrder,
        };
        Fault {
            after: tempo.apply(dice.millis(800, 2_500)),
            breaking: Breaking::Program(*dice.weighted(&weights), ending),
            lasting: dice.millis(200, 1_500),
        }
    }))
}

/// What a server may meet.
const WAYS: [Breaking; 9] = [
    Breaking::Server(Server::RabbitMq, Ending::Killed),
    Breaking::Server(Server::RabbitMq, Ending::InOrder),
    Breaking::Server(Server::Redis, Ending::Killed),
    Breaking::Server(Server::Redis, Ending::InOrder),
    Breaking::Hampered(Hampering::MemoryAlarm),
    Breaking::Hampered(Hampering::DiskAlarm),
    Breaking::Hampered(Hampering::FullQueues),
    Breaking::Hampered(Hampering::Replica),
    Breaking::Hampered(Hampering::OtherPassword),
];

/// Each way comes once before any comes again.
fn servers(mut dice: Dice, tempo: Tempo) -> Lane {
    let mut round = Vec::new();
    Box::new(std::iter::repeat_with(move || {
        if round.is_empty() {
            round = WAYS.to_vec();
            dice.shuffle(&mut round);
        }
        Fault {
            after: tempo.apply(dice.millis(4_000, 8_000)),
            breaking: round.pop().unwrap_or(WAYS[0].clone()),
            lasting: dice.millis(500, 3_000),
        }
    }))
}

fn links(mut dice: Dice, links: usize, tempo: Tempo) -> Lane {
    Box::new(std::iter::repeat_with(move || {
        let after = tempo.apply(dice.millis(300, 1_500));
        let link = dice.below(links);
        let (trouble, lasting) = match dice.below(10) {
            0..4 => (Trouble::Cut, dice.millis(100, 3_000)),
            4..7 => (Trouble::HalfOpen, dice.millis(1_000, 6_000)),
            _ => (
                Trouble::Delayed(dice.millis(20, 600)),
                dice.millis(500, 4_000),
            ),
        };
        Fault {
            after,
            breaking: Breaking::Link(link, trouble),
            lasting,
        }
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cast() -> Cast {
        Cast {
            programs: vec![1, 3, 0],
            links: 24,
        }
    }

    fn first(seed: u64, lane: usize, count: usize) -> Vec<Fault> {
        let mut lanes = lanes(seed, &cast(), Tempo(1.0));
        lanes[lane].by_ref().take(count).collect()
    }

    #[test]
    fn the_same_seed_is_the_same_schedule() {
        for lane in 0..3 {
            assert_eq!(first(7, lane, 50), first(7, lane, 50));
            assert_ne!(first(7, lane, 50), first(8, lane, 50));
        }
    }

    #[test]
    fn the_servers_meet_everything_once_before_anything_again() {
        let faults = first(3, 1, 2 * WAYS.len());
        for round in faults.chunks(WAYS.len()) {
            for way in &WAYS {
                assert!(round.iter().any(|it| it.breaking == *way), "{way:?}");
            }
        }
    }

    #[test]
    fn every_kind_of_trouble_comes_up_and_only_what_is_there_is_broken() {
        let mut kinds = [false; 3];
        for fault in first(1, 2, 100) {
            let Breaking::Link(link, trouble) = fault.breaking else {
                panic!("{fault:?}");
            };
            assert!(link < 24);
            kinds[match trouble {
                Trouble::Delayed(_) => 0,
                Trouble::Cut => 1,
                Trouble::HalfOpen => 2,
            }] = true;
        }
        assert_eq!(kinds, [true; 3]);
        let programs = first(1, 0, 100);
        let never = |it: &Fault| matches!(it.breaking, Breaking::Program(2.., _));
        assert!(!programs.iter().any(never));
    }

    #[test]
    fn a_faster_tempo_shortens_the_gaps_alone() {
        let gap = |tempo| {
            let fault = lanes(1, &cast(), Tempo(tempo))[0].next().unwrap();
            (fault.after, fault.lasting)
        };
        assert_eq!(gap(2.0).0 * 2, gap(1.0).0);
        assert_eq!(gap(2.0).1, gap(1.0).1);
    }
}
