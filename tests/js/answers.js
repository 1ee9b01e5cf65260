// @ts-check
// What serve.py would answer.

/** A message. @param {Record<string, unknown>} header @param {Record<string, number[]>} [sections] of float32 */
export function answer(header, sections = {}) {
  const table = Object.entries(sections).map(([name, values]) => ({ name, dtype: "float32", offset: 0, length: values.length }));
  let end = 0;
  for (const one of table) {
    one.offset = end;
    end += 8 * Math.ceil(one.length / 2);
  }
  const said = JSON.stringify({ version: 2, ...header, sections: table });
  const length = Math.ceil((4 + said.length) / 8) * 8 - 4;
  const message = new Uint8Array(4 + length + end).fill(32, 4, 4 + length);
  new DataView(message.buffer).setUint32(0, length, true);
  message.set(new TextEncoder().encode(said), 4);
  table.forEach(({ name, offset }) => new Float32Array(message.buffer, 4 + length + offset, sections[name].length).set(sections[name]));
  return new Response(message);
}

/** Until what was fetched has arrived. */
export async function settle() {
  for (let time = 0; time < 20; time += 1) await Promise.resolve();
  await new Promise((done) => { setImmediate(done); });
}
