# Threads, sockets, processes, signals and ractors.
require "socket"
require "open3"
require "etc"
server = TCPServer.new("127.0.0.1", 0)
thread = Thread.new { 20.times { c = server.accept; c.puts c.gets.upcase; c.close } }
20.times { |i| c = TCPSocket.new("127.0.0.1", server.addr[1]); c.puts "line #{i}"; puts c.gets; c.close }
thread.join
reader, writer = IO.pipe
pid = fork { reader.close; writer.puts "from a child"; exit!(4) }
writer.close
puts reader.read
Process.wait pid
p $?.exitstatus
queue = Queue.new
4.times.map { |i| Thread.new { 100.times { queue << i } } }.each(&:join)
p queue.size
out, status = Open3.capture2("cat; exit 5", stdin_data: "in")
p out, status.exitstatus
trap("USR1") { $got = 1 }
Process.kill("USR1", $$)
sleep 0.01 until $got
p Ractor.new { 6 * 7 }.take
GC.start
p Etc.getpwuid(0).name
