import { publicKeyOf, signTransaction } from "gevulot-sdk/protocol";
import { pino } from "pino";
import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import { createFileHost, type FileHost } from "../../../test/fixtures/fileHost.ts";
import { createTestDatabase, type TestDatabase } from "../../../test/fixtures/testDatabase.ts";
import { addToAccessList, isAccessListEmpty, removeFromAccessList } from "../store/accessList.ts";
import { type AccessListOptions, createAccessList } from "./accessList.ts";

const [alice, bob, node] = [1, 2, 3].map((byte) => new Uint8Array(32).fill(byte)) as [
  Uint8Array,
  Uint8Array,
  Uint8Array,
];
const from = (secretKey: Uint8Array) => signTransaction({ payload: { kind: "empty" }, nonce: 1n, secretKey });
let db: TestDatabase;
let host: FileHost;

beforeAll(async () => {
  db = await createTestDatabase();
  host = await createFileHost();
});
afterEach(() => db.database.query("truncate acl_whitelist"));
afterAll(async () => {
  await db?.[Symbol.asyncDispose]();
  await host?.[Symbol.asyncDispose]();
});

const create = (options: Partial<AccessListOptions>) =>
  createAccessList(
    { log: pino({ level: "silent" }), database: db.database },
    { mode: "auto", ownKey: publicKeyOf(node), ...options },
  );
const refused = { code: "TX_NOT_ALLOWED", message: expect.stringContaining("gevulot-node peer 04") };

describe("the access list", () => {
  test("auto: nobody is refused until it has a key, and it stays on when it loses the last one", async () => {
    await using access = create({});
    await access.require(from(alice));
    await addToAccessList(db.database, [publicKeyOf(bob)]);
    await access.require(from(bob));
    await expect(access.require(from(alice))).rejects.toMatchObject(refused);
    expect(await removeFromAccessList(db.database, publicKeyOf(bob))).toBe(true);
    expect(await removeFromAccessList(db.database, publicKeyOf(bob))).toBe(false);
    await expect(access.require(from(bob))).rejects.toMatchObject(refused);
    await access.require(from(node));
  });

  test("on refuses with an empty list, off takes all", async () => {
    await using on = create({ mode: "on" });
    await expect(on.require(from(alice))).rejects.toMatchObject(refused);
    await on.require(from(node));
    await addToAccessList(db.database, [publicKeyOf(bob)]);
    await using off = create({ mode: "off" });
    await off.require(from(alice));
  });

  test("a URL's keys are added; bad lines are left out, an empty list removes nobody", async () => {
    host.files.set("/keys", `${publicKeyOf(alice).toUpperCase()}\r\nnonsense\n\n${publicKeyOf(alice)}\n`);
    host.files.set("/empty", "");
    const urls = [`${host.url}/keys`, `${host.url}/empty`, `${host.url}/absent`];
    for (const url of urls) {
      await using access = create({ url });
      await expect(access.require(from(bob))).rejects.toMatchObject(refused);
      await expect.poll(() => isAccessListEmpty(db.database)).toBe(false);
      await access.require(from(alice));
    }
    expect((await db.database.query("select key from acl_whitelist")).rows).toEqual([
      { key: publicKeyOf(alice) },
    ]);
  });
});
