import { describe, expect, test } from "vitest";
import { createProgressLine } from "./progressLine.ts";

const MIB = 2 ** 20;

function terminal(options: { isTTY: boolean; columns?: number }) {
  const written: string[] = [];
  let ms = 0;
  const line = createProgressLine({ ...options, write: (text) => written.push(text) }, () => ms);
  const tell = (atMs: number, done: number) => {
    ms = atMs;
    line.onProgress({
      phase: "uploading",
      file: "/images/prover.img",
      bytesDone: done,
      bytesTotal: 100 * MIB,
    });
  };
  return { written, line, tell };
}

describe("the progress line", () => {
  test("shows what takes long, a few times a second, and goes away", () => {
    const { written, line, tell } = terminal({ isTTY: true });
    for (let at = 0; at < 1_000; at += 10) tell(at, (at / 10) * MIB);
    expect(written).toHaveLength(7);
    expect(written[0]).toBe("\r\u001b[2Kuploading prover.img: 30% of 100.0 MiB");
    line.clear();
    line.clear();
    expect(written.slice(7)).toEqual(["\r\u001b[2K"]);
  });
  test("stays within its line", () => {
    const { written, tell } = terminal({ isTTY: true, columns: 21 });
    tell(500, MIB);
    expect(written).toEqual(["\r\u001b[2Kuploading prover.img"]);
  });
  test("is not there for what is quick, and where there is no terminal", () => {
    const quick = terminal({ isTTY: true });
    quick.tell(100, MIB);
    const piped = terminal({ isTTY: false });
    piped.tell(900, MIB);
    for (const { line, written } of [quick, piped]) {
      line.clear();
      expect(written).toEqual([]);
    }
  });
});
