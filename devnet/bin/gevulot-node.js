#!/usr/bin/env node
import "../dist/nodeCli.js";
