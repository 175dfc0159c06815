/** A place in the tree: layer 0 holds the leaves, from left to right. */
export interface TreePlace {
  readonly layer: number;
  readonly index: number;
}

/** An aggregation of two places of the layer below. */
export interface Aggregation extends TreePlace {
  /** Left and right. A place that was carried up is named where it was made. */
  readonly inputs: readonly [TreePlace, TreePlace];
  /** Its output covers every leaf. */
  readonly isFinal: boolean;
}

export interface LeafCount {
  /** Leaves that are there for certain, counted from the left. */
  readonly known: number;
  /** How many there will be, once that is known. */
  readonly total: number | null;
}

/**
 * The aggregations that are certain, given the leaves known so far. Neighbours are paired; an odd one is carried up to
 * the next layer. As more leaves become known the list only grows: nothing that was in it changes. So aggregation
 * starts while the split still runs. An aggregation that might turn out to be the final one is held back, because it
 * must be told.
 * @param from while the total is unknown: only those that were not certain when so many leaves were known
 */
export function planAggregations(leaves: LeafCount, from = 0): Aggregation[] {
  const { known, total } = leaves;
  return total === null ? certainAggregations(known, from) : allAggregations(total);
}

/** The place whose output covers every leaf: the last aggregation, or the only leaf. */
export function rootOf(total: number): TreePlace {
  let layer = 0;
  while (2 ** layer < total) layer += 1;
  return whereMade({ layer, index: 0 }, total);
}

function certainAggregations(known: number, from: number): Aggregation[] {
  const found: Aggregation[] = [];
  for (let layer = 1; 2 ** layer <= known; layer += 1) {
    const width = 2 ** layer;
    const first = from === width ? 0 : Math.floor(from / width);
    for (let index = first; (index + 1) * width <= known; index += 1) {
      // The one on the left edge is the final one unless there is a leaf that it does not cover.
      if (index === 0 && known === width) continue;
      found.push({ layer, index, inputs: below(layer, index), isFinal: false });
    }
  }
  return found;
}

function allAggregations(total: number): Aggregation[] {
  const found: Aggregation[] = [];
  let width = total;
  for (let layer = 1; width > 1; layer += 1) {
    for (let index = 0; 2 * index + 1 < width; index += 1) {
      const [left, right] = below(layer, index);
      found.push({ layer, index, inputs: [left, whereMade(right, total)], isFinal: width === 2 });
    }
    width = Math.ceil(width / 2);
  }
  return found;
}

function below(layer: number, index: number): [TreePlace, TreePlace] {
  return [
    { layer: layer - 1, index: 2 * index },
    { layer: layer - 1, index: 2 * index + 1 },
  ];
}

/** Follows a place that was carried up down to the aggregation or leaf that made it. */
function whereMade(place: TreePlace, total: number): TreePlace {
  let { layer, index } = place;
  while (layer > 0) {
    const widthBelow = Math.ceil(total / 2 ** (layer - 1));
    if (2 * index + 1 < widthBelow) break;
    layer -= 1;
    index *= 2;
  }
  return { layer, index };
}
