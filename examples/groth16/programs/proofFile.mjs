import { POINT_PRIME, parseNumber, SCALAR_PRIME, show } from "./field.mjs";

/**
 * Reads a proof strictly: snarkjs alone would take other spellings of a proof for the same one (fields that it doesn't
 * look at, numbers beyond the prime), and one flipped bit must never pass.
 */
export function parseProof(text) {
  const proof = parseJson(text, "the proof");
  checkKeys(proof, ["curve", "pi_a", "pi_b", "pi_c", "protocol"]);
  if (proof.protocol !== "groth16")
    throw new Error(`the proof's protocol is not groth16: ${show(proof.protocol)}`);
  if (proof.curve !== "bn128") throw new Error(`the proof's curve is not bn128: ${show(proof.curve)}`);
  checkPoint(proof.pi_a, coordinate, "1", "pi_a");
  checkPoint(proof.pi_b, coordinatePair, ["1", "0"], "pi_b");
  checkPoint(proof.pi_c, coordinate, "1", "pi_c");
  return proof;
}

/** The circuit's one public signal: the hash. */
export function parsePublic(text) {
  const signals = parseJson(text, "the list of public signals");
  if (!Array.isArray(signals) || signals.length !== 1) {
    throw new Error(`the list of public signals does not hold one number: ${show(signals)}`);
  }
  return parseNumber(signals[0], SCALAR_PRIME, "the public signal");
}

function parseJson(text, what) {
  try {
    return JSON.parse(text);
  } catch (cause) {
    throw new Error(`${what} is not JSON: ${cause.message}`, { cause });
  }
}

function checkKeys(proof, keys) {
  const isObject = typeof proof === "object" && proof !== null && !Array.isArray(proof);
  const found = isObject ? Object.keys(proof).sort().join(" ") : show(proof);
  if (found !== keys.join(" "))
    throw new Error(`the proof does not have the fields ${keys.join(", ")}: ${found}`);
}

/** Points come in affine form: two coordinates, then one. */
function checkPoint(point, check, one, what) {
  const fits = Array.isArray(point) && point.length === 3 && JSON.stringify(point[2]) === JSON.stringify(one);
  if (!fits) throw new Error(`the proof's ${what} is not a point in affine form: ${show(point)}`);
  check(point[0], `the proof's ${what}`);
  check(point[1], `the proof's ${what}`);
}

function coordinate(value, what) {
  parseNumber(value, POINT_PRIME, what);
}

function coordinatePair(pair, what) {
  if (!Array.isArray(pair) || pair.length !== 2)
    throw new Error(`${what} is not made of pairs: ${show(pair)}`);
  for (const value of pair) coordinate(value, what);
}
