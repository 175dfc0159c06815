import { describe, expect, it } from "vitest";
import { choosePlace, type NodeLoad, type PlacedTask } from "./choosePlace.ts";

const node = (id: string, change: Partial<NodeLoad> = {}): NodeLoad => ({
  id,
  can: new Set(["prove", "agg"] as const),
  slots: 2,
  running: 0,
  waitingRoom: 0,
  ahead: () => 0,
  isOpen: true,
  ...change,
});
const PROVE: PlacedTask = { kind: "prove", lastNode: null, notOn: [] };
const place = (task: Partial<PlacedTask>, ...nodes: NodeLoad[]) =>
  choosePlace({ ...PROVE, ...task }, nodes)?.id ?? null;

describe("choosePlace", () => {
  it("takes the least loaded that can do it", () => {
    expect(place({}, node("a", { running: 1 }), node("b"))).toBe("b");
    expect(place({ kind: "snark" }, node("a"), node("b", { can: new Set(["snark"] as const) }))).toBe("b");
  });

  it("keeps nodes that can do more for what only they can do", () => {
    const all = new Set(["prove", "agg", "snark"] as const);
    expect(place({}, node("a", { can: all }), node("b", { running: 1 }))).toBe("b");
  });

  it("goes back to the node that began it, unless it failed there", () => {
    expect(place({ lastNode: "a" }, node("a", { running: 1 }), node("b"))).toBe("a");
    expect(place({ lastNode: "a", notOn: ["a"] }, node("a"), node("b"))).toBe("b");
  });

  it("waits for another node rather than repeat a failure, but repeats where there is no other", () => {
    expect(place({ notOn: ["a"] }, node("a"), node("b", { running: 2 }))).toBeNull();
    expect(place({ notOn: ["a"] }, node("a"), node("b", { isOpen: false }))).toBe("a");
    expect(place({ notOn: ["a"] }, node("a"))).toBe("a");
  });

  it("lets a task wait at a node only where no slot is free", () => {
    const short = { waitingRoom: 2, ahead: (kind: string) => (kind === "prove" ? 2 : 0) };
    expect(place({}, node("a", { running: 2, ...short }), node("b", { running: 1 }))).toBe("b");
    expect(place({}, node("a", { running: 3, ...short }), node("b", { running: 2 }))).toBe("a");
    expect(place({ kind: "agg" }, node("a", { running: 2, ...short }))).toBeNull();
    expect(place({}, node("a", { running: 4, ...short }))).toBeNull();
  });

  it("goes back to where it waits already", () => {
    expect(place({ lastNode: "a" }, node("a", { running: 2, waitingRoom: 2 }), node("b"))).toBe("a");
  });

  it("knows when there is no room", () => {
    expect(place({}, node("a", { running: 2 }), node("b", { isOpen: false }))).toBeNull();
    expect(place({})).toBeNull();
  });
});
