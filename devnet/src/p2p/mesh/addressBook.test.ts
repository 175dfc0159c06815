import { expect, test } from "vitest";
import { createAddressBook } from "./addressBook.ts";

const bookOf = (configured: readonly string[] = []) =>
  createAddressBook({
    configured,
    maxAddresses: 16,
    maxOfOneSource: 4,
    minWaitMs: 100,
    maxWaitMs: 1_000,
    attempts: 3,
    random: () => 1,
  });
const nobody = () => false;

test("one source can't fill the book, and gets room again when its addresses led nowhere", () => {
  const book = bookOf();
  for (let at = 0; at < 100; at++) book.learn(`junk:${at}`, "liar");
  expect(book.size).toBe(4);
  for (let round = 0, nowMs = 0; round < 3; round++, nowMs += 10_000) {
    for (const address of book.due(nowMs, nobody, 100)) book.failed(address, nowMs);
  }
  expect(book.size).toBe(0);
  book.learn("again:1", "liar");
  expect(book.size).toBe(1);
});

test("many sources can't keep out what is new, once theirs failed", () => {
  const book = bookOf(["given:1"]);
  for (let at = 0; at < 100; at++) book.learn(`junk:${at}`, `liar ${at}`);
  expect(book.size).toBe(16);
  book.learn("honest:1", "honest");
  expect(book.due(0, nobody, 100)).not.toContain("honest:1");
  for (let at = 0; at < 100; at++) book.failed(`junk:${at}`, 0);
  book.learn("honest:1", "honest");
  expect(book.size).toBe(16);
  expect(book.due(0, nobody, 100)).toContain("honest:1");
});

test("waits double up to the longest; what was given is never forgotten", () => {
  const book = bookOf(["given:1"]);
  let nowMs = 0;
  for (const waitMs of [100, 200, 400, 800, 1_000, 1_000]) {
    expect(book.due(nowMs, nobody, 1)).toEqual(["given:1"]);
    book.failed("given:1", nowMs);
    expect(book.due(nowMs + waitMs - 1, nobody, 1)).toEqual([]);
    nowMs += waitMs;
  }
  expect(book.size).toBe(1);
});

test("a claim does not replace who was found by dialling", () => {
  const book = bookOf(["given:1"]);
  book.due(0, nobody, 1);
  book.reached("given:1", "key:honest");
  book.claimed("given:1", "key:liar");
  expect(book.due(0, (identity) => identity === "key:liar", 1)).toEqual(["given:1"]);
  book.reached("given:1", "key:honest");
  expect(book.due(0, (identity) => identity === "key:honest", 1)).toEqual([]);
});

test("the node itself is not tried again", () => {
  const book = bookOf(["given:1"]);
  book.due(0, nobody, 1);
  book.isSelf("given:1");
  book.failed("given:1", 0);
  expect(book.due(1e9, nobody, 1)).toEqual([]);
});
