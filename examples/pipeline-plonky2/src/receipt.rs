use std::panic::{catch_unwind, AssertUnwindSafe};

use plonky2::field::types::PrimeField64;
use plonky2::iop::witness::{PartialWitness, WitnessWrite};
use plonky2::plonk::circuit_data::VerifierCircuitData;
use plonky2::plonk::proof::ProofWithPublicInputs;

use crate::chain::{parse_state, Segment, Statement};
use crate::circuits::{build_aggregation, build_segment, Side, C, D, F, FIRST, LAST, LENGTH};
use crate::keys::{check_key, Keys};

/// What a segment's proof and an aggregation leave: a byte that tells which, and the proof.
pub struct Receipt {
    pub is_segment: bool,
    pub proof: ProofWithPublicInputs<F, C, D>,
}

const SEGMENT: u8 = 0;
const AGGREGATION: u8 = 1;

impl Receipt {
    pub fn to_bytes(&self) -> Vec<u8> {
        let kind = if self.is_segment { SEGMENT } else { AGGREGATION };
        [vec![kind], self.proof.to_bytes()].concat()
    }

    pub fn statement(&self) -> Statement {
        statement_of(&self.proof.public_inputs)
    }

    /// Parses and verifies; what fails is refused with a reason.
    pub fn check(bytes: &[u8], keys: &Keys) -> Result<Receipt, String> {
        let (is_segment, rest) = match bytes.split_first() {
            Some((&SEGMENT, rest)) => (true, rest),
            Some((&AGGREGATION, rest)) => (false, rest),
            _ => return Err("the receipt is none of a chain".to_string()),
        };
        let key = if is_segment { &keys.segment } else { &keys.aggregation };
        let proof = calmly(|| {
            let proof = ProofWithPublicInputs::<F, C, D>::from_bytes(rest.to_vec(), &keys.shape)
                .map_err(|_| "the receipt is no proof".to_string())?;
            if proof.to_bytes().len() != rest.len() {
                return Err("the receipt has bytes too many".to_string());
            }
            keys.check_handed_on(&proof.public_inputs)?;
            VerifierCircuitData { verifier_only: key.clone(), common: keys.shape.clone() }
                .verify(proof.clone())
                .map_err(|error| format!("the receipt's proof does not hold ({error})"))?;
            Ok(proof)
        })?;
        Ok(Receipt { is_segment, proof })
    }

    pub fn fill(&self, side: &Side, witness: &mut PartialWitness<F>) -> Result<(), String> {
        witness
            .set_bool_target(side.is_segment, self.is_segment)
            .and_then(|()| witness.set_proof_with_pis_target(&side.proof, &self.proof))
            .map_err(|error| error.to_string())
    }
}

pub fn prove_segment(segment: &Segment, keys: &Keys) -> Result<Receipt, String> {
    let circuit = build_segment(&keys.shape);
    check_key(&circuit.data, &keys.segment)?;
    let length = usize::try_from(segment.length).unwrap_or(usize::MAX);
    if !(1..=circuit.counts.len()).contains(&length) {
        return Err(format!("a segment holds 1 to {} hashes, not {length}", circuit.counts.len()));
    }
    let first = parse_state(&segment.first)?;
    let mut witness = PartialWitness::new();
    let counts = circuit.counts.iter().enumerate();
    let proof = counts
        .map(|(index, count)| witness.set_bool_target(*count, index < length))
        .collect::<Result<Vec<()>, _>>()
        .and_then(|_| witness.set_target_arr(&circuit.first.elements, &first))
        .and_then(|()| witness.set_verifier_data_target(&circuit.aggregation, &keys.aggregation))
        .and_then(|()| circuit.data.prove(witness))
        .map_err(|error| format!("no proof: {error}"))?;
    Ok(Receipt { is_segment: true, proof })
}

/// Refuses what does not hold, and neighbours that don't meet, before any work is done.
pub fn aggregate(left: &[u8], right: &[u8], keys: &Keys) -> Result<Receipt, String> {
    let receipts = [("left", left), ("right", right)].map(|(name, bytes)| {
        Receipt::check(bytes, keys).map_err(|reason| format!("input refused, the {name} one: {reason}"))
    });
    let [left, right] = receipts;
    let (left, right) = (left?, right?);
    join(&left.statement(), &right.statement())?;
    let circuit = build_aggregation(&keys.shape, &keys.segment);
    check_key(&circuit.data, &keys.aggregation)?;
    let mut witness = PartialWitness::new();
    left.fill(&circuit.sides[0], &mut witness)?;
    right.fill(&circuit.sides[1], &mut witness)?;
    let proof = witness
        .set_verifier_data_target(&circuit.aggregation, &keys.aggregation)
        .and_then(|()| circuit.data.prove(witness))
        .map_err(|error| format!("no proof: {error}"))?;
    Ok(Receipt { is_segment: false, proof })
}

/// What two neighbours say together.
pub fn join(left: &Statement, right: &Statement) -> Result<Statement, String> {
    if left.last != right.first {
        return Err("the right one does not begin where the left one ends".to_string());
    }
    Ok(Statement { first: left.first, last: right.last, length: left.length + right.length })
}

pub fn statement_of(public_inputs: &[F]) -> Statement {
    let four = |from: usize| std::array::from_fn(|index| public_inputs[from + index]);
    Statement { first: four(FIRST), last: four(LAST), length: public_inputs[LENGTH].to_canonical_u64() }
}

/// What is no proof at all makes the library panic here and there.
pub fn calmly<T>(work: impl FnOnce() -> Result<T, String>) -> Result<T, String> {
    let hook = std::panic::take_hook();
    std::panic::set_hook(Box::new(|_| {}));
    let end = catch_unwind(AssertUnwindSafe(work));
    std::panic::set_hook(hook);
    end.unwrap_or_else(|_| Err("it is no proof".to_string()))
}
