//! A prover and a verifier on the command line. They know nothing of tasks and virtual machines: files in, files out,
//! and an exit code.

mod circuit;

use std::fs;
use std::panic::{catch_unwind, AssertUnwindSafe};
use std::process::ExitCode;

use circuit::{build, tip_of, C, D, F, LINKS};
use plonky2::field::types::{Field, Field64, PrimeField64};
use plonky2::iop::witness::{PartialWitness, WitnessWrite};
use plonky2::plonk::circuit_data::VerifierCircuitData;
use plonky2::plonk::proof::ProofWithPublicInputs;
use plonky2::util::serialization::DefaultGateSerializer;

const USAGE: &str = "usage:
  chain setup FILE                 write the verifier's part of the circuit
  chain tip SEED                   where the seed's chain ends
  chain prove FILE SEED            prove it, in FILE
  chain verify CIRCUIT FILE SEED   exit code 1: refused";

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = args.iter().map(String::as_str).collect();
    let end = match words[..] {
        ["setup", file] => setup(file),
        ["tip", seed] => parse_seed(seed).map(|seed| format_tip(&tip_of(seed).elements)),
        ["prove", file, seed] => prove(file, seed),
        ["verify", circuit, file, seed] => verify(circuit, file, seed),
        _ => Err(USAGE.to_string()),
    };
    match end {
        Ok(line) => {
            println!("{line}");
            ExitCode::SUCCESS
        }
        Err(reason) => {
            eprintln!("{reason}");
            ExitCode::FAILURE
        }
    }
}

fn setup(file: &str) -> Result<String, String> {
    let (data, _) = build();
    let bytes = data.verifier_data().to_bytes(&DefaultGateSerializer);
    let bytes = bytes.map_err(|error| format!("the circuit can't be written: {error}"))?;
    write(file, &bytes)?;
    Ok(format!("a circuit of 2^{} rows", data.common.degree_bits()))
}

fn prove(file: &str, seed: &str) -> Result<String, String> {
    let seed = parse_seed(seed)?;
    let (data, target) = build();
    let mut witness = PartialWitness::new();
    let set = witness.set_target(target, seed);
    let proof = set.and_then(|()| data.prove(witness)).map_err(|error| format!("no proof: {error}"))?;
    write(file, &proof.to_bytes())?;
    Ok(format!("proved: {LINKS} hashes from {seed} end in {}", format_tip(&proof.public_inputs[1..])))
}

fn verify(circuit: &str, file: &str, seed: &str) -> Result<String, String> {
    let seed = parse_seed(seed)?;
    let data = VerifierCircuitData::<F, C, D>::from_bytes(read(circuit)?, &DefaultGateSerializer)
        .map_err(|error| format!("{circuit} is no circuit: {error}"))?;
    let bytes = read(file)?;
    let given = bytes.len();
    // What is no proof at all makes the library panic here and there.
    std::panic::set_hook(Box::new(|_| {}));
    let checked = catch_unwind(AssertUnwindSafe(move || {
        let proof = ProofWithPublicInputs::<F, C, D>::from_bytes(bytes, &data.common)
            .map_err(|_| "it is no proof for this circuit".to_string())?;
        if proof.to_bytes().len() != given {
            return Err("it has bytes too many".to_string());
        }
        let public = proof.public_inputs.clone();
        data.verify(proof).map_err(|error| format!("it does not hold ({error})"))?;
        Ok(public)
    }));
    let public = checked
        .unwrap_or_else(|_| Err("it is no proof for this circuit".to_string()))
        .map_err(|reason| format!("proof refused: {reason}"))?;
    if public[0] != seed {
        return Err(format!("proof refused: it is for the seed {}, not {seed}", public[0]));
    }
    Ok(format!("valid: {LINKS} hashes from {seed} end in {}", format_tip(&public[1..])))
}

fn parse_seed(text: &str) -> Result<F, String> {
    match text.parse::<u64>() {
        Ok(seed) if seed < F::ORDER => Ok(F::from_canonical_u64(seed)),
        _ => Err(format!("the seed {text:?} is no number below the field's prime")),
    }
}

fn format_tip(tip: &[F]) -> String {
    tip.iter().map(|part| format!("{:016x}", part.to_canonical_u64())).collect()
}

fn read(file: &str) -> Result<Vec<u8>, String> {
    fs::read(file).map_err(|error| format!("{file} can't be read: {error}"))
}

fn write(file: &str, bytes: &[u8]) -> Result<(), String> {
    fs::write(file, bytes).map_err(|error| format!("{file} can't be written: {error}"))
}
