import { z } from "zod";

const text = z.string();
const schema = z.object({
  status: z.literal("ok"),
  data: z.object({
    nodes: z.array(z.object({ name: text, httpUrl: text, publicKey: text })),
    accounts: z.array(z.object({ publicKey: text, secretKey: text })),
  }),
});

/** What `up --json` says of the devnet, as it is inside the container. */
export type UpData = z.infer<typeof schema>["data"];

/** Throws where it tells of an error. */
export function readUpLine(line: string): UpData {
  // Some engines begin a line of the log with bytes of their own.
  return schema.parse(JSON.parse(line.slice(line.indexOf("{")))).data;
}
