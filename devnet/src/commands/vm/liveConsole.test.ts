import { Writable } from "node:stream";
import { expect, test } from "vitest";
import { createLiveConsole } from "./liveConsole.ts";

test("a slow reader gets what fits, how much is missing, and then what comes", () => {
  const waiting: (() => void)[] = [];
  let got = "";
  const out = new Writable({
    write(chunk, _encoding, done) {
      got += chunk;
      waiting.push(done);
    },
  });
  const live = createLiveConsole(out, 1_000);
  for (let count = 0; count < 1_000; count++) live.write("x".repeat(100));
  expect(out.writableLength).toBeLessThanOrEqual(1_100);
  for (let done = waiting.shift(); done; done = waiting.shift()) done();
  return new Promise<void>((resolve) => setImmediate(resolve)).then(async () => {
    const drain = async () => {
      for (let done = waiting.shift(); done; done = waiting.shift()) {
        done();
        await new Promise<void>((resolve) => setImmediate(resolve));
      }
    };
    await drain();
    live.write("last");
    live.end();
    await drain();
    expect(got).toMatch(/^x{1100}\n\[98900 bytes of the console left out: .*\]\nlast$/);
  });
});
