#!/usr/bin/env node
import { pickEntry } from "./entry.js";

await import(pickEntry("../dist/cli.js", "../dist/bundle/cli.js"));
