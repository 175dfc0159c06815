import { describe, expect, it } from "vitest";
import type { WireNodeHello } from "../wire/messages.ts";
import { createNodeNames, refusalOfHello } from "./nodeHello.ts";
import { type ListedKinds, listedNode, registeredNode } from "./proverNode.ts";

const HELLO: WireNodeHello = {
  node_id: "a",
  name: "a",
  addr: "10.0.0.7:50001",
  can: ["prove", "agg"],
  slots: 2,
  waiting_room: 2,
  cores: 8,
  mem_mib: "1024",
  gpus: 0,
  labels: [],
  base_id: "",
};

describe("refusalOfHello", () => {
  it("takes what is right", () => {
    expect(refusalOfHello(HELLO)).toBeNull();
  });

  it.each([
    ["no name", { node_id: "" }, "name"],
    ["a name too long", { node_id: "a".repeat(256) }, "name"],
    ["a name of two lines", { node_id: "a\nb" }, "name"],
    ["no address", { addr: "" }, "advertise_addr"],
    ["an address without a port", { addr: "10.0.0.7" }, "advertise_addr"],
  ])("refuses %s", (_, change, key) => {
    expect(refusalOfHello({ ...HELLO, ...change })).toContain(key);
  });
});

describe("registeredNode", () => {
  it("takes at most so many tasks, and no checks of proofs", () => {
    const node = registeredNode(
      { ...HELLO, can: ["prove", "verify", "dance"], slots: 4_000_000_000, waiting_room: 4_000_000_000 },
      "",
    );
    expect([...node.can]).toEqual(["prove"]);
    expect(node).toMatchObject({ slots: 1_024, waitingRoom: 1_024 });
  });
});

describe("listedNode", () => {
  const addrs = ["a:1", "b:1", "c:1"];
  const able = (kind: "snark" | "prove" | "split", kinds?: ListedKinds) =>
    addrs.filter((addr, place) => listedNode(addr, place, kinds).can.has(kind));

  it("wraps where it is the first, and does all else", () => {
    expect(able("snark")).toEqual(["a:1"]);
    expect(able("prove")).toEqual(addrs);
    expect(able("split")).toEqual(addrs);
  });

  it("does as the configuration says", () => {
    const kinds = { snarkAddrs: ["b:1", "c:1"], proveNodesNum: 2 };
    expect(able("snark", kinds)).toEqual(["b:1", "c:1"]);
    expect(able("prove", kinds)).toEqual(["a:1", "b:1"]);
    expect(able("split", kinds)).toEqual(addrs);
  });
});

describe("createNodeNames", () => {
  const here = () => ({ host: "10.0.0.7", addr: "10.0.0.7:50001" });

  it("gives a name to one at a time", () => {
    const names = createNodeNames(() => false);
    const giveBack = names.take("a", here())!;
    expect(names.take("a", { ...here(), host: "10.0.0.8" })).toBeNull();
    expect(names.take("a", { ...here(), addr: "10.0.0.7:50002" })).toBeNull();
    giveBack();
    expect(names.take("a", { ...here(), host: "10.0.0.8" })).not.toBeNull();
  });

  it("lets the same node come again before its old call is seen to break", () => {
    const names = createNodeNames(() => false);
    const old = names.take("a", here())!;
    expect(names.take("a", here())).not.toBeNull();
    old();
    expect(names.take("a", { ...here(), host: "10.0.0.8" })).toBeNull();
  });

  it("keeps the names of listed nodes", () => {
    expect(createNodeNames((id) => id === "stage").take("stage", here())).toBeNull();
  });
});
