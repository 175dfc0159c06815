/** A value of a TFS file system (the protocol's packaging page, section 3). Text is UTF-8. */
export type TfsValue = string | bigint | TfsTuple | TfsVector;
/** In the order of its entries. */
export type TfsTuple = Map<string, TfsValue>;
export type TfsVector = TfsValue[];

/** 4 is read only. */
export type TfsVersion = 4 | 5;

export const VALUE_TYPE = { symbol: 0, tuple: 1, vector: 2, integer: 3, string: 4 } as const;
/** Bits of a header byte that hold a length, or the number of what is referred to. */
export const LENGTH_BITS: Readonly<Record<TfsVersion, number>> = { 4: 5, 5: 3 };

export function isTuple(value: TfsValue | undefined): value is TfsTuple {
  return value instanceof Map;
}
