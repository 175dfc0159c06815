import { expect, it } from "vitest";
import { reachableAddr } from "./reachableAddr.ts";

const STAGES = ["stage-a:50000", "stage-b:50000", "stage-c:50009"];

it.each([
  ["a host is taken as it is", "10.0.0.1:50000", STAGES, "10.0.0.9:4711", "10.0.0.1:50000"],
  ["the one stage with which it registered", "0.0.0.0:50009", STAGES, "10.0.0.9:4711", "stage-c:50009"],
  ["one of several: who calls", "0.0.0.0:50000", STAGES, "10.0.0.9:4711", "10.0.0.9:50000"],
  ["none: who calls", "[::]:50000", [], "fd00::9:4711", "[fd00::9]:50000"],
  ["IPv4 in IPv6", "[::]:50000", [], "::ffff:10.0.0.9:4711", "10.0.0.9:50000"],
])("a stage's data address: %s", (_, addr, stageAddrs, peer, expected) => {
  expect(reachableAddr(addr, { stageAddrs, peer })).toBe(expected);
});
