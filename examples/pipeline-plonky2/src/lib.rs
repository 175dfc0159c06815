//! A long chain of Poseidon hashes, proved in segments. Steps of a pipeline: split, prove each, aggregate two, wrap, check.

pub mod chain;
pub mod circuits;
pub mod files;
pub mod keys;
pub mod receipt;
pub mod wrapped;
