// Writes ../static: what the wheel carries, so that nobody who uses it needs Node.
import { copyFileSync } from "node:fs";
import { build } from "esbuild";

await build({
  entryPoints: { app: "src/main.tsx", style: "src/style.css" },
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
