import { describe, expect, test } from "vitest";
import { GevulotClient, generateKey } from "../index.ts";

/** What someone without TypeScript may write: told before anything is sent, in words that say what to do. */
const PROGRAM = "ab".repeat(32);
const client = new GevulotClient({ url: "http://127.0.0.1:1", key: generateKey(), retries: 0 });
const remote = { url: "http://a/p.img", checksum: PROGRAM };

describe("the client", () => {
  test.each<[unknown, string]>([
    [null, "options: give an object of options; it is null."],
    [{ url: "localhost:9944" }, `url: give an address like http://127.0.0.1:9944; it is "localhost:9944".`],
    [{ url: "ftp://a" }, "url: give an address"],
    [{ url: 9944 }, "url: give an address like http://127.0.0.1:9944; it is 9944."],
    [{ timeoutMs: Number.NaN }, "timeoutMs: give a number of milliseconds above 0; it is NaN."],
    [{ timeoutMs: 0 }, "timeoutMs: give a number"],
    [{ sendTimeoutMs: "5" }, `sendTimeoutMs: give a number of milliseconds above 0; it is "5".`],
    [{ retries: -1 }, "retries: give a whole number from 0; it is -1."],
    [{ retries: Number.NaN }, "retries: give a whole number"],
    [{ maxReplyBytes: 0 }, "maxReplyBytes: give a whole number from 1"],
    [{ files: "send" }, `files: give "auto", "serve" or "upload".`],
    [{ fileHost: "0.0.0.0" }, "fileHost: give an object"],
    [{ fileHost: { port: 70_000 } }, "fileHost.port: give a whole number from 0 to 65535; it is 70000."],
    [{ fileHost: { host: 7 } }, "fileHost.host: give a string"],
    [{ fileHost: { paths: "file" } }, "fileHost.paths: give"],
    [{ uploadUrl: "here" }, "uploadUrl: give an address"],
    [{ pipelineUrl: "127.0.0.1:50020" }, "pipelineUrl: give an address"],
    [{ accessToken: "two words" }, "accessToken: give the token's text, without blanks."],
    [{ fetch: {} }, "fetch: give a function"],
    [{ signer: {} }, "signer.publicKey: give a string"],
    [{ signer: { publicKey: "04" } }, "signer.sign: give a function; it is null."],
    [{ keyFile: 5 }, "keyFile: give a string"],
  ])("%j", (options, message) => {
    expect(() => new GevulotClient(options as never)).toThrow(
      expect.objectContaining({ code: "OPTION_INVALID", message: expect.stringContaining(message) }),
    );
  });
  test.each([5, null, {}, "zz", new Uint8Array(3)])("the key %j", (key) => {
    expect(() => new GevulotClient({ key: key as never })).toThrow(
      expect.objectContaining({ code: "SECRET_KEY_INVALID" }),
    );
  });
});

describe("deploy", () => {
  test.each<[unknown, string, string]>([
    [undefined, "OPTION_INVALID", "deploy: give an object of options; it is nothing."],
    [{ prover: remote, verifier: remote }, "OPTION_INVALID", "name: give a string"],
    [{ name: "", verifier: remote }, "PROGRAM_INVALID", "The prover can't be deployed: it is missing"],
    [{ name: "", prover: remote }, "PROGRAM_INVALID", "The verifier can't be deployed: it is missing"],
    [{ name: "", prover: "p.img", verifier: remote }, "PROGRAM_INVALID", "give { file }"],
    [{ name: "", prover: {}, verifier: remote }, "PROGRAM_INVALID", "it has no file, url or hash"],
    [{ name: "", prover: { file: 5 }, verifier: remote }, "PROGRAM_INVALID", "its file is no path"],
    [
      { name: "", prover: { url: "http://a/p" }, verifier: remote },
      "PROGRAM_INVALID",
      "give the image's BLAKE3",
    ],
    [{ name: "", prover: { hash: 5 }, verifier: remote }, "HASH_INVALID", `"5" is not a hash`],
    ...(["memMib", "cpus"] as const).map((name): [unknown, string, string] => [
      { name: "", prover: { ...remote, resources: { [name]: 0 } }, verifier: remote },
      "PROGRAM_INVALID",
      `its ${name} is 0; give a whole number from 1 on`,
    ]),
    [
      { name: "", prover: { ...remote, resources: { memMib: Number.NaN } }, verifier: remote },
      "PROGRAM_INVALID",
      "its memMib is NaN",
    ],
    [
      { name: "", prover: { ...remote, resources: { memMib: 2n ** 64n } }, verifier: remote },
      "PROGRAM_INVALID",
      "its memMib",
    ],
    [{ name: "", prover: remote, verifier: remote, nonce: 5 }, "OPTION_INVALID", "nonce: give a bigint"],
    [{ name: "", prover: remote, verifier: remote, nonce: -1n }, "OPTION_INVALID", "nonce: give a bigint"],
    [
      { name: "", prover: remote, verifier: remote, signal: new AbortController() },
      "OPTION_INVALID",
      "signal: give an AbortSignal, as a controller's signal",
    ],
    [
      { name: "", prover: remote, verifier: remote, onProgress: 1 },
      "OPTION_INVALID",
      "onProgress: give a function",
    ],
  ])("case %#", async (options, code, message) => {
    const deployed = client.deploy(options as never);
    await expect(deployed).rejects.toMatchObject({ code, message: expect.stringContaining(message) });
  });
});

describe("run and prove", () => {
  const step = (more: object) => ({ steps: [{ program: PROGRAM, ...more }] });
  const input = (more: object) => step({ inputs: [{ vmPath: "/workspace/x", ...more }] });
  test.each<[unknown, string, string]>([
    [undefined, "OPTION_INVALID", "run: give an object"],
    [{}, "OPTION_INVALID", "steps: give an array of at least one step"],
    [{ steps: [] }, "OPTION_INVALID", "steps: give an array"],
    [{ steps: [null] }, "OPTION_INVALID", "steps[0]: give an object"],
    [{ steps: [{}] }, "HASH_INVALID", `"undefined" is not a hash`],
    [step({ args: "a b" }), "OPTION_INVALID", "steps[0].args: give an array"],
    [step({ args: [1] }), "OPTION_INVALID", "steps[0].args: give strings"],
    [step({ inputs: {} }), "OPTION_INVALID", "steps[0].inputs: give an array"],
    [step({ inputs: ["x"] }), "OPTION_INVALID", "steps[0].inputs[0]: give an object"],
    [step({ inputs: [{ file: "x" }] }), "INPUT_INVALID", "it is not an absolute path"],
    [input({}), "INPUT_INVALID", "it has no source; give file"],
    [input({ data: [1, 2] }), "INPUT_INVALID", "data (a Uint8Array)"],
    [input({ url: "x", checksum: PROGRAM }), "INPUT_INVALID", `its url "x" is none`],
    [input({ url: "http://a/x" }), "INPUT_INVALID", "is not 64 hex digits"],
    [step({ inputs: [{ output: "/workspace/x" }] }), "HASH_INVALID", `"undefined" is not a hash`],
  ])("run, case %#", async (options, code, message) => {
    const sent = client.run(options as never);
    await expect(sent).rejects.toMatchObject({ code, message: expect.stringContaining(message) });
  });
  test.each<[unknown, string]>([
    [undefined, "prove: give an object"],
    [{ verifier: PROGRAM }, "prover: give the program's hash, or what deploy gave for it."],
    [{ prover: PROGRAM, verifier: {} }, "verifier: give the program's hash"],
    [{ prover: PROGRAM, verifier: PROGRAM, verifierInputs: "/workspace/x" }, "verifierInputs: give an array"],
  ])("prove, case %#", async (options, message) => {
    const sent = client.prove(options as never);
    await expect(sent).rejects.toMatchObject({
      code: "OPTION_INVALID",
      message: expect.stringContaining(message),
    });
  });
});

test.each<[object, string]>([
  [{ timeoutMs: Number.NaN }, "timeoutMs"],
  [{ unreachableMs: -1 }, "unreachableMs"],
  [{ minVerifications: 0.5 }, "minVerifications"],
  [{ signal: {} }, "signal"],
  [{ onStatus: {} }, "onStatus"],
])("result %j", async (options, name) => {
  const result = client.getRun(PROGRAM).result(options as never);
  await expect(result).rejects.toMatchObject({ code: "OPTION_INVALID", context: { option: name } });
});

test("events, and hashes of every kind", async () => {
  const events = client.getRun(PROGRAM).events({ unreachableMs: Number.NaN });
  await expect(events.next()).rejects.toMatchObject({ code: "OPTION_INVALID" });
  for (const hash of [undefined, null, 5, "0x12", {}]) {
    expect(() => client.getRun(hash as never)).toThrow(expect.objectContaining({ code: "HASH_INVALID" }));
    await expect(client.getTransaction(hash as never)).rejects.toMatchObject({ code: "HASH_INVALID" });
  }
});
