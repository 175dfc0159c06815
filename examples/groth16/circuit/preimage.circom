pragma circom 2.1.6;

include "circomlib/circuits/poseidon.circom";

// I know a number whose Poseidon hash is this one, and I don't tell you the number.
template Preimage() {
    signal input preimage;
    signal output hash;

    component poseidon = Poseidon(1);
    poseidon.inputs[0] <== preimage;
    hash <== poseidon.out;
}

component main = Preimage();
