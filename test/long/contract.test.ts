import { describeContract } from "../contract/suite.ts";

describeContract({ full: true, sizes: { largeBytes: 2 ** 30, smallFiles: 10_000, floodLines: 50_000 } });
