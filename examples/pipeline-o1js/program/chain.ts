import { type Bool, Field, Poseidon, Provable, SelfProof, Struct, ZkProgram } from "o1js";

/** The longest segment. */
export const MAX_HASHES = 200;

/** So many hashes lead from this link of the chain to that one. */
export class Part extends Struct({ first: Field, last: Field, length: Field }) {}

/** Proofs of segments, and of two proofs that fit together. Both have the same key, so either may stand on both sides. */
export const chain = ZkProgram({
  name: "chain",
  publicOutput: Part,
  methods: {
    segment: {
      privateInputs: [Field, Field],
      async method(first: Field, length: Field) {
        let last = first;
        let left = length;
        for (let hash = 0; hash < MAX_HASHES; hash += 1) {
          const isCounted: Bool = left.equals(0).not();
          last = Provable.if(isCounted, Poseidon.hash([last]), last);
          left = left.sub(isCounted.toField());
        }
        left.assertEquals(0, `a segment has at most ${MAX_HASHES} hashes`);
        return { publicOutput: new Part({ first, last, length }) };
      },
    },
    merge: {
      privateInputs: [SelfProof, SelfProof],
      async method(left: SelfProof<undefined, Part>, right: SelfProof<undefined, Part>) {
        left.verify();
        right.verify();
        const [before, after] = [left.publicOutput, right.publicOutput];
        before.last.assertEquals(after.first, "the right part begins where the left one ends");
        const length = before.length.add(after.length);
        return { publicOutput: new Part({ first: before.first, last: after.last, length }) };
      },
    },
  },
});

export class ChainProof extends ZkProgram.Proof(chain) {}

/** The finished proof: it says what is proved as its public input, and has a key of its own. */
export const finished = ZkProgram({
  name: "finished-chain",
  publicInput: Part,
  methods: {
    finish: {
      privateInputs: [ChainProof],
      async method(part: Part, proof: ChainProof) {
        proof.verify();
        const { first, last, length } = proof.publicOutput;
        part.first.assertEquals(first);
        part.last.assertEquals(last);
        part.length.assertEquals(length);
      },
    },
  },
});

export class FinishedProof extends ZkProgram.Proof(finished) {}
