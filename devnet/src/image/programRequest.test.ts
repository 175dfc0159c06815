import { expect, test } from "vitest";
import { parseManifest } from "./manifest.ts";
import { placeInImage } from "./programRequest.ts";

test.each([
  [{}, "/home/me/app/prover", "/app/prover"],
  [{}, "/elsewhere/prover", "/prover"],
  [{ Program: "app/prover" }, "/home/me/app/prover", "/app/prover"],
  [{ Program: "prover" }, "/home/me/target/release/prover", "/prover"],
  [{ Program: "/opt/x/prover" }, "/opt/x/prover", "/opt/x/prover"],
  [{ Program: "/tmp/x/prover" }, "/tmp/x/prover", "/prover"],
])("with the manifest %j the program %s is in the image at %s", (manifest, path, place) => {
  expect(placeInImage(path, "elf", parseManifest(manifest), "/home/me")).toBe(place);
  expect(placeInImage(`${path}.ts`, "js", parseManifest({}), "/home/me")).toMatch(/prover\.mjs$/);
});

test("a proof file below another workspace", () => {
  const Mounts = { "%1": "/data" };
  const Exec = (ProofFile: string) => ({ Mounts, Exec: { ProofFile } });
  expect(parseManifest(Exec("/data/proof.bin")).exec).toEqual({ proofFile: "proof.bin", outputs: [] });
  expect(() => parseManifest(Exec("/workspace/proof.bin"))).toThrow(/proof\.bin or \/data\/proof\.bin/);
});
