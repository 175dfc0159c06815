import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { expect, test } from "vitest";
import { closeServer } from "../listen.ts";
import { type ControlAddress, orderDevnet, orderLoad, orderNode } from "./control.ts";

test("a devnet whose process is gone is said in words", async () => {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const address: ControlAddress = { port: (server.address() as AddressInfo).port, token: "x" };
  await closeServer(server);
  const text = expect.stringContaining("can't be reached");
  await expect(orderNode(address, 0, "stop")).rejects.toMatchObject({
    code: "DEVNET_NODE_ACTION",
    message: text,
  });
  await expect(orderDevnet(address, "restart")).rejects.toMatchObject({
    code: "DEVNET_ACTION",
    message: text,
  });
  await expect(orderLoad(address, "x")).rejects.toMatchObject({ code: "DEVNET_ACTION", message: text });
});
