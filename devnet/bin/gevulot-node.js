#!/usr/bin/env node
import { pickEntry } from "./entry.js";

await import(pickEntry("../dist/nodeCli.js", "../dist/bundle/nodeCli.js"));
