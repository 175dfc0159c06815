import { expect, test } from "vitest";
import { createProgress, isFancy } from "./terminal.ts";

function stream(isTTY: boolean, columns = 20) {
  let text = "";
  const write = (more: string) => {
    text += more;
  };
  return { isTTY, columns, write, text: () => text };
}

test("on a terminal a message replaces the one before, cut to the width; a line stays", () => {
  const terminal = stream(true);
  const progress = createProgress(terminal, { fancy: true });
  progress.say("starting node0 and a lot more");
  progress.say("b");
  progress.line("done");
  progress.clear();
  const [, first, second, rest] = terminal.text().split("\r\u001b[2K");
  expect([first, second, rest]).toEqual(["⠋ starting node0 an", "⠙ b", "done\n"]);
});

test("elsewhere each message is a line, without control characters", () => {
  const file = stream(false);
  const progress = createProgress(file, { fancy: false });
  progress.say("a");
  progress.line("b");
  progress.clear();
  expect(file.text()).toBe("… a\nb\n");
});

test("quiet says nothing", () => {
  const file = stream(true);
  const progress = createProgress(file, { fancy: true, quiet: true });
  progress.say("a");
  progress.line("b");
  expect(file.text()).toBe("");
});

test.each([
  [true, {}, true],
  [true, { NO_COLOR: "1" }, false],
  [true, { NO_COLOR: "" }, true],
  [true, { TERM: "dumb" }, false],
  [false, {}, false],
])("a terminal (%s) with %o: %s", (isTTY, env, fancy) => {
  expect(isFancy(stream(isTTY), env)).toBe(fancy);
});
