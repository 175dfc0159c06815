use std::path::Path;

use plonky2::plonk::circuit_data::VerifierCircuitData;
use plonky2::util::serialization::{Buffer, DefaultGateSerializer, Read, Remaining, Write};

use crate::circuits::{build_aggregation, build_segment, build_wrap, find_shape, Circuit, Common, Key, C, D, F, STATEMENT};
use crate::files;

/// What both programs must know of the circuits: made once by `chain-prover setup`, without secrets.
pub struct Keys {
    /// Of segments' proofs and of aggregations alike.
    pub shape: Common,
    pub segment: Key,
    pub aggregation: Key,
    pub wrap: VerifierCircuitData<F, C, D>,
}

impl Keys {
    pub fn make() -> Result<Keys, String> {
        let shape = find_shape()?;
        let segment = build_segment(&shape).data;
        if segment.common != shape {
            return Err(format!("a segment needs 2^{} rows", segment.common.degree_bits()));
        }
        let segment = segment.verifier_only;
        let aggregation = build_aggregation(&shape, &segment).data;
        if aggregation.common != shape {
            return Err("the aggregation's shape depends on its keys".to_string());
        }
        let aggregation = aggregation.verifier_only;
        let wrap = build_wrap(&shape, &segment).data.verifier_data();
        Ok(Keys { shape, segment, aggregation, wrap })
    }

    /// The key that receipts and wrapped proofs hand on in their public inputs must be the aggregation's.
    pub fn check_handed_on(&self, public_inputs: &[F]) -> Result<(), String> {
        let Key { circuit_digest, constants_sigmas_cap } = &self.aggregation;
        let cap = constants_sigmas_cap.0.iter().flat_map(|hash| hash.elements);
        if circuit_digest.elements.into_iter().chain(cap).eq(public_inputs.iter().skip(STATEMENT).copied()) {
            return Ok(());
        }
        Err("it is for other circuits".to_string())
    }

    pub fn write(&self, path: &Path) -> Result<(), String> {
        let mut bytes = Vec::new();
        let gates = &DefaultGateSerializer;
        bytes
            .write_common_circuit_data(&self.shape, gates)
            .and_then(|()| bytes.write_verifier_only_circuit_data(&self.segment))
            .and_then(|()| bytes.write_verifier_only_circuit_data(&self.aggregation))
            .and_then(|()| bytes.write_verifier_circuit_data(&self.wrap, gates))
            .map_err(|error| format!("the keys can't be written: {error}"))?;
        files::write(path, bytes)
    }

    pub fn read(path: &Path) -> Result<Keys, String> {
        let refused = || format!("{} has no keys: make them by chain-prover setup", path.display());
        let bytes = files::read(path)?;
        let mut buffer = Buffer::new(&bytes);
        let gates = &DefaultGateSerializer;
        let mut parse = || {
            Ok::<_, plonky2::util::serialization::IoError>(Keys {
                shape: buffer.read_common_circuit_data(gates)?,
                segment: buffer.read_verifier_only_circuit_data::<F, C, D>()?,
                aggregation: buffer.read_verifier_only_circuit_data::<F, C, D>()?,
                wrap: buffer.read_verifier_circuit_data(gates)?,
            })
        };
        let keys = parse().map_err(|_| refused())?;
        if buffer.remaining() > 0 {
            return Err(refused());
        }
        Ok(keys)
    }
}

/// Keys of another build of the program would give proofs that nobody accepts.
pub fn check_key(circuit: &Circuit, key: &Key) -> Result<(), String> {
    if circuit.verifier_only == *key {
        return Ok(());
    }
    Err("the keys are of another version of this program: make them anew by chain-prover setup".to_string())
}
