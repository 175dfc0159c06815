import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, onTestFinished, test } from "vitest";
import { createBlobStore } from "../data/blobStore.ts";
import { parseBincodeList } from "./runInputs.ts";
import { parseSubmitBody, toProofRequest } from "./submitBody.ts";

test("zkm2 gets the private input as the list that clients of gRPC send, zkm as it is", async () => {
  const dir = await mkdtemp(join(tmpdir(), "gevulot-submit-"));
  onTestFinished(() => rm(dir, { recursive: true, force: true }));
  const blobs = createBlobStore(dir);
  const { hash } = await blobs.put(Buffer.from("input"));
  const proof_id = "7f0c8f0e-0000-4000-8000-000000000001";
  const parsed = parseSubmitBody({ proof_id, elf: hash, private_input: hash });
  if (parsed.kind !== "parsed") throw new Error(parsed.reason);
  const read = (version: "zkm" | "zkm2") => toProofRequest(blobs, parsed.body, version);
  expect(parseBincodeList((await read("zkm2")).privateInput).map(String)).toEqual(["input"]);
  expect(String((await read("zkm")).privateInput)).toBe("input");
  const none = { ...parsed.body, private_input: undefined };
  expect((await toProofRequest(blobs, none, "zkm2")).privateInput).toHaveLength(0);
});
