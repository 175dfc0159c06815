/**
 * The two functions of snarkjs that the programs need. Its entry point loads much more (PLONK, ceremonies, Solidity
 * templates), which costs a virtual machine without hardware support a quarter of a second; hence the paths.
 */
export { default as groth16Prove } from "../../../node_modules/snarkjs/src/groth16_prove.js";
export { default as groth16Verify } from "../../../node_modules/snarkjs/src/groth16_verify.js";
