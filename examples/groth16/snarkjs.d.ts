/** snarkjs has no types of its own: what the app needs of it. */
declare module "snarkjs" {
  export const groth16: {
    verify(verificationKey: unknown, publicSignals: readonly string[], proof: unknown): Promise<boolean>;
  };
  export const curves: { getCurveFromName(name: string): Promise<{ terminate(): Promise<void> }> };
}
