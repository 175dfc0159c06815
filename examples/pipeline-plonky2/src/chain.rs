use plonky2::field::types::{Field, Field64, PrimeField64};
use plonky2::hash::hashing::hash_n_to_hash_no_pad;
use plonky2::hash::poseidon::PoseidonPermutation;
use serde::{Deserialize, Serialize};

use crate::circuits::{CAPACITY, F};

/// A link of the chain; the next one is its hash.
pub type State = [F; 4];

const MAX_SEGMENTS: u64 = 65_536;

/// What a client asks for, as JSON: the chain that begins with this number, so many hashes long, in so many segments.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Work {
    pub start: u64,
    pub length: u64,
    pub segments: u64,
}

/// A part of the chain that one proof covers.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Segment {
    /// 64 hex digits.
    pub first: String,
    pub length: u64,
}

/// "So many hashes lead from the first link to the last."
#[derive(Clone, Copy, PartialEq)]
pub struct Statement {
    pub first: State,
    pub last: State,
    pub length: u64,
}

impl Work {
    pub fn parse(bytes: &[u8]) -> Result<Work, String> {
        let work: Work = serde_json::from_slice(bytes).map_err(|error| {
            format!("the public input must be JSON like {{\"start\":42,\"length\":5000,\"segments\":5}}: {error}")
        })?;
        let Work { start, length, segments } = work;
        if start >= F::ORDER {
            return Err(format!("start must be below the field's prime, {}", F::ORDER));
        }
        if !(1..=MAX_SEGMENTS).contains(&segments) || length < segments {
            return Err(format!("segments must be 1 to {MAX_SEGMENTS} and not more than the length"));
        }
        let needed = length.div_ceil(CAPACITY as u64);
        if needed > segments {
            return Err(format!("a segment holds {CAPACITY} hashes at most: {length} need {needed} segments"));
        }
        Ok(work)
    }

    pub fn first(&self) -> State {
        first_of(self.start)
    }

    /// How long each segment is: as equal as can be, the longer ones first.
    pub fn lengths(&self) -> impl Iterator<Item = u64> + '_ {
        let (each, longer) = (self.length / self.segments, self.length % self.segments);
        (0..self.segments).map(move |index| each + u64::from(index < longer))
    }
}

pub fn first_of(start: u64) -> State {
    [F::from_canonical_u64(start), F::ZERO, F::ZERO, F::ZERO]
}

pub fn walk(first: State, length: u64) -> State {
    (0..length).fold(first, |state, _| hash_n_to_hash_no_pad::<F, PoseidonPermutation<F>>(&state).elements)
}

pub fn format_state(state: &State) -> String {
    state.iter().map(|word| format!("{:016x}", word.to_canonical_u64())).collect()
}

pub fn parse_state(text: &str) -> Result<State, String> {
    let refused = || format!("{text:?} is no link: 64 hex digits, each 16 of them below the field's prime");
    if text.len() != 64 || !text.bytes().all(|digit| digit.is_ascii_hexdigit()) {
        return Err(refused());
    }
    let mut state = [F::ZERO; 4];
    for (index, word) in state.iter_mut().enumerate() {
        match u64::from_str_radix(&text[index * 16..][..16], 16) {
            Ok(value) if value < F::ORDER => *word = F::from_canonical_u64(value),
            _ => return Err(refused()),
        }
    }
    Ok(state)
}
