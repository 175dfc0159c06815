use plonky2::iop::witness::{PartialWitness, WitnessWrite};
use plonky2::plonk::proof::CompressedProofWithPublicInputs;
use serde::{Deserialize, Serialize};

use crate::chain::{format_state, Statement};
use crate::circuits::{build_wrap, C, D, F};
use crate::keys::{check_key, Keys};
use crate::receipt::{calmly, statement_of, Receipt};

/// The end of the pipeline, as JSON: what is claimed, and a proof of it.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Wrapped {
    pub first: String,
    pub last: String,
    pub length: u64,
    /// Hex digits.
    pub proof: String,
}

impl Wrapped {
    pub fn of(receipt: &[u8], keys: &Keys) -> Result<Wrapped, String> {
        let receipt = Receipt::check(receipt, keys).map_err(|reason| format!("input refused: {reason}"))?;
        let circuit = build_wrap(&keys.shape, &keys.segment);
        check_key(&circuit.data, &keys.wrap.verifier_only)?;
        let mut witness = PartialWitness::new();
        receipt.fill(&circuit.inner, &mut witness)?;
        let proof = witness
            .set_verifier_data_target(&circuit.aggregation, &keys.aggregation)
            .and_then(|()| circuit.data.prove(witness))
            .and_then(|proof| circuit.data.compress(proof));
        let proof = proof.map_err(|error| format!("no proof: {error}"))?;
        let Statement { first, last, length } = receipt.statement();
        Ok(Wrapped { first: format_state(&first), last: format_state(&last), length, proof: to_hex(&proof.to_bytes()) })
    }

    /// Parses and verifies; gives the statement that was proved.
    pub fn check(json: &[u8], keys: &Keys) -> Result<Statement, String> {
        let given: Wrapped = serde_json::from_slice(json).map_err(|error| format!("it is no proof: {error}"))?;
        let bytes = from_hex(&given.proof).ok_or("it is no proof: its bytes are not in hex")?;
        let statement = calmly(|| {
            let size = bytes.len();
            let proof = CompressedProofWithPublicInputs::<F, C, D>::from_bytes(bytes, &keys.wrap.common)
                .map_err(|_| "it is no proof".to_string())?;
            if proof.to_bytes().len() != size {
                return Err("it has bytes too many".to_string());
            }
            let public_inputs = proof.public_inputs.clone();
            keys.check_handed_on(&public_inputs)?;
            keys.wrap.verify_compressed(proof).map_err(|error| format!("it does not hold ({error})"))?;
            Ok(statement_of(&public_inputs))
        })?;
        let claimed = (given.first, given.last, given.length);
        if claimed != (format_state(&statement.first), format_state(&statement.last), statement.length) {
            return Err("it claims something else than it proves".to_string());
        }
        Ok(statement)
    }
}

fn to_hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn from_hex(text: &str) -> Option<Vec<u8>> {
    if text.len() % 2 != 0 || !text.bytes().all(|digit| digit.is_ascii_hexdigit()) {
        return None;
    }
    (0..text.len()).step_by(2).map(|at| u8::from_str_radix(&text[at..at + 2], 16).ok()).collect()
}
