import { mkdir, mkdtemp, rm, symlink, writeFile } from "node:fs/promises";
import { request } from "node:http";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { text } from "node:stream/consumers";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { createDiskBase, type SharedBase } from "../data/sharedBase.ts";
import { createProofServer } from "./proofServer.ts";

let dir: string;
let base: SharedBase;
let server: Awaited<ReturnType<typeof createProofServer>>;
beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), "gevulot-proofs-"));
  // As of a user's own folders: ~/.local/share/pipeline.
  base = await createDiskBase(join(dir, ".local", "base"));
  server = await createProofServer(base, "127.0.0.1:0");
});
afterEach(async () => {
  await server[Symbol.asyncDispose]();
  await rm(dir, { recursive: true, force: true });
});

const write = async (path: string, content: string): Promise<void> => {
  const file = join(base.dir, "proof", path);
  await mkdir(dirname(file), { recursive: true });
  await writeFile(file, content);
};
/** The path goes out as it stands: `fetch` would mend dots in it. */
const get = (path: string): Promise<{ status: number; body: string }> =>
  new Promise((resolve, reject) => {
    request({ host: "127.0.0.1", port: server.port, path }, (response) => {
      text(response).then((body) => resolve({ status: response.statusCode!, body }), reject);
    })
      .on("error", reject)
      .end();
  });

describe("createProofServer", () => {
  it.each(["run", ".run", "50%41 off", "a?b#c", "né"])("serves the proof of a run named %j", async (id) => {
    await write(`${id}/snark/proof_with_public_inputs.json`, "a proof");
    const answer = await get(`/${encodeURIComponent(id)}/snark/proof_with_public_inputs.json`);
    expect(answer).toEqual({ status: 200, body: "a proof" });
  });

  it.each([
    ["http://0.0.0.0:40000/public", "/public/run"],
    ["http://0.0.0.0:40000/public", "/run"],
    ["http://0.0.0.0:40000/public/", "/public/public"],
    ["http://0.0.0.0:40000/public", "/public"],
    ["https://proofs.example.org/a%20b/c", "/a%20b/c/run"],
    ["/tmp/zkm/fileserver", "/run"],
  ])("with fileserver_url %s serves %s", async (url, path) => {
    await server[Symbol.asyncDispose]();
    server = await createProofServer(base, "127.0.0.1:0", url);
    for (const id of ["run", "public"]) await write(`${id}/snark/proof_with_public_inputs.json`, "a proof");
    const answer = await get(`${path}/snark/proof_with_public_inputs.json`);
    expect(answer).toEqual({ status: 200, body: "a proof" });
    expect(await get("/elsewhere/run/snark/proof_with_public_inputs.json")).toMatchObject({ status: 404 });
  });

  it("brings a proof that another stage left in the bucket", async () => {
    await server[Symbol.asyncDispose]();
    const fetched: string[] = [];
    const fetch = async (path: string) => {
      fetched.push(path);
      await write("run/wrap/public_values.json", "values");
      return true;
    };
    server = await createProofServer({ ...base, fetch }, "127.0.0.1:0");
    expect(await get("/run/wrap/public_values.json")).toEqual({ status: 200, body: "values" });
    expect(await get("/run/wrap/public_values.json")).toEqual({ status: 200, body: "values" });
    expect(fetched).toEqual([join(base.dir, "proof", "run", "wrap", "public_values.json")]);
  });

  it.each([
    ["/run/segment/0"],
    ["/run/snark/../segment/0"],
    ["/run/snark/%2e%2e"],
    ["/run/snark/..%2f..%2fsecret"],
    ["/../snark/secret"],
    ["/run/snark/link"],
    ["/run/snark/%00"],
    ["/run/snark/%"],
    ["/run/snark/"],
  ])("does not serve %s", async (path) => {
    await write("run/segment/0", "a segment");
    await write("run/snark/other", "");
    await writeFile(join(base.dir, "secret"), "secret");
    await symlink(join(base.dir, "secret"), join(base.dir, "proof", "run", "snark", "link"));
    expect(await get(path)).toMatchObject({ status: 404 });
  });
});
