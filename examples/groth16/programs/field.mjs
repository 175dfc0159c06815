/** Numbers as the programs' files and arguments write them: decimal, no sign, no leading zeros, below a limit. */

/** The prime of BN254's scalar field: preimages and hashes are smaller. */
export const SCALAR_PRIME = 21888242871839275222246405745257275088548364400416034343698204186575808495617n;
/** The prime of the field in which points have their coordinates. */
export const POINT_PRIME = 21888242871839275222246405745257275088696311157297823662689037894645226208583n;

const MAX_DIGITS = 78;

/** @throws Error that names the number by `what` */
export function parseNumber(value, limit, what) {
  const isDecimal = typeof value === "string" && value.length <= MAX_DIGITS && /^(0|[1-9]\d*)$/.test(value);
  if (!isDecimal) throw new Error(`${what} is not a decimal number in quotes: ${show(value)}`);
  const number = BigInt(value);
  if (number >= limit) throw new Error(`${what} is not below ${limit}: ${value}`);
  return number;
}

export function show(value) {
  const text = JSON.stringify(value) ?? String(value);
  return text.length > 100 ? `${text.slice(0, 100)}…` : text;
}
