# java.sh DIR: a program compiled and run, with each collector.
set -u
cd "$1" || exit 1
cat > Work.java << 'END'
import java.io.*;
import java.net.*;
import java.nio.*;
import java.nio.channels.*;
import java.nio.file.*;
import java.util.*;
import java.util.concurrent.*;
import java.util.stream.*;

public class Work {
    public static void main(String[] args) throws Exception {
        ExecutorService pool = Executors.newFixedThreadPool(8);
        List<Future<Long>> sums = new ArrayList<>();
        for (int i = 0; i < 50; i++) {
            int n = i;
            sums.add(pool.submit(() -> LongStream.range(0, 20000).map(x -> x ^ n).sum()));
        }
        long total = 0;
        for (Future<Long> f : sums) total += f.get();
        System.out.println(total + " " + IntStream.range(0, 1000000).parallel().filter(x -> x % 7 == 0).count());
        Map<Integer, byte[]> garbage = new ConcurrentHashMap<>();
        for (int i = 0; i < 200000; i++) garbage.put(i % 500, new byte[1000]);
        System.out.println(garbage.size());
        Path dir = Files.createTempDirectory(Path.of("."), "w");
        for (int i = 0; i < 100; i++) Files.writeString(dir.resolve("f" + i), "x".repeat(i));
        try (Stream<Path> s = Files.walk(dir)) { System.out.println(s.filter(Files::isRegularFile).mapToLong(p -> p.toFile().length()).sum()); }
        try (FileChannel c = FileChannel.open(dir.resolve("map"), StandardOpenOption.CREATE, StandardOpenOption.READ, StandardOpenOption.WRITE)) {
            MappedByteBuffer m = c.map(FileChannel.MapMode.READ_WRITE, 0, 1 << 20);
            for (int i = 0; i < 1 << 20; i += 4096) m.put(i, (byte) 7);
            m.force();
            try (FileLock l = c.lock()) { System.out.println(l.isValid() + " " + c.size()); }
        }
        ServerSocket server = new ServerSocket(0, 50, InetAddress.getByName("127.0.0.1"));
        for (int i = 0; i < 10; i++)
            pool.submit(() -> {
                try (Socket s = server.accept()) { s.getInputStream().transferTo(s.getOutputStream()); }
                return null;
            });
        long bytes = 0;
        for (int i = 0; i < 10; i++)
            try (Socket s = new Socket("127.0.0.1", server.getLocalPort())) {
                s.getOutputStream().write(new byte[10000]);
                s.shutdownOutput();
                bytes += s.getInputStream().readAllBytes().length;
            }
        System.out.println(bytes);
        Process p = new ProcessBuilder("sh", "-c", "cat; exit 5").start();
        p.getOutputStream().write("to a child\n".getBytes());
        p.getOutputStream().close();
        System.out.print(new String(p.getInputStream().readAllBytes()));
        System.out.println(p.waitFor());
        try { deep(0); } catch (StackOverflowError e) { System.out.println("overflow"); }
        String nothing = args.length > 5 ? "" : null;
        try { nothing.length(); } catch (NullPointerException e) { System.out.println("null"); }
        CountDownLatch latch = new CountDownLatch(100);
        for (int i = 0; i < 100; i++) new Thread(latch::countDown).start();
        latch.await();
        ScheduledExecutorService timer = Executors.newScheduledThreadPool(1);
        System.out.println(timer.schedule(() -> "later", 50, TimeUnit.MILLISECONDS).get());
        timer.shutdown();
        pool.shutdown();
        Runtime.getRuntime().addShutdownHook(new Thread(() -> System.out.println("the end")));
        System.exit(3);
    }

    static int deep(int n) { return deep(n + 1) + 1; }
}
END
javac -J-Xmx256m Work.java; echo "javac $?"
for collector in Serial Parallel G1; do java -Xmx256m -XX:+Use${collector}GC Work; echo "$collector $?"; done
