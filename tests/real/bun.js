// bun: HTTP, child processes, files, SQLite, workers.
import { spawn } from "bun"; import fs from "node:fs"; import { Database } from "bun:sqlite"; import { Worker } from "node:worker_threads";
const server = Bun.serve({ port: 0, hostname: "127.0.0.1", fetch: async r => new Response("hello " + (await r.text())) });
let sum = 0;
for (let k = 0; k < 20; k++) { const rs = await Promise.all(Array.from({ length: 16 }, (_, i) => fetch(server.url, { method: "POST", body: "n" + i })));
for (const x of rs) sum += (await x.text()).length; }
console.log("http", sum);
server.stop(true);
const p = spawn(["sh", "-c", "cat; exit 5"], { stdin: "pipe", stdout: "pipe" });
p.stdin.write("to a child");
p.stdin.end();
console.log(await new Response(p.stdout).text(), await p.exited);
const dir = process.argv[2];
for (let i = 0; i < 50; i++) await Bun.write(`${dir}/f${i}`, "x".repeat(i * 1000));
console.log(fs.readdirSync(dir).filter(f => f.startsWith("f")).length, fs.statSync(`${dir}/f49`).size);
const db = new Database(`${dir}/d.sqlite`);
db.run("create table t(a)");
for (let i = 0; i < 100; i++) db.run("insert into t values(?)", [i]);
console.log(db.query("select sum(a) s from t").get().s);
const { stdout } = Bun.spawnSync(["echo", "sync"]);
console.log(stdout.toString().trim());
const w = new Worker("require('worker_threads').parentPort.postMessage(6*7)", { eval: true });
console.log(await new Promise(r => w.on("message", r)));
process.exit(0);
