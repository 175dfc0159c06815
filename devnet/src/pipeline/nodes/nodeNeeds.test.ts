import { describe, expect, it } from "vitest";
import type { TaskKind } from "../plan/planTasks.ts";
import { lacks, type Needs, whyNone } from "./nodeNeeds.ts";
import { createProverNode, listedNode, registeredNode } from "./proverNode.ts";

const HELLO = {
  ...{
    node_id: "a",
    name: "a",
    addr: "10.0.0.1:1",
    can: ["prove", "snark"],
    slots: 1,
    waiting_room: 0,
    base_id: "",
  },
  ...{ cores: 8, mem_mib: "65536", gpus: 0, labels: ["fast"] },
};
const node = (needs: Partial<Record<TaskKind, Needs>>, facts = registeredNode(HELLO, "")) =>
  createProverNode({ now: () => 0, client: null, needs }, facts);

describe("what a step needs", () => {
  it("says what a node has too little of", () => {
    const { cores, memMib, gpus, labels } = registeredNode(HELLO, "");
    const of = (needs: Needs) => lacks(needs, { cores, memMib, gpus, labels });
    expect(of({ gpu: 0, mem_gib: 64, cores: 8, labels: ["fast"] })).toEqual([]);
    expect(of({ gpu: 1, mem_gib: 64.5, cores: 9, labels: ["fast", "eu"] })).toEqual([
      ...["gpu 1 (has 0)", "mem_gib 64.5 (has 64)", "cores 9 (has 8)", "label eu"],
    ]);
  });

  it("keeps tasks from a node that lacks it, and no others", () => {
    const given = node({ prove: { gpu: 1 } });
    expect([...given.can]).toEqual(["snark"]);
    expect(given.lacks("prove")).toEqual(["gpu 1 (has 0)"]);
    expect([...node({ prove: { gpu: 1 } }, registeredNode({ ...HELLO, gpus: 2 }, "")).can]).toEqual([
      ...["prove", "snark"],
    ]);
  });

  it("takes a listed node to have what it does not say, until it says it", () => {
    const given = node({ prove: { cores: 16, gpu: 1, labels: ["eu"] } }, listedNode("10.0.0.1:1"));
    expect(given.can.has("prove")).toBe(true);
    const said = { ...registeredNode(HELLO, ""), gpus: 1, labels: ["eu"] };
    given.learn({ ...said, cores: 8 });
    expect(given.can.has("prove")).toBe(false);
    expect(given.lacks("prove")).toEqual(["cores 16 (has 8)"]);
    given.learn({ ...said, cores: 16 });
    expect(given.can.has("prove")).toBe(true);
  });

  it("says why no node can do a kind of task", () => {
    const given = node({ prove: { gpu: 1 } });
    const why = (kind: TaskKind) => whyNone(kind, [given], () => given.lacks(kind));
    expect(why("snark")).toBeNull();
    expect(why("prove")).toBe("no node has what [needs.prove] asks for: a lacks gpu 1 (has 0)");
    expect(why("agg")).toBe("no node is here that does agg: start one whose configuration has [steps] agg");
  });
});

describe("a node's load", () => {
  it("counts the tasks of other stages, and none of its own twice", () => {
    let now = 0;
    const given = createProverNode({ now: () => now, client: null, needs: {} }, registeredNode(HELLO, ""));
    given.work.add("mine", "prove");
    given.hear(["mine", "theirs"]);
    expect(given.running).toBe(2);
    // Its beat may be older than its answer.
    given.work.remove("mine", true);
    expect(given.running).toBe(1);
    now = 10_000;
    expect(given.running).toBe(2);
    given.hear([]);
    expect(given.running).toBe(0);
  });

  it("gets nothing while it rests, longer each time up to a limit, until it answers", () => {
    let now = 0;
    const given = createProverNode({ now: () => now, client: null, needs: {} }, registeredNode(HELLO, ""));
    expect([1, 2, 3, 4, 5].map(() => given.rest(3_000))).toEqual([500, 1_000, 2_000, 3_000, 3_000]);
    expect(given.isOpen).toBe(false);
    now = 3_000;
    expect(given.isOpen).toBe(true);
    given.rest(3_000);
    given.answered();
    expect(given.isOpen).toBe(true);
    expect(given.rest(3_000)).toBe(500);
  });
});
