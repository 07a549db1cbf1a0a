// files.js DIR: file work of node's libuv, which uses io_uring for it where it is told to.
const fs = require('fs'), path = require('path'), crypto = require('crypto'), { pipeline } = require('stream/promises'), zlib = require('zlib');
const { execFile, fork } = require('child_process'), { Worker } = require('worker_threads');
const dir = process.argv[2], p = fs.promises, at = name => path.join(dir, name);
const hash = data => crypto.createHash('sha256').update(data).digest('hex').slice(0, 16);
async function main() {
    await Promise.all([...Array(200).keys()].map(async i => {
        await p.mkdir(at('d' + i % 7), { recursive: true });
        await p.writeFile(at(`d${i % 7}/f${i}`), 'x'.repeat(i * 100));
    }));
    const names = (await p.readdir(dir, { recursive: true })).sort();
    console.log(names.length, hash(names.join()));
    const data = await Promise.all([...Array(200).keys()].map(i => p.readFile(at(`d${i % 7}/f${i}`))));
    console.log(hash(Buffer.concat(data)));
    await Promise.all([...Array(100).keys()].map(i => p.rename(at(`d${i % 7}/f${i}`), at('r' + i))));
    await p.link(at('r1'), at('hard')), await p.symlink('r2', at('soft'));
    console.log((await p.lstat(at('soft'))).isSymbolicLink(), (await p.stat(at('hard'))).nlink, await p.readlink(at('soft')));
    await Promise.all([...Array(50).keys()].map(i => p.unlink(at('r' + i))));
    for (const f of ['r1', 'gone/x', 'd0']) console.log(await p.open(at(f), 'r+').then(() => 'opened', e => e.code));
    const h = await p.open(at('big'), 'w+');
    for (let i = 0; i < 50; i++) await h.write(Buffer.alloc(10000, i), 0, 10000, i * 10000);
    await h.truncate(450000), await h.datasync(), await h.sync();
    await h.writev([Buffer.from('one'), Buffer.from('two')], 100);
    console.log((await h.stat()).size, (await h.read(Buffer.alloc(6), 0, 6, 100)).buffer.toString());
    await h.close();
    await pipeline(fs.createReadStream(at('big')), zlib.createGzip(), fs.createWriteStream(at('big.gz')));
    await pipeline(fs.createReadStream(at('big.gz')), zlib.createGunzip(), fs.createWriteStream(at('again')));
    console.log((await p.readFile(at('big'))).equals(await p.readFile(at('again'))));
    console.log(await new Promise(r => execFile('sh', ['-c', 'cat; exit 3'], (e, out) => r([e.code, out])).stdin.end('to a child')));
    console.log(await new Promise(r => new Worker('require("worker_threads").parentPort.postMessage(require("fs").statSync(process.argv[1] ?? ".").isDirectory())', { eval: true }).on('message', r)));
    const watched = new Promise(r => { const w = fs.watch(dir, (_, f) => { if (f === 'watched') { w.close(); r('seen'); } }); });
    await new Promise(r => setTimeout(r, 50));
    await p.writeFile(at('watched'), '');
    console.log(await watched);
    fs.writeSync(1, 'the end\n');
}
main();
