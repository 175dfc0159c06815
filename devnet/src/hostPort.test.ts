import { expect, test } from "vitest";
import { parseHostPort } from "./hostPort.ts";

test.each([
  ["localhost:9944", { host: "localhost", port: 9_944 }],
  ["10.0.0.7:0", { host: "10.0.0.7", port: 0 }],
  ["[::1]:65535", { host: "::1", port: 65_535 }],
  ["[::ffff:10.0.0.7]:1", { host: "::ffff:10.0.0.7", port: 1 }],
  ["node-1.example:9999", { host: "node-1.example", port: 9_999 }],
  ["localhost", null],
  [":9944", null],
  ["localhost:65536", null],
  ["localhost:123456", null],
  ["::1:9944", null],
  ["[10.0.0.7]:9944", null],
  ["[::1:9944", null],
  ["http://localhost:9944", null],
  ["local host:9944", null],
  ["", null],
])("%j", (text, wanted) => {
  expect(parseHostPort(text)).toEqual(wanted);
});
