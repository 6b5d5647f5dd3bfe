// Bundles src/ into ../static/stream.js and collects the licences of what is inside. Byte for byte reproducible.
import { readFile, writeFile } from "node:fs/promises";
import { build } from "esbuild";

const STATIC = new URL("../static/", import.meta.url);

const { metafile } = await build({
  entryPoints: [
    { in: "src/index.js", out: "stream" },
    { in: "src/stream.css", out: "stream" },
  ],
  absWorkingDir: import.meta.dirname,
  outdir: STATIC.pathname,
  alias: { "linkify-it": "./src/no-linkify.js", entities: "./src/entities.js" },
  bundle: true,
  minify: true,
  format: "esm",
  target: "es2022",
  charset: "utf8",
  legalComments: "none",
  metafile: true,
});

const packages = new Set(
  Object.keys(metafile.inputs)
    .map((path) => /node_modules\/((?:@[^/]+\/)?[^/]+)/.exec(path)?.[1])
    .filter(Boolean),
);
const notices = await Promise.all([...packages].sort().map(notice));
await writeFile(
  new URL("stream.LICENSES.txt", STATIC),
  `stream.js contains the following third-party packages.\n\n${notices.join("\n")}`,
);

async function notice(name) {
  const read = (file) => readFile(new URL(`node_modules/${name}/${file}`, import.meta.url), "utf8");
  const { version, license } = JSON.parse(await read("package.json"));
  const texts = await Promise.all(["LICENSE", "LICENSE.md", "LICENSE.txt", "LICENSE-MIT.txt"].map((f) => read(f).catch(() => "")));
  const text = texts.find(Boolean);
  if (!text) throw new Error(`no licence text found in ${name}`);
  return `${"-".repeat(78)}\n${name} ${version} (${license})\n\n${text.trim()}\n`;
}
