//! The circuits. A segment's proof and an aggregation's have the same shape, so that an aggregation takes either on both
//! sides: whichever two receipts are neighbours, an odd one that was carried up too.

use plonky2::field::types::Field;
use plonky2::fri::reduction_strategies::FriReductionStrategy;
use plonky2::fri::FriConfig;
use plonky2::hash::hash_types::{HashOut, HashOutTarget};
use plonky2::hash::merkle_tree::MerkleCap;
use plonky2::hash::poseidon::PoseidonHash;
use plonky2::iop::target::{BoolTarget, Target};
use plonky2::plonk::circuit_builder::CircuitBuilder;
use plonky2::plonk::circuit_data::{
    CircuitConfig, CircuitData, CommonCircuitData, VerifierCircuitTarget, VerifierOnlyCircuitData,
};
use plonky2::plonk::config::{GenericConfig, PoseidonGoldilocksConfig};
use plonky2::plonk::proof::ProofWithPublicInputsTarget;

pub const D: usize = 2;
pub type C = PoseidonGoldilocksConfig;
pub type F = <C as GenericConfig<D>>::F;
pub type Common = CommonCircuitData<F, D>;
pub type Circuit = CircuitData<F, C, D>;
pub type Key = VerifierOnlyCircuitData<C, D>;
type Builder = CircuitBuilder<F, D>;

/// How many hashes a segment holds at most: what fills the rows that an aggregation has anyway.
pub const CAPACITY: usize = 5_000;

/// Public are the first link, the last, and how many hashes lead there; behind them the aggregation's own key.
pub const FIRST: usize = 0;
pub const LAST: usize = 4;
pub const LENGTH: usize = 8;
pub const STATEMENT: usize = 9;

/// 100 bits of security, conjectured: 3 x 28 + 16.
pub fn fast_config() -> CircuitConfig {
    CircuitConfig::standard_recursion_config()
}

/// The same security from fewer, dearer queries (5 x 17 + 16): slower to prove, and smaller.
pub fn small_config() -> CircuitConfig {
    CircuitConfig {
        fri_config: FriConfig {
            rate_bits: 5,
            cap_height: 0,
            proof_of_work_bits: 16,
            reduction_strategy: FriReductionStrategy::MinSize(None),
            num_query_rounds: 17,
        },
        ..fast_config()
    }
}

pub struct SegmentCircuit {
    pub data: Circuit,
    pub first: HashOutTarget,
    /// Which of the hashes count: the first so many.
    pub counts: Vec<BoolTarget>,
    pub aggregation: VerifierCircuitTarget,
}

pub struct Side {
    pub proof: ProofWithPublicInputsTarget<D>,
    pub is_segment: BoolTarget,
}

pub struct AggregationCircuit {
    pub data: Circuit,
    pub sides: [Side; 2],
    pub aggregation: VerifierCircuitTarget,
}

pub struct WrapCircuit {
    pub data: Circuit,
    pub inner: Side,
    pub aggregation: VerifierCircuitTarget,
}

/// The chain of one segment: up to `CAPACITY` hashes of which the first `LENGTH` count.
pub fn build_segment(shape: &Common) -> SegmentCircuit {
    let mut builder = Builder::new(fast_config());
    let first = builder.add_virtual_hash();
    let mut state = first.elements;
    let mut length = builder.zero();
    let mut counts: Vec<BoolTarget> = Vec::with_capacity(CAPACITY);
    for _ in 0..CAPACITY {
        let count = builder.add_virtual_bool_target_safe();
        if let Some(before) = counts.last() {
            let both = builder.and(count, *before);
            builder.connect(both.target, count.target);
        }
        let next = builder.hash_n_to_hash_no_pad::<PoseidonHash>(state.to_vec());
        state = std::array::from_fn(|index| builder.select(count, next.elements[index], state[index]));
        length = builder.add(length, count.target);
        counts.push(count);
    }
    register_statement(&mut builder, &first.elements, &state, length);
    // Nothing to check here; it is handed on so that every receipt has the same public inputs.
    let aggregation = builder.add_verifier_data_public_inputs();
    adopt_gates(&mut builder, shape);
    SegmentCircuit { data: builder.build(), first, counts, aggregation }
}

/// Two neighbours: the right one begins with the link with which the left one ends.
pub fn build_aggregation(shape: &Common, segment: &Key) -> AggregationCircuit {
    let mut builder = Builder::new(fast_config());
    let sides = [add_side(&mut builder, shape), add_side(&mut builder, shape)];
    let [left, right] = [0, 1].map(|index: usize| sides[index].proof.public_inputs.clone());
    for index in 0..4 {
        builder.connect(left[LAST + index], right[FIRST + index]);
    }
    let length = builder.add(left[LENGTH], right[LENGTH]);
    register_statement(&mut builder, &left[FIRST..LAST], &right[LAST..LENGTH], length);
    let own = builder.add_verifier_data_public_inputs();
    let segment = builder.constant_verifier_data(segment);
    for side in &sides {
        verify_side(&mut builder, side, &segment, &own, shape);
    }
    adopt_gates(&mut builder, shape);
    AggregationCircuit { data: builder.build(), sides, aggregation: own }
}

/// The same as one receipt says, in a smaller proof. The aggregation's key stays public, for the verifier to compare: as
/// constants it would cost so many rows that they were twice as many.
pub fn build_wrap(shape: &Common, segment: &Key) -> WrapCircuit {
    let mut builder = Builder::new(small_config());
    let inner = add_side(&mut builder, shape);
    builder.register_public_inputs(&inner.proof.public_inputs[..STATEMENT]);
    let aggregation = builder.add_virtual_verifier_data(shape.config.fri_config.cap_height);
    builder.register_public_inputs(&key_targets(&aggregation));
    let segment = builder.constant_verifier_data(segment);
    verify_side(&mut builder, &inner, &segment, &aggregation, shape);
    WrapCircuit { data: builder.build(), inner, aggregation }
}

/// The shape that an aggregation of two proofs of that very shape has.
pub fn find_shape() -> Result<Common, String> {
    // Any distinct numbers: they are only there to take the place of a key's.
    let hash = |seed: u64| HashOut { elements: std::array::from_fn(|index| F::from_canonical_u64(4 * seed + index as u64)) };
    let placeholder = |common: &Common| Key {
        constants_sigmas_cap: MerkleCap((1..=common.config.fri_config.num_cap_elements() as u64).map(hash).collect()),
        circuit_digest: hash(0),
    };
    let mut builder = Builder::new(fast_config());
    builder.add_virtual_public_input_arr::<STATEMENT>();
    builder.add_verifier_data_public_inputs();
    let mut shape = builder.build::<C>().common;
    for _ in 0..8 {
        let next = build_aggregation(&shape, &placeholder(&shape)).data.common;
        if next == shape {
            return Ok(shape);
        }
        shape = next;
    }
    Err("the aggregation's shape does not settle".to_string())
}

fn register_statement(builder: &mut Builder, first: &[Target], last: &[Target], length: Target) {
    builder.register_public_inputs(first);
    builder.register_public_inputs(last);
    builder.register_public_input(length);
}

fn add_side(builder: &mut Builder, shape: &Common) -> Side {
    let proof = builder.add_virtual_proof_with_pis(shape);
    Side { proof, is_segment: builder.add_virtual_bool_target_safe() }
}

/// The proof holds under the key of segments or that of aggregations, and it hands on the latter.
fn verify_side(
    builder: &mut Builder,
    side: &Side,
    segment: &VerifierCircuitTarget,
    aggregation: &VerifierCircuitTarget,
    shape: &Common,
) {
    for (given, own) in side.proof.public_inputs[STATEMENT..].iter().zip(key_targets(aggregation)) {
        builder.connect(*given, own);
    }
    let key = builder.select_verifier_data(side.is_segment, segment, aggregation);
    builder.verify_proof::<C>(&side.proof, &key, shape);
}

fn key_targets(key: &VerifierCircuitTarget) -> Vec<Target> {
    let cap = key.constants_sigmas_cap.0.iter().flat_map(|hash| hash.elements);
    key.circuit_digest.elements.into_iter().chain(cap).collect()
}

fn adopt_gates(builder: &mut Builder, shape: &Common) {
    for gate in &shape.gates {
        builder.add_gate_to_gate_set(gate.clone());
    }
}
