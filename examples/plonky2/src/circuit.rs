use plonky2::field::types::Field;
use plonky2::hash::hash_types::HashOut;
use plonky2::hash::hashing::hash_n_to_hash_no_pad;
use plonky2::hash::poseidon::{PoseidonHash, PoseidonPermutation};
use plonky2::iop::target::Target;
use plonky2::plonk::circuit_builder::CircuitBuilder;
use plonky2::plonk::circuit_data::{CircuitConfig, CircuitData};
use plonky2::plonk::config::{GenericConfig, PoseidonGoldilocksConfig};

pub const D: usize = 2;
pub type C = PoseidonGoldilocksConfig;
pub type F = <C as GenericConfig<D>>::F;

/// How often the seed is hashed, one hash after the other.
pub const LINKS: usize = 1_000;

/// "The chain that begins with this seed ends in this tip": public are the seed and the four numbers of the tip.
pub fn build() -> (CircuitData<F, C, D>, Target) {
    let mut builder = CircuitBuilder::<F, D>::new(CircuitConfig::standard_recursion_config());
    let seed = builder.add_virtual_target();
    builder.register_public_input(seed);
    let zero = builder.zero();
    let mut link = vec![seed, zero, zero, zero];
    for _ in 0..LINKS {
        link = builder.hash_n_to_hash_no_pad::<PoseidonHash>(link).elements.to_vec();
    }
    builder.register_public_inputs(&link);
    (builder.build::<C>(), seed)
}

/// The same as the circuit, outside of it.
pub fn tip_of(seed: F) -> HashOut<F> {
    let begin = HashOut { elements: [seed, F::ZERO, F::ZERO, F::ZERO] };
    (0..LINKS).fold(begin, |link, _| {
        hash_n_to_hash_no_pad::<F, PoseidonPermutation<F>>(&link.elements)
    })
}
