/** A big integer as sign and 32-bit digits, least significant first: the form of JSON and bincode (protocol section 1). */
export interface SignAndDigits {
  readonly sign: -1 | 0 | 1;
  readonly digits: readonly number[];
}

export function toSignAndDigits(value: bigint): SignAndDigits {
  const digits: number[] = [];
  for (let rest = value < 0n ? -value : value; rest > 0n; rest >>= 32n)
    digits.push(Number(rest & 0xffffffffn));
  return { sign: value === 0n ? 0 : value < 0n ? -1 : 1, digits };
}

/** Takes zero digits at the end, and digits behind a sign of 0 (which make zero), as the existing node does. */
export function fromSignAndDigits({ sign, digits }: SignAndDigits): bigint {
  let value = 0n;
  for (let i = digits.length - 1; i >= 0; i--) value = (value << 32n) | BigInt(digits[i]!);
  return BigInt(sign) * value;
}

/** The fewest two's-complement bytes, big-endian, that hold the value: the form inside hashes. Zero is one zero byte. */
export function toTwosComplement(value: bigint): Uint8Array {
  // For n bytes the range is -2^(8n-1) to 2^(8n-1)-1; ~value folds the negative half onto the positive one.
  const magnitude = value < 0n ? ~value : value;
  const bits = magnitude === 0n ? 0 : magnitude.toString(2).length;
  const bytes = new Uint8Array(Math.floor(bits / 8) + 1);
  let rest = BigInt.asUintN(bytes.length * 8, value);
  for (let i = bytes.length - 1; i >= 0; i--, rest >>= 8n) bytes[i] = Number(rest & 255n);
  return bytes;
}
