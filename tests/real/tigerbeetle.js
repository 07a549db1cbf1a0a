// The client of TigerBeetle, whose sockets and timers are requests of a ring: a server that hangs up three times.
const net = require("net"), { createClient } = require(process.argv[3] + "/tigerbeetle-node");
const server = net.createServer(s => {
    s.on("error", () => {});
    s.once("data", d => {
        console.log("connected", d.length >= 256, s.remoteAddress);
        s.destroy(); // the client comes again
        if (++count === 3) setTimeout(() => { client.destroy(); server.close(); }, 50);
    });
});
let client, count = 0;
server.listen(+process.argv[2], "127.0.0.1", () => {
    client = createClient({ cluster_id: 0n, replica_addresses: [process.argv[2]] });
    client.lookupAccounts([1n]).then(() => console.log("?"), e => console.log("refused", e.message));
});
