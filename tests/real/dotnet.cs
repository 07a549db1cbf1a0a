using System.Diagnostics;
using System.IO.Compression;
using System.IO.MemoryMappedFiles;
using System.Net.Sockets;
using System.Security.Cryptography;
string dir = args[0];
var builder = WebApplication.CreateSlimBuilder();
builder.Logging.ClearProviders();
builder.WebHost.UseUrls("http://127.0.0.1:0");
var app = builder.Build();
app.MapPost("/", async (HttpRequest r) => { using var s = new StreamReader(r.Body); return "hello " + await s.ReadToEndAsync(); });
await app.StartAsync();
using var client = new HttpClient { BaseAddress = new Uri(app.Urls.First()) };
int sum = 0;
for (int k = 0; k < 20; k++)
    foreach (var t in Enumerable.Range(0, 32).Select(async i => await (await client.PostAsync("/", new StringContent("n" + i))).Content.ReadAsStringAsync()).ToArray())
        sum += (await t).Length;
Console.WriteLine($"http {sum}");
await app.StopAsync();
for (int i = 0; i < 50; i++) await File.WriteAllTextAsync($"{dir}/f{i}", new string('x', i * 1000));
Console.WriteLine(Directory.EnumerateFiles(dir).Sum(f => new FileInfo(f).Length));
Console.WriteLine(Convert.ToHexString(SHA256.HashData(File.ReadAllBytes($"{dir}/f49")))[..16]);
using (var m = MemoryMappedFile.CreateFromFile($"{dir}/mapped", FileMode.Create, null, 1 << 20)) { using var v = m.CreateViewAccessor(); v.Write(4096, 42); v.Flush(); }
Console.WriteLine(BitConverter.ToInt32(File.ReadAllBytes($"{dir}/mapped"), 4096));
using (var z = new GZipStream(File.Create($"{dir}/z"), CompressionLevel.Optimal)) z.Write(new byte[1 << 20]);
Console.WriteLine(new FileInfo($"{dir}/z").Length < 4096);
using var p = Process.Start(new ProcessStartInfo("sh", "-c \"cat; exit 5\"") { RedirectStandardInput = true, RedirectStandardOutput = true })!;
p.StandardInput.Write("to a child"); p.StandardInput.Close();
Console.WriteLine(await p.StandardOutput.ReadToEndAsync()); await p.WaitForExitAsync(); Console.WriteLine(p.ExitCode);
long total = 0; Parallel.For(0, 1000, i => { byte[] b = new byte[10000]; Interlocked.Add(ref total, b.Length + i); }); Console.WriteLine(total);
GC.Collect(); GC.WaitForPendingFinalizers();
try { object? o = null; o!.ToString(); } catch (NullReferenceException) { Console.WriteLine("null"); }
try { checked { int x = int.MaxValue; x += args.Length; } } catch (OverflowException) { Console.WriteLine("overflow"); }
string path = $"{dir}/sock"; using var l = new Socket(AddressFamily.Unix, SocketType.Stream, 0); l.Bind(new UnixDomainSocketEndPoint(path)); l.Listen();
using var c = new Socket(AddressFamily.Unix, SocketType.Stream, 0); await c.ConnectAsync(new UnixDomainSocketEndPoint(path)); using var a = await l.AcceptAsync();
await c.SendAsync(new byte[100]); Console.WriteLine(await a.ReceiveAsync(new byte[200]));
using var w = new FileSystemWatcher(dir); var seen = new TaskCompletionSource<string>(); w.Created += (_, e) => seen.TrySetResult(e.Name!); w.EnableRaisingEvents = true;
File.WriteAllText($"{dir}/new", ""); Console.WriteLine(await seen.Task);
using var timer = new PeriodicTimer(TimeSpan.FromMilliseconds(5)); for (int i = 0; i < 10; i++) await timer.WaitForNextTickAsync();
return 7;
