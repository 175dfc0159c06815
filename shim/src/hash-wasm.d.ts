/** One algorithm alone: the package's entry has them all, and a program's bundle should be small. */
declare module "hash-wasm/dist/blake3.umd.min.js" {
  const module: typeof import("hash-wasm");
  export default module;
}
