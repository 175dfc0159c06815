import { describeContract } from "../contract/suite.ts";

describeContract({ full: false, sizes: { largeBytes: 64 * 2 ** 20, smallFiles: 1_000, floodLines: 3_000 } });
