// Writes ../static: what the wheel carries, so that nobody who uses it needs Node. BUILT holds
// hashes of the sources and of what was made of them: a test compares them with the files.
import { createHash } from "node:crypto";
import { copyFileSync, readFileSync, readdirSync, writeFileSync } from "node:fs";
import { build } from "esbuild";

// The pages of the dashboard, and beside them what other pages follow a run with.
await build({
  entryPoints: { app: "src/main.tsx", style: "src/style.css", theme: "src/theme.js", client: "src/client.ts" },
  bundle: true,
  minify: true,
  format: "esm",
  target: "es2022",
  jsx: "automatic",
  jsxImportSource: "preact",
  legalComments: "none",
  outdir: "../static",
});
copyFileSync("src/index.html", "../static/index.html");

const hashed = (folder, names) => names.sort().map((name) =>
  `${createHash("sha256").update(readFileSync(`${folder}/${name}`)).digest("hex")}  ${name}\n`);
writeFileSync("../static/BUILT", [
  ...hashed(".", ["build.mjs", "client.json", "package-lock.json", ...readdirSync("src").map((name) => `src/${name}`)]),
  ...hashed("../static", readdirSync("../static").filter((name) => name !== "BUILT")),
].join(""));
