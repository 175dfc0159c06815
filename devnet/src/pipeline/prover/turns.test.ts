import { describe, expect, it } from "vitest";
import { createTurns } from "./turns.ts";

const never = new AbortController().signal;
const tick = () => new Promise((resolve) => setImmediate(resolve));

describe("createTurns", () => {
  it("gives as many as there are, then in the order of asking", async () => {
    const turns = createTurns(2);
    const begun: string[] = [];
    const ask = async (name: string) => {
      const leave = await turns.take(never);
      begun.push(name);
      return leave;
    };
    const asked = ["a", "b", "c", "d"].map(ask);
    await tick();
    expect(begun).toEqual(["a", "b"]);
    const leave = await asked[1]!;
    leave();
    // Twice is once.
    leave();
    await tick();
    expect(begun).toEqual(["a", "b", "c"]);
    (await asked[0]!)();
    await tick();
    expect(begun).toEqual(["a", "b", "c", "d"]);
  });

  it("forgets who does not want to wait any more", async () => {
    const turns = createTurns(1);
    const leave = await turns.take(never);
    const abort = new AbortController();
    const waits = turns.take(abort.signal);
    abort.abort(new Error("cancelled"));
    await expect(waits).rejects.toThrow("cancelled");
    leave();
    await turns.take(never);
  });

  it("turns away who waits when it closes, and who comes then", async () => {
    const turns = createTurns(1);
    const leave = await turns.take(never);
    const waits = turns.take(never);
    turns.close();
    await expect(waits).rejects.toThrow("drains");
    leave();
    await expect(turns.take(never)).rejects.toThrow("drains");
  });
});
