// Bundles the panel: one ES module with everything inlined (uPlot, CSS, design tokens).
//   node build.mjs          → ../../workbench/panels/static/panel.js
//   node build.mjs --page   → dist/page/ (development page with drawn data)
//   node build.mjs --test   → dist/test/ (unit tests)
import { analyzeMetafile, build, transform } from "esbuild";
import { cp, mkdir, readFile, readdir } from "node:fs/promises";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const here = dirname(fileURLToPath(import.meta.url));
// style sheets travel as text inside the module
const css = {
  name: "css-text",
  setup({ onLoad }) {
    onLoad({ filter: /\.css$/ }, async ({ path }) => {
      const { code } = await transform(await readFile(path, "utf8"), { loader: "css", minify: true });
      return { contents: code.trim(), loader: "text" };
    });
  },
};
const common = {
  absWorkingDir: here,
  bundle: true,
  format: "esm",
  target: "es2023",
  plugins: [css],
  logLevel: "warning",
};

if (process.argv.includes("--page")) {
  await mkdir(join(here, "dist/page"), { recursive: true });
  await build({ ...common, entryPoints: ["page/page.ts"], outfile: "dist/page/page.js", sourcemap: true });
  await cp(join(here, "page/index.html"), join(here, "dist/page/index.html"));
} else if (process.argv.includes("--test")) {
  const tests = (await readdir(join(here, "test"))).filter((f) => f.endsWith(".test.ts"));
  await build({
    ...common,
    entryPoints: tests.map((f) => `test/${f}`),
    outdir: "dist/test",
    platform: "node",
    packages: "external",
  });
} else {
  const outfile = join(here, "../../workbench/panels/static/panel.js");
  const result = await build({
    ...common,
    entryPoints: ["src/anywidget.ts"],
    outfile,
    minify: true,
    legalComments: "inline",
    metafile: true,
  });
  const bytes = Object.values(result.metafile.outputs)[0]?.bytes ?? 0;
  if (process.argv.includes("--sizes")) process.stdout.write(await analyzeMetafile(result.metafile));
  process.stdout.write(`panel.js ${(bytes / 1000).toFixed(1)} kB\n`);
}
