// deno: HTTP, child processes, files, TCP, watching.
const dir = Deno.args[0];
const ac = new AbortController();
let port = 0;
const s = Deno.serve({ port: 0, hostname: "127.0.0.1", signal: ac.signal, onListen: a => { port = a.port; } }, async r => new Response("hello " + await r.text()));
let sum = 0;
for (let k = 0; k < 20; k++) { const rs = await Promise.all(Array.from({ length: 16 }, (_, i) => fetch(`http://127.0.0.1:${port}/`, { method: "POST", body: "n" + i })));
for (const x of rs) sum += (await x.text()).length; }
console.log("http", sum);
ac.abort(); await s.finished;
const p = new Deno.Command("sh", { args: ["-c", "cat; exit 5"], stdin: "piped", stdout: "piped" }).spawn();
const w = p.stdin.getWriter();
await w.write(new TextEncoder().encode("to a child"));
await w.close();
const o = await p.output();
console.log(new TextDecoder().decode(o.stdout), o.code);
for (let i = 0; i < 50; i++) await Deno.writeTextFile(`${dir}/f${i}`, "x".repeat(i * 1000));
console.log([...Deno.readDirSync(dir)].length, (await Deno.stat(`${dir}/f49`)).size);
const l = Deno.listen({ port: 0, hostname: "127.0.0.1" });
const c = await Deno.connect({ port: l.addr.port, hostname: "127.0.0.1" });
const a = await l.accept(); await c.write(new Uint8Array([1, 2, 3]));
const b = new Uint8Array(9);
console.log(await a.read(b), b[2]);
a.close(); c.close(); l.close();
const watcher = Deno.watchFs(dir);
setTimeout(() => Deno.writeTextFileSync(`${dir}/new`, "1"), 50);
for await (const e of watcher) { console.log(e.kind); break; }
Deno.exit(0);
