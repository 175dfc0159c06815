//! What the programs refuse before they start, the circuits refuse too: a prover with a program of its own gains nothing.

use chain_pipeline::chain::{first_of, format_state, walk, Segment};
use chain_pipeline::circuits::{build_aggregation, build_segment, AggregationCircuit, F, LENGTH, STATEMENT};
use chain_pipeline::keys::Keys;
use chain_pipeline::receipt::{aggregate, calmly, prove_segment, statement_of, Receipt};
use plonky2::field::types::Field;
use plonky2::iop::witness::{PartialWitness, WitnessWrite};

/// Straight into the circuit, without the program's checks.
fn aggregate_unchecked(
    circuit: &AggregationCircuit,
    keys: &Keys,
    left: &Receipt,
    right: &Receipt,
) -> Result<(), String> {
    calmly(|| {
        let mut witness = PartialWitness::new();
        left.fill(&circuit.sides[0], &mut witness)?;
        right.fill(&circuit.sides[1], &mut witness)?;
        let set = witness.set_verifier_data_target(&circuit.aggregation, &keys.aggregation);
        let proof = set.and_then(|()| circuit.data.prove(witness)).map_err(|error| error.to_string())?;
        circuit.data.verify(proof).map_err(|error| error.to_string())
    })
}

fn changed(receipt: &Receipt, change: impl FnOnce(&mut Receipt)) -> Receipt {
    let mut copy = Receipt { is_segment: receipt.is_segment, proof: receipt.proof.clone() };
    change(&mut copy);
    copy
}

#[test]
fn an_aggregation_takes_only_true_neighbours() {
    let keys = Keys::make().unwrap();
    let [a, b, c] = [0, 3, 6].map(|from| {
        let first = format_state(&walk(first_of(5), from));
        prove_segment(&Segment { first, length: 3 }, &keys).unwrap()
    });
    let circuit = build_aggregation(&keys.shape, &keys.segment);
    let end = |left: &Receipt, right: &Receipt| aggregate_unchecked(&circuit, &keys, left, right);

    assert_eq!(end(&a, &b), Ok(()));
    assert!(end(&a, &c).is_err(), "a gap");
    assert!(end(&b, &a).is_err(), "the wrong way round");
    let lie = |change: fn(&mut Receipt)| end(&a, &changed(&b, change));
    assert!(lie(|receipt| receipt.is_segment = false).is_err(), "a segment as an aggregation");
    assert!(lie(|receipt| receipt.proof.public_inputs[LENGTH] += F::ONE).is_err(), "a longer one");
    assert!(lie(|receipt| receipt.proof.public_inputs[STATEMENT] += F::ONE).is_err(), "another key");

    let ab = aggregate(&a.to_bytes(), &b.to_bytes(), &keys).unwrap();
    assert_eq!(end(&ab, &c), Ok(()), "an odd one carried up");
    assert!(end(&changed(&ab, |receipt| receipt.is_segment = true), &c).is_err(), "an aggregation as a segment");
    assert!(end(&ab, &b).is_err(), "a segment twice");
}

#[test]
fn the_hashes_of_a_segment_count_from_the_first() {
    let keys = Keys::make().unwrap();
    let circuit = build_segment(&keys.shape);
    let end = |counted: &[usize]| {
        calmly(|| {
            let mut witness = PartialWitness::new();
            let counts = circuit.counts.iter().enumerate();
            let proof = counts
                .map(|(index, count)| witness.set_bool_target(*count, counted.contains(&index)))
                .collect::<Result<Vec<()>, _>>()
                .and_then(|_| witness.set_target_arr(&circuit.first.elements, &first_of(5)))
                .and_then(|()| witness.set_verifier_data_target(&circuit.aggregation, &keys.aggregation))
                .and_then(|()| circuit.data.prove(witness))
                .map_err(|error| error.to_string())?;
            let statement = statement_of(&proof.public_inputs);
            circuit.data.verify(proof).map_err(|error| error.to_string())?;
            Ok((statement.last, statement.length))
        })
    };
    assert!(end(&[0, 1, 2]) == Ok((walk(first_of(5), 3), 3)));
    assert!(end(&[0, 2]).is_err());
}
